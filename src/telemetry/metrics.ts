import { Counter, Gauge, Histogram, type Metric, Registry } from 'prom-client';
import { requestLimitKeys } from '../protocol/limits.ts';
import { EXEMPLAR, HISTOGRAM, kindNames, METADATA, SAMPLE } from '../serialization/rows.ts';
import { durationBuckets, type EndpointStats, type HistogramReading } from './endpoint-stats.ts';
import { registerProcessMetrics } from './process-metrics.ts';
import {
  type AuthRefusal,
  authRefusals,
  closedReasons,
  type DoorDrop,
  doorDrops,
  doorReasonNames,
  type EndpointReason,
  endpointReasonNames,
} from './reasons.ts';

/** What the metrics need to know of an endpoint, of one moment; read at each scrape. */
export interface EndpointReading {
  readonly name: string;
  /** Somebody has paused it. */
  readonly paused: boolean;
  /** Without credentials. */
  readonly url: string;
  readonly capacity: number;
  readonly minShards: number;
  readonly maxShards: number;
  readonly maxSamplesPerSend: number;
  readonly stats: EndpointStats;
  /** Rows that the queue had for it, and what the counts and its positions differ by. */
  readonly received: number;
  readonly unaccounted: number;
  /** Rows and bytes that wait for it on disk, and the age of the oldest, in seconds. */
  readonly backlog: { readonly rows: number; readonly bytes: number; readonly seconds: number };
}

/** What is kept for an endpoint that is not configured any more. */
export interface ParkedReading {
  readonly name: string;
  /** When it left, ms. */
  readonly sinceMs: number;
  readonly waitingRows: number;
  /** Of the segments that these are in. */
  readonly bytes: number;
  /** Given up by a cap, in all its time. */
  readonly droppedRows: number;
}

/** What became of reloads; read at each scrape. */
export interface ReloadReading {
  readonly successful: boolean;
  /** Of the configuration that is in force, ms. */
  readonly successMs: number;
  /** Keys that were changed and wait for a restart. */
  readonly needsRestart: number;
}

/** What the metrics need to know of the queue; read at each scrape. */
export interface QueueReading {
  readonly bytes: number;
  readonly segments: number;
  readonly segment: number;
  readonly openSeries: number;
  readonly inFlightBytes: number;
  /** Connections to the listener that are open. */
  readonly connections: number;
  /** Newest time among the rows received, ms; -Infinity before the first. */
  readonly newestMs: number;
  /** Writes are refused until there is room. */
  readonly full: boolean;
  /** When the oldest row on disk came in, ms; undefined when there is none. */
  readonly oldestMs: number | undefined;
  /** What the segments may have together; Infinity without a cap. */
  readonly capBytes: number;
  /** What the file system has left; undefined when it cannot be asked. */
  readonly freeBytes: number | undefined;
}

/** A registry that is told before each page, so that what is read elsewhere can be of one moment. */
class PageRegistry extends Registry {
  /** Called before a page is written. */
  begin: () => void = () => undefined;
  #page: Promise<string> | undefined;

  /** Who asks while a page is being written gets that page. */
  override metrics(): Promise<string> {
    if (this.#page === undefined) {
      this.begin();
      this.#page = super.metrics().finally(() => {
        this.#page = undefined;
      });
    }
    return this.#page;
  }
}

/** What the metrics need to know of the doors of the listener; read at each scrape. */
export interface DoorsReading {
  readonly failing: boolean;
  readonly config: { readonly tls: { readonly notAfterSeconds: number } | undefined };
}

/**
 * `/metrics`. Two families of names:
 *
 * - `spillway_...`, ours.
 * - `prometheus_remote_storage_...` with `remote_name` and `url`: what the stock remote-write dashboard and
 *   alerts of Prometheus read, with the meaning that they have there.
 *
 * What happens on the main thread is counted by prom-client as it happens. What endpoints count stands in shared
 * memory, and is read when somebody scrapes: once for a page, so that its numbers balance.
 */
export class Metrics {
  readonly registry: Registry;
  readonly requests: Counter<'code'>;
  readonly requestBytes: Counter;
  readonly requestSeconds: Histogram;
  readonly limitedRequests: Counter<'limit'>;
  readonly closedConnections: Counter<'reason'>;
  readonly receivedRows: Counter<'kind'>;
  readonly refusedRows: Counter<'reason'>;
  readonly droppedRows: Counter<'reason'>;
  readonly committedRows: Counter<'kind'>;
  readonly committedBytes: Counter;
  readonly commitSeconds: Histogram;
  readonly commitFailures: Counter;
  readonly releasedRows: Counter<'kind'>;
  readonly authRefusals: Counter<'reason'>;

  constructor(
    version: string,
    queue: () => QueueReading | undefined,
    endpoints: () => readonly EndpointReading[],
  ) {
    const registry = new PageRegistry();
    let ofPage: readonly EndpointReading[] = [];
    registry.begin = () => {
      ofPage = endpoints();
    };
    this.registry = registry;
    const registers = [this.registry];
    registerProcessMetrics(this.registry);
    new Gauge({
      name: 'spillway_build_info',
      help: 'The version that runs; always 1.',
      labelNames: ['version'],
      registers,
    }).set({ version }, 1);
    this.requests = new Counter({
      name: 'spillway_received_requests_total',
      help: 'Write requests by the status they were answered with.',
      labelNames: ['code'],
      registers,
    });
    this.requestBytes = new Counter({
      name: 'spillway_received_bytes_total',
      help: 'Bytes of write requests as they came, compressed.',
      registers,
    });
    this.requestSeconds = new Histogram({
      name: 'spillway_received_request_seconds',
      help: 'Time from the head of a write request to its answer.',
      buckets: [...durationBuckets],
      registers,
    });
    this.limitedRequests = new Counter({
      name: 'spillway_limited_requests_total',
      help: 'Write requests that were refused or put off by a limit, by its key under `receiver`.',
      labelNames: ['limit'],
      registers,
    });
    this.closedConnections = new Counter({
      name: 'spillway_closed_connections_total',
      help: 'Connections that were closed on their other side: too many, too slow, or no HTTP.',
      labelNames: ['reason'],
      registers,
    });
    this.receivedRows = new Counter({
      name: 'spillway_received_rows_total',
      help: 'Valid rows that came in, by kind; committed unless the commit failed.',
      labelNames: ['kind'],
      registers,
    });
    this.refusedRows = new Counter({
      name: 'spillway_refused_rows_total',
      help: 'Rows that were answered with a 400, by reason.',
      labelNames: ['reason'],
      registers,
    });
    this.droppedRows = new Counter({
      name: 'spillway_dropped_rows_total',
      help: 'Rows that were taken and, as configured, not stored, by reason.',
      labelNames: ['reason'],
      registers,
    });
    this.committedRows = new Counter({
      name: 'spillway_committed_rows_total',
      help: 'Rows that are on disk, by kind.',
      labelNames: ['kind'],
      registers,
    });
    this.committedBytes = new Counter({
      name: 'spillway_committed_bytes_total',
      help: 'Bytes written to segments.',
      registers,
    });
    this.commitSeconds = new Histogram({
      name: 'spillway_commit_seconds',
      help: 'Time for a group commit: encode, write, fsync.',
      buckets: [0.0005, 0.001, 0.0025, ...durationBuckets],
      registers,
    });
    this.commitFailures = new Counter({
      name: 'spillway_commit_failures_total',
      help: 'Group commits that failed; their senders were told to send again.',
      registers,
    });
    this.releasedRows = new Counter({
      name: 'spillway_released_rows_total',
      help: 'Rows in segments that were deleted since every endpoint had passed them.',
      labelNames: ['kind'],
      registers,
    });
    this.authRefusals = new Counter({
      name: 'spillway_auth_refusals_total',
      help: 'Requests that were not let in, by reason.',
      labelNames: ['reason'],
      registers,
    });
    for (const reason of Object.keys(authRefusals) as AuthRefusal[]) this.authRefusals.inc({ reason }, 0);
    for (const kind of kindNames) {
      this.receivedRows.inc({ kind }, 0);
      this.committedRows.inc({ kind }, 0);
    }
    for (const limit of requestLimitKeys) this.limitedRequests.inc({ limit }, 0);
    for (const reason of closedReasons) this.closedConnections.inc({ reason }, 0);
    for (const reason of doorReasonNames) this.refusedRows.inc({ reason }, 0);
    for (const reason of Object.keys(doorDrops) as DoorDrop[]) this.droppedRows.inc({ reason }, 0);
    this.#registerQueue(queue);
    this.#registerEndpoints(() => ofPage);
    this.#registerPrometheus(version, queue, () => ofPage);
  }

  /** What there is to know of the web configuration file; called when there is one. */
  watchDoors(doors: DoorsReading): void {
    this.#read(
      'gauge',
      'spillway_web_config_failing',
      'Whether the web configuration file, or a file that it names, has changed and cannot be used; the one before is in force.',
      () => [[{}, doors.failing ? 1 : 0]],
    );
    this.#read(
      'gauge',
      'spillway_certificate_expiry_timestamp_seconds',
      'When the certificate of the listener expires, in seconds since the epoch.',
      () => {
        const tls = doors.config.tls;
        return tls === undefined ? [] : [[{}, tls.notAfterSeconds]];
      },
    );
  }

  /** What there is to know of the configuration. */
  watchReloads(reloads: () => ReloadReading): void {
    const one = (name: string, help: string, read: (r: ReloadReading) => number): void => {
      this.#read('gauge', `spillway_config_${name}`, help, () => [[{}, read(reloads())]]);
    };
    one(
      'last_reload_successful',
      'Whether all of the configuration that was last read is in force.',
      ({ successful }) => Number(successful),
    );
    one(
      'last_reload_success_timestamp_seconds',
      'When a configuration was last put in force, in seconds since the epoch.',
      ({ successMs }) => successMs / 1000,
    );
    one(
      'needs_restart',
      'Keys of the configuration that differ from what is in force and take a restart.',
      ({ needsRestart }) => needsRestart,
    );
  }

  /** What there is to know of endpoints that are not configured any more. */
  watchParked(parked: () => readonly ParkedReading[]): void {
    const each = (
      type: 'gauge' | 'counter',
      name: string,
      help: string,
      read: (p: ParkedReading) => number,
    ): void => {
      this.#read(type, `spillway_removed_endpoint_${name}`, help, () =>
        parked().map((p) => [{ endpoint: p.name }, read(p)]),
      );
    };
    each(
      'gauge',
      'backlog_rows',
      'Rows that are kept for an endpoint that is not configured any more, until it comes back or is forgotten.',
      (p) => p.waitingRows,
    );
    each('gauge', 'backlog_bytes', 'Bytes of the segments that these rows are in.', (p) => p.bytes);
    each(
      'counter',
      'dropped_rows_total',
      'Rows of an endpoint that is not configured any more that were given up at a cap, in all its time.',
      (p) => p.droppedRows,
    );
  }

  #registerQueue(queue: () => QueueReading | undefined): void {
    const one = (name: string, help: string, read: (q: QueueReading) => number): void => {
      this.#read('gauge', name, help, () => {
        const q = queue();
        return q === undefined ? [] : [[{}, read(q)]];
      });
    };
    one('spillway_wal_bytes', 'Bytes of all segments on disk.', (q) => q.bytes);
    one('spillway_wal_segments', 'Segments on disk.', (q) => q.segments);
    one('spillway_wal_segment', 'Id of the newest segment.', (q) => q.segment);
    one('spillway_queue_full', '1 while writes are refused for want of room, else 0.', (q) => Number(q.full));
    one(
      'spillway_queue_limit_bytes',
      'What the segments may have together at this moment: wal.max_bytes, or less when the disk has less.',
      (q) => q.capBytes,
    );
    one(
      'spillway_queue_oldest_seconds',
      'Age of the oldest row on disk, delivered or not; 0 when there is none.',
      (q) => (q.oldestMs === undefined ? 0 : Math.max(0, (Date.now() - q.oldestMs) / 1000)),
    );
    one(
      'spillway_disk_free_bytes',
      'Bytes that the file system of the queue has left; NaN when it cannot be asked.',
      (q) => q.freeBytes ?? Number.NaN,
    );
    one('spillway_wal_open_series', 'Series in the dictionary of the open segment.', (q) => q.openSeries);
    one(
      'spillway_received_in_flight_bytes',
      'Bytes of write requests that are held at this moment.',
      (q) => q.inFlightBytes,
    );
    one('spillway_connections', 'Connections to the listener that are open.', (q) => q.connections);
  }

  #registerEndpoints(endpoints: () => readonly EndpointReading[]): void {
    const each = (
      type: 'gauge' | 'counter',
      name: string,
      help: string,
      read: (e: EndpointReading) => number,
    ): void => {
      this.#read(type, `spillway_endpoint_${name}`, help, () =>
        endpoints().map((e) => [{ endpoint: e.name }, read(e)]),
      );
    };
    each('gauge', 'paused', '1 while somebody has it paused: its rows wait on disk.', (e) =>
      e.paused ? 1 : 0,
    );
    each('gauge', 'backlog_rows', 'Rows on disk that wait for the endpoint.', (e) => e.backlog.rows);
    each('gauge', 'backlog_bytes', 'Bytes on disk that wait for the endpoint.', (e) => e.backlog.bytes);
    each(
      'gauge',
      'backlog_seconds',
      'Age of the oldest row that waits for the endpoint.',
      (e) => e.backlog.seconds,
    );
    each(
      'counter',
      'received_rows_total',
      'Rows that the queue had for the endpoint since it is there.',
      (e) => e.received,
    );
    each('counter', 'returned_rows_total', 'Rows that were settled and wait again.', (e) =>
      e.stats.get('returnedRows'),
    );
    each(
      'gauge',
      'unaccounted_rows',
      'received + returned - delivered - dropped - waiting, where waiting is counted in the queue: anything but 0 is a defect.',
      (e) => e.unaccounted,
    );
    each('gauge', 'loops', 'Network loops that run.', (e) => e.stats.get('shards'));
    each('gauge', 'loops_failing', 'Network loops whose request has failed and is tried again.', (e) =>
      e.stats.get('failingLoops'),
    );
    each(
      'gauge',
      'loops_holding',
      'Of these, loops that the endpoint does not let in: its URL, credentials or certificate need somebody.',
      (e) => e.stats.get('holdingLoops'),
    );
    each('gauge', 'pending_rows', 'Rows in memory: queued in loops or in a request.', (e) =>
      e.stats.get('pendingRows'),
    );
    each('gauge', 'segment', 'Id of the segment that is being read.', (e) => e.stats.get('segment'));
    each('counter', 'requests_total', 'Requests that were answered, or ended in an error.', (e) =>
      e.stats.get('requests'),
    );
    each('counter', 'retries_total', 'Requests that are tried again.', (e) => e.stats.get('retries'));
    each(
      'counter',
      'holds_total',
      'Requests that the endpoint did not let in, and that are tried again.',
      (e) => e.stats.get('holds'),
    );
    each(
      'counter',
      'splits_total',
      'Requests that were refused for some of their rows, and sent again in parts.',
      (e) => e.stats.get('splits'),
    );
    each('counter', 'throttles_total', 'Times that a request waited for `rate_limit`.', (e) =>
      e.stats.get('throttles'),
    );
    each('counter', 'resent_rows_total', 'Rows sent again that may have been delivered before.', (e) =>
      e.stats.get('resentRows'),
    );
    each(
      'counter',
      'metadata_repeated_total',
      'Metadata entries that came with series, sent over remote write 1.0 once more. They are no rows.',
      (e) => e.stats.get('metadataRepeated'),
    );
    each(
      'counter',
      'metadata_repeats_failed_total',
      'Metadata entries that were to be sent once more and were not taken; they are sent in the next interval.',
      (e) => e.stats.get('metadataRepeatsFailed'),
    );
    each(
      'counter',
      'start_timestamps_dropped_total',
      'Rows whose start timestamp was left out, since remote write 1.0 cannot carry it.',
      (e) => e.stats.get('startsDropped'),
    );
    each(
      'gauge',
      'remote_write_version',
      'The major version of remote write that requests are sent in: 1 or 2.',
      (e) => e.stats.get('messageVersion'),
    );
    each('counter', 'sent_bytes_total', 'Bytes of request bodies sent, compressed.', (e) =>
      e.stats.get('bytesSent'),
    );
    const kinds = (name: string, help: string, read: (s: EndpointStats, kind: number) => number): void => {
      this.#read('counter', `spillway_endpoint_${name}`, help, () =>
        endpoints().flatMap((e) =>
          kindNames.map((kind, i): Sample => [{ endpoint: e.name, kind }, read(e.stats, i)]),
        ),
      );
    };
    kinds('delivered_rows_total', 'Rows that the endpoint has taken, by kind.', (s, kind) =>
      s.delivered(kind),
    );
    kinds('retried_rows_total', 'Rows in requests that were tried again, by kind.', (s, kind) =>
      s.retried(kind),
    );
    this.#read(
      'counter',
      'spillway_endpoint_dropped_rows_total',
      'Rows that the endpoint will not get, by reason and kind.',
      () =>
        endpoints().flatMap((e) =>
          endpointReasonNames.flatMap((reason) =>
            kindNames.map((kind, i): Sample => [{ endpoint: e.name, reason, kind }, e.stats.lost(reason, i)]),
          ),
        ),
    );
    this.#readHistogram('spillway_endpoint_request_seconds', 'Time that a request took.', () =>
      endpoints().map((e) => [{ endpoint: e.name }, e.stats.requestSeconds]),
    );
    this.#readHistogram('spillway_endpoint_delivery_seconds', 'Time from commit to delivery, by row.', () =>
      endpoints().map((e) => [{ endpoint: e.name }, e.stats.delaySeconds]),
    );
  }

  #registerPrometheus(
    version: string,
    queue: () => QueueReading | undefined,
    endpoints: () => readonly EndpointReading[],
  ): void {
    const prefix = 'prometheus_remote_storage_';
    const labels = (e: EndpointReading): Labels => ({ remote_name: e.name, url: e.url });
    const each = (
      type: 'gauge' | 'counter',
      name: string,
      help: string,
      read: (e: EndpointReading) => number,
    ): void => {
      this.#read(type, prefix + name, help, () => endpoints().map((e) => [labels(e), read(e)]));
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
      this.#read('counter', `${prefix}${name}_dropped_total`, `${name} dropped before they were sent.`, () =>
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
    this.#readHistogram(
      `${prefix}sent_batch_duration_seconds`,
      'Time that a request to remote storage took.',
      () => endpoints().map((e) => [labels(e), e.stats.requestSeconds]),
    );
    for (const kind of [SAMPLE, HISTOGRAM, EXEMPLAR]) {
      const name = kindNames[kind]!;
      this.#read('counter', `${prefix}${name}_in_total`, `${name} that came in.`, async () => {
        const { values } = await this.committedRows.get();
        return [[{}, values.find((v) => v.labels.kind === name)?.value ?? 0]];
      });
    }
    this.#read('gauge', `${prefix}highest_timestamp_in_seconds`, 'Newest sample time that came in.', () => {
      const newestMs = queue()?.newestMs ?? Number.NEGATIVE_INFINITY;
      return [[{}, Number.isFinite(newestMs) ? newestMs / 1000 : 0]];
    });
    this.#read(
      'gauge',
      'prometheus_build_info',
      'Always 1: by it the stock dashboard lists its instances.',
      () => [[{ version: `spillway-${version}` }, 1]],
    );
    this.#read('gauge', 'prometheus_tsdb_wal_segment_current', 'Id of the newest segment.', () => [
      [{}, queue()?.segment ?? 0],
    ]);
    this.#read(
      'gauge',
      'prometheus_wal_watcher_current_segment',
      'Id of the segment that an endpoint reads.',
      () => endpoints().map((e) => [{ consumer: e.name }, e.stats.get('segment')]),
    );
  }

  /** Registers a metric whose values are read when it is scraped. */
  #read(type: 'gauge' | 'counter', name: string, help: string, read: () => Samples | Promise<Samples>): void {
    this.#register(type, name, help, async () =>
      (await read()).map(([labels, value]) => ({ labels, value })),
    );
  }

  #readHistogram(
    name: string,
    help: string,
    read: () => readonly (readonly [Labels, HistogramReading])[],
  ): void {
    this.#register('histogram', name, help, async () =>
      read().flatMap(([labels, { counts, sum }]) => {
        let below = 0;
        const buckets = counts.map((count, i) => {
          below += count;
          return {
            metricName: `${name}_bucket`,
            labels: { ...labels, le: durationBuckets[i] ?? '+Inf' },
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
  #register(type: string, name: string, help: string, values: () => Promise<readonly object[]>): void {
    const metric = {
      name,
      get: async () => ({ name, help, type, values: await values(), aggregator: 'sum' }),
      reset: () => undefined,
    };
    this.registry.registerMetric(metric as unknown as Metric);
  }
}

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [Labels, number];
type Samples = readonly Sample[];

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
