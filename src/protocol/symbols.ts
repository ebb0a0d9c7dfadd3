import { isUtf8 } from 'node:buffer';
import { room } from '../serialization/columns.ts';
import { type Dictionary, INVALID } from '../serialization/dictionary.ts';

/** Room that is kept from request to request, in symbols. */
const KEPT = 1 << 16;
/** In place of a string: the symbol is not UTF-8, or too long. */
const NO_TEXT = 0xffffffff;

/**
 * The symbols of a remote write 2.0 request: where each stands in the body, and what the dictionary of the segment has
 * for it. One table serves all requests, one after the other.
 *
 * A label is two refs. Which pair of the dictionary it is gets looked up once a request, and is kept with the symbol
 * of the value: a value seldom comes with two names, and then it is looked up again.
 */
export class Symbols {
  count = 0;
  /** Symbol `i` is `raw[at[i], end[i])`. */
  at: Uint32Array = new Uint32Array(1024);
  end: Uint32Array = new Uint32Array(1024);
  /** Of each symbol as a value: the ref of the name that it came with last, plus one, and the pair that they are. */
  nameOfValue: Uint32Array = new Uint32Array(1024);
  pairOfValue: Int32Array = new Int32Array(1024);
  /** The string of the dictionary, plus one; 0 while it is not known, `NO_TEXT` when there is none. */
  #strings: Uint32Array = new Uint32Array(1024);

  /** Begins with a request. */
  clear(): void {
    if (this.at.length > KEPT && this.count < this.at.length / 8) {
      this.at = new Uint32Array(KEPT);
      this.end = new Uint32Array(KEPT);
      this.nameOfValue = new Uint32Array(0);
      this.pairOfValue = new Int32Array(0);
      this.#strings = new Uint32Array(0);
    }
    this.count = 0;
  }

  add(at: number, end: number): void {
    const id = this.count++;
    if (id === this.at.length) {
      this.at = room(this.at, id + 1);
      this.end = room(this.end, id + 1);
    }
    this.at[id] = at;
    this.end[id] = end;
  }

  /** Begins with a request whose symbols stand here, as addresses; its body is at `base`. Nothing is known of any. */
  load(at: Uint32Array, end: Uint32Array, base: number): void {
    this.clear();
    const count = at.length;
    const begins = room(this.at, count);
    const ends = room(this.end, count);
    for (let i = 0; i < count; i++) {
      begins[i] = at[i]! - base;
      ends[i] = end[i]! - base;
    }
    this.at = begins;
    this.end = ends;
    this.count = count;
    this.finish();
  }

  /** All are added: nothing is known of any. */
  finish(): void {
    const { count } = this;
    if (this.nameOfValue.length < count) {
      this.nameOfValue = new Uint32Array(this.at.length);
      this.pairOfValue = new Int32Array(this.at.length);
      this.#strings = new Uint32Array(this.at.length);
    } else {
      this.nameOfValue.fill(0, 0, count);
      this.#strings.fill(0, 0, count);
    }
  }

  /**
   * The pair of the label with these refs, which must be within the table, or `ABSENT` or `INVALID` as
   * `Dictionary.internLabel` has it. `expected` is the pair that it probably is, or -1: bytes are compared faster than
   * hashed.
   */
  pair(
    name: number,
    value: number,
    expected: number,
    raw: Uint8Array,
    view: DataView,
    dictionary: Dictionary,
  ): number {
    const nameAt = this.at[name]!;
    const nameEnd = this.end[name]!;
    const valueAt = this.at[value]!;
    const valueEnd = this.end[value]!;
    const pair =
      expected >= 0 && dictionary.isLabel(expected, raw, nameAt, nameEnd, valueAt, valueEnd)
        ? expected
        : dictionary.internLabel(raw, view, nameAt, nameEnd, valueAt, valueEnd);
    if (pair === INVALID) return INVALID;
    this.nameOfValue[value] = name + 1;
    this.pairOfValue[value] = pair;
    return pair;
  }

  /**
   * The string of the dictionary with the text of this symbol, or -1 when it is not UTF-8 or has more than `most`
   * bytes, which are the same for all of a request. Ref 0 is no text.
   */
  string(ref: number, raw: Uint8Array, view: DataView, dictionary: Dictionary, most: number): number {
    if (ref === 0) return 0;
    const known = this.#strings[ref]!;
    if (known === NO_TEXT) return -1;
    if (known > 0) return known - 1;
    const at = this.at[ref]!;
    const end = this.end[ref]!;
    if (end - at > most || !isUtf8(raw.subarray(at, end))) {
      this.#strings[ref] = NO_TEXT;
      return -1;
    }
    const string = dictionary.internString(raw, at, end, view);
    this.#strings[ref] = string + 1;
    return string;
  }
}
