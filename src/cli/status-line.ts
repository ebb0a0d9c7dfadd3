import type { BarOutput } from './progress-bar.ts';

const LINE_MS = 10_000;

/** One line that tells how things stand: written over on a terminal; elsewhere a line of its own every ten seconds. */
export class StatusLine {
  readonly #output: BarOutput;
  readonly #now: () => number;
  #lastMs = Number.NEGATIVE_INFINITY;
  #isShown = false;

  constructor(output: BarOutput, now: () => number = () => performance.now()) {
    this.#output = output;
    this.#now = now;
  }

  show(text: string): void {
    if (this.#output.isTTY === true) {
      this.#isShown = true;
      this.#output.write(`\r${text.slice(0, (this.#output.columns ?? 80) - 1)}\u001b[K`);
      return;
    }
    if (this.#now() - this.#lastMs < LINE_MS) return;
    this.#lastMs = this.#now();
    this.#output.write(`${text}\n`);
  }

  /** Takes the line from the terminal, for something else to be written. */
  clear(): void {
    if (this.#isShown) this.#output.write('\r\u001b[K');
    this.#isShown = false;
  }
}
