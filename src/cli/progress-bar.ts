import { countText, durationText } from './text.ts';

/** Where a bar is shown: standard error, in real life. */
export interface BarOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const DRAW_MS = 250;
/** The rate is that of about the last so many seconds. */
const RATE_SECONDS = 5;

/**
 * The progress of long work: done of all, rate, and how long it takes still, in a line on a terminal that is written
 * over four times a second. Elsewhere nothing: a cron job that goes well says nothing. What is done within the first
 * moment shows nothing either.
 */
export class ProgressBar {
  readonly #output: BarOutput;
  readonly #what: string;
  readonly #now: () => number;
  #total = 0;
  #done = 0;
  #shownMs = 0;
  #rate = 0;
  #rated = { done: 0, atMs: 0 };
  #isShown = false;

  /** `what` is counted, for example `rows`. */
  constructor(output: BarOutput, what: string, now: () => number = () => performance.now()) {
    this.#output = output;
    this.#what = what;
    this.#now = now;
  }

  start(total: number, done = 0): void {
    this.#total = total;
    this.#done = done;
    this.#shownMs = this.#now();
    this.#rated = { done, atMs: this.#now() };
  }

  advance(by: number): void {
    this.set(this.#done + by);
  }

  /** `note` stands behind the numbers. */
  set(done: number, note = ''): void {
    this.#done = done;
    const now = this.#now();
    if (this.#output.isTTY !== true || now - this.#shownMs < DRAW_MS) return;
    this.#shownMs = now;
    const seconds = (now - this.#rated.atMs) / 1000;
    const rate = (done - this.#rated.done) / seconds;
    const share = Math.min(1, seconds / RATE_SECONDS);
    this.#rate = this.#rate === 0 ? rate : this.#rate * (1 - share) + rate * share;
    this.#rated = { done, atMs: now };
    this.#write(this.line(note));
  }

  /** As it is shown now. */
  line(note = ''): string {
    const done = Math.min(this.#done, this.#total);
    const share = this.#total === 0 ? 1 : done / this.#total;
    const left = this.#rate > 0 ? durationText((this.#total - done) / this.#rate) : '-';
    const parts = [
      `${Math.floor(100 * share)}%`.padStart(4),
      `${countText(done)} of ${countText(this.#total)} ${this.#what}`,
      `${countText(this.#rate)}/s`,
      `ETA ${left}`,
      ...(note === '' ? [] : [note]),
    ];
    const full = Math.round(20 * share);
    return `[${'#'.repeat(full)}${'.'.repeat(20 - full)}]${parts.join('  ')}`;
  }

  /** Takes the line from the terminal, for something else to be written. */
  clear(): void {
    if (this.#isShown) this.#output.write('\r\u001b[K');
    this.#isShown = false;
  }

  end(): void {
    this.clear();
  }

  #write(line: string): void {
    this.#isShown = true;
    this.#output.write(`\r${line.slice(0, (this.#output.columns || 80) - 1)}\u001b[K`);
  }
}
