import { SpillwayError } from '../runtime/errors.ts';

/**
 * Columns: one growable byte array per field of a row, written value by value and read back in bulk.
 *
 * Numbers are LEB128 varints; signed ones are zigzag, and what changes little from row to row is stored as
 * the difference to the row before. 64-bit integers travel as two 32-bit halves (low, high) and their
 * differences wrap modulo 2^64, so every int64 survives (WIRE-10) without a BigInt. Doubles are their eight
 * bytes, little-endian, and are never looked at as numbers (WIRE-09, RW-STALE-03).
 */
export class Column {
  bytes: Uint8Array = new Uint8Array(256);
  length = 0;

  /** The bytes written so far: a view, valid until the next write. */
  get used(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** Makes room for `more` bytes. */
  reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + more));
    grown.set(this.used);
    this.bytes = grown;
  }

  /** Appends an unsigned 32-bit number. */
  putVarint(value: number): void {
    this.reserve(5);
    const bytes = this.bytes;
    let at = this.length;
    let v = value >>> 0;
    while (v >= 0x80) {
      bytes[at++] = (v & 0x7f) | 0x80;
      v >>>= 7;
    }
    bytes[at++] = v;
    this.length = at;
  }

  /** Appends eight bytes given as two 32-bit halves, little-endian. */
  putWord64(lo: number, hi: number): void {
    this.reserve(8);
    const bytes = this.bytes;
    const at = this.length;
    bytes[at] = lo;
    bytes[at + 1] = lo >>> 8;
    bytes[at + 2] = lo >>> 16;
    bytes[at + 3] = lo >>> 24;
    bytes[at + 4] = hi;
    bytes[at + 5] = hi >>> 8;
    bytes[at + 6] = hi >>> 16;
    bytes[at + 7] = hi >>> 24;
    this.length = at + 8;
  }

  /** Appends `src[start, end)`. */
  putBytes(src: Uint8Array, start: number, end: number): void {
    this.reserve(end - start);
    this.bytes.set(src.subarray(start, end), this.length);
    this.length += end - start;
  }

  /** Forgets everything, and gives the memory back when it has grown far beyond the last use. */
  clear(): void {
    if (this.bytes.length > 1 << 20 && this.length < this.bytes.length >>> 3) {
      this.bytes = new Uint8Array(this.bytes.length >>> 2);
    }
    this.length = 0;
  }
}

/** Unsigned 32-bit numbers, each as the zigzag difference to the one before. */
export class DeltaColumn extends Column {
  last = 0;

  put(value: number): void {
    const delta = (value - this.last) | 0;
    this.last = value;
    this.putVarint((delta << 1) ^ (delta >> 31));
  }

  override clear(): void {
    super.clear();
    this.last = 0;
  }
}

/** 64-bit integers as two halves, each as the zigzag difference to the one before, modulo 2^64. */
export class Delta64Column extends Column {
  lastLo = 0;
  lastHi = 0;

  put(lo: number, hi: number): void {
    const l = lo | 0;
    const h = hi | 0;
    if (l === this.lastLo && h === this.lastHi) {
      this.reserve(1);
      this.bytes[this.length++] = 0;
      return;
    }
    const dl = (l - this.lastLo) | 0;
    const borrow = l >>> 0 < this.lastLo >>> 0 ? 1 : 0;
    const dh = (h - this.lastHi - borrow) | 0;
    this.lastLo = l;
    this.lastHi = h;
    const sign = dh >> 31;
    this.#put64((dl << 1) ^ sign, ((dh << 1) | (dl >>> 31)) ^ sign);
  }

  /** Appends the number 0 `count` times. */
  putZeros(count: number): void {
    if (count <= 0) return;
    this.put(0, 0);
    this.reserve(count - 1);
    this.bytes.fill(0, this.length, this.length + count - 1);
    this.length += count - 1;
  }

  #put64(lo: number, hi: number): void {
    this.reserve(10);
    const bytes = this.bytes;
    let at = this.length;
    let l = lo >>> 0;
    let h = hi >>> 0;
    while (h !== 0 || l >= 0x80) {
      bytes[at++] = (l & 0x7f) | 0x80;
      l = ((l >>> 7) | (h << 25)) >>> 0;
      h >>>= 7;
    }
    bytes[at++] = l;
    this.length = at;
  }

  override clear(): void {
    super.clear();
    this.lastLo = 0;
    this.lastHi = 0;
  }
}

/** A column that does not hold what its frame says. The frame is damaged, or of another maker. */
export class ColumnError extends SpillwayError {
  readonly code = 'COLUMN_INVALID';
}

/** Reads `count` varints of `bytes` into `out[0, count)`. Throws `ColumnError` unless they fill it exactly. */
export function readVarints(bytes: Uint8Array, count: number, out: Uint32Array): void {
  const end = bytes.length;
  let at = 0;
  for (let i = 0; i < count; i++) {
    let b = at < end ? bytes[at++]! : 0x80;
    let v = b & 0x7f;
    for (let shift = 7; b >= 0x80; shift += 7) {
      if (at >= end || shift > 28) throw new ColumnError('a column of numbers is cut short');
      b = bytes[at++]!;
      v |= (b & 0x7f) << shift;
    }
    out[i] = v;
  }
  if (at !== end) throw new ColumnError('a column of numbers is longer than its count');
}

/** Reads what a `DeltaColumn` wrote: `count` numbers into `out[0, count)`. */
export function readDeltas(bytes: Uint8Array, count: number, out: Uint32Array): void {
  readVarints(bytes, count, out);
  let last = 0;
  for (let i = 0; i < count; i++) {
    const z = out[i]!;
    last = (last + ((z >>> 1) ^ -(z & 1))) | 0;
    out[i] = last;
  }
}

/** Reads what a `Delta64Column` wrote: `count` integers into `out[2i]` (low half) and `out[2i+1]` (high half). */
export function readDeltas64(bytes: Uint8Array, count: number, out: Int32Array): void {
  const end = bytes.length;
  let at = 0;
  let lastLo = 0;
  let lastHi = 0;
  for (let i = 0; i < count; i++) {
    if (at >= end) throw new ColumnError('a column of times is cut short');
    let b = bytes[at++]!;
    if (b !== 0) {
      let lo = b & 0x7f;
      let hi = 0;
      for (let shift = 7; b >= 0x80; shift += 7) {
        if (at >= end || shift > 63) throw new ColumnError('a column of times is cut short');
        b = bytes[at++]!;
        const bits = b & 0x7f;
        if (shift < 28) lo |= bits << shift;
        else if (shift === 28) {
          lo |= bits << 28;
          hi |= bits >>> 4;
        } else hi |= bits << (shift - 32);
      }
      const sign = -(lo & 1);
      const dl = ((lo >>> 1) | (hi << 31)) ^ sign;
      const dh = (hi >>> 1) ^ sign;
      const sum = (lastLo + dl) | 0;
      lastHi = (lastHi + dh + (sum >>> 0 < dl >>> 0 ? 1 : 0)) | 0;
      lastLo = sum;
    }
    out[2 * i] = lastLo;
    out[2 * i + 1] = lastHi;
  }
  if (at !== end) throw new ColumnError('a column of times is longer than its count');
}

/** `array`, or a copy of at least `size` elements with the same content. */
export function room(array: Uint32Array, size: number): Uint32Array {
  if (size <= array.length) return array;
  const grown = new Uint32Array(Math.max(size, array.length * 2));
  grown.set(array);
  return grown;
}
