import type { BarOutput } from './progress-bar.ts';
import { cutTo } from './text.ts';

/** One line that tells how things stand, written over and over on a terminal; elsewhere nothing. */
export class StatusLine {
  readonly #output: BarOutput;
  #isShown = false;

  constructor(output: BarOutput) {
    this.#output = output;
  }

  show(text: string): void {
    if (this.#output.isTTY !== true) return;
    this.#isShown = true;
    this.#output.write(`\r${cutTo((this.#output.columns || 80) - 1, text)}\u001b[K`);
  }

  /** Takes the line from the terminal, for something else to be written. */
  clear(): void {
    if (this.#isShown) this.#output.write('\r\u001b[K');
    this.#isShown = false;
  }
}
