import type { Registry } from 'prom-client';
import { kindNames } from '../serialization/rows.ts';
import type { EndpointStats } from './endpoint-stats.ts';
import { endpointReasonNames } from './reasons.ts';
import { registerScraped, registerScrapedHistogram, type Sample } from './scraped.ts';

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

/** Registers what is read of each endpoint. */
export function registerEndpointMetrics(
  registry: Registry,
  endpoints: () => readonly EndpointReading[],
): void {
  const each = (
    type: 'gauge' | 'counter',
    name: string,
    help: string,
    read: (e: EndpointReading) => number,
  ): void => {
    registerScraped(registry, type, `spillway_endpoint_${name}`, help, () =>
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
    registerScraped(registry, 'counter', `spillway_endpoint_${name}`, help, () =>
      endpoints().flatMap((e) =>
        kindNames.map((kind, i): Sample => [{ endpoint: e.name, kind }, read(e.stats, i)]),
      ),
    );
  };
  kinds('delivered_rows_total', 'Rows that the endpoint has taken, by kind.', (s, kind) => s.delivered(kind));
  kinds('retried_rows_total', 'Rows in requests that were tried again, by kind.', (s, kind) =>
    s.retried(kind),
  );
  registerScraped(
    registry,
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
  registerScrapedHistogram(registry, 'spillway_endpoint_request_seconds', 'Time that a request took.', () =>
    endpoints().map((e) => [{ endpoint: e.name }, e.stats.requestSeconds]),
  );
  registerScrapedHistogram(
    registry,
    'spillway_endpoint_delivery_seconds',
    'Time from commit to delivery, by row.',
    () => endpoints().map((e) => [{ endpoint: e.name }, e.stats.delaySeconds]),
  );
}
