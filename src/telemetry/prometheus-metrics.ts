import type { Registry } from 'prom-client';
import { EXEMPLAR, HISTOGRAM, kindNames, METADATA, SAMPLE } from '../serialization/rows.ts';
import type { EndpointReading } from './endpoint-metrics.ts';
import type { EndpointStats } from './endpoint-stats.ts';
import type { QueueReading } from './queue-metrics.ts';
import { type EndpointReason, endpointReasonNames } from './reasons.ts';
import { type Labels, registerScraped, registerScrapedHistogram, type Sample } from './scraped.ts';

/**
 * Registers `prometheus_remote_storage_...` with `remote_name` and `url`, and what else the stock remote-write dashboard
 * and alerts of Prometheus read, with the meaning that it has there.
 */
export function registerPrometheusMetrics(
  registry: Registry,
  version: string,
  queue: () => QueueReading | undefined,
  endpoints: () => readonly EndpointReading[],
  committedRows: Readonly<Float64Array>,
): void {
  const prefix = 'prometheus_remote_storage_';
  const labels = (e: EndpointReading): Labels => ({ remote_name: e.name, url: e.url });
  const each = (
    type: 'gauge' | 'counter',
    name: string,
    help: string,
    read: (e: EndpointReading) => number,
  ): void => {
    registerScraped(registry, type, prefix + name, help, () => endpoints().map((e) => [labels(e), read(e)]));
  };
  const kinds = [
    ['samples', SAMPLE],
    ['histograms', HISTOGRAM],
    ['exemplars', EXEMPLAR],
    ['metadata', METADATA],
  ] as const;
  for (const [name, kind] of kinds) {
    each('counter', `${name}_total`, `${name} sent to remote storage.`, (e) => e.stats.delivered(kind));
    each('counter', `${name}_failed_total`, `${name} that remote storage refused for good.`, (e) =>
      refused(e.stats, kind),
    );
    each('counter', `${name}_retried_total`, `${name} in requests that were tried again.`, (e) =>
      e.stats.retried(kind),
    );
    if (kind === METADATA) continue;
    registerScraped(
      registry,
      'counter',
      `${prefix}${name}_dropped_total`,
      `${name} dropped before they were sent.`,
      () =>
        endpoints().flatMap((e) =>
          endpointReasonNames
            .filter((reason) => !notDropped.has(reason))
            .map((reason): Sample => {
              const why = prometheusReasons[reason] ?? reason;
              return [{ ...labels(e), reason: why }, e.stats.lost(reason, kind)];
            }),
        ),
    );
    each('gauge', `${name}_pending`, `${name} in memory that wait to be sent.`, (e) =>
      kind === SAMPLE ? e.stats.get('pendingRows') : 0,
    );
  }
  each(
    'counter',
    'dropped_samples_total',
    'Samples dropped before they were sent, for whatever reason: the old name, which the stock dashboard subtracts.',
    (e) =>
      endpointReasonNames
        .filter((reason) => !notDropped.has(reason))
        .reduce((sum, reason) => sum + e.stats.lost(reason, SAMPLE), 0),
  );
  each('counter', 'enqueue_retries_total', 'Always 0: a full queue waits on disk.', () => 0);
  each(
    'gauge',
    'queue_highest_sent_timestamp_seconds',
    'Newest sample time that was sent.',
    (e) => e.stats.get('highestSentMs') / 1000,
  );
  each(
    'gauge',
    'queue_highest_timestamp_seconds',
    'Newest sample time that the endpoint should have by now, as far as rows wait for it.',
    (e) => dueMs(e, queue()?.newestMs ?? Number.NEGATIVE_INFINITY) / 1000,
  );
  each('gauge', 'shard_capacity', 'Rows that a shard holds.', (e) => e.capacity);
  each('gauge', 'shards', 'Shards that run.', (e) => e.stats.get('shards'));
  each('gauge', 'shards_max', 'Most shards that may run.', (e) => e.maxShards);
  each('gauge', 'shards_min', 'Fewest shards that may run.', (e) => e.minShards);
  each(
    'gauge',
    'shards_desired',
    'Shards that the present load asks for, also when that is more than shards_max.',
    (e) => e.stats.get('shardsDesired') || e.stats.get('shards'),
  );
  each('gauge', 'max_samples_per_send', 'Most samples in a request.', (e) => e.maxSamplesPerSend);
  each(
    'counter',
    'bytes_total',
    'Bytes of samples sent, compressed.',
    (e) => e.stats.get('bytesSent') - e.stats.get('metadataBytesSent'),
  );
  each('counter', 'metadata_bytes_total', 'Bytes of metadata sent, compressed.', (e) =>
    e.stats.get('metadataBytesSent'),
  );
  registerScrapedHistogram(
    registry,
    `${prefix}sent_batch_duration_seconds`,
    'Time that a request to remote storage took.',
    () => endpoints().map((e) => [labels(e), e.stats.requestSeconds]),
  );
  for (const kind of [SAMPLE, HISTOGRAM, EXEMPLAR]) {
    const name = kindNames[kind]!;
    registerScraped(registry, 'counter', `${prefix}${name}_in_total`, `${name} that came in.`, () => [
      [{}, committedRows[kind]!],
    ]);
  }
  registerScraped(
    registry,
    'gauge',
    `${prefix}highest_timestamp_in_seconds`,
    'Newest sample time that came in.',
    () => {
      const newestMs = queue()?.newestMs ?? Number.NEGATIVE_INFINITY;
      return [[{}, Number.isFinite(newestMs) ? newestMs / 1000 : 0]];
    },
  );
  registerScraped(
    registry,
    'gauge',
    'prometheus_build_info',
    'Always 1: by it the stock dashboard lists its instances.',
    () => [[{ version: `spillway-${version}` }, 1]],
  );
  registerScraped(
    registry,
    'gauge',
    'prometheus_tsdb_wal_segment_current',
    'Id of the newest segment.',
    () => [[{}, queue()?.segment ?? 0]],
  );
  registerScraped(
    registry,
    'gauge',
    'prometheus_wal_watcher_current_segment',
    'Id of the segment that an endpoint reads.',
    () => endpoints().map((e) => [{ consumer: e.name }, e.stats.get('segment')]),
  );
}

/**
 * Newest sample time that an endpoint should have by now, in ms. Not simply the newest that came in: an endpoint whose
 * relabelling drops all of the present rows is not behind. Nor the newest that a loop has seen, as in Prometheus: in
 * an outage the loops are full and see nothing new. So it is behind by what came in since, and at most by as long as
 * rows wait for it.
 */
function dueMs({ stats, backlog }: EndpointReading, newestMs: number): number {
  const sentMs = stats.get('highestSentMs');
  return sentMs + Math.max(0, Math.min(newestMs - sentMs, 1000 * backlog.seconds));
}

function refused(stats: EndpointStats, kind: number): number {
  return stats.lost('rejected', kind) + stats.lost('duplicate', kind) + stats.lost('not_written', kind);
}

/** What Prometheus counts as failed, and what can only become of metadata, of which it counts none as dropped. */
const notDropped: ReadonlySet<EndpointReason> = new Set([
  'rejected',
  'duplicate',
  'not_written',
  'metadata_off',
  'metadata_unchanged',
  'metadata_with_series',
]);

/** The words of Prometheus for reasons that it has, too. */
const prometheusReasons: Partial<Record<EndpointReason, string>> = {
  dropped_by_relabel: 'dropped_series',
  expired: 'too_old',
  custom_buckets: 'nhcb_in_rw1_not_supported',
};
