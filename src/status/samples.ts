import { durationBuckets } from '../telemetry/endpoint-stats.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import type { EndpointDetail } from './endpoint-detail.ts';

/** Counters of one moment. */
export interface Sample {
  readonly atMs: number;
  readonly receivedRows: number;
  readonly walBytes: number;
  readonly endpoints: ReadonlyMap<string, EndpointSample>;
}

export interface EndpointSample {
  readonly received: number;
  readonly delivered: number;
  readonly backlogRows: number;
  readonly backlogBytes: number;
  readonly lagSeconds: number;
  readonly throttles: number;
  readonly lost: ReadonlyMap<EndpointReason, number>;
  /** Requests by the bucket of their time; the last is +Inf. */
  readonly requests: readonly number[];
  readonly replies: Readonly<Record<string, number>>;
}

export function sampleEndpoint({ stats, received, backlog, delivery }: EndpointDetail): EndpointSample {
  return {
    received,
    delivered: stats.deliveredRows,
    backlogRows: backlog.rows,
    backlogBytes: backlog.bytes,
    lagSeconds: backlog.seconds,
    throttles: stats.get('throttles'),
    lost: stats.lostByReason(),
    requests: stats.requestSeconds.counts,
    replies: delivery?.replies ?? {},
  };
}

/** The samples of the last minute, for rates. */
export class Minute {
  readonly #spanMs: number;
  #samples: Sample[] = [];

  constructor(spanMs = 60_000) {
    this.#spanMs = spanMs;
  }

  add(sample: Sample): void {
    // A clock that was set back must not leave samples of the future.
    this.#samples = this.#samples.filter(({ atMs }) => atMs < sample.atMs);
    this.#samples.push(sample);
    const from = sample.atMs - this.#spanMs;
    while (this.#samples.length > 2 && this.#samples[1]!.atMs <= from) this.#samples.shift();
  }

  /**
   * The oldest sample that is not older than `ms` before `nowMs`, else the last one before that; of those that have
   * `endpoint`, when it is given. Undefined when there is none.
   */
  before(nowMs: number, ms: number, endpoint?: string): Sample | undefined {
    const past = this.#samples.filter(
      ({ atMs, endpoints }) => atMs < nowMs && (endpoint === undefined || endpoints.has(endpoint)),
    );
    return past.find(({ atMs }) => atMs >= nowMs - ms) ?? past.at(-1);
  }
}

/** By how much a counter has grown in a second; one that went back began anew. */
export function perSecond(now: number, before: number | undefined, ms: number): number {
  return before === undefined || ms <= 0 ? 0 : Math.max(0, (1000 * (now - before)) / ms);
}

/** What has come to each key since `before`; keys to which nothing came are left out. */
export function grown<K>(now: Iterable<[K, number]>, before: ReadonlyMap<K, number>): Map<K, number> {
  const more = new Map<K, number>();
  for (const [key, count] of now) {
    const growth = count - (before.get(key) ?? 0);
    if (growth > 0) more.set(key, growth);
  }
  return more;
}

/**
 * The value below which the share `q` of what was counted in buckets lies, in seconds, by straight lines within a
 * bucket as Prometheus does; undefined without counts. Beyond the last bound it is that bound.
 */
export function quantile(
  q: number,
  counts: readonly number[],
  bounds: readonly number[] = durationBuckets,
): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= 0) return undefined;
  const rank = q * total;
  let below = 0;
  for (const [i, bound] of bounds.entries()) {
    const count = counts[i]!;
    if (count > 0 && below + count >= rank) {
      const start = i === 0 ? 0 : bounds[i - 1]!;
      return start + ((bound - start) * Math.max(0, rank - below)) / count;
    }
    below += count;
  }
  return bounds.at(-1);
}
