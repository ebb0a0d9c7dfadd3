import { collectDefaultMetrics, type Registry } from 'prom-client';

/** Longer than any process runs, and the longest that a timer can be, in ms. */
const NEVER_MS = 2 ** 31 - 1;

const sampled = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'].map(
  (of) => `nodejs_eventloop_lag_${of}_seconds`,
);

/**
 * The usual metrics of a Node process, as dashboards know them (`process_...`, `nodejs_...`), but for the distribution
 * of the event loop's lag: for that prom-client has node wake the main thread a hundred times a second, which at a low
 * rate is more often than all else together (`npm run bench:steady`). `nodejs_eventloop_lag_seconds` is measured when
 * somebody scrapes.
 */
export function registerProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: NEVER_MS });
  for (const name of sampled) registry.removeSingleMetric(name);
}
