import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeWriteRequestV1, encodeWriteRequestV1, staleMarkerBits } from '../../src/protocol/schema.ts';
import { beganMs, histogramAt, loadLabels, traceAt, valueAt } from '../../src/traffic/load-shape.ts';
import { TrafficVerifier } from '../../src/traffic/verifier.ts';
import { bitsOf } from '../support/messages.ts';

const labels = Object.fromEntries(
  loadLabels({ run: 'a', series: 3, startMs: 1000, stepMs: 10 }).map(({ name, value }) => [name, value]),
);
const sample = (k: number, value = valueAt(3, k)) => ({
  timestamp: BigInt(1000 + 10 * k),
  valueBits: bitsOf(value),
});

test('samples of a load are missing, late, there twice or wrong, each counted once', () => {
  const verifier = new TrafficVerifier();
  const seen = (...ks: number[]): object => {
    verifier.add('s', labels, { samples: ks.map((k) => sample(k)) });
    return verifier.verdict.load;
  };
  const clean = { duplicates: 0, inversions: 0, missing: 0, wrong: 0 };
  assert.deepEqual(seen(0, 1, 2), { ...clean, distinct: 3 });
  assert.deepEqual(seen(2), { ...clean, distinct: 3, duplicates: 1 });
  assert.deepEqual(seen(5), { ...clean, distinct: 4, duplicates: 1, missing: 2 });
  assert.deepEqual(seen(3), { ...clean, distinct: 5, duplicates: 1, missing: 1, inversions: 1 });
  assert.deepEqual(seen(3), { ...clean, distinct: 5, duplicates: 2, missing: 1, inversions: 1 });
  verifier.add('s', labels, { samples: [sample(6, 0.5), { timestamp: 1001n, valueBits: 0n }] });
  assert.equal(verifier.verdict.load.wrong, 2);
});

test('of other series what is not newer is counted, and stale markers are', () => {
  const verifier = new TrafficVerifier();
  const at = (timestamp: bigint, valueBits = 0n) => ({ timestamp, valueBits });
  verifier.add(
    'up',
    { __name__: 'up' },
    {
      samples: [at(-5n), at(7n), at(7n), at(6n), at(8n, staleMarkerBits)],
    },
  );
  verifier.add('down', { __name__: 'down' }, { samples: [at(1n)] });
  const { series, samples, staleMarkers, notNewer } = verifier.verdict;
  assert.deepEqual(
    { series, samples, staleMarkers, notNewer },
    { series: 2, samples: 6, staleMarkers: 1, notNewer: 2 },
  );
});

test('histograms, exemplars and start timestamps of a load are held to what they should be', () => {
  const verifier = new TrafficVerifier();
  const of = { run: 'a', series: 3, startMs: 1000, stepMs: 10 };
  const histogram = (k: number, shown = k) => {
    const message = {
      timeseries: [{ histograms: [{ ...histogramAt(3, shown), timestamp: sample(k).timestamp }] }],
    };
    return decodeWriteRequestV1(encodeWriteRequestV1(message)).timeseries[0]!.histograms[0]!;
  };
  const exemplar = (k: number, trace = traceAt(3, k)) => ({ ...sample(k), labels: { trace_id: trace } });
  verifier.add('s', labels, {
    samples: [
      { ...sample(0), startTimestamp: BigInt(beganMs(of)) },
      { ...sample(1), startTimestamp: 1000n },
    ],
    histograms: [histogram(0), histogram(2), histogram(3, 2)],
    exemplars: [exemplar(0), exemplar(0), exemplar(1, 'x')],
  });
  const { load, loadHistograms, loadExemplars } = verifier.verdict;
  const none = { duplicates: 0, inversions: 0, missing: 0, wrong: 1, distinct: 1 };
  assert.deepEqual(load, none);
  assert.deepEqual(loadHistograms, { ...none, distinct: 2, missing: 1 });
  assert.deepEqual(loadExemplars, { ...none, duplicates: 1 });
});
