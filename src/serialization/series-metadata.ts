import { room } from './columns.ts';

/** Words a series: type, help and unit, of which the last two are strings of the dictionary. */
const WORDS = 3;

/**
 * The metadata that is stored for each series of the segment. Remote write 2.0 says it with every sample; it becomes a
 * row when it is new or another one (RLY-04), so that it costs a segment one row a series and a comparison a request.
 *
 * What is said and then rolled back was not said: `mark` before a request, `rollback` when none of it is kept.
 */
export class SeriesMetadata {
  #stored: Uint32Array = new Uint32Array(0);
  /** Series above have never had any. */
  #series = 0;
  /** What the request at hand has replaced: series, type, help and unit, so often. */
  #replaced: number[] = [];
  /** Is told of each change but `clear`: for who keeps a copy. */
  watcher: ((series: number, type: number, help: number, unit: number) => void) | undefined;

  get contentBytes(): number {
    return 4 * WORDS * this.#series;
  }

  /** True when something may have been said of the series: it was, of it or of one with a larger id. */
  hasSome(series: number): boolean {
    return series < this.#series;
  }

  /** True when this is what was said last of the series; at first that is nothing: type 0 and empty texts. */
  isKnown(series: number, type: number, help: number, unit: number): boolean {
    if (series >= this.#series) return (type | help | unit) === 0;
    const at = WORDS * series;
    const stored = this.#stored;
    return stored[at] === type && stored[at + 1] === help && stored[at + 2] === unit;
  }

  /** All that is stored: type, help and unit of series 0, of series 1, ...; a view. */
  get words(): Uint32Array {
    return this.#stored.subarray(0, WORDS * this.#series);
  }

  set(series: number, type: number, help: number, unit: number): void {
    const at = WORDS * series;
    this.#stored = room(this.#stored, at + WORDS);
    this.#series = Math.max(this.#series, series + 1);
    const stored = this.#stored;
    this.#replaced.push(series, stored[at]!, stored[at + 1]!, stored[at + 2]!);
    stored[at] = type;
    stored[at + 1] = help;
    stored[at + 2] = unit;
    this.watcher?.(series, type, help, unit);
  }

  /** A request begins. */
  mark(): void {
    this.#replaced = [];
  }

  /** Takes back what was set since `mark`. */
  rollback(): void {
    for (let i = this.#replaced.length - 4; i >= 0; i -= 4) {
      const [series, type, help, unit] = this.#replaced.slice(i, i + WORDS + 1) as [
        number,
        number,
        number,
        number,
      ];
      this.#stored.set([type, help, unit], WORDS * series);
      this.watcher?.(series, type, help, unit);
    }
    this.#replaced = [];
  }

  /** Forgets everything, and gives the memory back. */
  clear(): void {
    this.#stored = new Uint32Array(0);
    this.#series = 0;
    this.#replaced = [];
  }
}
