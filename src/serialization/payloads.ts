import { Column } from './columns.ts';

/** Of a histogram: it has custom buckets, which 1.0 cannot carry (HIST-10). */
export const CUSTOM_BUCKETS = 1;

/**
 * What rows of a ring have beyond series, time and value; by index of the ring:
 *
 * - histogram: the encoded `Histogram` message less its times; its note is `CUSTOM_BUCKETS` or 0
 * - exemplar: its encoded `Label` fields
 * - metadata: its whole encoded 1.0 `MetricMetadata` message; its note is the tenant that it leaves under, a number of
 *   its dictionary's `tenants`
 *
 * All bytes stand in one buffer, in which room is made for new ones by moving together those that are still there: a
 * buffer for each row would cost more than all else that is done with the row.
 */
export class Payloads {
  /** Where those of each row begin in `bytes`, and how many they are. */
  readonly at: Uint32Array;
  readonly size: Uint32Array;
  readonly note: Uint32Array;
  /** Bytes of all rows that are there. */
  total = 0;
  #bytes: Column = new Column();

  /** For a ring of `rows` rows. */
  constructor(rows: number) {
    this.at = new Uint32Array(rows);
    this.size = new Uint32Array(rows);
    this.note = new Uint32Array(rows);
  }

  /** The bytes of all rows; valid until the next `put`. */
  get bytes(): Uint8Array {
    return this.#bytes.bytes;
  }

  /** Those of the row at `index`, as a view. */
  of(index: number): Uint8Array {
    const at = this.at[index]!;
    return this.bytes.subarray(at, at + this.size[index]!);
  }

  /** Gives `src[from, to)` to the row at `index`, which has none. */
  put(index: number, src: Uint8Array, from: number, to: number, note: number): void {
    const size = to - from;
    const column = this.#bytes;
    if (column.length + size > column.bytes.length && 2 * this.total < column.length) this.#moveTogether();
    this.at[index] = this.#bytes.length;
    this.size[index] = size;
    this.note[index] = note;
    this.total += size;
    this.#bytes.putBytes(src, from, to);
  }

  /** Takes the bytes of the row at `index`, if it has some. */
  forget(index: number): void {
    this.note[index] = 0;
    const size = this.size[index]!;
    if (size === 0) return;
    this.size[index] = 0;
    this.total -= size;
    if (this.total === 0) this.#bytes.clear();
  }

  #moveTogether(): void {
    const { at, size, bytes } = this;
    const column = new Column();
    column.reserve(2 * this.total);
    // Most of them stand one behind the other.
    let from = 0;
    let to = 0;
    for (let i = 0; i < size.length; i++) {
      if (size[i] === 0) continue;
      if (at[i] !== to) {
        column.putBytes(bytes, from, to);
        from = at[i]!;
        to = from;
      }
      at[i] = column.length + to - from;
      to += size[i]!;
    }
    column.putBytes(bytes, from, to);
    this.#bytes = column;
  }
}
