import { METADATA } from '../serialization/rows.ts';
import type { LoopSettings } from './loop-host.ts';
import type { Refusals } from './refusals.ts';
import { LIVE, type RowQueue } from './row-queue.ts';
import type { TenantTurns } from './tenant-turns.ts';

/**
 * The rows at the head of a loop's queue that are to be its next request, while they wait for company: how many of
 * them fit together, and when they leave.
 *
 * What cannot share a request cuts it: metadata and other rows (INT-10), rows of another segment, rows that may have
 * been delivered and fresh ones (RLY-13), rows of another tenant, a series that keeps being refused.
 */
export class Batch {
  readonly #queue: RowQueue;
  readonly #settings: LoopSettings;
  readonly #refusals: Refusals;
  readonly #turns: TenantTurns | undefined;
  /** Rows from the head that are known to fit one request; more are looked at as they come. */
  rows = 0;
  /** More rows would not make it fuller. */
  isFull = false;
  /** Since when it waits, by the clock; 0 while it does not. */
  #sinceMs = 0;
  /** When the last request would have begun, had all of them begun a deadline apart. */
  #pacedMs = Number.NEGATIVE_INFINITY;

  constructor(queue: RowQueue, settings: LoopSettings, refusals: Refusals, turns: TenantTurns | undefined) {
    this.#queue = queue;
    this.#settings = settings;
    this.#refusals = refusals;
    this.#turns = turns;
    if (settings.deadlineFrom === 'request') this.#sinceMs = this.#pacedMs;
  }

  /** Looks at rows that came since, to see how many fit one request. */
  extend(): void {
    const queue = this.#queue;
    const settings = this.#settings;
    const refusals = this.#refusals;
    const together = this.#turns?.gather(settings.maxSamplesPerSend) ?? queue.length;
    const first = queue.head;
    let metadata = queue.isMetadata(0, this.rows);
    const resent = queue.resent[first];
    let most = Math.min(refusals.limit, metadata ? settings.maxMetadataPerSend : settings.maxSamplesPerSend);
    const available = Math.min(queue.length, queue.contextRows, together);
    const suspects = refusals.hasSuspects;
    const { mask, kind, skip, resent: resents } = queue;
    let rows = this.rows;
    for (; rows < available && rows < most; rows++) {
      const at = (first + rows) & mask;
      if (resents[at] !== resent) break;
      // What is left out may stand among anything: metadata that goes with its series comes with every other row.
      if (skip[at] === LIVE && (kind[at] === METADATA) !== metadata) {
        if (metadata !== undefined) break;
        metadata = kind[at] === METADATA;
        if (metadata) most = Math.min(refusals.limit, settings.maxMetadataPerSend);
      }
      if (suspects && rows > 0) {
        const alone = refusals.isSuspect(queue.seriesKey(0));
        if (alone || refusals.isSuspect(queue.seriesKey(rows))) break;
      }
    }
    this.rows = rows;
    const cut = this.#turns?.cuts(rows) ?? rows < queue.length;
    this.isFull = rows >= most || cut || queue.full;
  }

  /** For how long its rows may wait for company, ms; 0 when they leave now. */
  waitMs(nowMs: number): number {
    const { batchSendDeadlineMs } = this.#settings;
    // After the clock was set back, waiting starts anew.
    if (this.#sinceMs === 0 || this.#sinceMs > nowMs) this.#sinceMs = nowMs;
    return this.isFull ? 0 : Math.max(0, this.#sinceMs + batchSendDeadlineMs - nowMs);
  }

  /** Its time is up, whatever the clock says. */
  endWait(): void {
    this.#sinceMs = Number.NEGATIVE_INFINITY;
  }

  /** Its rows leave, and the next one begins. */
  begin(nowMs: number): void {
    const { deadlineFrom, batchSendDeadlineMs } = this.#settings;
    this.rows = 0;
    this.isFull = false;
    this.#sinceMs = deadlineFrom === 'request' ? this.#pace(nowMs, batchSendDeadlineMs) : 0;
  }

  /**
   * From when on the deadline of the next request counts, while one begins. One that was late is forgiven up to a whole
   * deadline: else those that come just as often would be late from then on.
   */
  #pace(nowMs: number, deadlineMs: number): number {
    this.#pacedMs = Math.min(nowMs, Math.max(this.#pacedMs + deadlineMs, nowMs - deadlineMs));
    return this.#pacedMs;
  }
}
