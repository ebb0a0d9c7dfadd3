/** How many labels are remembered; neighbouring series share most of theirs. */
const PLACES = 4096;

/** A label as texts. */
export interface LabelText {
  readonly name: string;
  readonly value: string;
}

/**
 * The texts of labels that are known by a number, such as a slot: decoding is most of what relabelling a series costs.
 * A number has one place, where the last one that had it stands.
 */
export class LabelCache {
  readonly #decode: (label: number) => LabelText;
  readonly #numbers: Int32Array = new Int32Array(PLACES).fill(-1);
  readonly #labels: LabelText[] = [];

  constructor(decode: (label: number) => LabelText) {
    this.#decode = decode;
  }

  get(label: number): LabelText {
    const place = label & (PLACES - 1);
    if (this.#numbers[place] !== label) {
      this.#labels[place] = this.#decode(label);
      this.#numbers[place] = label;
    }
    return this.#labels[place]!;
  }

  /** To be called when the numbers mean something else from now on. */
  clear(): void {
    this.#numbers.fill(-1);
    this.#labels.length = 0;
  }
}
