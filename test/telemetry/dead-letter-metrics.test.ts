import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import {
  type DeadLetterReading,
  registerDeadLetterMetrics,
} from '../../src/telemetry/dead-letter-metrics.ts';
import { readMetric } from '../support/metrics.ts';

test('each scrape shows the books as they are then', async () => {
  const registry = new Registry();
  let books: DeadLetterReading[] = [];
  registerDeadLetterMetrics(registry, () => books);
  const read = async (name: string, labels: Record<string, string> = {}): Promise<number | undefined> =>
    readMetric(await registry.metrics(), `spillway_dead_letters${name}`, labels);
  assert.equal(await read(''), undefined);
  for (const n of [1, 2]) {
    books = [
      {
        endpoint: 'a',
        letters: 10 * n,
        resent: 20 * n,
        purged: 30 * n,
        maxRows: n,
        maxAge: 2 * n,
        failed: 4 * n,
      },
      { endpoint: 'b', letters: 5, resent: 0, purged: 0, maxRows: 0, maxAge: 0, failed: 0 },
    ];
    assert.equal(await read('', { endpoint: 'a' }), 10 * n);
    assert.equal(await read('_resent_total', { endpoint: 'a' }), 20 * n);
    assert.equal(await read('_purged_total', { endpoint: 'a' }), 30 * n);
    for (const [cause, dropped] of [
      ['max_rows', n],
      ['max_age', 2 * n],
      ['failed', 4 * n],
    ] as const) {
      assert.equal(await read('_dropped_total', { endpoint: 'a', cause }), dropped);
      assert.equal(await read('_dropped_total', { endpoint: 'b', cause }), 0);
    }
  }
});
