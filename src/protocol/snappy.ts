import { SpillwayError } from '../runtime/errors.ts';

/**
 * The snappy block format (WIRE-01, WIRE-02), both ways, into buffers that are reused.
 *
 *     block   = varint(decoded length) element*
 *     element = literal: tag (len-1)<<2 | 0, or 60..63 and 1-4 length bytes, then the bytes
 *             | copy-1:  tag off[10:8]<<5 | (len-4)<<2 | 1, off[7:0]       (len 4-11, offset < 2 KiB)
 *             | copy-2:  tag (len-1)<<2 | 2, off as u16                    (len 1-64)
 *             | copy-4:  tag (len-1)<<2 | 3, off as u32                    (len 1-64)
 *
 * Bytes move four at a time through a DataView, and the output buffer has slack behind its end, so that the
 * last word of an element may overshoot. A copy of more than 64 bytes comes as a run of elements with one offset; it is
 * made as one, which nearly halves the time of a body of 1.0 (bench/kernel.ts). Four times as fast as snappyjs, no
 * allocation per call (test/protocol/snappy.test.ts holds both against snappyjs).
 */
export class SnappyError extends SpillwayError {
  readonly code = 'SNAPPY_INVALID';
}

/** Bytes that `uncompress` may scribble over behind the decoded length. */
const SLACK = 16;
const MAX_COMPRESSED_OVERHEAD = 32;

/** The tag of a copy-2 of 64 bytes: with more to copy, senders write one of those after the other. */
const LONGEST_COPY = (63 << 2) | 2;
/** Up to here a copy word by word is cheaper than the call. */
const SHORT_COPY = 48;

/** How the framed format starts: its stream identifier, `ff 06 00 00 sNaPpY`. No block can start so. */
const FRAMED = [0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59];

/** A buffer that grows to what is asked for and is kept; `view` spans `bytes`. */
export class Scratch {
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(this.bytes.buffer);

  /** Makes room for `size` bytes; what was in it is lost. */
  ensure(size: number): void {
    if (this.bytes.length >= size) return;
    // Rounded up by a quarter: a sender whose requests creep upwards must not cost an allocation each.
    this.bytes = new Uint8Array(Math.max(4096, size + (size >>> 2)));
    this.view = new DataView(this.bytes.buffer);
  }
}

/**
 * The decoded length that a block declares, in bytes, without decoding it.
 * Throws `SnappyError` for a truncated or oversized varint, and for the framed format (WIRE-01).
 */
export function declaredLength(src: Uint8Array): number {
  if (FRAMED.every((byte, i) => src[i] === byte)) {
    throw new SnappyError('the body is in the framed snappy format, not in the block format');
  }
  let value = 0;
  for (let i = 0; i < 5; i++) {
    const b = src[i];
    if (b === undefined) break;
    value += (b & 0x7f) * 2 ** (7 * i);
    if (b < 0x80) {
      if (value > 0xffffffff) break;
      return value;
    }
  }
  throw new SnappyError('the body does not start with the length of a snappy block');
}

/** The most bytes that a block of this size decodes to: three of it make at most 64 (copy-2). */
export function longestOf(src: Uint8Array): number {
  return (src.length * 64) / 3;
}

/**
 * Decodes `src` into `out` and returns the decoded length in bytes; `out.bytes` is valid up to it.
 * Throws `SnappyError` when a declared length is over `limit`, an element reaches outside the data, or the
 * decoded size differs from the declared one (WIRE-02). Nothing is allocated beyond the declared length.
 */
export function uncompress(src: Uint8Array, out: Scratch, limit: number): number {
  const total = declaredLength(src);
  if (total > limit) {
    throw new SnappyError(`the body declares ${total} decoded bytes, over the limit of ${limit}`, {
      declared: total,
      limit,
    });
  }
  // A longer claim is a lie: refuse before allocating.
  if (total > longestOf(src)) throw new SnappyError('the declared length cannot come of a body of this size');
  out.ensure(total + SLACK);
  const dst = out.bytes;
  const dstView = out.view;
  const srcView = new DataView(src.buffer, src.byteOffset, src.byteLength);
  const end = src.length;
  let ip = 1;
  while (src[ip - 1]! >= 0x80) ip++;
  let op = 0;
  while (ip < end) {
    const tag = src[ip++]!;
    let length: number;
    let offset: number;
    switch (tag & 3) {
      case 0: {
        length = (tag >>> 2) + 1;
        if (length > 60) {
          const extra = length - 60;
          if (ip + extra > end) throw new SnappyError('a literal is cut short');
          length = 0;
          for (let i = 0; i < extra; i++) length += src[ip + i]! * 2 ** (8 * i);
          length += 1;
          ip += extra;
        }
        if (length > end - ip || length > total - op) throw new SnappyError('a literal is cut short');
        if (length > 96) {
          dst.set(src.subarray(ip, ip + length), op);
        } else if (ip + length + 4 <= end) {
          for (let i = 0; i < length; i += 4) {
            dstView.setInt32(op + i, srcView.getInt32(ip + i, true), true);
          }
        } else {
          for (let i = 0; i < length; i++) dst[op + i] = src[ip + i]!;
        }
        ip += length;
        op += length;
        continue;
      }
      case 1:
        if (ip + 1 > end) throw new SnappyError('a copy is cut short');
        length = ((tag >>> 2) & 7) + 4;
        offset = ((tag & 0xe0) << 3) | src[ip]!;
        ip += 1;
        break;
      case 2:
        if (ip + 2 > end) throw new SnappyError('a copy is cut short');
        length = (tag >>> 2) + 1;
        offset = srcView.getUint16(ip, true);
        ip += 2;
        for (let last = tag; last === LONGEST_COPY && ip + 3 <= end; ip += 3) {
          last = src[ip]!;
          if ((last & 3) !== 2 || srcView.getUint16(ip + 1, true) !== offset) break;
          length += (last >>> 2) + 1;
        }
        break;
      default:
        if (ip + 4 > end) throw new SnappyError('a copy is cut short');
        length = (tag >>> 2) + 1;
        offset = srcView.getUint32(ip, true);
        ip += 4;
    }
    if (offset === 0 || offset > op) throw new SnappyError('a copy reaches before the start of the data');
    if (length > total - op) throw new SnappyError('the data is longer than declared');
    let from = op - offset;
    const to = op + length;
    if (length > SHORT_COPY && offset >= length) {
      dst.copyWithin(op, from, from + length);
      op = to;
    } else if (offset >= 4) {
      // In steps, one word after the other: right for every offset from 4 on, since a word is written before the
      // next is read.
      for (; op < to; op += 16, from += 16) {
        dstView.setInt32(op, dstView.getInt32(from, true), true);
        dstView.setInt32(op + 4, dstView.getInt32(from + 4, true), true);
        dstView.setInt32(op + 8, dstView.getInt32(from + 8, true), true);
        dstView.setInt32(op + 12, dstView.getInt32(from + 12, true), true);
      }
      op = to;
    } else {
      while (op < to) dst[op++] = dst[from++]!;
    }
  }
  if (op !== total) throw new SnappyError(`the body decodes to ${op} bytes but declares ${total}`);
  return total;
}

const HASH_BITS = 14;
const HASH_SHIFT = 32 - HASH_BITS;
/** A copy with an offset above has a longer form, and costs more than it saves. */
const MAX_OFFSET = 65535;
const MAX_MISSES = 2048;

/** Compresses into a snappy block; keeps its match table between calls. */
export class SnappyCompressor {
  /** Where a word with this hash last stood. */
  readonly #table: Uint32Array = new Uint32Array(1 << HASH_BITS);

  /**
   * Compresses `src[0, length)` into `out` from `at` on; returns the end. Makes the room it needs only when
   * `at` is 0. The C++ original starts anew every 64 KiB; here the last 64 KiB are looked at everywhere, which saves
   * some percent of large blocks.
   */
  compress(src: Uint8Array, srcView: DataView, length: number, out: Scratch, at = 0): number {
    const bound = at + MAX_COMPRESSED_OVERHEAD + length + Math.ceil(length / 6);
    if (at === 0) out.ensure(bound);
    else if (out.bytes.length < bound) throw new RangeError('no room for the compressed block');
    const dst = out.bytes;
    let op = at;
    let rest = length;
    while (rest >= 0x80) {
      dst[op++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    dst[op++] = rest;
    return this.#elements(src, srcView, length, out, op);
  }

  #elements(src: Uint8Array, view: DataView, end: number, out: Scratch, outAt: number): number {
    const { bytes: dst, view: dstView } = out;
    const table = this.#table;
    table.fill(0);
    let op = outAt;
    let literal = 0;
    let ip = 1;
    const lastMatch = end - 15;
    let misses = 32;
    while (ip < lastMatch) {
      const word = view.getInt32(ip, true);
      const slot = Math.imul(word, 0x1e35a7bd) >>> HASH_SHIFT;
      let candidate = table[slot]!;
      table[slot] = ip;
      if (view.getInt32(candidate, true) !== word || ip - candidate > MAX_OFFSET) {
        // Data that does not compress is skipped over ever faster, but not so fast that its end is missed for long.
        ip += Math.min(misses++, MAX_MISSES) >>> 5;
        continue;
      }
      misses = 32;
      if (ip > literal) op = putLiteral(src, literal, ip, dst, op);
      const offset = ip - candidate;
      let match = ip + 4;
      candidate += 4;
      while (match + 4 <= end && view.getInt32(match, true) === view.getInt32(candidate, true)) {
        match += 4;
        candidate += 4;
      }
      while (match < end && src[match] === src[candidate]) {
        match++;
        candidate++;
      }
      op = putCopy(dstView, op, offset, match - ip);
      ip = match;
      literal = ip;
      if (ip < lastMatch) {
        const before = view.getInt32(ip - 1, true);
        table[Math.imul(before, 0x1e35a7bd) >>> HASH_SHIFT] = ip - 1;
      }
    }
    return literal < end ? putLiteral(src, literal, end, dst, op) : op;
  }
}

/** Writes `src[from, to)` as a literal; returns the new end. */
export function putLiteral(
  src: Uint8Array,
  from: number,
  to: number,
  dst: Uint8Array,
  outAt: number,
): number {
  const length = to - from;
  let op = putLiteralTag(dst, outAt, length);
  if (length > 64) {
    dst.set(src.subarray(from, to), op);
    return op + length;
  }
  for (let i = from; i < to; i++) dst[op++] = src[i]!;
  return op;
}

/** Writes the tag of a literal of `length` bytes (1 to 2^32); returns where its bytes go. */
export function putLiteralTag(dst: Uint8Array, outAt: number, length: number): number {
  let op = outAt;
  const n = length - 1;
  if (n < 60) {
    dst[op++] = n << 2;
  } else if (n < 0x100) {
    dst[op++] = 60 << 2;
    dst[op++] = n;
  } else if (n < 0x10000) {
    dst[op++] = 61 << 2;
    dst[op++] = n & 0xff;
    dst[op++] = n >>> 8;
  } else {
    const large = n >= 0x1000000;
    dst[op++] = (large ? 63 : 62) << 2;
    dst[op++] = n & 0xff;
    dst[op++] = (n >>> 8) & 0xff;
    dst[op++] = (n >>> 16) & 0xff;
    if (large) dst[op++] = n >>> 24;
  }
  return op;
}

/**
 * Writes copies of `length` bytes in all from `offset` (1 to 65535) bytes back; returns the new end. An element is
 * written as one word, so up to two bytes behind the end are written too.
 */
export function putCopy(dst: DataView, outAt: number, offset: number, length: number): number {
  let op = outAt;
  let rest = length;
  const far = offset << 8;
  // As the original does: never leave a rest below 4, which would need a longer form.
  while (rest >= 68) {
    dst.setInt32(op, far | LONGEST_COPY, true);
    op += 3;
    rest -= 64;
  }
  if (rest > 64) {
    dst.setInt32(op, far | (59 << 2) | 2, true);
    op += 3;
    rest -= 60;
  }
  if (rest >= 4 && rest <= 11 && offset < 2048) {
    dst.setInt32(op, ((offset & 0xff) << 8) | ((offset >>> 8) << 5) | ((rest - 4) << 2) | 1, true);
    return op + 2;
  }
  dst.setInt32(op, far | ((rest - 1) << 2) | 2, true);
  return op + 3;
}

/** Writes copies of `length` bytes in all from `offset` (up to 2^32 - 1) bytes back; returns the new end. */
export function putFarCopy(dst: DataView, outAt: number, offset: number, length: number): number {
  let op = outAt;
  for (let rest = length; rest > 0; rest -= 64) {
    dst.setInt32(op, (offset << 8) | ((Math.min(rest, 64) - 1) << 2) | 3, true);
    dst.setUint8(op + 4, offset >>> 24);
    op += 5;
  }
  return op;
}
