import type { EmittedBody, Emitter } from '../protocol/emit-v1.ts';
import { type Decision, decide } from './decisions.ts';
import { answerOf, type Outcome } from './destination.ts';
import type { Loop } from './loop.ts';
import type { LoopHost } from './loop-host.ts';
import { missingRows } from './partial-letter.ts';
import { FRESH, type RowQueue, UNKNOWN } from './row-queue.ts';
import type { RowTally } from './row-tally.ts';
import { tenantOfRow } from './tenant-turns.ts';
import type { WireVersion } from './version.ts';

/** What came of a request. */
export interface Answered {
  readonly outcome: Exclude<Outcome, { kind: 'aborted' }>;
  readonly decision: Decision;
  /** The status, or the code of what went wrong. */
  readonly cause: string;
  readonly words: string;
}

/** Builds the requests of a loop from rows of its queue, and sends them: one at a time, each once. */
export class LoopRequests {
  readonly #loop: Loop;
  readonly #queue: RowQueue;
  readonly #host: LoopHost;
  readonly #emitter: Emitter;
  readonly #abort: AbortController = new AbortController();
  /** The body that was built last. */
  #body: Uint8Array = new Uint8Array(0);

  /** The emitter may be shared between loops of a thread: bodies are built in one go. */
  constructor(loop: Loop, host: LoopHost, emitter: Emitter) {
    this.#loop = loop;
    this.#queue = loop.queue;
    this.#host = host;
    this.#emitter = emitter;
  }

  /** Cuts the request that is on its way, and each one from now on. */
  abort(): void {
    this.#abort.abort();
  }

  /** The tenant of a request with these rows; empty for none. */
  tenantOf(from: number, rows: number): string {
    if (this.#host.settings.tenants !== true) return '';
    return tenantOfRow(this.#queue, from === 0 ? this.#queue.firstLive(rows) : from);
  }

  /** The body of a request with `rows` rows from row `from` on; valid until the next one is built. */
  build(from: number, rows: number, version: WireVersion): Uint8Array {
    // Emission needs room for the worst case. One such buffer serves all loops; what a loop keeps fits its body.
    const { bytes } = this.#emit(from, rows, version);
    if (this.#body.length < bytes.length) this.#body = new Uint8Array(bytes.length + (bytes.length >> 2));
    this.#body.set(bytes);
    return this.#body.subarray(0, bytes.length);
  }

  /** Sends `rows` rows from row `from` on, of which `tally` tells, as one request, once. Undefined when it was cut. */
  async send(
    from: number,
    rows: number,
    tally: RowTally,
    body: Uint8Array,
    version: WireVersion,
  ): Promise<Answered | undefined> {
    const host = this.#host;
    const loop = this.#loop;
    const queue = this.#queue;
    const { stats } = host;
    const metadata = queue.isMetadata(from, rows) === true;
    const known = queue.resent[(queue.head + from) & queue.mask]!;
    const { live } = tally;
    host.leaving(loop, from, rows, tally);
    host.limit?.take(live, body.length);
    const started = performance.now();
    const tenant = this.tenantOf(from, rows);
    const outcome = await host.destination.post(body, loop.attempts, this.#abort.signal, { version, tenant });
    if (outcome.kind === 'aborted') return undefined;
    const seconds = (performance.now() - started) / 1000;
    loop.busySeconds += seconds;
    stats.observeRequest(seconds);
    stats.add('requests', 1);
    stats.add('bytesSent', body.length);
    if (metadata) stats.add('metadataBytesSent', body.length);
    if (known !== FRESH) stats.add('resentRows', live);
    const sent = { attempt: loop.attempts, resent: known === UNKNOWN, version, kinds: tally.kinds };
    const decision = decide(outcome, sent, host.settings, host.random(), host.now());
    if (decision.action === 'settle' && missingRows(decision) < live) host.evidence.take(tenant);
    return { outcome, decision, cause: answerOf(outcome), words: outcome.words };
  }

  /** Sends one row that was taken once more; undefined when there was no answer. */
  async sendKnown(body: Uint8Array, version: WireVersion, tenant: string): Promise<Outcome | undefined> {
    const { limit, destination, stats } = this.#host;
    limit?.take(1, body.length);
    const outcome = await destination.post(body, this.#loop.attempts, this.#abort.signal, {
      version,
      tenant,
    });
    if (outcome.kind !== 'response') return undefined;
    stats.add('requests', 1);
    stats.add('bytesSent', body.length);
    stats.add('resentRows', 1);
    return outcome;
  }

  #emit(from: number, rows: number, version: WireVersion): EmittedBody {
    const queue = this.#queue;
    const { scratch, v2 } = this.#host;
    const first = (queue.head + from) & queue.mask;
    if (queue.isMetadata(from, rows)) return this.#emitter.emitMetadata(queue, first, rows, scratch);
    const { dictionary, metadataOf = noMetadata } = queue.contextAt(from);
    return v2 !== undefined && version === '2.0'
      ? v2.emitter.emitV2(queue, first, rows, dictionary, metadataOf, scratch)
      : this.#emitter.emit(queue, first, rows, dictionary, scratch);
  }
}

const noMetadata = (): undefined => undefined;
