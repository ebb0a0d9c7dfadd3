import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Registry } from 'prom-client';
import { registerProcessMetrics } from '../../src/telemetry/process-metrics.ts';

describe('the metrics of the process', () => {
  it('have the lag of the event loop as it is at the scrape, and nothing that is sampled in between', async () => {
    const registry = new Registry();
    registerProcessMetrics(registry);
    await registry.metrics();
    const names = [...(await registry.metrics()).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!);
    assert.deepEqual(
      names.filter((name) => name.startsWith('nodejs_eventloop')),
      ['nodejs_eventloop_lag_seconds'],
    );
    for (const name of [
      'process_cpu_seconds_total',
      'process_resident_memory_bytes',
      'nodejs_heap_size_used_bytes',
    ])
      assert.ok(names.includes(name), name);
  });
});
