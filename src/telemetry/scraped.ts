import type { Metric, Registry } from 'prom-client';
import { durationBuckets, type HistogramReading } from './endpoint-stats.ts';

export type Labels = Readonly<Record<string, string>>;
export type Sample = readonly [Labels, number];
export type Samples = readonly Sample[];

/** Registers a metric whose values are read when it is scraped. */
export function registerScraped(
  registry: Registry,
  type: 'gauge' | 'counter',
  name: string,
  help: string,
  read: () => Samples | Promise<Samples>,
): void {
  register(registry, type, name, help, async () =>
    (await read()).map(([labels, value]) => ({ labels, value })),
  );
}

/** Registers a histogram that is read when it is scraped. */
export function registerScrapedHistogram(
  registry: Registry,
  name: string,
  help: string,
  read: () => readonly (readonly [Labels, HistogramReading])[],
  bounds: readonly number[] = durationBuckets,
): void {
  register(registry, 'histogram', name, help, async () =>
    read().flatMap(([labels, { counts, sum }]) => {
      let below = 0;
      const buckets = counts.map((count, i) => {
        below += count;
        return {
          metricName: `${name}_bucket`,
          labels: { ...labels, le: bounds[i] ?? '+Inf' },
          value: below,
        };
      });
      return [
        ...buckets,
        { metricName: `${name}_sum`, labels, value: sum },
        { metricName: `${name}_count`, labels, value: below },
      ];
    }),
  );
}

/** prom-client wants to own its numbers; what it asks of a metric at a scrape is `get` alone. */
function register(
  registry: Registry,
  type: string,
  name: string,
  help: string,
  values: () => Promise<readonly object[]>,
): void {
  const metric = {
    name,
    get: async () => ({ name, help, type, values: await values(), aggregator: 'sum' }),
    reset: () => undefined,
  };
  registry.registerMetric(metric as unknown as Metric);
}
