import type { EmitterV1 } from '../protocol/emit-v1.ts';
import { Scratch } from '../protocol/snappy.ts';
import { wait } from '../runtime/wait.ts';
import { KINDS, METADATA } from '../serialization/rows.ts';
import type { EndpointStats } from '../telemetry/endpoint-stats.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import { type DecisionSettings, decide } from './decisions.ts';
import type { Destination } from './destination.ts';
import { RowQueue } from './row-queue.ts';

export interface LoopSettings extends DecisionSettings {
  /** Rows that a loop holds. */
  readonly capacity: number;
  readonly maxSamplesPerSend: number;
  readonly maxMetadataPerSend: number;
  /** How long a row may wait for a fuller request, ms. */
  readonly batchSendDeadlineMs: number;
  /** Rows older than this are not sent, ms; 0 is no limit. */
  readonly ttlMs: number;
}

/** What a loop needs of its surroundings. */
export interface LoopHost {
  readonly settings: LoopSettings;
  readonly destination: Destination;
  readonly stats: EndpointStats;
  now(): number;
  random(): number;
  /** The first `rows` rows of the loop are about to leave: to be noted before they do. */
  leaving(loop: Loop, rows: number): void;
  /** The first `rows` rows of the loop are settled and will be forgotten on return. */
  settled(loop: Loop, rows: number): void;
  /** The loop has room, or has nothing more to do. */
  moved(loop: Loop): void;
  /** When the row at the head of the loop was committed, ms since the epoch. */
  committedMs(loop: Loop): number;
  /** A request did not succeed; `answer` is what came of it. For the log. */
  failed(loop: Loop, failure: LoopFailure): void;
  /** A request succeeded after failures. */
  recovered(loop: Loop): void;
}

export interface LoopFailure {
  readonly action: 'retry' | 'hold' | 'reject';
  /** Short and stable, for example `5xx`. */
  readonly cause: string;
  /** The receiver's own words, or the network's. */
  readonly words: string;
  readonly waitMs: number;
  /** Rows that were refused. */
  readonly rows: number;
  readonly reason: EndpointReason | undefined;
}

/**
 * After so many refusals with nothing taken between them, it is the endpoint that does not want what we have: then
 * requests are refused whole, or a backlog would go through a row at a time.
 */
const MOST_REFUSALS = 10_000;

/**
 * One sender: a queue of rows and at most one request in flight.
 *
 *     idle -> collecting -> sending -> (waiting -> sending)* -> settled -> idle | collecting
 *
 * - collecting: rows wait for a full request, for the deadline, or for something that cannot share a request
 *   with them: metadata (INT-10), rows of another segment, rows that may have been delivered (RLY-13).
 * - sending and waiting: the same rows in the same order until they are settled (RLY-08, RW1-S-15), less those
 *   that pass their TTL before an attempt.
 *
 * When a request is refused for some of its rows, its first half is sent alone, and so on down to a single row, which
 * is refused then; from there requests grow again. A run of `k` bad rows in requests of `n` costs at most about `k + 4 log2 n`
 * requests, and no row overtakes another.
 *
 * Since a series belongs to one loop and a loop to one request, no newer row of a series can overtake an older
 * one. What is not settled when the loop is stopped stays on disk.
 */
export class Loop {
  readonly index: number;
  readonly queue: RowQueue;
  readonly #host: LoopHost;
  readonly #emitter: EmitterV1;
  readonly #body: Scratch = new Scratch();
  readonly #abort: AbortController = new AbortController();
  /** Rows of the request under way; 0 while there is none. */
  #inFlight = 0;
  /** Rows from the head that are known to fit one request; more are looked at as they come. */
  #fitting = 0;
  /** True when the row behind `#fitting` cannot share their request. */
  #cut = false;
  #collectingSince = 0;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #flushing = false;
  /** Most rows of a request. Halved when some rows of one are refused, doubled when one is taken. */
  #limit = Number.POSITIVE_INFINITY;
  /** Requests that were refused since one was taken. */
  #refusals = 0;
  /** Attempts that failed for the request under way. */
  attempts = 0;
  holding = false;
  /** Time with a request in flight, in seconds, and samples delivered by it: for the number of loops. */
  busySeconds = 0;

  /** The emitter may be shared between loops of a thread: bodies are built in one go. */
  constructor(index: number, host: LoopHost, emitter: EmitterV1) {
    this.index = index;
    this.queue = new RowQueue(host.settings.capacity);
    this.#host = host;
    this.#emitter = emitter;
  }

  /** True while a request keeps failing. */
  get failing(): boolean {
    return this.attempts > 0;
  }

  get idle(): boolean {
    return this.#inFlight === 0 && this.queue.length === 0;
  }

  /** To be called after rows were queued. */
  wake(): void {
    if (this.#inFlight > 0 || this.queue.length === 0 || this.#abort.signal.aborted) return;
    this.#extend();
    const { batchSendDeadlineMs } = this.#host.settings;
    const now = this.#host.now();
    if (this.#collectingSince === 0) this.#collectingSince = now;
    const waited = now - this.#collectingSince;
    // `waited` is negative after the clock was set back; then waiting starts anew.
    if (this.#cut || this.#flushing || waited >= batchSendDeadlineMs) {
      this.#begin();
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

  /** Cuts the request under way and forgets what is queued; resolves when nothing is running. Idempotent. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#abort.abort();
    await this.#running;
    this.queue.clear();
  }

  /** Looks at rows that came since, to see how many fit one request. */
  #extend(): void {
    const { queue } = this;
    const { settings } = this.#host;
    const first = queue.head;
    const metadata = queue.kind[first] === METADATA;
    const resent = queue.resent[first];
    const most = Math.min(this.#limit, metadata ? settings.maxMetadataPerSend : settings.maxSamplesPerSend);
    const available = Math.min(queue.length, queue.contextRows, most);
    while (this.#fitting < available) {
      const at = (first + this.#fitting) & queue.mask;
      if ((queue.kind[at] === METADATA) !== metadata || queue.resent[at] !== resent) break;
      this.#fitting++;
    }
    this.#cut = this.#fitting === most || this.#fitting < queue.length || queue.full;
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#inFlight = this.#fitting;
    this.#fitting = 0;
    this.#cut = false;
    this.#collectingSince = 0;
    // In a turn of its own: a delivery that ends without a request begins the next one before it returns.
    this.#running = Promise.resolve().then(() => this.#deliver());
  }

  async #deliver(): Promise<void> {
    const host = this.#host;
    let rows = this.#inFlight;
    const metadata = this.queue.kind[this.queue.head] === METADATA;
    let resent = this.queue.resent[this.queue.head] === 1;
    let body: Uint8Array | undefined;
    let taken = false;
    for (;;) {
      if (this.#abort.signal.aborted) return;
      if (this.#expire(rows)) body = undefined;
      if (this.#liveRows(rows) === 0) break;
      body ??= this.#build(rows, metadata);
      host.leaving(this, rows);
      const started = performance.now();
      const outcome = await host.destination.post(body, this.attempts, this.#abort.signal);
      if (outcome.kind === 'aborted') return;
      const seconds = (performance.now() - started) / 1000;
      this.busySeconds += seconds;
      host.stats.observeRequest(seconds);
      host.stats.add('requests', 1);
      host.stats.add('bytesSent', body.length);
      if (metadata) host.stats.add('metadataBytesSent', body.length);
      if (resent) host.stats.add('resentRows', this.#liveRows(rows));
      const sent = { attempt: this.attempts, resent };
      const decision = decide(outcome, sent, host.settings, host.random(), host.now());
      if (decision.action === 'settle') {
        this.#delivered(rows);
        this.#limit *= 2;
        this.#refusals = 0;
        taken = true;
        break;
      }
      const words = outcome.words;
      if (decision.action === 'reject' && decision.split && rows > 1 && this.#refusals < MOST_REFUSALS) {
        rows = Math.ceil(rows / 2);
        this.#limit = rows;
        this.#inFlight = rows;
        this.attempts = 0;
        this.holding = false;
        body = undefined;
        host.stats.add('splits', 1);
        continue;
      }
      if (decision.action === 'reject') {
        this.#refusals++;
        const refused = this.#lose(rows, decision.reason);
        const cause = outcome.kind === 'response' ? String(outcome.status) : outcome.code;
        host.failed(this, {
          action: 'reject',
          cause,
          words,
          waitMs: 0,
          rows: refused,
          reason: decision.reason,
        });
        break;
      }
      this.attempts++;
      this.holding = decision.action === 'hold';
      resent ||= decision.maybeDelivered;
      host.stats.add(this.holding ? 'holds' : 'retries', 1);
      this.#countRetried(rows);
      host.failed(this, {
        action: decision.action,
        cause: decision.cause,
        words,
        waitMs: decision.waitMs,
        rows: 0,
        reason: undefined,
      });
      await wait(decision.waitMs, this.#abort.signal);
    }
    const recovered = taken && this.attempts > 0;
    this.attempts = 0;
    this.holding = false;
    host.settled(this, rows);
    this.queue.shift(rows);
    this.#inFlight = 0;
    if (recovered) host.recovered(this);
    host.moved(this);
    this.wake();
  }

  #build(rows: number, metadata: boolean): Uint8Array {
    const { queue } = this;
    return metadata
      ? this.#emitter.emitMetadata(queue, queue.head, rows, this.#body).bytes
      : this.#emitter.emit(queue, queue.head, rows, queue.context.dictionary, this.#body).bytes;
  }

  /** Marks rows that are past their TTL to be left out; true when there were new ones. */
  #expire(rows: number): boolean {
    const { ttlMs } = this.#host.settings;
    if (ttlMs === 0) return false;
    const { queue } = this;
    const oldest = this.#host.now() - ttlMs;
    let found = false;
    for (let i = 0; i < rows; i++) {
      const at = (queue.head + i) & queue.mask;
      if (queue.skip[at] === 1 || queue.kind[at] === METADATA) continue;
      if (queue.time[2 * at + 1]! * 4294967296 + (queue.time[2 * at]! >>> 0) >= oldest) continue;
      queue.skip[at] = 1;
      found = true;
      this.#host.stats.addLost('expired', queue.kind[at]!, 1);
    }
    return found;
  }

  #liveRows(rows: number): number {
    let live = 0;
    for (let i = 0; i < rows; i++) if (this.queue.skip[(this.queue.head + i) & this.queue.mask] === 0) live++;
    return live;
  }

  #delivered(rows: number): void {
    const { queue } = this;
    const { stats } = this.#host;
    const kinds = this.#liveByKind(rows);
    let newestHi = -0x80000000;
    let newestLo = 0;
    for (let i = 0; i < rows; i++) {
      const at = (queue.head + i) & queue.mask;
      if (queue.skip[at] === 1) continue;
      const hi = queue.time[2 * at + 1]!;
      const lo = queue.time[2 * at]! >>> 0;
      if (hi > newestHi || (hi === newestHi && lo > newestLo)) {
        newestHi = hi;
        newestLo = lo;
      }
    }
    for (let kind = 0; kind < KINDS; kind++) if (kinds[kind]! > 0) stats.addDelivered(kind, kinds[kind]!);
    const newestMs = newestHi * 4294967296 + newestLo;
    if (newestMs > stats.get('highestSentMs')) stats.set('highestSentMs', newestMs);
    stats.observeDelay(Math.max(0, this.#host.now() - this.#host.committedMs(this)) / 1000, rows);
  }

  #lose(rows: number, reason: EndpointReason): number {
    const kinds = this.#liveByKind(rows);
    let sum = 0;
    for (let kind = 0; kind < KINDS; kind++) {
      this.#host.stats.addLost(reason, kind, kinds[kind]!);
      sum += kinds[kind]!;
    }
    return sum;
  }

  #countRetried(rows: number): void {
    const kinds = this.#liveByKind(rows);
    for (let kind = 0; kind < KINDS; kind++) this.#host.stats.addRetried(kind, kinds[kind]!);
  }

  #liveByKind(rows: number): number[] {
    const kinds = new Array<number>(KINDS).fill(0);
    const { queue } = this;
    for (let i = 0; i < rows; i++) {
      const at = (queue.head + i) & queue.mask;
      if (queue.skip[at] === 0) kinds[queue.kind[at]!]!++;
    }
    return kinds;
  }
}
