import { describeError } from '../runtime/errors.ts';
import type { DeadLetterReading } from '../telemetry/dead-letter-metrics.ts';
import { type Logger, Repetition } from '../telemetry/log.ts';
import type { DeadLetterStore, LetterCount } from './dead-letters.ts';

/** How often dead letters are looked through for those over the limits. */
const TRIM_EVERY_MS = 60_000;
const none = { letters: 0, resent: 0, purged: 0, maxRows: 0, maxAge: 0, failed: 0 };

/** Keeps the dead letters within their limits, and counts them; where they cannot be used, nothing else suffers. */
export class LetterWatch {
  readonly #store: () => DeadLetterStore | undefined;
  readonly #configured: () => readonly string[];
  readonly #logger: Logger;
  readonly #repetition: Repetition = new Repetition(Date.now);
  #timer: NodeJS.Timeout | undefined;

  /** `store` gives undefined while the ledger is not open; `configured` are the endpoints that have counts at once. */
  constructor(store: () => DeadLetterStore | undefined, configured: () => readonly string[], logger: Logger) {
    this.#store = store;
    this.#configured = configured;
    this.#logger = logger;
  }

  /** Looks once a minute from now on. */
  start(): void {
    this.#timer = setInterval(() => {
      if (this.#use((letters) => letters.trim(Date.now())) !== undefined) this.#repetition.over('letters');
    }, TRIM_EVERY_MS);
  }

  /** Idempotent. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Counts by endpoint; none where the letters cannot be used. */
  read(): readonly DeadLetterReading[] {
    const known = this.#use((letters) => letters.totals());
    if (known === undefined) return [];
    const fresh = this.#configured().filter((name) => !known.some(({ endpoint }) => endpoint === name));
    return [...known, ...fresh.map((endpoint) => ({ endpoint, ...none }))];
  }

  /** By endpoint and answer; none where the letters cannot be used. Goes through all of them. */
  counts(): readonly LetterCount[] {
    return this.#use((letters) => letters.counts()) ?? [];
  }

  #use<T>(use: (letters: DeadLetterStore) => T): T | undefined {
    try {
      const store = this.#store();
      return store && use(store);
    } catch (error) {
      if (this.#repetition.tell('letters') !== undefined) {
        this.#logger.log('error', 'the dead letters cannot be counted or brought under their limits', {
          error: describeError(error),
        });
      }
      return undefined;
    }
  }
}
