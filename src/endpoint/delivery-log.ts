import type { LoopFailure } from '../network/loop-host.ts';
import { sameWords } from '../network/same-words.ts';
import { kindNames } from '../serialization/rows.ts';
import type { EndpointStats } from '../telemetry/endpoint-stats.ts';
import type { LogFacts, LogLevel, Repetition } from '../telemetry/log.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';

const dropMessages: readonly [EndpointReason, string][] = [
  ['dropped_full', 'the oldest rows were given up to make room; they are counted as dropped_full'],
  [
    'dropped_age',
    'rows that are older than the configured age were given up; they are counted as dropped_age',
  ],
  ['skipped', 'rows were passed over, as somebody asked; they are counted as skipped'],
];

/** What is to be said of rows that were refused for good. */
const whereKept: Partial<Record<EndpointReason, string>> = {
  rejected: 'they are kept, see `spillway dead-letters list`',
  duplicate: 'they may have been delivered before, by a request of unknown outcome',
  not_written:
    'it wrote the others of their requests, and does not say which these are. Its words and counts are kept, see `spillway dead-letters list`',
};

/** What the log says of how an endpoint answers, and of rows that it does not get. The same is not said over and over. */
export class DeliveryLog {
  readonly #log: (level: LogLevel, message: string, facts: LogFacts) => void;
  readonly #repetition: Repetition;
  readonly #stats: EndpointStats;
  readonly #toldDropped = new Map<EndpointReason, number>();

  /** Rows that `stats` counts by now were told of before. */
  constructor(
    log: (level: LogLevel, message: string, facts: LogFacts) => void,
    repetition: Repetition,
    stats: EndpointStats,
  ) {
    this.#log = log;
    this.#repetition = repetition;
    this.#stats = stats;
    for (const [reason] of dropMessages) this.#toldDropped.set(reason, this.#lost(reason));
  }

  /** A request of loop `loop` did not succeed. */
  failed(loop: number, failure: LoopFailure): void {
    const { action, cause, words } = failure;
    const as = action === 'reject' ? failure.reason : '';
    const of = 'tenant' in failure ? ` ${failure.tenant}` : '';
    const before = this.#repetition.tell(`${action} ${as} ${cause} ${sameWords(words)}${of}`);
    if (before === undefined) return;
    const facts: LogFacts = {
      loop,
      cause,
      said: words,
      ...('tenant' in failure ? { tenant: failure.tenant || '(none)' } : {}),
      ...(before > 0 ? { repeated: before } : {}),
    };
    if (action === 'reject') {
      const { rows, reason } = failure;
      const kept = whereKept[reason] ?? '';
      this.#log('error', `the endpoint refused ${rows} rows for good, counted as ${reason}; ${kept}`, facts);
      return;
    }
    const next = { ...facts, next_try_ms: Math.round(failure.waitMs) };
    if (cause === 'refused') {
      this.#log(
        'error',
        'the endpoint refuses whatever it is sent; rows are held on disk and tried again, none is given up. See what it says',
        next,
      );
    } else if (cause === '415' || cause === 'unread') {
      this.#log(
        'error',
        'the endpoint does not read what it is sent; rows are held on disk and tried again. Check its URL, and `protobuf_message`: it may take another version of remote write',
        next,
      );
    } else if (action === 'hold') {
      this.#log(
        'error',
        'the endpoint does not let us in; rows are held on disk and tried again. Check its URL, credentials and certificate',
        next,
      );
    } else {
      this.#log('warn', 'a request failed; the same rows are sent again, later ones wait on disk', next);
    }
  }

  /** No request fails any more. */
  recovered(waitingRows: number): void {
    // An endpoint that flaps says neither too often.
    if (this.#repetition.tell('recovered') === undefined) return;
    this.#log('info', 'the endpoint takes requests again', { waiting_rows: waitingRows });
  }

  /** Says what was given up since it was last said, in loops and before them; reading goes on at `fromSegment`. */
  tellDropped(fromSegment: number, waitingRows: number): void {
    for (const [reason, message] of dropMessages) {
      const lost = this.#lost(reason);
      const rows = lost - (this.#toldDropped.get(reason) ?? 0);
      if (rows === 0 || this.#repetition.tell(`drop ${reason}`) === undefined) continue;
      this.#toldDropped.set(reason, lost);
      this.#log('warn', message, { rows, from_segment: fromSegment, waiting_rows: waitingRows });
    }
  }

  /** `auto` has found that the endpoint takes another version than it was sent; `fellBackMs` as in version.ts. */
  versionChanged(fellBackMs: number | undefined): void {
    if (fellBackMs === undefined) {
      this.#log('info', 'the endpoint takes remote write 2.0 by now, and is sent it', {});
    } else if (this.#repetition.tell('version') !== undefined) {
      this.#log(
        'warn',
        'the endpoint does not take remote write 2.0; it is sent 1.0 for an hour, then 2.0 is tried once more. What 1.0 cannot carry is counted',
        {},
      );
    }
  }

  #lost(reason: EndpointReason): number {
    return kindNames.reduce((sum, _, kind) => sum + this.#stats.lost(reason, kind), 0);
  }
}
