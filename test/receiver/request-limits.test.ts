import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compress } from 'snappyjs';
import { rowTexts } from '../filequeue/read-back.ts';
import { copy2, literal, varint } from '../reference/snappy-elements.ts';
import { labels, request, type Series, series } from '../support/messages.ts';
import { encodeBody, v1Headers } from '../support/sender.ts';
import { type Door, door, post } from './door.ts';
import { noSenderLimits } from './wide.ts';

const up = { __name__: 'up' };
const one = encodeBody(request(series(up, [1, 1])));

/** A snappy block of `size` bytes that repeat `text`, in as few bytes as the format can. */
function bomb(text: Uint8Array, size: number): Uint8Array {
  const parts: Uint8Array[] = [varint(size), literal(text)];
  for (let at = text.length; at < size; at += 64) parts.push(copy2(text.length, Math.min(64, size - at)));
  return Buffer.concat(parts);
}

const many = (count: number, make: (i: number) => Series): Series[] =>
  Array.from({ length: count }, (_, i) => make(i));

async function refused(it: Door, body: Uint8Array, says: RegExp): Promise<void> {
  const answer = await post(await it.open(), body);
  assert.equal(answer.status, 400);
  assert.match(answer.body, says);
  assert.match(answer.body, /; nothing of the request was stored\n$/);
  assert.deepEqual(it.rows(), []);
  assert.equal(it.handler.inFlightBytes, 0);
}

describe('limits of a request', () => {
  it('name themselves, and refuse the whole request (INT-05)', async (t) => {
    const made = await door(t, {
      maxRequestBytes: 5000,
      limits: { decodedBytes: 20_000, series: 3, rows: 5 },
    });
    const named = (i: number): Series => series({ __name__: `s${i}` }, [1, 1]);
    for (const [body, says] of [
      [
        new Uint8Array(5001),
        /^the request has a body of 5001 bytes .* 5000 \(`receiver\.max_request_bytes`\)/,
      ],
      [
        bomb(Uint8Array.of(10, 0), 20_001),
        /^the request declares 20001 .* 20000 \(`receiver\.max_decoded_bytes`\)/,
      ],
      [
        encodeBody(request(...many(4, named))),
        /of 3 \(`receiver\.max_series_per_request`\), .* \{__name__="s3"\}/,
      ],
      [
        encodeBody({ metadata: many(4, () => ({})).map(() => ({ type: 1, metricFamilyName: 'm' })) }),
        /of 3 \(`receiver\.max_series_per_request`\);/,
      ],
      [
        encodeBody(request(named(0), series({ __name__: 'b' }, [1, 1], [2, 2], [3, 3], [4, 4], [5, 5]))),
        /of 5 \(`receiver\.max_rows_per_request`\), .* \{__name__="b"\}/,
      ],
    ] as const) {
      await refused(made, body, says);
    }
    assert.deepEqual(made.limited, [
      'max_request_bytes',
      'max_decoded_bytes',
      'max_series_per_request',
      'max_series_per_request',
      'max_rows_per_request',
    ]);
    const within = request(named(0), named(1), series({ __name__: 'b' }, [1, 1], [2, 2], [3, 3]));
    assert.equal((await post(await made.open(), encodeBody(within))).status, 204);
    assert.equal(made.rows().length, 5);
  });

  it('hold for bombs: a block that claims more than snappy can make, and forged small fields', async (t) => {
    const made = await door(t, {
      limits: { decodedBytes: 2 ** 25, series: 1000, rows: 1000 },
      maxRequestBytes: 2 ** 21,
      maxInFlightBytes: 2 ** 26,
    });
    // 64 bytes of every three is what the format can do at most.
    const lie = Buffer.concat([varint(2 ** 25), Buffer.alloc((2 ** 25 * 3) / 64 - 10_000, 0xff)]);
    await refused(made, lie, /^not a snappy block: the declared length cannot come of a body of this size/);
    await refused(made, bomb(Uint8Array.of(0x0a, 0), 2 ** 20), /max_series_per_request/);
    await refused(made, bomb(Uint8Array.of(0x1a, 0), 2 ** 20), /max_series_per_request/);
    await refused(made, bomb(Uint8Array.of(0x20, 0), 2 ** 20), /max_series_per_request/);
    // One series of empty samples, then one of labels and samples by turns.
    const inOneSeries = (fields: number[], size: number): Uint8Array => {
      const raw = new Uint8Array(size).fill(0);
      for (let i = 0; i < size; i++) raw[i] = fields[i % fields.length]!;
      return compress(Buffer.concat([Uint8Array.of(0x0a), varint(size), raw]));
    };
    await refused(made, inOneSeries([0x12, 0], 2 ** 18), /max_rows_per_request/);
    await refused(made, inOneSeries([0x0a, 0, 0x12, 0], 2 ** 18), /max_rows_per_request/);
  });

  it('refuse a series with too many or too long labels, and keep the others (RW1-R-10, RW2-R-18, -28)', async (t) => {
    const made = await door(t, { limits: { labels: 3, nameBytes: 10, valueBytes: 20 } });
    const wire = await made.open();
    const good = series({ __name__: 'good', a: '1', b: '2' }, [1, 1]);
    const kept: string[] = [];
    for (const [labelsOf, reason, limit] of [
      [{ ...up, a: '1', b: '2', c: '3' }, 'too_many_labels', 3],
      [{ ...up, abcdefghijk: '1' }, 'label_name_too_long', 10],
      [{ ...up, a: 'x'.repeat(21) }, 'label_value_too_long', 20],
    ] as const) {
      for (const samples of [
        [[1, 1]],
        [
          [1, 1],
          [2, 2],
        ],
      ] as const) {
        const answer = await post(wire, encodeBody(request(good, series(labelsOf, ...samples), good)));
        assert.equal(answer.status, 400);
        assert.ok(
          answer.body.startsWith(`refused rows: ${samples.length} ${reason}; the other 2 rows`),
          answer.body,
        );
        assert.match(
          answer.body,
          new RegExp(`__name__="up".*\`receiver\\.max_label.* The limit is ${limit}\\.\n$`),
        );
        kept.push(...rowTexts(request(good, good)));
      }
    }
    assert.deepEqual(made.rows(), kept);
    const atLimit = series({ __name__: 'x'.repeat(20), abcdefghij: '1', b: '2' }, [1, 1]);
    assert.equal((await post(wire, encodeBody(request(atLimit)))).status, 204);
  });

  it('count the labels of exemplars, and labels that stand between samples', async (t) => {
    const made = await door(t, { limits: { labels: 2 } });
    const wire = await made.open();
    const exemplar = { labels: labels({ a: '1', b: '2', c: '3' }), timestamp: 1n, valueBits: 0n };
    const answer = await post(wire, encodeBody(request({ ...series(up, [1, 1]), exemplars: [exemplar] })));
    assert.ok(answer.body.startsWith('refused rows: 1 too_many_labels; the other 1 rows'), answer.body);
    const label = (name: string): number[] => [0x0a, 6, 0x0a, 1, name.charCodeAt(0), 0x12, 1, 0x31];
    const sample = [0x12, 0];
    const inner = [...label('a'), ...sample, ...label('b'), ...sample, ...label('c')];
    const scattered = await post(wire, compress(Uint8Array.of(0x0a, inner.length, ...inner)));
    assert.ok(scattered.body.startsWith('refused rows: 2 too_many_labels; the other 0 rows'), scattered.body);
    // What is over the limit is still read: a malformed label refuses all of it.
    const broken = [...inner.slice(0, -2), 5, 0x31];
    assert.match(
      (await post(wire, compress(Uint8Array.of(0x0a, broken.length, ...broken)))).body,
      /^not a remote/,
    );
  });

  it('leave nothing of refused labels behind for later requests to be predicted from', async (t) => {
    const made = await door(t, { limits: { labels: 3 } });
    const wire = await made.open();
    const over = request(series({ ...up, a: '1', b: '2', c: '3', d: '4' }, [1, 1]));
    for (let i = 0; i < 3; i++) assert.equal((await post(wire, encodeBody(over))).status, 400);
    assert.equal((await post(wire, one)).status, 204);
    assert.equal(made.rows().length, 1);
  });
});

describe('bytes in flight', () => {
  it('count what a request decodes to until its rows are on disk', async (t) => {
    const large = encodeBody(request(series({ __name__: 'a'.repeat(40_000) }, [1, 1])));
    assert.ok(large.length < 4000);
    const made = await door(t, { maxInFlightBytes: 60_000 });
    const [first, second] = [await made.open(), await made.open()];
    const hold = made.files.hold(/^sync 1/);
    const waiting = post(first, large);
    await hold.reached();
    assert.ok(made.handler.inFlightBytes > 40_000);
    const answer = await post(second, large);
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['retry-after'], '1');
    assert.match(answer.body, /`receiver\.max_in_flight_bytes`/);
    hold.letGo();
    assert.equal((await waiting).status, 204);
    assert.equal((await post(second, large)).status, 204);
    assert.equal(made.handler.inFlightBytes, 0);
    assert.equal(made.rows().length, 2);
  });
});

describe('limits of a sender', () => {
  const from = (name: string): Record<string, string> => ({ ...v1Headers, 'x-sender': name });

  it('put off a sender over its rate with 503 and Retry-After, and nobody else', async (t) => {
    const made = await door(t, {
      perSender: { ...noSenderLimits, samplesPerSecond: 1, burstMs: 3_600_000 },
    });
    const wire = await made.open();
    const samples = Array.from({ length: 10_000 }, (_, i) => [i, i] as const);
    const large = encodeBody(request(series(up, ...samples)));
    assert.equal((await post(wire, large, from('fast'))).status, 204);
    const late = await post(wire, one, from('fast'));
    assert.equal(late.status, 503);
    assert.equal(late.headers['retry-after'], '60');
    assert.match(late.body, /`receiver\.per_sender\.samples_per_second`/);
    assert.match(made.lines.join('\n'), /^time=\S+ level=warn .*status=503/);
    assert.equal((await post(wire, one, from('other'))).status, 204);
    assert.equal((await post(wire, one, from('other'))).status, 204);
    assert.deepEqual(made.limited, ['per_sender.samples_per_second']);
    assert.equal(made.rows().length, 10_002);
  });

  it('keep one sender from taking the room of all', async (t) => {
    const made = await door(t, { perSender: { ...noSenderLimits, inFlightBytes: 50_000 } });
    const large = encodeBody(request(series({ __name__: 'a'.repeat(40_000) }, [1, 1])));
    const [first, second] = [await made.open(), await made.open()];
    const hold = made.files.hold(/^sync 1/);
    const waiting = post(first, large, from('greedy'));
    await hold.reached();
    const answer = await post(second, large, from('greedy'));
    assert.equal(answer.status, 503);
    assert.match(answer.body, /`receiver\.per_sender\.in_flight_bytes`/);
    assert.deepEqual(made.limited, ['per_sender.in_flight_bytes']);
    const other = post(second, large, from('other'));
    hold.letGo();
    assert.deepEqual([(await waiting).status, (await other).status], [204, 204]);
    assert.equal(made.handler.inFlightBytes, 0);
  });
});

it('says little in the log of however many senders that are refused', async (t) => {
  const made = await door(t);
  const wire = await made.open();
  for (let i = 0; i < 100; i++) {
    await post(wire, Buffer.from('hello'), { ...v1Headers, 'user-agent': `forged/${i}` });
  }
  assert.ok(made.lines.length < 100, `${made.lines.length} lines`);
});
