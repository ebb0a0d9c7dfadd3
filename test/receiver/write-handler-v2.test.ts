import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compress } from 'snappyjs';
import { encodeWriteRequestV2, staleMarkerBits } from '../../src/protocol/schema.ts';
import { rowTexts } from '../filequeue/read-back.ts';
import { loadCaptures, v2Captures } from '../support/captures.ts';
import { bitsOf, request, series } from '../support/messages.ts';
import { encodeBodyV2, requestV2, type SeriesV2, v2Headers } from '../support/messages-v2.ts';
import { Random } from '../support/random.ts';
import { encodeBody, v1Headers } from '../support/sender.ts';
import { door, post } from './door.ts';
import { type Answer, head } from './wire.ts';

const up = { __name__: 'up', job: 'a' };
const sample = (timestamp: bigint) => ({ timestamp, valueBits: bitsOf(1) });
const one: SeriesV2 = { labels: up, samples: [sample(1n)] };
const valid = encodeBodyV2(requestV2(one));
/** Native histograms: one that is valid, and one whose count is wrong. */
const [good, bad] = [1n, 2n].map((countInt, i) => ({
  countInt,
  zeroCountInt: 1n,
  sumBits: bitsOf(1),
  timestamp: BigInt(i + 1),
}));
const exemplar = { labels: { trace_id: 'abc' }, valueBits: bitsOf(1), timestamp: 1n };

/** What the three headers say; NaN for one that is missing. */
function written({ headers }: Answer): number[] {
  return ['samples', 'histograms', 'exemplars'].map((kind) => {
    const value = headers[`x-prometheus-remote-write-${kind}-written`];
    assert.ok(value === undefined || /^\d+$/.test(value), value);
    return Number(value ?? Number.NaN);
  });
}

test('RW2-R-05, RW2-R-07: 204 without a body and exact counts, when all is synced and not before', async (t) => {
  const { open, files, rows, told } = await door(t);
  const wire = await open();
  const body = encodeBodyV2(
    requestV2(
      { labels: up, samples: [sample(1n), sample(2n)], exemplars: [exemplar] },
      { labels: { __name__: 'h' }, histograms: [good!], exemplars: [exemplar, exemplar] },
    ),
  );
  const hold = files.hold(/^sync 1/);
  wire.send(head(body.length, v2Headers));
  wire.send(body);
  await hold.reached();
  assert.deepEqual(told, []);
  hold.letGo();
  const answer = await wire.answer();
  assert.deepEqual([answer.status, answer.body, answer.headers['content-type']], [204, '', undefined]);
  assert.deepEqual(written(answer), [2, 1, 3]);
  assert.equal(rows().length, 6);
});

test('RW2-R-06 to RW2-R-09: of a partial write the rest is on disk, counted, and the answer says how much is not and why', async (t) => {
  const { open, rows } = await door(t);
  const wire = await open();
  const message = requestV2(
    one,
    { labels: { job: 'nameless' }, samples: [sample(1n), sample(2n)], exemplars: [exemplar] },
    { labels: { __name__: 'h' }, histograms: [good!, bad!] },
    { labels: { __name__: 'idle' }, exemplars: [exemplar], metadata: { type: 1, help: 'Idle.' } },
    {
      labels: { __name__: 'e' },
      samples: [sample(1n)],
      exemplars: [exemplar, { ...exemplar, timestamp: 0n }],
    },
  );
  const answer = await post(wire, encodeBodyV2(message), v2Headers);
  assert.equal(answer.status, 400);
  assert.deepEqual(written(answer), [2, 1, 1]);
  assert.match(
    answer.body,
    /^refused rows: 3 no_metric_name, 1 invalid_histogram, 1 no_samples, 1 invalid_exemplar; the other 4 rows .* are stored\. First refused: \{job="nameless"\}/,
  );
  assert.equal(rows().length, 4);
});

test('RW2-R-22, RW2-R-23: refs that are odd in number or outside are named, and the rest is taken', async (t) => {
  const { open, rows } = await door(t);
  const wire = await open();
  const symbols = ['', '__name__', 'up'];
  const samples = [sample(1n)];
  for (const [broken, says] of [
    [{ labelsRefs: [1, 2, 2], samples }, /\{__name__="up", up=\(no value\)\}/],
    [{ labelsRefs: [1, 9], samples }, /\{__name__=\(symbol 9 of 3\)\}/],
    [{ labelsRefs: [1, 2], samples, metadata: { type: 1, helpRef: 3 } }, /\{__name__="up"\}/],
    [{ labelsRefs: [1, 2], samples, metadata: { type: 1, unitRef: 2 ** 31 } }, /\{__name__="up"\}/],
  ] as const) {
    const timeseries = [{ labelsRefs: [1, 2], samples }, broken];
    const answer = await post(wire, encodeBodyV2({ symbols, timeseries }), v2Headers);
    assert.equal(answer.status, 400);
    assert.deepEqual(written(answer), [1, 0, 0]);
    assert.match(answer.body, /^refused rows: 1 invalid_refs; the other 1 rows/);
    assert.match(answer.body, says);
  }
  const none = await post(wire, encodeBodyV2({ timeseries: [{ labelsRefs: [0, 0], samples }] }), v2Headers);
  assert.match(none.body, /1 invalid_refs.*\(symbol 0 of 0\)=\(symbol 0 of 0\)/, 'RW2-R-30');
  assert.equal(rows().length, 4);
});

test('RW2-R-19: what is not UTF-8 is refused alone: a series for a label, metadata for a text, an exemplar', async (t) => {
  const { open, rows } = await door(t);
  const wire = await open();
  const raw = Buffer.from(
    encodeWriteRequestV2(
      requestV2(
        { labels: { ...up, bad: '@@' }, samples: [sample(1n)] },
        { labels: up, samples: [sample(1n)], metadata: { type: 1, help: '@@' } },
        { labels: up, samples: [sample(2n)], exemplars: [{ ...exemplar, labels: { bad: '@@' } }] },
      ),
    ),
  );
  raw.set([0xc3, 0x28], raw.indexOf('@@'));
  const answer = await post(wire, compress(raw), v2Headers);
  assert.equal(answer.status, 400);
  assert.deepEqual(written(answer), [2, 0, 0]);
  assert.match(
    answer.body,
    /^refused rows: 1 invalid_utf8, 1 invalid_metadata, 1 invalid_exemplar; the other 2/,
  );
  assert.equal(rows().length, 2);
});

test('RW2-R-07, RW2-R-12, RLY-03: a 503 says that nothing was written, keeps nothing, and metadata is not taken for stored', async (t) => {
  const it = await door(t);
  const wire = await it.open();
  const body = encodeBodyV2(requestV2({ ...one, metadata: { type: 2, help: 'Whether it is up.' } }));
  it.running = false;
  const early = await post(wire, body, v2Headers);
  assert.equal(early.status, 503);
  assert.deepEqual(written(early), [0, 0, 0]);
  it.running = true;
  for (const operation of [/^create/, /^append/, /^sync/]) {
    it.files.fail(operation, { code: 'ENOSPC' });
    const answer = await post(wire, body, v2Headers);
    assert.equal(answer.status, 503, String(operation));
    assert.match(answer.headers['retry-after']!, /^[1-9]\d*$/);
    assert.deepEqual(written(answer), [0, 0, 0]);
    it.files.heal();
  }
  assert.equal((await post(wire, body, v2Headers)).status, 204);
  const rows = it.rows();
  assert.equal(rows.length, 2);
  assert.ok(rows.some((row) => row.includes('Whether it is up.')));
});

test('RW2-R-04: 415 comes before the body is looked at, and before there is anything to count', async (t) => {
  const { open, rows } = await door(t);
  const wire = await open();
  const broken = Buffer.from('no snappy');
  for (const headers of [
    { ...v2Headers, 'content-type': 'application/json' },
    { ...v2Headers, 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v3.Request' },
    { ...v2Headers, 'content-encoding': 'gzip' },
    { ...v2Headers, 'content-encoding': 'zstd' },
  ]) {
    for (const body of [valid, broken]) {
      const answer = await post(wire, body, headers);
      assert.equal(answer.status, 415);
      assert.match(answer.body, /proto=io\.prometheus\.write\.v2\.Request/);
      assert.deepEqual(written(answer), [Number.NaN, Number.NaN, Number.NaN]);
    }
  }
  assert.deepEqual(rows(), []);
});

test('WIRE-01, WIRE-02, WIRE-07: what cannot be read is a 400 that counts nothing', async (t) => {
  const { open, rows } = await door(t, { maxRequestBytes: 1000, limits: { decodedBytes: 5000, series: 2 } });
  const wire = await open();
  for (const [body, says] of [
    [new Uint8Array(0), /^not a snappy block: /],
    [Buffer.from('ff060000734e61507059', 'hex'), /^not a snappy block: /],
    [new Uint8Array(1001), /over the limit of 1000/],
    [encodeBodyV2(requestV2({ labels: { __name__: 'a'.repeat(5000) }, samples: [sample(1n)] })), /5000/],
    [compress(Uint8Array.of(0x2a, 5)), /^not a remote write 2\.0 message: /],
    [encodeBodyV2(requestV2(one, one, one)), /has too many series, over the limit of 2/],
  ] as const) {
    const answer = await post(wire, body, v2Headers);
    assert.equal(answer.status, 400);
    assert.match(answer.body, says);
    assert.match(answer.body, /; nothing of the request was stored\n$/);
    assert.deepEqual(written(answer), [0, 0, 0]);
  }
  assert.deepEqual(rows(), []);
});

test('INT-04: a body that is the other message is a 400 that says so, both ways', async (t) => {
  const { open, rows } = await door(t);
  const wire = await open();
  const v1 = encodeBody(request(series(up, [1, 1])));
  const asV2 = await post(wire, v1, v2Headers);
  assert.equal(asV2.status, 400);
  assert.match(asV2.body, /is a remote write 1\.0 message, but the Content-Type says 2\.0/);
  assert.deepEqual(written(asV2), [0, 0, 0]);
  const onlyMetadata = encodeBody({ metadata: [{ type: 1, metricFamilyName: 'up', help: 'Up.', unit: '' }] });
  assert.match((await post(wire, onlyMetadata, v2Headers)).body, /is a remote write 1\.0 message/);
  const asV1 = await post(wire, valid, v1Headers);
  assert.equal(asV1.status, 400);
  assert.match(asV1.body, /is a remote write 2\.0 message, but the Content-Type says 1\.0/);
  assert.deepEqual(written(asV1), [Number.NaN, Number.NaN, Number.NaN]);
  assert.deepEqual(rows(), []);
});

test('INT-06: no answer to a 1.0 request counts, whatever it brings', async (t) => {
  const { open } = await door(t);
  const wire = await open();
  const metadata = [{ type: 1, metricFamilyName: 'up', help: 'Up.', unit: '' }];
  for (const [body, status] of [
    [encodeBody(request(series(up, [1, 1]))), 204],
    [encodeBody({ metadata }), 204],
    [encodeBody(request()), 204],
    [encodeBody(request(series({ job: 'nameless' }, [1, 1]))), 400],
    [Buffer.from('no snappy'), 400],
  ] as const) {
    const answer = await post(wire, body);
    assert.equal(answer.status, status);
    assert.deepEqual(written(answer), [Number.NaN, Number.NaN, Number.NaN]);
  }
});

test('an empty 2.0 request, and one with symbols alone, is a 204 that counts nothing', async (t) => {
  const { open, rows } = await door(t);
  const wire = await open();
  for (const message of [{}, { symbols: ['', 'a'] }]) {
    const answer = await post(wire, encodeBodyV2(message), v2Headers);
    assert.equal(answer.status, 204);
    assert.deepEqual(written(answer), [0, 0, 0]);
  }
  assert.deepEqual(rows(), []);
});

test('RLY-05, RW1-S-10: labels in any order, over either version, are one series, sorted', async (t) => {
  const random = Random.of(t);
  const { open, rows, commits } = await door(t);
  const wire = await open();
  const pairs = Object.entries({ __name__: 'x', a: '1', ab: '2', '\uE000': '3', '\u{10000}': '4' });
  for (let i = 1; i <= 8; i++) {
    const shuffled = pairs
      .map((pair) => ({ pair, at: random.next() }))
      .sort((a, b) => a.at - b.at)
      .map(({ pair }) => pair);
    const overV2 = requestV2({ labels: [...shuffled, ['empty', '']], samples: [sample(BigInt(i))] });
    const overV1 = request(series(Object.fromEntries(shuffled), [i, 1]));
    const answer =
      i % 2 === 0 ? await post(wire, encodeBodyV2(overV2), v2Headers) : await post(wire, encodeBody(overV1));
    assert.equal(answer.status, 204);
  }
  const expected = Array.from({ length: 8 }, (_, i) => [i + 1, 1] as const);
  assert.deepEqual(rows(), rowTexts(request(series(Object.fromEntries(pairs), ...expected))));
  assert.equal(commits.length, 8);
});

test('RW2-R-15, RW2-R-25, RW2-R-29, RLY-04: one series in several places, samples beside histograms, old times', async (t) => {
  const { open, rows } = await door(t);
  const wire = await open();
  const stale = { timestamp: 2n, valueBits: staleMarkerBits };
  const answer = await post(
    wire,
    encodeBodyV2(
      requestV2(
        { labels: up, samples: [sample(5n), sample(3n), sample(3n)] },
        { labels: up, samples: [stale], histograms: [good!] },
        { labels: up, samples: [sample(1n)] },
      ),
    ),
    v2Headers,
  );
  assert.equal(answer.status, 204);
  assert.deepEqual(written(answer), [5, 1, 0]);
  assert.deepEqual(
    rows().map((row) => / (sample|histogram) (\d+) /.exec(row)?.slice(1).join(' ')),
    ['sample 5', 'sample 3', 'sample 3', 'sample 2', 'histogram 1', 'sample 1'],
  );
  assert.ok(rows()[3]!.includes('7ff0000000000002'), rows()[3]);
});

test('what relabel_configs drops was taken: it counts as written, and is not stored', async (t) => {
  const { open, rows } = await door(t, { gate: { admit: () => 'dropped' } });
  const wire = await open();
  const message = requestV2(one, {
    labels: up,
    samples: [sample(1n), sample(2n)],
    histograms: [good!],
    exemplars: [exemplar],
  });
  const answer = await post(wire, encodeBodyV2(message), v2Headers);
  assert.equal(answer.status, 204);
  assert.deepEqual(written(answer), [3, 1, 1]);
  assert.deepEqual(rows(), []);
});

test('never a 500 to what 2.0 senders send, however damaged', async (t) => {
  const random = Random.of(t);
  const { open, lines, handler } = await door(t);
  const wire = await open();
  const bodies = (await loadCaptures(v2Captures[0])).slice(0, 3).map(({ body }) => body);
  for (let i = 0; i < 150; i++) {
    const body = Buffer.from(bodies[i % bodies.length]!);
    for (let n = random.int(0, 4); n >= 0; n--) body[random.int(0, body.length)] = random.int(0, 256);
    const { status } = await post(wire, body, v2Headers);
    assert.ok(status === 204 || status === 400, `case ${i}: ${status}`);
  }
  assert.equal(handler.inFlightBytes, 0);
  assert.ok(!lines.some((line) => line.includes('level=error')));
  assert.equal((await post(wire, valid, v2Headers)).status, 204);
});
