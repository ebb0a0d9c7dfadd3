import assert from 'node:assert/strict';
import { test } from 'node:test';
import { staleMarkerBits } from '../../src/protocol/schema.ts';
import { bitsOf, request, series } from './messages.ts';
import { encodeBody, Sender, v1Headers } from './sender.ts';
import { Sink } from './sink.ts';

const up = { __name__: 'up', job: 'a' };

function originOf(url: string): string {
  return new URL(url).origin;
}

test('what a sender writes arrives with all its bits', async (t) => {
  const sink = await Sink.start(t);
  const sender = new Sender(t, originOf(sink.url));
  await sender.write({
    timeseries: [
      series(up, [-1, staleMarkerBits], [2 ** 53, -0], [2 ** 53 + 2, 0x7ff8_dead_beef_0001n]),
      {
        labels: [{ name: '__name__', value: 'h' }],
        histograms: [
          { timestamp: 5n, countInt: 0n, zeroCountInt: 0n, sumBits: staleMarkerBits, positiveDeltas: [1n] },
        ],
        exemplars: [{ timestamp: 4n, valueBits: bitsOf(0.1), labels: [{ name: 'trace_id', value: 'x' }] }],
      },
    ],
    metadata: [{ type: 2, metricFamilyName: 'up', help: 'Whether.', unit: '' }],
  });
  await sink.waitForRows(sender.acknowledged);
  assert.equal(sender.acknowledged.length, 5);
  assert.deepEqual([...sink.arrivals.rows()], sender.acknowledged);
  assert.deepEqual(sink.arrivals.inversions, []);
  assert.equal(sink.metadata.length, 1);
});

test('a row that comes late is an inversion, a row that comes again is a duplicate', async (t) => {
  const sink = await Sink.start(t);
  const sender = new Sender(t, originOf(sink.url));
  for (const at of [1, 3, 2, 3, 1]) await sender.write(request(series(up, [at, at])));
  assert.deepEqual(
    sink.arrivals.inversions.map(({ at }) => at),
    [2n],
  );
  assert.equal(sink.arrivals.duplicates, 2);
  assert.equal(sink.arrivals.count, 5);
});

test('rows that differ in one bit are different rows', async (t) => {
  const sink = await Sink.start(t);
  const sender = new Sender(t, originOf(sink.url));
  await sender.write(request(series(up, [1, 0])));
  const [row] = sender.acknowledged;
  assert.equal(sink.arrivals.has(row!), true);
  assert.equal(sink.arrivals.has({ ...row!, content: '0000000000000001' }), false);
  assert.equal(sink.arrivals.has({ ...row!, series: '{__name__="up"}' }), false);
});

test('what the script refuses, resets or hangs on is not stored, unless it says so', async (t) => {
  const sink = await Sink.start(
    t,
    ({ index }) =>
      [
        { status: 500, body: 'no' },
        { instead: 'reset' as const },
        { instead: 'reset-mid-answer' as const, store: true },
        { delayMs: 1 },
      ].at(index)!,
  );
  const sender = new Sender(t, originOf(sink.url));
  const replies = [];
  for (const at of [1, 2, 3, 4]) replies.push(await sender.write(request(series(up, [at, at]))));
  assert.deepEqual(
    replies.map((reply) => reply?.status),
    [500, undefined, undefined, 204],
  );
  assert.equal(replies[0]?.body, 'no');
  assert.deepEqual(
    [...sink.arrivals.rows()].map(({ at }) => at),
    [3n, 4n],
  );
  assert.deepEqual([sender.acknowledged.length, sender.refused.length, sender.unknown.length], [1, 1, 2]);
});

test('a sink that hangs lets go of its connections when it stops, and starts again at its port', async (t) => {
  const sink = await Sink.start(t, () => ({ instead: 'hang' }));
  const sender = new Sender(t, originOf(sink.url));
  const hanging = sender.write(request(series(up, [1, 1])));
  await sink.waitFor('a request', () => sink.requests.length === 1);
  await sink.stop();
  assert.equal(await hanging, undefined);
  assert.equal(await sender.write(request(series(up, [2, 2]))), undefined);
  sink.script = () => ({});
  await sink.restart();
  assert.equal((await sender.write(request(series(up, [3, 3]))))?.status, 204);
  assert.equal(sink.arrivals.count, 1);
});

test('what a sender must not do is a fault', async (t) => {
  const faultsOf = async (post: (sender: Sender) => Promise<unknown>): Promise<string[]> => {
    const sink = await Sink.start(t);
    await post(new Sender(t, originOf(sink.url)));
    return sink.faults.splice(0);
  };
  const labels = (pairs: Record<string, string>) => (sender: Sender) =>
    sender.write(request(series(pairs, [1, 1])));

  assert.match((await faultsOf(labels({ job: 'a', __name__: 'up' })))[0]!, /not sorted/);
  assert.match((await faultsOf(labels({ __name__: 'up', job: '' })))[0]!, /empty label value/);
  assert.match((await faultsOf(labels({ job: 'a' })))[0]!, /no metric name/);
  // U+10000 comes before U+FF5E in UTF-16 order, and behind it in bytes.
  assert.deepEqual(await faultsOf(labels({ __name__: 'up', '～': 'a', 𐀀: 'b' })), []);
  assert.match((await faultsOf((sender) => sender.post(Buffer.from('junk'))))[0]!, /does not decode/);
  const body = encodeBody(request());
  const headers = { ...v1Headers, 'x-prometheus-remote-write-version': '2.0.0' };
  assert.deepEqual(await faultsOf((sender) => sender.post(body, headers)), [
    'x-prometheus-remote-write-version: 2.0.0',
  ]);
});
