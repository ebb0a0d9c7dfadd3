import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { type Exposed, parseExposition } from './exposition.ts';

test('requests and commits are told as they were counted', async () => {
  const metrics = new Metrics(
    '1.2.3',
    () => undefined,
    () => [],
  );
  const { intake } = metrics;
  assert.deepEqual(of(await page(metrics), 'spillway_received_requests_total'), []);
  assert.deepEqual(of(await page(metrics), 'spillway_committed_rows_total'), byKind(0, 0, 0, 0));

  for (const [status, seconds] of [
    [204, 0.004],
    [204, 0.005],
    [400, 0.3],
    [499, 999],
  ] as const) {
    intake.answered(status, 100, seconds);
  }
  intake.receivedRows[1]! += 5;
  intake.committed(Uint32Array.of(1, 2, 3, 4), 70, 0.001);
  intake.committed(Uint32Array.of(10, 0, 0, 0), 30, 0.002);

  const samples = await page(metrics);
  assert.deepEqual(of(samples, 'spillway_received_requests_total'), [
    [{ code: '204' }, 2],
    [{ code: '400' }, 1],
    [{ code: '499' }, 1],
  ]);
  assert.deepEqual(of(samples, 'spillway_received_bytes_total'), [[{}, 400]]);
  assert.deepEqual(of(samples, 'spillway_received_rows_total'), byKind(0, 5, 0, 0));
  assert.deepEqual(of(samples, 'spillway_committed_rows_total'), byKind(11, 2, 3, 4));
  assert.deepEqual(of(samples, 'spillway_committed_bytes_total'), [[{}, 100]]);
  const upTo = (name: string): Record<string, number> =>
    Object.fromEntries(of(samples, `${name}_bucket`).map(([{ le }, value]) => [le, value]));
  // A bound belongs to its bucket.
  const requests = upTo('spillway_received_request_seconds');
  assert.deepEqual([requests['0.005'], requests['0.25'], requests['0.5'], requests['+Inf']], [2, 2, 3, 4]);
  assert.deepEqual(of(samples, 'spillway_received_request_seconds_count'), [[{}, 4]]);
  assert.deepEqual(of(samples, 'spillway_received_request_seconds_sum'), [[{}, 0.004 + 0.005 + 0.3 + 999]]);
  const commits = upTo('spillway_commit_seconds');
  assert.deepEqual([commits['0.0005'], commits['0.001'], commits['0.0025'], commits['+Inf']], [0, 1, 2, 2]);
});

async function page(metrics: Metrics): Promise<Exposed[]> {
  return parseExposition(await metrics.registry.metrics()).samples;
}

function of(samples: readonly Exposed[], name: string): [Record<string, string>, number][] {
  return samples.filter((s) => s.name === name).map(({ labels, value }) => [{ ...labels }, value]);
}

function byKind(...rows: number[]): [Record<string, string>, number][] {
  return ['samples', 'histograms', 'exemplars', 'metadata'].map((kind, i) => [{ kind }, rows[i]!]);
}
