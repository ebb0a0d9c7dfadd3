import { wait } from '../runtime/wait.ts';

/** The wait of a loop between two attempts, which others may end. There is one at a time. */
export class Pause {
  #abort: AbortController | undefined;
  #isAsked = false;

  /** Resolves after `waitMs`, or when it is ended; `isAsked` when the endpoint has asked for it, or its share is used up. */
  async wait(waitMs: number, isAsked: boolean): Promise<void> {
    this.#isAsked = isAsked;
    this.#abort = new AbortController();
    await wait(waitMs, this.#abort.signal);
    this.#abort = undefined;
  }

  end(): void {
    this.#abort?.abort();
  }

  /** Ends it unless somebody has asked for it. */
  endUnlessAsked(): void {
    if (!this.#isAsked) this.end();
  }
}
