import { compress } from 'snappyjs';
import { answerOf, type Destination } from '../network/destination.ts';
import { lettersMessage } from '../network/letters-message.ts';
import type { RateLimit } from '../network/rate-limit.ts';
import { wait } from '../runtime/wait.ts';
import { METADATA } from '../serialization/rows.ts';
import type { EndpointStats } from '../telemetry/endpoint-stats.ts';
import type { OutgoingMetadata } from './take-metadata.ts';

export interface RepeatOptions {
  /** `metadata_config.send_interval`. */
  readonly intervalMs: number;
  /** The most entries in one request. */
  readonly maxPerSend: number;
  readonly destination: Destination;
  readonly stats: EndpointStats;
  readonly limit?: RateLimit | undefined;
  /** What is to be sent now, those of each tenant together. */
  readonly due: () => Iterable<OutgoingMetadata>;
  /** True while rows do not get through: then nothing else is tried. */
  readonly isDown: () => boolean;
  /** These of `due` were taken. */
  readonly onTaken: (entries: readonly OutgoingMetadata[]) => void;
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
    const { maxPerSend, stats, due } = this.#options;
    let refused: string | undefined;
    for (const { tenant, entries } of requestsOf(due(), maxPerSend)) {
      const outcome = tenant === refused ? 'refused' : await this.#tellTenant(tenant, entries);
      if (outcome === 'over') return;
      if (outcome === 'taken') continue;
      stats.add('metadataRepeatsFailed', entries.length);
      refused = tenant;
    }
  }

  /** What became of a request; `over` when it is not worth going on with others, `refused` with this tenant. */
  async #tellTenant(
    tenant: string,
    entries: readonly OutgoingMetadata[],
  ): Promise<'taken' | 'refused' | 'over'> {
    const { stats, onTaken, onFailure } = this.#options;
    const outcome = await this.#send(tenant, entries);
    if (outcome === undefined || outcome.kind === 'aborted') return 'over';
    if (outcome.kind === 'response' && outcome.status >= 200 && outcome.status < 300) {
      stats.add('metadataRepeated', entries.length);
      onTaken(entries);
      return 'taken';
    }
    onFailure(entries.length, answerOf(outcome), outcome.words);
    if (outcome.kind === 'response' && outcome.status < 500) return 'refused';
    stats.add('metadataRepeatsFailed', entries.length);
    return 'over';
  }

  /** What became of the request; undefined when there was none. */
  async #send(tenant: string, entries: readonly OutgoingMetadata[]) {
    const { destination, stats, limit } = this.#options;
    const { signal } = this.#abort;
    for (let ms = limit?.waitMs() ?? 0; ms > 0 && !signal.aborted; ms = limit?.waitMs() ?? 0)
      await wait(ms, signal);
    if (signal.aborted) return undefined;
    const body = compress(
      lettersMessage(entries.map(({ message }) => ({ kind: METADATA, labels: nothing, content: message }))),
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

/** Of one request, about, before snappy: texts may be long. */
const MOST_BYTES = 1024 * 1024;
const nothing = new Uint8Array(0);

/** In requests of at most `most` entries, each of one tenant. */
function* requestsOf(
  all: Iterable<OutgoingMetadata>,
  most: number,
): Iterable<{ readonly tenant: string; readonly entries: readonly OutgoingMetadata[] }> {
  let entries: OutgoingMetadata[] = [];
  let bytes = 0;
  let of = '';
  for (const entry of all) {
    const { tenant, message } = entry;
    if (entries.length > 0 && (entries.length >= most || bytes >= MOST_BYTES || tenant !== of)) {
      yield { tenant: of, entries };
      entries = [];
      bytes = 0;
    }
    of = tenant;
    entries.push(entry);
    bytes += message.length;
  }
  if (entries.length > 0) yield { tenant: of, entries };
}
