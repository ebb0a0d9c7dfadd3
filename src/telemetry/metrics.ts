import { Counter, Gauge, Registry } from 'prom-client';
import { requestLimitKeys } from '../protocol/limits.ts';
import { type EndpointReading, registerEndpointMetrics } from './endpoint-metrics.ts';
import { IntakeTally, registerIntakeMetrics } from './intake-tally.ts';
import { registerProcessMetrics } from './process-metrics.ts';
import { registerPrometheusMetrics } from './prometheus-metrics.ts';
import { type QueueReading, registerQueueMetrics } from './queue-metrics.ts';
import {
  type AuthRefusal,
  authRefusals,
  closedReasons,
  type DoorDrop,
  doorDrops,
  doorReasonNames,
} from './reasons.ts';
import { registerScraped } from './scraped.ts';

export type { EndpointReading } from './endpoint-metrics.ts';
export type { QueueReading } from './queue-metrics.ts';

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
 * What happens now and then on the main thread is counted by prom-client as it happens; what happens with each request
 * is a number that is read when somebody scrapes (intake-tally.ts). What endpoints count stands in shared memory, and is
 * read then, too: once for a page, so that its numbers balance.
 */
export class Metrics {
  readonly registry: Registry;
  /** What each request and each commit adds to. */
  readonly intake: IntakeTally = new IntakeTally();
  readonly limitedRequests: Counter<'limit'>;
  readonly closedConnections: Counter<'reason'>;
  readonly refusedRows: Counter<'reason'>;
  readonly droppedRows: Counter<'reason'>;
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
    registerIntakeMetrics(registry, this.intake);
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
    for (const limit of requestLimitKeys) this.limitedRequests.inc({ limit }, 0);
    for (const reason of closedReasons) this.closedConnections.inc({ reason }, 0);
    for (const reason of doorReasonNames) this.refusedRows.inc({ reason }, 0);
    for (const reason of Object.keys(doorDrops) as DoorDrop[]) this.droppedRows.inc({ reason }, 0);
    registerQueueMetrics(this.registry, queue);
    registerEndpointMetrics(this.registry, () => ofPage);
    registerPrometheusMetrics(this.registry, version, queue, () => ofPage, this.intake.committedRows);
  }

  /** What there is to know of the web configuration file; called when there is one. */
  watchDoors(doors: DoorsReading): void {
    registerScraped(
      this.registry,
      'gauge',
      'spillway_web_config_failing',
      'Whether the web configuration file, or a file that it names, has changed and cannot be used; the one before is in force.',
      () => [[{}, doors.failing ? 1 : 0]],
    );
    registerScraped(
      this.registry,
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
      registerScraped(this.registry, 'gauge', `spillway_config_${name}`, help, () => [[{}, read(reloads())]]);
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
      registerScraped(this.registry, type, `spillway_removed_endpoint_${name}`, help, () =>
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
}
