import { once } from 'node:events';

/** Lines on standard output, no faster than they are read, until nobody reads any more (`| head`). */
export class Output {
  readonly #closed = new AbortController();
  #drained: Promise<void> | undefined;

  constructor() {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      this.#closed.abort();
    });
  }

  /** Nobody reads any more: what is written then goes nowhere. */
  get closed(): boolean {
    return this.#closed.signal.aborted;
  }

  /** Aborted when nobody reads any more. */
  get signal(): AbortSignal {
    return this.#closed.signal;
  }

  /** Resolves when the next line may come. Who cannot wait may write on: the lines are kept in memory meanwhile. */
  async line(text: string): Promise<void> {
    if (this.closed || process.stdout.write(`${text}\n`)) return;
    this.#drained ??= this.#drain();
    await this.#drained;
  }

  async #drain(): Promise<void> {
    try {
      await once(process.stdout, 'drain', { signal: this.#closed.signal });
    } catch (error) {
      if (!this.closed) throw error;
    } finally {
      this.#drained = undefined;
    }
  }
}
