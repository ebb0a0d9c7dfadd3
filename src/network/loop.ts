import type { Emitter } from '../protocol/emit-v1.ts';
import { KINDS } from '../serialization/rows.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import { backoffMs } from './backoff.ts';
import { Batch } from './batch.ts';
import { leaveOutUncarried, startsAmong } from './carried.ts';
import { countSettled } from './count-settled.ts';
import type { Decision, HoldCause, RetryCause } from './decisions.ts';
import { type DropMark, leaveOutOld } from './left-out.ts';
import { lettersOf } from './letters.ts';
import type { LoopFailure, LoopHost } from './loop-host.ts';
import { LoopRequests } from './loop-requests.ts';
import { missingRows, type PartialAnswer, partialLetter } from './partial-letter.ts';
import { Pause } from './pause.ts';
import { Refusals, type Verdict } from './refusals.ts';
import { RequestVersion } from './request-version.ts';
import { LIVE, lostFor, REFUSED, RowQueue, SETTLED, UNKNOWN } from './row-queue.ts';
import { RowTally } from './row-tally.ts';
import { TenantTurns } from './tenant-turns.ts';
import { Witnesses } from './witnesses.ts';

/**
 * One sender: a queue of rows and at most one request in flight.
 *
 *     idle -> collecting -> sending -> (waiting -> sending)* -> settled -> idle | collecting
 *
 * - collecting: rows wait for a full request, for the deadline, or for something that cannot share a request with them
 *   (batch.ts). With tenants they take turns (tenant-turns.ts).
 * - sending and waiting: the same rows in the same order until they are settled (RLY-08, RW1-S-15), less those
 *   that pass their TTL before an attempt.
 *
 * A request that is refused is sent again in parts (refusals.ts): always its first rows, so that no row overtakes
 * another and a kill finds the others as they were. Only to learn whether the endpoint takes anything at all, the
 * oldest rows of other shards are sent before their turn, one by one (witnesses.ts).
 *
 * Since a series belongs to one loop and a loop to one request, no newer row of a series can overtake an older
 * one. What is not settled when the loop is stopped stays on disk.
 */
export class Loop {
  readonly index: number;
  readonly queue: RowQueue;
  readonly #host: LoopHost;
  readonly #requests: LoopRequests;
  /** Rows of the request under way; 0 while there is none. */
  #inFlight = 0;
  readonly #batch: Batch;
  /** Ends the time for company. */
  #timer: NodeJS.Timeout | undefined;
  /** Ends the wait of all tenants; what comes of another one meanwhile has a time for company of its own. */
  #turn: NodeJS.Timeout | undefined;
  readonly #pause: Pause = new Pause();
  #running: Promise<void> = Promise.resolve();
  #flushing = false;
  #over = false;
  readonly #refusals: Refusals;
  readonly #witnesses: Witnesses;
  #drop: DropMark = { segment: 0, skip: LIVE };
  readonly #turns: TenantTurns | undefined;
  readonly #version: RequestVersion;
  /** By kind, rows of the request that was taken last which by its answer were not written. */
  #missing: PartialAnswer | undefined;
  /** Of the request under way, as it was sent. */
  readonly #tally: RowTally = new RowTally();
  /** Of a row that is settled before its turn. */
  readonly #alone: RowTally = new RowTally();
  /** Attempts that failed for the request under way. */
  attempts = 0;
  holding = false;
  /** Time with a request in flight, in seconds, and samples delivered by it: for the number of loops. */
  busySeconds = 0;

  /** The emitter may be shared between loops of a thread: bodies are built in one go. */
  constructor(index: number, host: LoopHost, emitter: Emitter) {
    this.index = index;
    this.queue = new RowQueue(host.settings.capacity);
    this.#host = host;
    const { settings } = host;
    this.#requests = new LoopRequests(this, host, emitter);
    this.#refusals = new Refusals(settings.splitRefused);
    this.#witnesses = new Witnesses(this, host, this.#requests, this.#refusals);
    this.#turns = settings.tenants === true ? new TenantTurns(this.queue, () => host.now()) : undefined;
    this.#batch = new Batch(this.queue, settings, this.#refusals, this.#turns);
    this.#version = new RequestVersion(host.v2);
  }

  /** Nothing more is sent. */
  get over(): boolean {
    return this.#over;
  }

  /** True while a request keeps failing. */
  get failing(): boolean {
    return this.attempts > 0;
  }

  /** True while rows of some tenant have to wait, and others do not. */
  get parks(): boolean {
    return this.#turns?.parks === true;
  }

  get idle(): boolean {
    return this.#inFlight === 0 && this.queue.length === 0;
  }

  /** To be called after rows were queued. */
  wake(): void {
    const { queue } = this;
    if (this.#inFlight > 0 || queue.length === 0 || this.#over) return;
    this.#batch.extend();
    clearTimeout(this.#turn);
    if (this.#batch.rows === 0) {
      this.#waitForTenants();
      return;
    }
    const waitMs = this.#batch.waitMs(this.#host.now());
    if (waitMs === 0 || this.#flushing || queue.rowsBefore(this.#drop.segment) > 0) {
      this.#begin();
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#batch.endWait();
      this.wake();
    }, waitMs);
  }

  /** Sends what is queued without waiting for more, from now on. */
  flush(): void {
    this.#flushing = true;
    this.wake();
  }

  /** Ends a wait that nobody asked for: another loop got through. */
  retry(): void {
    this.#pause.endUnlessAsked();
  }

  /**
   * Sends nothing more; resolves when the request under way, if there is one, has had its answer. So nothing comes
   * twice that need not. Idempotent.
   */
  async rest(): Promise<void> {
    this.#over = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#turn);
    this.#timer = undefined;
    this.#pause.end();
    await this.#running;
    this.#version.end();
  }

  /** Cuts the request under way and forgets what is queued; resolves when nothing is running. Idempotent. */
  async stop(): Promise<void> {
    this.#requests.abort();
    await this.rest();
    this.queue.clear();
  }

  /**
   * Gives up the rows of segments before `segment` for `reason`, in their turn. A request that is on its way is waited
   * for; a wait for its next attempt is not.
   */
  dropBefore(segment: number, reason: EndpointReason): void {
    this.#drop = { segment, skip: lostFor(reason) };
    // What is not in the request under way goes at once: the request may fail for long.
    const { queue } = this;
    const kept = this.queue.shardsOf(this.#inFlight);
    for (let i = this.#inFlight; i < queue.length; i++) {
      const at = (queue.head + i) & queue.mask;
      if (queue.skip[at] === SETTLED) continue;
      if (queue.contextAt(i).segment >= segment) {
        kept.add(queue.shard[at]!);
      } else if (!kept.has(queue.shard[at]!)) {
        if (queue.skip[at] === LIVE) queue.skip[at] = this.#drop.skip;
        this.settleBeforeTurn(i);
      }
    }
    if (this.#inFlight > 0 && queue.contextAt(0).segment < segment) this.#pause.end();
    this.#host.moved(this);
    this.wake();
  }

  /** Adds to `shards` those that have rows of segments before `segment` here that are not settled. */
  addShardsBefore(segment: number, shards: Set<number>): void {
    const { queue } = this;
    for (let i = 0; i < queue.length; i++) {
      const at = (queue.head + i) & queue.mask;
      if (queue.skip[at] !== SETTLED && queue.contextAt(i).segment < segment) shards.add(queue.shard[at]!);
    }
  }

  /** Counts and settles row `i`, the oldest of its shard, while others are before it in the queue. */
  settleBeforeTurn(i: number): void {
    const { queue } = this;
    const tally = this.#alone.count(queue, i, 1);
    this.#count(i, 1, tally);
    this.#host.settled(this, i, 1, tally);
    queue.skip[(queue.head + i) & queue.mask] = SETTLED;
  }

  /** The tenants of all rows are refused or slowed down for now. */
  #waitForTenants(): void {
    const { attempts, holding, waitMs } = this.#turns!.parked;
    this.attempts = attempts;
    this.holding = holding;
    this.#turn = setTimeout(() => this.wake(), waitMs);
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#turns !== undefined) {
      this.attempts = this.#turns.begin();
      this.holding = false;
    }
    this.#inFlight = this.#batch.rows;
    this.#batch.begin(this.#host.now());
    // In a turn of its own: a delivery that ends without a request begins the next one before it returns.
    this.#running = Promise.resolve().then(() => this.#deliver());
  }

  async #deliver(): Promise<void> {
    const host = this.#host;
    const { queue } = this;
    let body: Uint8Array | undefined;
    let taken = false;
    while (!this.#over) {
      // From a look that says no wait to the request nothing is awaited: no other loop takes the same share.
      const shareMs = host.limit?.waitMs() ?? 0;
      if (shareMs > 0 && queue.rowsBefore(this.#drop.segment) === 0) {
        // Then it has to look again: rows may have expired, others waited too.
        host.stats.add('throttles', 1);
        await this.#pause.wait(shareMs, true);
        continue;
      }
      const rows = this.#inFlight;
      const metadata = queue.isMetadata(0, rows) === true;
      if (this.#version.choose(metadata, this.attempts, host.now())) body = undefined;
      if (leaveOutOld(queue, rows, this.#drop, this.#oldestMs)) body = undefined;
      const version = this.#version.current;
      // Where tenants take turns, what is left out goes along with any of them: it must not come back.
      const back = this.#turns === undefined;
      if (leaveOutUncarried(queue, rows, version, this.#version.standing, back)) body = undefined;
      const { live } = this.#tally.count(queue, 0, rows);
      if (live === 0) break;
      const resent = queue.resent[queue.head]!;
      body ??= this.#requests.build(0, rows, version);
      const answer = await this.#requests.send(0, rows, this.#tally, body, version);
      if (answer === undefined) return;
      const word = this.#version.hear(answer.outcome, host.now());
      if (word !== undefined) {
        if (word === 'bad') this.queue.note(REFUSED, 0, rows);
        body = undefined;
        continue;
      }
      const { decision } = answer;
      if (decision.action === 'settle') {
        if (missingRows(decision) < live)
          this.#refusals.taken(live === 1 ? queue.seriesKey(queue.firstLive(rows)) : 0);
        if (decision.missing === undefined) this.#witnesses.remember(rows, version);
        else await this.#lacks(decision, answer.cause);
        if (version === '1.0') host.stats.add('startsDropped', startsAmong(queue, rows));
        taken = true;
        break;
      }
      let failure: Exclude<LoopFailure, { action: 'reject' }>;
      if (decision.action === 'reject') {
        const verdict = this.#judge(decision, rows);
        if (verdict === 'halve') {
          this.queue.note(REFUSED, 0, rows);
          this.#inFlight = Math.min(rows, this.#refusals.limit);
          this.attempts = 0;
          this.holding = false;
          body = undefined;
          host.stats.add('splits', 1);
          continue;
        }
        if (verdict === 'reject') {
          await this.#giveUp(rows, decision, answer.cause);
          break;
        }
        this.queue.note(REFUSED, 0, rows);
        body = undefined;
        if (await this.#witnesses.ask(rows, decision.fault, version)) continue;
        const waitMs = backoffMs(this.attempts, host.settings, host.random());
        failure = {
          action: 'hold',
          cause: 'refused',
          answer: answer.cause,
          words: decision.words,
          waitMs,
          asked: false,
        };
      } else {
        if (decision.maybeDelivered && resent !== UNKNOWN) this.queue.note(UNKNOWN, 0, rows);
        failure = {
          ...decision,
          answer: answer.cause,
          waitMs: this.#waitMs(decision),
          words: answer.words,
        };
      }
      if (this.#turns !== undefined && isOfTenant(failure)) {
        this.#stepAside(this.#turns, failure, rows);
        return;
      }
      await this.#wait(failure, rows);
    }
    if (this.#over && this.queue.liveRows(this.#inFlight) > 0 && !taken) return;
    this.#finish(taken);
  }

  /** The first rows are settled, in one way or another. */
  #finish(taken: boolean): void {
    const host = this.#host;
    const rows = this.#inFlight;
    const recovered = taken && this.attempts > 0;
    this.#witnesses.settled(rows);
    this.attempts = 0;
    this.holding = false;
    this.#version.end();
    // What was taken is what was sent; of other rows it may have been decided since what becomes of them.
    if (!taken) this.#tally.count(this.queue, 0, rows);
    this.#count(0, rows, this.#tally, this.#missing);
    this.#missing = undefined;
    host.settled(this, 0, rows, this.#tally);
    this.#turns?.settled(rows);
    this.queue.shift(rows);
    this.#inFlight = 0;
    if (this.queue.length === 0) this.#refusals.endRun();
    if (recovered) host.recovered(this);
    host.moved(this);
    this.wake();
  }

  /** The wait before the next attempt: that of the backoff, shorter for the loop that probes. */
  #waitMs({ action, cause, asked, waitMs }: Exclude<Decision, { action: 'settle' | 'reject' }>): number {
    const { probeMs } = this.#host.settings;
    if (probeMs === 0 || asked || action === 'hold' || cause === '429' || waitMs <= probeMs) return waitMs;
    return this.#host.probes(this) ? probeMs * (0.9 + 0.1 * this.#host.random()) : waitMs;
  }

  /** Counts and tells that the request under way has failed, and is to be sent again. */
  #failed(failure: Exclude<LoopFailure, { action: 'reject' }>, rows: number): void {
    const host = this.#host;
    this.attempts++;
    this.holding = failure.action === 'hold';
    host.stats.add(this.holding ? 'holds' : 'retries', 1);
    const kinds = this.queue.liveByKind(0, rows);
    for (let kind = 0; kind < KINDS; kind++) host.stats.addRetried(kind, kinds[kind]!);
    host.failed(this, failure);
  }

  /** Leaves the rest of the loop to other tenants until the time for the next attempt has come. */
  #stepAside(turns: TenantTurns, failure: Exclude<LoopFailure, { action: 'reject' }>, rows: number): void {
    this.#failed({ ...failure, tenant: this.#requests.tenantOf(0, rows) }, rows);
    turns.park(this.attempts, failure.waitMs, this.holding);
    this.#version.setAside(this.attempts, this.#host.now());
    this.attempts = 0;
    this.holding = false;
    this.#inFlight = 0;
    this.wake();
  }

  async #wait(failure: Exclude<LoopFailure, { action: 'reject' }>, rows: number): Promise<void> {
    this.#failed(failure, rows);
    if (this.#over || this.queue.rowsBefore(this.#drop.segment) > 0) return;
    await this.#pause.wait(failure.waitMs, failure.asked);
  }

  #judge(decision: Extract<Decision, { action: 'reject' }>, rows: number): Verdict {
    const { queue } = this;
    const first = this.queue.firstLive(rows);
    return this.#refusals.judge(
      {
        fault: decision.fault,
        rows: this.queue.liveRows(rows) === 1 ? 1 : rows,
        row: queue.context.segment * 2 ** 32 + queue.row[(queue.head + first) & queue.mask]!,
        series: this.queue.seriesKey(first),
      },
      this.#host.evidence.of(this.#requests.tenantOf(0, rows)),
    );
  }

  /** Rows of the request were not written, by its answer: counted when it is settled (RLY-12). */
  async #lacks(missing: PartialAnswer, cause: string): Promise<void> {
    const host = this.#host;
    this.#missing = missing;
    const { reason, words } = missing;
    const letter =
      reason === 'duplicate' ? undefined : partialLetter(this.queue, missing.missing, this.#tally);
    if (letter !== undefined) await host.kept({ reason, cause, words, atMs: host.now(), letters: [letter] });
    host.failed(this, { action: 'reject', cause, words, rows: missingRows(missing), reason });
  }

  /** Marks the live ones of the first rows as lost, after they were kept where people find them. */
  async #giveUp(
    rows: number,
    decision: Extract<Decision, { action: 'reject' }>,
    cause: string,
  ): Promise<void> {
    const { queue } = this;
    const host = this.#host;
    const { reason, words } = decision;
    if (reason === 'rejected') {
      const letters = lettersOf(queue, rows, (i) => this.#requests.build(i, 1, '1.0'));
      await host.kept({ reason, cause, words, atMs: host.now(), letters });
    }
    const series = this.queue.seriesKey(this.queue.firstLive(rows));
    let refused = 0;
    for (let i = 0; i < rows; i++) {
      const at = (queue.head + i) & queue.mask;
      if (queue.skip[at] !== LIVE) continue;
      queue.skip[at] = lostFor(reason);
      refused++;
    }
    if (refused === 1 && reason === 'rejected') this.#refusals.gaveUp(series);
    host.failed(this, { action: 'reject', cause, words, rows: refused, reason });
  }

  /** Rows before this time are not sent, ms since the epoch. */
  get #oldestMs(): number {
    const { ttlMs } = this.#host.settings;
    return ttlMs === 0 ? Number.NEGATIVE_INFINITY : this.#host.now() - ttlMs;
  }

  #count(from: number, rows: number, tally: RowTally, not?: PartialAnswer): void {
    const { stats } = this.#host;
    countSettled(stats, this.queue, from, rows, tally, not);
    if (tally.live === 0) return;
    stats.observeDelay(Math.max(0, this.#host.now() - this.#host.committedMs(this)) / 1000, tally.live);
  }
}

/** What says nothing about other tenants: the door is shut to this one, it has sent too much, or all of it is refused. */
const ofTenant: ReadonlySet<RetryCause | HoldCause> = new Set(['401', '403', '404', '407', '429', 'refused']);

function isOfTenant({ cause }: Exclude<LoopFailure, { action: 'reject' }>): boolean {
  return ofTenant.has(cause);
}
