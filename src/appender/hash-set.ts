/** What one entry takes, in words: a hash of 128 bits. */
const WORDS = 4;
const LEAST = 256;

/**
 * A set of 128-bit hashes with a bound: when `most` are in it, it is emptied before the next one. For what may be
 * forgotten, since it can be found out again.
 */
export class HashSet {
  readonly #most: number;
  /** All zero is free; the hash that is all zero is not kept. */
  #table: Uint32Array = new Uint32Array(2 * WORDS * LEAST);
  #size = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#size;
  }

  has(h0: number, h1: number, h2: number, h3: number): boolean {
    return !isFree(this.#table, this.#find(h0, h1, h2, h3));
  }

  add(h0: number, h1: number, h2: number, h3: number): void {
    if ((h0 | h1 | h2 | h3) === 0 || !isFree(this.#table, this.#find(h0, h1, h2, h3))) return;
    if (this.#size >= this.#most) {
      this.#table = new Uint32Array(2 * WORDS * LEAST);
      this.#size = 0;
    } else if (2 * WORDS * (this.#size + 1) > this.#table.length) {
      const old = this.#table;
      this.#table = new Uint32Array(2 * old.length);
      for (let at = 0; at < old.length; at += WORDS) {
        if (!isFree(old, at)) this.#put(old[at]!, old[at + 1]!, old[at + 2]!, old[at + 3]!);
      }
    }
    this.#put(h0, h1, h2, h3);
    this.#size++;
  }

  #put(h0: number, h1: number, h2: number, h3: number): void {
    const at = this.#find(h0, h1, h2, h3);
    this.#table[at] = h0;
    this.#table[at + 1] = h1;
    this.#table[at + 2] = h2;
    this.#table[at + 3] = h3;
  }

  /** Where the hash is, or the free place where it belongs. */
  #find(h0: number, h1: number, h2: number, h3: number): number {
    const table = this.#table;
    let at = (h0 * WORDS) & (table.length - 1);
    while (!isFree(table, at)) {
      if (table[at] === h0 && table[at + 1] === h1 && table[at + 2] === h2 && table[at + 3] === h3) break;
      at = (at + WORDS) & (table.length - 1);
    }
    return at;
  }
}

function isFree(table: Uint32Array, at: number): boolean {
  return (table[at]! | table[at + 1]! | table[at + 2]! | table[at + 3]!) === 0;
}
