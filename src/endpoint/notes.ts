import type { EndpointConfig } from '../config/endpoints.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { DeadLetters } from '../network/dead-letter.ts';
import type { FamilyMetadata } from '../protocol/family-metadata.ts';
import { describeError } from '../runtime/errors.ts';
import { type Logger, Repetition } from '../telemetry/log.ts';
import type { WorkerStart } from './messages.ts';

export interface NotesOptions {
  /** Of the endpoint. */
  readonly name: string;
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly now: () => number;
  readonly onSaveFailed: (error: unknown) => void;
}

/** How long after a failure letters are tried to be kept once more. */
const KEEP_AGAIN_MS = 200;

/**
 * What the ledger keeps for an endpoint beside its positions: what its thread has learned, and its dead letters. Rows
 * are delivered without any of it, so what fails here is logged and stops nobody.
 */
export class EndpointNotes {
  readonly #options: NotesOptions;
  readonly #repetition: Repetition;

  constructor(options: NotesOptions) {
    this.#options = options;
    this.#repetition = new Repetition(options.now);
  }

  /** What threads before have learned, for an endpoint that may be sent remote write 2.0. */
  learned({ messageVersion, url }: EndpointConfig): Pick<WorkerStart, 'metadata' | 'fellBackMs'> {
    if (messageVersion === '1.0') return { metadata: [], fellBackMs: undefined };
    const { name, ledger } = this.#options;
    try {
      const fellBackMs = messageVersion === 'auto' ? ledger.versions.fellBackMs(name, url.text) : undefined;
      return { metadata: ledger.metadata.all(), fellBackMs };
    } catch (error) {
      this.#tell('learned', 'the metadata in the ledger cannot be read; senders will tell it again', error);
      return { metadata: [], fellBackMs: undefined };
    }
  }

  keepMetadata(families: readonly FamilyMetadata[]): void {
    const { ledger, now } = this.#options;
    this.#learn(() => ledger.metadata.save(families, now()));
  }

  /** Since when it is sent remote write 1.0, since it does not take 2.0, ms; undefined when it does. */
  keepVersion({ url }: EndpointConfig, fellBackMs: number | undefined): void {
    const { name, ledger } = this.#options;
    this.#learn(() => ledger.versions.note(name, url.text, fellBackMs));
  }

  /** Keeps letters, if that can be done. Never rejects. */
  async keepLetters(letters: DeadLetters): Promise<void> {
    const { name, ledger, onSaveFailed } = this.#options;
    const { deadLetters } = ledger;
    try {
      try {
        deadLetters.keep(name, letters);
      } catch (error) {
        // On a full disk the reserve is given up now; then there is room.
        onSaveFailed(error);
        await new Promise((resolve) => setTimeout(resolve, KEEP_AGAIN_MS));
        deadLetters.keep(name, letters);
      }
      this.#repetition.over('letters');
    } catch (error) {
      this.#tell(
        'letters',
        'dead letters cannot be kept; the rows are counted as rejected, and are gone',
        error,
      );
      deadLetters.lost(name, letters.letters.length);
    }
  }

  #learn(keep: () => void): void {
    try {
      keep();
      this.#repetition.over('learn');
    } catch (error) {
      this.#tell(
        'learn',
        'metadata cannot be kept in the ledger; after a restart it is learned again',
        error,
      );
    }
  }

  #tell(key: string, message: string, error: unknown): void {
    if (this.#repetition.tell(key) === undefined) return;
    const { name, logger } = this.#options;
    logger.log('error', message, { endpoint: name, error: describeError(error) });
  }
}
