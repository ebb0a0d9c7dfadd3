import { compress } from 'snappyjs';
import { answerOf, type Destination } from '../network/destination.ts';
import { lettersMessage } from '../network/letters-message.ts';
import type { RateLimit } from '../network/rate-limit.ts';
import { wait } from '../runtime/wait.ts';
import { METADATA } from '../serialization/rows.ts';
import type { EndpointStats } from '../telemetry/endpoint-stats.ts';
import type { MetadataByTenant } from './take-metadata.ts';

export interface RepeatOptions {
  /** `metadata_config.send_interval`. */
  readonly intervalMs: number;
  /** The most entries in one request. */
  readonly maxPerSend: number;
  readonly destination: Destination;
  readonly stats: EndpointStats;
  readonly limit?: RateLimit | undefined;
  /** What is to be sent now. */
  readonly due: () => MetadataByTenant;
  /** True while rows do not get through: then nothing else is tried. */
  readonly isDown: () => boolean;
  /** So many entries were not taken, for the status or network error `cause`. */
  readonly onFailure: (entries: number, cause: string, words: string) => void;
}

/**
 * Sends metadata that came with series of 2.0 senders to 1.0 endpoints once in `send_interval`, as Prometheus does with
 * that of what it scrapes: beside the rows, in requests of its own (INT-10).
 *
 * It is no rows: what is told here was on disk before, and has been told. So nothing is kept for it, nothing waits for
 * it, and what is not taken is told at the next time.
 */
export class MetadataRepeats {
  readonly #options: RepeatOptions;
  readonly #abort: AbortController = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(options: RepeatOptions) {
    this.#options = options;
  }

  /** From now on, once in the interval. */
  start(): void {
    this.#timer = setInterval(() => void this.tell(), this.#options.intervalMs);
  }

  /** Sends what is due; resolves when that is done. What is under way is not begun again. */
  tell(): Promise<void> {
    if (this.#abort.signal.aborted || (this.#running === undefined && this.#options.isDown()))
      return Promise.resolve();
    this.#running ??= this.#tell().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Sends nothing more; cuts what is under way. Idempotent. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#abort.abort();
    await this.#running;
  }

  async #tell(): Promise<void> {
    for (const [tenant, messages] of this.#options.due()) {
      if (!(await this.#tellTenant(tenant, messages))) return;
    }
  }

  /** False when it is not worth going on with other tenants. */
  async #tellTenant(tenant: string, messages: readonly Uint8Array[]): Promise<boolean> {
    const { maxPerSend, stats, onFailure } = this.#options;
    for (let at = 0; at < messages.length; at += maxPerSend) {
      const entries = messages.slice(at, at + maxPerSend);
      const outcome = await this.#send(tenant, entries);
      if (outcome === undefined || outcome.kind === 'aborted') return false;
      if (outcome.kind === 'response' && outcome.status >= 200 && outcome.status < 300) {
        stats.add('metadataRepeated', entries.length);
        continue;
      }
      const left = messages.length - at;
      stats.add('metadataRepeatsFailed', left);
      onFailure(left, answerOf(outcome), outcome.words);
      return outcome.kind === 'response' && outcome.status < 500;
    }
    return true;
  }

  /** What became of the request; undefined when there was none. */
  async #send(tenant: string, entries: readonly Uint8Array[]) {
    const { destination, stats, limit } = this.#options;
    const { signal } = this.#abort;
    for (let ms = limit?.waitMs() ?? 0; ms > 0 && !signal.aborted; ms = limit?.waitMs() ?? 0)
      await wait(ms, signal);
    if (signal.aborted) return undefined;
    const body = compress(
      lettersMessage(entries.map((content) => ({ kind: METADATA, labels: nothing, content }))),
    );
    limit?.take(entries.length, body.length);
    const started = performance.now();
    const outcome = await destination.post(body, 0, signal, { version: '1.0', tenant });
    if (outcome.kind === 'aborted') return outcome;
    stats.observeRequest((performance.now() - started) / 1000);
    stats.add('requests', 1);
    stats.add('bytesSent', body.length);
    stats.add('metadataBytesSent', body.length);
    return outcome;
  }
}

const nothing = new Uint8Array(0);
