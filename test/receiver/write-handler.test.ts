import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compress } from 'snappyjs';
import { encodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { doorReasonNames, doorReasons } from '../../src/telemetry/reasons.ts';
import { rowTexts } from '../filequeue/read-back.ts';
import { loadCaptures, v1Captures } from '../support/captures.ts';
import { poll } from '../support/deadline.ts';
import { labels, request, series } from '../support/messages.ts';
import { encodeBody, v1Headers } from '../support/sender.ts';
import { door, post } from './door.ts';
import { chunk, head, lastChunk } from './wire.ts';

const up = { __name__: 'up' };
const valid = encodeBody(request(series(up, [1, 1])));

describe('WriteHandler', () => {
  it('answers 204 with nothing when the rows are synced, not before (RW1-R-03, INT-06, RLY-01)', async (t) => {
    const { open, files, handler, told, rows } = await door(t);
    const wire = await open();
    const hold = files.hold(/^sync 1/);
    wire.send(head(valid.length));
    wire.send(valid);
    await hold.reached();
    assert.deepEqual(told, []);
    assert.equal(handler.inFlightBytes, valid.length);
    hold.letGo();
    const { status, headers, body } = await wire.answer();
    assert.deepEqual([status, body, headers['content-type']], [204, '', undefined]);
    assert.ok(!Object.keys(headers).some((name) => name.endsWith('-written')), 'INT-06');
    assert.deepEqual(told, [{ status: 204, bytes: valid.length }]);
    assert.equal(handler.inFlightBytes, 0);
    assert.deepEqual(rows(), rowTexts(request(series(up, [1, 1]))));
  });

  it('tells senders to come again while the agent does not run', async (t) => {
    const it = await door(t);
    it.running = false;
    const wire = await it.open();
    const answer = await post(wire, valid);
    assert.equal(answer.status, 503);
    assert.match(answer.headers['retry-after']!, /^[1-9]\d*$/);
    assert.match(answer.body, /nothing was stored, send it again/);
    assert.match(it.lines.join('\n'), /^time=\S+ level=info .*status=503/);
    it.running = true;
    assert.equal((await post(wire, valid)).status, 204);
    assert.equal(it.handler.inFlightBytes, 0);
    assert.equal(it.rows().length, 1);
  });

  it('tells senders to come again when the disk fails, and keeps none of their rows (RW1-R-08, RLY-03)', async (t) => {
    const { open, files, handler, rows, told, lines } = await door(t);
    const wire = await open();
    for (const operation of [/^create/, /^append/, /^sync/]) {
      files.fail(operation, { code: 'ENOSPC' });
      const answer = await post(wire, encodeBody(request(series(up, [2, 2]))));
      assert.equal(answer.status, 503, String(operation));
      assert.match(answer.headers['retry-after']!, /^[1-9]\d*$/);
      assert.match(answer.body, /nothing of the request was stored, send it again/);
      files.heal();
    }
    assert.match(lines.join('\n'), /^time=\S+ level=error .*status=503/);
    // With an invalid row in it, too: what can be taken must not be told to be lost.
    files.fail(/^sync/);
    const mixed = request(series(up, [3, 3]), series({ job: 'nameless' }, [3, 3]));
    assert.equal((await post(wire, encodeBody(mixed))).status, 503);
    assert.equal((await post(wire, valid)).status, 204);
    assert.deepEqual(rows(), rowTexts(request(series(up, [1, 1]))));
    assert.equal(handler.inFlightBytes, 0);
    assert.deepEqual(
      told.map(({ status }) => status),
      [503, 503, 503, 503, 204],
    );
  });

  it('tells senders to come again when there is no room for their bodies, until there is (RW2-R-12, INT-08)', async (t) => {
    const { open, handler, told, untilTold, lines } = await door(t, {
      maxRequestBytes: 1000,
      maxInFlightBytes: 1000,
    });
    const [first, second] = [await open(), await open()];
    first.send(head(1000));
    first.send(new Uint8Array(990));
    // Which connection is read first is the kernel's choice.
    const answer = await poll(
      () => 'there is room for all',
      async () => {
        const one = await post(second, valid);
        return one.status === 204 ? undefined : one;
      },
    );
    assert.equal(answer.status, 503);
    assert.match(answer.headers['retry-after']!, /^[1-9]\d*$/);
    assert.equal(handler.inFlightBytes, 990);
    assert.match(lines.join('\n'), /^time=\S+ level=warn .*status=503/);
    first.break();
    await untilTold(told.length + 1);
    assert.equal(told.at(-1)?.status, 499);
    assert.equal((await post(second, valid)).status, 204);
    assert.equal(handler.inFlightBytes, 0);
  });

  it('goes on after a refused request whose body nobody read', async (t) => {
    const { open, handler, told } = await door(t, { maxRequestBytes: 1000 });
    const wire = await open();
    const large = new Uint8Array(300_000);
    for (const [what, headers, status] of [
      ['a type', { ...v1Headers, 'content-type': 'text/plain' }, 415],
      ['an encoding', { ...v1Headers, 'content-encoding': 'zstd' }, 415],
      ['a size', v1Headers, 400],
    ] as const) {
      assert.equal((await post(wire, large, headers)).status, status, what);
      assert.equal((await post(wire, valid)).status, 204, `after ${what}`);
      wire.send(head('chunked', headers));
      wire.send(chunk(large));
      wire.send(lastChunk);
      assert.equal((await wire.answer()).status, status, `${what}, in chunks`);
      assert.equal((await post(wire, valid)).status, 204, `after ${what}, in chunks`);
    }
    assert.equal(handler.inFlightBytes, 0);
    assert.equal(told.length, 12);
  });

  it('reads a body in chunks like any other', async (t) => {
    const { open, rows } = await door(t);
    const wire = await open();
    wire.send(head('chunked'));
    for (const byte of valid) wire.send(chunk(Uint8Array.of(byte)));
    wire.send(lastChunk);
    assert.equal((await wire.answer()).status, 204);
    assert.equal(rows().length, 1);
  });

  it('keeps nothing of a request whose sender went away in its middle', async (t) => {
    const { open, handler, told, untilTold, rows, lines } = await door(t);
    for (const first of [head(valid.length), head('chunked')]) {
      const wire = await open();
      wire.send(first);
      wire.send(first.includes('chunked') ? chunk(valid.subarray(0, -1)) : valid.subarray(0, -1));
      // The head of the next connection is read after this one.
      const other = await open();
      assert.equal((await post(other, encodeBody(request()))).status, 204);
      wire.break();
      await untilTold(told.length + 1);
    }
    assert.deepEqual(
      told.map(({ status }) => status),
      [204, 499, 204, 499],
    );
    assert.equal(handler.inFlightBytes, 0);
    assert.deepEqual(rows(), []);
    assert.deepEqual(lines, []);
  });

  it('stores the rows of a sender that went away before its answer', async (t) => {
    const { open, handler, files, untilTold, rows } = await door(t);
    const wire = await open();
    const hold = files.hold(/^sync 1/);
    wire.send(head(valid.length));
    wire.send(valid);
    await hold.reached();
    wire.break();
    const other = await open();
    other.send('GET /api/v1/write HTTP/1.1\r\nHost: spillway\r\n\r\n');
    assert.equal((await other.answer()).status, 405);
    hold.letGo();
    await untilTold(2);
    assert.equal(handler.inFlightBytes, 0);
    assert.equal(rows().length, 1);
  });

  it('says first how much is refused and why, then what, within a kilobyte (INT-07)', async (t) => {
    const { open, rows } = await door(t, { limits: { labels: 4, nameBytes: 30_000, valueBytes: 30_000 } });
    const wire = await open();
    const long = '🚰'.repeat(5000);
    const answer = await post(
      wire,
      encodeBody({
        timeseries: [
          series({ __name__: 'fine' }, [1, 1]),
          series({ [long]: long, job: long, zone: 'z' }, [1, 1], [2, 2]),
          series({ ...up, '': long }, [1, 1]),
          series({ ...up, a: '1', b: '2', c: '3', d: '4' }, [1, 1]),
          series({ ...up, ['n'.repeat(30_001)]: '1' }, [1, 1]),
          series({ ...up, a: 'v'.repeat(30_001) }, [1, 1]),
          { labels: [...labels(up), ...labels({ a: long }), ...labels({ a: 'b' })], samples: [{}] },
          {
            ...series(up, [3, 3]),
            exemplars: [{ labels: labels({ '': long }), timestamp: 1n, valueBits: 0n }],
            histograms: [{ countInt: 1n, timestamp: 1n }],
          },
        ],
        metadata: [{ type: 1, metricFamilyName: '', help: long, unit: '' }],
      }),
    );
    assert.equal(answer.status, 400);
    const start = Buffer.from(answer.body).subarray(0, 1024).toString();
    const elsewhere = ['invalid_utf8', 'invalid_refs', 'no_samples'];
    for (const reason of doorReasonNames.filter((name) => !elsewhere.includes(name))) {
      assert.match(start, new RegExp(`\\b${reason === 'no_metric_name' ? 2 : 1} ${reason}\\b`));
    }
    assert.match(start, /^refused rows: .*the other 2 rows of the request are stored\. First refused: \{/);
    assert.ok(Buffer.byteLength(answer.body) < 4096, `${Buffer.byteLength(answer.body)} bytes`);
    assert.deepEqual(rows(), rowTexts(request(series({ __name__: 'fine' }, [1, 1]), series(up, [3, 3]))));
  });

  it('names the first offending series and what is wrong with it (RW1-R-07)', async (t) => {
    const wire = await (await door(t)).open();
    const utf8 = Buffer.from(encodeWriteRequestV1(request(series({ ...up, bad: '@@' }, [1, 1]))));
    utf8.set([0xc3, 0x28], utf8.indexOf('@@'));
    for (const [body, reason, what] of [
      [
        encodeBody(request(series(up, [1, 1]), series({ a: 'b', c: 'd' }, [1, 1]))),
        'no_metric_name',
        /a="b".*c="d"/,
      ],
      [encodeBody(request(series({ ...up, '': 'empty' }, [1, 1]))), 'empty_label_name', /empty/],
      [
        encodeBody(request({ labels: [...labels({ ...up, a: '1' }), ...labels({ a: '2' })], samples: [{}] })),
        'duplicate_label',
        /a="1".*a="2"/,
      ],
      [compress(utf8), 'invalid_utf8', /__name__="up"/],
      [
        encodeBody(request({ labels: labels(up), exemplars: [{ labels: labels({ '': 'x' }) }] })),
        'invalid_exemplar',
        /up/,
      ],
      [encodeBody({ metadata: [{ help: 'of nothing' }] }), 'invalid_metadata', /metadata/],
    ] as const) {
      const answer = await post(wire, body);
      assert.equal(answer.status, 400, reason);
      assert.ok(answer.body.startsWith(`refused rows: 1 ${reason}; `), answer.body);
      assert.ok(answer.body.includes(doorReasons[reason]), answer.body);
      assert.match(answer.body, what);
    }
  });

  it('says of what cannot be read why, and that nothing was stored', async (t) => {
    const { open, rows } = await door(t, { maxRequestBytes: 1000, limits: { decodedBytes: 5000 } });
    const wire = await open();
    for (const [body, says] of [
      [new Uint8Array(0), /^not a snappy block: /],
      [Buffer.from('hello'), /^not a snappy block: /],
      [new Uint8Array(1001), /over the limit of 1000/],
      [encodeBody(request(series({ __name__: 'a'.repeat(5000) }, [1, 1]))), /5000/],
      [compress(Uint8Array.of(0x0a, 5)), /^not a remote write 1\.0 message: /],
    ] as const) {
      const answer = await post(wire, body);
      assert.equal(answer.status, 400);
      assert.match(answer.body, says);
      assert.match(answer.body, /; nothing of the request was stored\n$/);
    }
    assert.deepEqual(rows(), []);
  });

  it('never answers 500 to what senders send, however damaged', async (t) => {
    const { open, lines, handler } = await door(t);
    const wire = await open();
    const bodies: Buffer[] = [];
    for (const folder of v1Captures) {
      for (const { body } of (await loadCaptures(folder)).slice(0, 3)) bodies.push(Buffer.from(body));
    }
    // A fixed sequence: every run damages the same bytes.
    let state = 1;
    const random = (below: number): number => {
      state = (Math.imul(state, 48_271) >>> 0) % 0x7fffffff;
      return state % below;
    };
    for (let i = 0; i < 300; i++) {
      const body = Buffer.from(bodies[i % bodies.length]!);
      for (let n = random(4); n >= 0; n--) body[random(body.length)] = random(256);
      const { status } = await post(wire, i % 5 === 0 ? body.subarray(0, random(body.length)) : body);
      assert.ok(status === 204 || status === 400, `case ${i}: ${status}`);
    }
    assert.equal(handler.inFlightBytes, 0);
    assert.ok(!lines.some((line) => line.includes('level=error')));
    assert.equal((await post(wire, valid)).status, 204);
  });

  it('logs a refusal once a minute for each sender and status, with how often it was', async (t) => {
    const it = await door(t);
    const wire = await it.open();
    const bad = Buffer.from('hello');
    for (let i = 0; i < 3; i++) await post(wire, bad);
    await post(wire, bad, { ...v1Headers, 'user-agent': 'other/1' });
    it.now = 60_000;
    await post(wire, bad);
    assert.deepEqual(
      it.lines.map((line) => /status=\d+ sender=(\S+) from=(\S+) told=".*?"(.*)$/.exec(line)?.slice(1)),
      [
        ['spillway-test/1', '127.0.0.1', ''],
        ['other/1', '127.0.0.1', ''],
        ['spillway-test/1', '127.0.0.1', ' repeated=2'],
      ],
    );
  });
});
