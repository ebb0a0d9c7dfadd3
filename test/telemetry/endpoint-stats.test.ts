import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { KINDS } from '../../src/serialization/rows.ts';
import { durationBuckets, EndpointStats } from '../../src/telemetry/endpoint-stats.ts';
import { endpointReasonNames } from '../../src/telemetry/reasons.ts';
import { scalarNames } from './stats-writer.ts';

describe('EndpointStats', () => {
  it('starts at nothing', () => {
    const stats = new EndpointStats();
    assert.ok(new Float64Array(stats.buffer).every((number) => number === 0));
    assert.deepEqual([stats.deliveredRows, stats.lostRows], [0, 0]);
    assert.equal(stats.requestSeconds.counts.length, durationBuckets.length + 1);
  });

  it('shows what another thread wrote, each number in its own place', async () => {
    const stats = new EndpointStats();
    const worker = new Worker(new URL('./stats-writer.js', import.meta.url), { workerData: stats.buffer });
    const [code] = await once(worker, 'exit');
    assert.equal(code, 0);
    // The writer counted up from 1 and wrote each number once.
    let next = 1;
    for (const name of scalarNames) assert.equal(stats.get(name), next++, name);
    let delivered = 0;
    let lost = 0;
    for (let kind = 0; kind < KINDS; kind++) {
      assert.equal(stats.delivered(kind), next);
      delivered += next++;
      assert.equal(stats.retried(kind), next++);
      for (const reason of endpointReasonNames) {
        assert.equal(stats.lost(reason, kind), next, reason);
        lost += next++;
      }
    }
    assert.deepEqual([stats.deliveredRows, stats.lostRows], [delivered, lost]);
    const byReason = stats.lostByReason();
    assert.deepEqual([...byReason.keys()], endpointReasonNames);
    assert.equal(
      [...byReason.values()].reduce((sum, rows) => sum + rows),
      lost,
    );
    const buckets = durationBuckets.length + 1;
    assert.deepEqual(stats.requestSeconds, {
      counts: Array.from({ length: buckets }, (_, i) => (i === 1 || i === buckets - 1 ? 1 : 0)),
      sum: 0.01 + 1000,
    });
    assert.deepEqual(stats.delaySeconds, {
      counts: Array.from({ length: buckets }, (_, i) => (i === 7 ? 5 : 0)),
      sum: 5,
    });
  });

  it('counts a time that is a bound with those below it', () => {
    for (const [i, bound] of durationBuckets.entries()) {
      const stats = new EndpointStats();
      stats.observeRequest(bound);
      stats.observeDelay(bound * 1.001, 3);
      assert.equal(stats.requestSeconds.counts[i], 1);
      assert.equal(stats.delaySeconds.counts[i + 1], 3);
    }
  });
});
