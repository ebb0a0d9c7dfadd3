import { METADATA, SAMPLE } from '../serialization/rows.ts';
import { canGoAlone } from './carried.ts';
import type { Fault } from './decisions.ts';
import type { Loop } from './loop.ts';
import type { LoopHost } from './loop-host.ts';
import type { LoopRequests } from './loop-requests.ts';
import { missingRows } from './partial-letter.ts';
import type { Refusals } from './refusals.ts';
import { LIVE, REFUSED, type RowQueue, SETTLED, UNKNOWN } from './row-queue.ts';
import { RowTally } from './row-tally.ts';
import type { WireVersion } from './version.ts';
import { writtenRows } from './written.ts';

/** Rows of other shards that are tried, one by one, to learn whether an endpoint takes anything at all. */
const MOST_PROBES = 8;

/**
 * The rows by which a loop learns, when one row alone was refused, whether it is the row or the endpoint
 * (refusals.ts): the oldest rows of other shards, and the row that was taken last.
 */
export class Witnesses {
  readonly #loop: Loop;
  readonly #queue: RowQueue;
  readonly #host: LoopHost;
  readonly #requests: LoopRequests;
  readonly #refusals: Refusals;
  readonly #tally: RowTally = new RowTally();
  /** Shards whose oldest row was refused when it was asked for evidence. */
  readonly #silent: Set<number> = new Set();
  /** The last row that was taken, as a request of its own. */
  #known: Uint8Array = new Uint8Array(0);
  #knownVersion: WireVersion = '1.0';
  #knownTenant = '';

  constructor(loop: Loop, host: LoopHost, requests: LoopRequests, refusals: Refusals) {
    this.#loop = loop;
    this.#queue = loop.queue;
    this.#host = host;
    this.#requests = requests;
    this.#refusals = refusals;
  }

  /** The first `rows` rows are settled, and about to be forgotten. */
  settled(rows: number): void {
    const { shard, head, mask } = this.#queue;
    for (let i = 0; i < rows && this.#silent.size > 0; i++) this.#silent.delete(shard[(head + i) & mask]!);
  }

  /** Keeps the last sample of a request of the first `rows` rows, which was taken. */
  remember(rows: number, version: WireVersion): void {
    const queue = this.#queue;
    for (let i = rows - 1; i >= 0; i--) {
      const at = (queue.head + i) & queue.mask;
      if (queue.skip[at] !== LIVE || queue.kind[at] !== SAMPLE) continue;
      this.#known = this.#requests.build(i, 1, version).slice();
      this.#knownVersion = version;
      this.#knownTenant = this.#requests.tenantOf(i, 1);
      return;
    }
  }

  /**
   * Whether the endpoint takes anything at all, while the first `rows` rows are refused. The oldest rows of other shards
   * are tried, one by one; those that were refused are not tried again before all others were. When none is taken, the
   * last row that was is sent once more: a receiver that has it takes it again, one that refuses everything does not.
   */
  async ask(rows: number, fault: Fault, version: WireVersion): Promise<boolean> {
    const queue = this.#queue;
    const { ttlMs } = this.#host.settings;
    const oldest = ttlMs === 0 ? Number.NEGATIVE_INFINITY : this.#host.now() - ttlMs;
    const seen = queue.shardsOf(rows);
    const tenant = this.#requests.tenantOf(0, rows);
    let probes = 0;
    for (let i = rows; i < queue.length && probes < MOST_PROBES && !this.#loop.over; i++) {
      const at = (queue.head + i) & queue.mask;
      const shard = queue.shard[at]!;
      if (queue.skip[at] === SETTLED || seen.has(shard)) continue;
      seen.add(shard);
      if (queue.skip[at] !== LIVE || this.#refusals.isSuspect(queue.seriesKey(i))) continue;
      // That another tenant is let in says nothing of this one.
      if (this.#requests.tenantOf(i, 1) !== tenant) continue;
      if (this.#silent.has(shard) || (queue.kind[at] !== METADATA && queue.timeMs(at) < oldest)) continue;
      if (!canGoAlone(queue, at, version)) continue;
      probes++;
      const body = this.#requests.build(i, 1, version);
      const answer = await this.#requests.send(i, 1, this.#tally.count(queue, i, 1), body, version);
      if (answer === undefined) return false;
      const { decision } = answer;
      const settled = decision.action === 'settle';
      if (settled && missingRows(decision) === 0) {
        this.#loop.settleBeforeTurn(i);
        return true;
      }
      if (!settled && decision.action !== 'reject') {
        if (decision.maybeDelivered && queue.resent[at] !== UNKNOWN) queue.note(UNKNOWN, i, 1);
        return false;
      }
      queue.note(REFUSED, i, 1);
      this.#silent.add(shard);
      if ((settled || decision.fault === 'old') && fault !== 'old') {
        // Other words for another row: it is the rows that are looked at.
        this.#host.evidence.take(tenant);
        return true;
      }
    }
    if (probes < MOST_PROBES) this.#silent.clear();
    return this.#knownTenant === tenant && (await this.#takesKnown());
  }

  /** Whether the endpoint takes the row again that it took last. */
  async #takesKnown(): Promise<boolean> {
    if (this.#known.length === 0 || this.#loop.over) return false;
    const outcome = await this.#requests.sendKnown(this.#known, this.#knownVersion, this.#knownTenant);
    if (outcome?.kind !== 'response' || outcome.status >= 300) return false;
    if (
      this.#knownVersion === '2.0' &&
      (outcome.written === undefined || writtenRows(outcome.written) === 0)
    ) {
      return false;
    }
    this.#host.evidence.take(this.#knownTenant);
    return true;
  }
}
