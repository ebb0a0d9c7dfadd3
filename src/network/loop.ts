import type { EmittedBody, Emitter } from '../protocol/emit-v1.ts';
import { wait } from '../runtime/wait.ts';
import { KINDS, METADATA, SAMPLE } from '../serialization/rows.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import { backoffMs } from './backoff.ts';
import { canGoAlone, leaveOutUncarried, startsAmong } from './carried.ts';
import { type Decision, decide, type Fault, type HoldCause, type RetryCause } from './decisions.ts';
import { answerOf, type Outcome } from './destination.ts';
import { lettersOf } from './letters.ts';
import type { LoopFailure, LoopHost } from './loop-host.ts';
import { partialLetter } from './partial-letter.ts';
import { Refusals, type Verdict } from './refusals.ts';
import { RequestVersion } from './request-version.ts';
import { FRESH, LIVE, lostFor, REFUSED, RowQueue, reasonOf, SETTLED, UNKNOWN } from './row-queue.ts';
import { RowTally } from './row-tally.ts';
import { TenantTurns, tenantOfRow } from './tenant-turns.ts';
import type { WireVersion } from './version.ts';
import { writtenRows } from './written.ts';

/** Rows of other shards that are tried, one by one, to learn whether an endpoint takes anything at all. */
const MOST_PROBES = 8;
/**
 * One sender: a queue of rows and at most one request in flight.
 *
 *     idle -> collecting -> sending -> (waiting -> sending)* -> settled -> idle | collecting
 *
 * - collecting: rows wait for a full request, for the deadline, or for something that cannot share a request
 *   with them: metadata (INT-10), rows of another segment, rows that may have been delivered (RLY-13). With tenants
 *   they take turns (tenant-turns.ts).
 * - sending and waiting: the same rows in the same order until they are settled (RLY-08, RW1-S-15), less those
 *   that pass their TTL before an attempt.
 *
 * A request that is refused is sent again in parts (refusals.ts): always its first rows, so that no row overtakes
 * another and a kill finds the others as they were. Only to learn whether the endpoint takes anything at all, the
 * oldest rows of other shards are sent before their turn, one by one.
 *
 * Since a series belongs to one loop and a loop to one request, no newer row of a series can overtake an older
 * one. What is not settled when the loop is stopped stays on disk.
 */
export class Loop {
  readonly index: number;
  readonly queue: RowQueue;
  readonly #host: LoopHost;
  readonly #emitter: Emitter;
  /** The body of the request under way: built anew only when its rows change. */
  #body: Uint8Array = new Uint8Array(0);
  readonly #abort: AbortController = new AbortController();
  /** Rows of the request under way; 0 while there is none. */
  #inFlight = 0;
  /** Rows from the head that are known to fit one request; more are looked at as they come. */
  #fitting = 0;
  /** True when the row behind `#fitting` cannot share their request. */
  #cut = false;
  #collectingSince = 0;
  /** When the last request would have begun, had all of them begun a deadline apart. */
  #paced = Number.NEGATIVE_INFINITY;
  /** Ends the time for company. */
  #timer: NodeJS.Timeout | undefined;
  /** Ends the wait of all tenants; what comes of another one meanwhile has a time for company of its own. */
  #turn: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #flushing = false;
  /** Nothing more is sent. */
  #over = false;
  readonly #refusals: Refusals;
  /** Rows of segments before this one are given up. */
  #drop: { readonly segment: number; readonly skip: number } = { segment: 0, skip: LIVE };
  /** The last row that was taken, as a request of its own. */
  #known: Uint8Array = new Uint8Array(0);
  #knownTenant = '';
  readonly #turns: TenantTurns | undefined;
  #knownVersion: WireVersion = '1.0';
  readonly #version: RequestVersion;
  /** By kind, rows of the request that was taken last which by its answer were not written. */
  #missing: Missing | undefined;
  /** Shards whose oldest row was refused when it was asked for evidence. */
  readonly #silent: Set<number> = new Set();
  /** Of the request under way, as it was sent. */
  readonly #tally: RowTally = new RowTally();
  /** Of a row that is sent or settled before its turn. */
  readonly #alone: RowTally = new RowTally();
  /** Ends the wait for the next attempt. */
  #pause: AbortController | undefined;
  /** The endpoint has asked for that wait. */
  #asked = false;
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
    this.#emitter = emitter;
    this.#refusals = new Refusals(host.settings.splitRefused);
    if (host.settings.deadlineFrom === 'request') this.#collectingSince = this.#paced;
    this.#turns = host.settings.tenants === true ? new TenantTurns(this.queue, () => host.now()) : undefined;
    this.#version = new RequestVersion(host.v2);
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
    this.#extend();
    clearTimeout(this.#turn);
    if (this.#fitting === 0) {
      this.#waitForTenants();
      return;
    }
    const { batchSendDeadlineMs } = this.#host.settings;
    const now = this.#host.now();
    if (this.#collectingSince === 0) this.#collectingSince = now;
    const waited = now - this.#collectingSince;
    // `waited` is negative after the clock was set back; then waiting starts anew.
    const dropping = queue.rowsBefore(this.#drop.segment) > 0;
    if (this.#cut || this.#flushing || dropping || waited >= batchSendDeadlineMs) {
      this.#begin(this.#fitting);
      return;
    }
    if (waited < 0) this.#collectingSince = now;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#collectingSince = Number.NEGATIVE_INFINITY;
      this.wake();
    }, batchSendDeadlineMs - Math.max(0, waited));
  }

  /** Sends what is queued without waiting for more, from now on. */
  flush(): void {
    this.#flushing = true;
    this.wake();
  }

  /** Ends a wait that nobody asked for: another loop got through. */
  retry(): void {
    if (!this.#asked) this.#pause?.abort();
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
    this.#pause?.abort();
    await this.#running;
    this.#version.end();
  }

  /** Cuts the request under way and forgets what is queued; resolves when nothing is running. Idempotent. */
  async stop(): Promise<void> {
    this.#abort.abort();
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
        this.#settleBeforeTurn(i);
      }
    }
    if (this.#inFlight > 0 && queue.contextAt(0).segment < segment) this.#pause?.abort();
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
  #settleBeforeTurn(i: number): void {
    const { queue } = this;
    const tally = this.#alone.count(queue, i, 1);
    this.#count(i, 1, tally);
    this.#host.settled(this, i, 1, tally);
    queue.skip[(queue.head + i) & queue.mask] = SETTLED;
  }

  /** Looks at rows that came since, to see how many fit one request. */
  #extend(): void {
    const { queue } = this;
    const { settings } = this.#host;
    const together = this.#turns?.gather(settings.maxSamplesPerSend) ?? queue.length;
    const first = queue.head;
    let metadata = queue.isMetadata(0, this.#fitting);
    const resent = queue.resent[first];
    let most = Math.min(
      this.#refusals.limit,
      metadata ? settings.maxMetadataPerSend : settings.maxSamplesPerSend,
    );
    const available = Math.min(queue.length, queue.contextRows, together);
    const suspects = this.#refusals.hasSuspects;
    const { mask, kind, skip, resent: resents } = queue;
    let fitting = this.#fitting;
    for (; fitting < available && fitting < most; fitting++) {
      const at = (first + fitting) & mask;
      if (resents[at] !== resent) break;
      // What is left out may stand among anything: metadata that goes with its series comes with every other row.
      if (skip[at] === LIVE && (kind[at] === METADATA) !== metadata) {
        if (metadata !== undefined) break;
        metadata = kind[at] === METADATA;
        if (metadata) most = Math.min(this.#refusals.limit, settings.maxMetadataPerSend);
      }
      if (suspects && fitting > 0) {
        const alone = this.#refusals.isSuspect(queue.seriesKey(0));
        if (alone || this.#refusals.isSuspect(queue.seriesKey(fitting))) break;
      }
    }
    this.#fitting = fitting;
    const cut = this.#turns?.cuts(fitting) ?? fitting < queue.length;
    this.#cut = fitting >= most || cut || queue.full;
  }

  /** The tenants of all rows are refused or slowed down for now. */
  #waitForTenants(): void {
    const { attempts, holding, waitMs } = this.#turns!.parked;
    this.attempts = attempts;
    this.holding = holding;
    this.#turn = setTimeout(() => this.wake(), waitMs);
  }

  #begin(rows: number): void {
    const { deadlineFrom, batchSendDeadlineMs } = this.#host.settings;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#turns !== undefined) {
      this.attempts = this.#turns.begin();
      this.holding = false;
    }
    this.#inFlight = rows;
    this.#fitting = 0;
    this.#cut = false;
    this.#collectingSince = deadlineFrom === 'request' ? this.#pace(batchSendDeadlineMs) : 0;
    // In a turn of its own: a delivery that ends without a request begins the next one before it returns.
    this.#running = Promise.resolve().then(() => this.#deliver());
  }

  /**
   * From when on the deadline of the next request counts, while one begins. One that was late is forgiven up to a whole
   * deadline: else those that come just as often would be late from then on.
   */
  #pace(deadlineMs: number): number {
    const now = this.#host.now();
    this.#paced = Math.min(now, Math.max(this.#paced + deadlineMs, now - deadlineMs));
    return this.#paced;
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
        await this.#throttle(shareMs);
        continue;
      }
      const rows = this.#inFlight;
      const metadata = queue.isMetadata(0, rows) === true;
      if (this.#version.choose(metadata, this.attempts, host.now())) body = undefined;
      if (this.#leaveOut(rows)) body = undefined;
      const version = this.#version.current;
      // Where tenants take turns, what is left out goes along with any of them: it must not come back.
      const back = this.#turns === undefined;
      if (leaveOutUncarried(queue, rows, version, this.#version.standing, back)) body = undefined;
      const { live } = this.#tally.count(queue, 0, rows);
      if (live === 0) break;
      const resent = queue.resent[queue.head]!;
      body ??= this.#build(0, rows, version);
      const answer = await this.#send(0, rows, this.#tally, body, version);
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
        if (decision.missing === undefined) this.#remember(rows, version);
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
        if (await this.#takesOthers(decision.fault, version)) continue;
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
    for (let i = 0; i < rows && this.#silent.size > 0; i++) {
      this.#silent.delete(this.queue.shard[(this.queue.head + i) & this.queue.mask]!);
    }
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

  /** Sends `rows` rows from row `from` on, of which `tally` tells, as one request, once. Undefined when it was cut. */
  async #send(
    from: number,
    rows: number,
    tally: RowTally,
    body: Uint8Array,
    version: WireVersion,
  ): Promise<Answered | undefined> {
    const host = this.#host;
    const { stats } = host;
    const at = (this.queue.head + from) & this.queue.mask;
    const metadata = this.queue.isMetadata(from, rows) === true;
    const known = this.queue.resent[at]!;
    const { live } = tally;
    host.leaving(this, from, rows, tally);
    host.limit?.take(live, body.length);
    const started = performance.now();
    const tenant = this.#tenantOf(from, rows);
    const outcome = await host.destination.post(body, this.attempts, this.#abort.signal, { version, tenant });
    if (outcome.kind === 'aborted') return undefined;
    const seconds = (performance.now() - started) / 1000;
    this.busySeconds += seconds;
    stats.observeRequest(seconds);
    stats.add('requests', 1);
    stats.add('bytesSent', body.length);
    if (metadata) stats.add('metadataBytesSent', body.length);
    if (known !== FRESH) stats.add('resentRows', live);
    const sent = { attempt: this.attempts, resent: known === UNKNOWN, version, kinds: tally.kinds };
    const decision = decide(outcome, sent, host.settings, host.random(), host.now());
    if (decision.action === 'settle' && missingRows(decision) < live) host.evidence.take(tenant);
    return { outcome, decision, cause: answerOf(outcome), words: outcome.words };
  }

  /** The wait before the next attempt: that of the backoff, shorter for the loop that probes. */
  #waitMs({ action, cause, asked, waitMs }: Exclude<Decision, { action: 'settle' | 'reject' }>): number {
    const { probeMs } = this.#host.settings;
    if (probeMs === 0 || asked || action === 'hold' || cause === '429' || waitMs <= probeMs) return waitMs;
    return this.#host.probes(this) ? probeMs * (0.9 + 0.1 * this.#host.random()) : waitMs;
  }

  /** The tenant of a request with these rows; empty for none. */
  #tenantOf(from: number, rows: number): string {
    if (this.#turns === undefined) return '';
    return tenantOfRow(this.queue, from === 0 ? this.queue.firstLive(rows) : from);
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
    this.#failed({ ...failure, tenant: this.#tenantOf(0, rows) }, rows);
    turns.park(this.attempts, failure.waitMs, this.holding);
    this.#version.setAside(this.attempts, this.#host.now());
    this.attempts = 0;
    this.holding = false;
    this.#inFlight = 0;
    this.wake();
  }

  async #wait(failure: Exclude<LoopFailure, { action: 'reject' }>, rows: number): Promise<void> {
    this.#failed(failure, rows);
    this.#asked = failure.asked;
    this.#pause = new AbortController();
    if (this.#over || this.queue.rowsBefore(this.#drop.segment) > 0) this.#pause.abort();
    await wait(failure.waitMs, this.#pause.signal);
    this.#pause = undefined;
  }

  /** Waits while the endpoint has had its share. Then it has to look again: rows may have expired, others waited too. */
  async #throttle(waitMs: number): Promise<void> {
    this.#host.stats.add('throttles', 1);
    this.#asked = true;
    this.#pause = new AbortController();
    if (this.#over) this.#pause.abort();
    await wait(waitMs, this.#pause.signal);
    this.#pause = undefined;
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
      this.#host.evidence.of(this.#tenantOf(0, rows)),
    );
  }

  /**
   * Whether the endpoint takes anything at all. The oldest rows of other shards are tried, one by one; those that were
   * refused are not tried again before all others were. When none is taken, the last row that was is sent once more:
   * a receiver that has it takes it again, one that refuses everything does not.
   */
  async #takesOthers(fault: Fault, version: WireVersion): Promise<boolean> {
    const { queue } = this;
    const { ttlMs } = this.#host.settings;
    const oldest = ttlMs === 0 ? Number.NEGATIVE_INFINITY : this.#host.now() - ttlMs;
    const seen = this.queue.shardsOf(this.#inFlight);
    const tenant = this.#tenantOf(0, this.#inFlight);
    let probes = 0;
    for (let i = this.#inFlight; i < queue.length && probes < MOST_PROBES && !this.#over; i++) {
      const at = (queue.head + i) & queue.mask;
      const shard = queue.shard[at]!;
      if (queue.skip[at] === SETTLED || seen.has(shard)) continue;
      seen.add(shard);
      if (queue.skip[at] !== LIVE || this.#refusals.isSuspect(this.queue.seriesKey(i))) continue;
      // That another tenant is let in says nothing of this one.
      if (this.#tenantOf(i, 1) !== tenant) continue;
      if (this.#silent.has(shard) || (queue.kind[at] !== METADATA && queue.timeMs(at) < oldest)) continue;
      if (!canGoAlone(queue, at, version)) continue;
      probes++;
      const body = this.#build(i, 1, version);
      const answer = await this.#send(i, 1, this.#alone.count(queue, i, 1), body, version);
      if (answer === undefined) return false;
      const { decision } = answer;
      const settled = decision.action === 'settle';
      if (settled && missingRows(decision) === 0) {
        this.#settleBeforeTurn(i);
        return true;
      }
      if (!settled && decision.action !== 'reject') {
        if (decision.maybeDelivered && queue.resent[at] !== UNKNOWN) this.queue.note(UNKNOWN, i, 1);
        return false;
      }
      this.queue.note(REFUSED, i, 1);
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
    const host = this.#host;
    if (this.#known.length === 0 || this.#over) return false;
    host.limit?.take(1, this.#known.length);
    const { signal } = this.#abort;
    const traits = { version: this.#knownVersion, tenant: this.#knownTenant };
    const outcome = await host.destination.post(this.#known, this.attempts, signal, traits);
    if (outcome.kind !== 'response') return false;
    host.stats.add('requests', 1);
    host.stats.add('bytesSent', this.#known.length);
    host.stats.add('resentRows', 1);
    if (outcome.status >= 300) return false;
    if (traits.version === '2.0' && (outcome.written === undefined || writtenRows(outcome.written) === 0))
      return false;
    host.evidence.take(this.#knownTenant);
    return true;
  }

  /** Keeps the last row of a request that was taken, for `#takesKnown`. */
  #remember(rows: number, version: WireVersion): void {
    const { queue } = this;
    for (let i = rows - 1; i >= 0; i--) {
      const at = (queue.head + i) & queue.mask;
      if (queue.skip[at] !== LIVE || queue.kind[at] !== SAMPLE) continue;
      this.#known = this.#build(i, 1, version).slice();
      this.#knownVersion = version;
      this.#knownTenant = this.#turns === undefined ? '' : tenantOfRow(queue, i);
      return;
    }
  }

  /** Rows of the request were not written, by its answer: counted when it is settled (RLY-12). */
  async #lacks(missing: Missing, cause: string): Promise<void> {
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
      const letters = lettersOf(queue, rows, (i) => this.#build(i, 1, '1.0'));
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

  #build(from: number, rows: number, version: WireVersion): Uint8Array {
    // Emission needs room for the worst case. One such buffer serves all loops; what a loop keeps fits its body.
    const { bytes } = this.#emit(from, rows, version);
    if (this.#body.length < bytes.length) this.#body = new Uint8Array(bytes.length + (bytes.length >> 2));
    this.#body.set(bytes);
    return this.#body.subarray(0, bytes.length);
  }

  #emit(from: number, rows: number, version: WireVersion): EmittedBody {
    const { queue } = this;
    const { scratch, v2 } = this.#host;
    const first = (queue.head + from) & queue.mask;
    if (queue.isMetadata(from, rows)) return this.#emitter.emitMetadata(queue, first, rows, scratch);
    const { dictionary, metadataOf = noMetadata } = queue.contextAt(from);
    return v2 !== undefined && version === '2.0'
      ? v2.emitter.emitV2(queue, first, rows, dictionary, metadataOf, scratch)
      : this.#emitter.emit(queue, first, rows, dictionary, scratch);
  }

  /** Marks the first rows that are past their TTL, or to be dropped, to be left out; true when there were new ones. */
  #leaveOut(rows: number): boolean {
    const { queue } = this;
    const { ttlMs } = this.#host.settings;
    const dropped = Math.min(rows, queue.rowsBefore(this.#drop.segment));
    let found = false;
    for (let i = 0; i < dropped; i++) {
      const at = (queue.head + i) & queue.mask;
      if (queue.skip[at] !== LIVE) continue;
      queue.skip[at] = this.#drop.skip;
      found = true;
    }
    if (ttlMs === 0) return found;
    const oldest = this.#host.now() - ttlMs;
    const expired = lostFor('expired');
    for (let i = dropped; i < rows; i++) {
      const at = (queue.head + i) & queue.mask;
      if (queue.skip[at] !== LIVE || queue.kind[at] === METADATA) continue;
      if (queue.timeMs(at) >= oldest) continue;
      queue.skip[at] = expired;
      found = true;
    }
    return found;
  }

  /** Counts rows as what became of them; those that are live were delivered. */
  #count(from: number, rows: number, { live, kinds, newestMs }: RowTally, not?: Missing): void {
    const { stats } = this.#host;
    const { head, mask, skip, kind } = this.queue;
    for (let i = head + from; i < head + from + rows && live < rows; i++) {
      const left = skip[i & mask]!;
      if (left !== LIVE && left !== SETTLED) stats.addLost(reasonOf(left), kind[i & mask]!, 1);
    }
    for (let k = 0; k < KINDS; k++) {
      const lost = not?.missing[k] ?? 0;
      if (kinds[k]! > lost) stats.addDelivered(k, kinds[k]! - lost);
      if (not !== undefined && lost > 0) stats.addLost(not.reason, k, lost);
    }
    if (live === 0) return;
    if (newestMs > stats.get('highestSentMs')) stats.set('highestSentMs', newestMs);
    stats.observeDelay(Math.max(0, this.#host.now() - this.#host.committedMs(this)) / 1000, live);
  }
}

/** What says nothing about other tenants: the door is shut to this one, it has sent too much, or all of it is refused. */
const ofTenant: ReadonlySet<RetryCause | HoldCause> = new Set(['401', '403', '404', '407', '429', 'refused']);

function isOfTenant({ cause }: Exclude<LoopFailure, { action: 'reject' }>): boolean {
  return ofTenant.has(cause);
}

function missingRows({ missing }: Extract<Decision, { action: 'settle' }>): number {
  return missing === undefined ? 0 : missing.reduce((sum, rows) => sum + rows, 0);
}

type Missing = Extract<Decision, { action: 'settle'; missing: Uint32Array }>;

const noMetadata = (): undefined => undefined;

interface Answered {
  readonly outcome: Outcome;
  readonly decision: Decision;
  /** The status, or the code of what went wrong. */
  readonly cause: string;
  readonly words: string;
}
