import { SpillwayError } from '../runtime/errors.ts';

/** A protobuf message that breaks the encoding (WIRE-07). The request it came in is refused whole. */
export class MalformedError extends SpillwayError {
  readonly code = 'PROTOBUF_MALFORMED';
}

/**
 * A cursor over protobuf fields, for the paths that are not hot.
 *
 * It reads within `[at, end)` and never outside of it. Varints are read as unsigned 32-bit numbers, or as two
 * halves where the field is 64 bits wide. Unknown fields of every wire type are skipped (WIRE-03); groups,
 * wire types 6 and 7, field number 0, and lengths past the end are malformed (WIRE-07).
 */
export class ProtoReader {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;
  /** High half of the last `varint64`. */
  high = 0;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  /** Reads a varint of up to ten bytes; returns its low half, leaves the high one in `high`. */
  varint64(): number {
    let lo = 0;
    let hi = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= this.end) throw new MalformedError('a number is cut short', { offset: this.at });
      const b = this.bytes[this.at++]!;
      const bits = b & 0x7f;
      if (shift < 28) lo |= bits << shift;
      else if (shift === 28) {
        lo |= bits << 28;
        hi |= bits >>> 4;
      } else if (shift < 63) hi |= bits << (shift - 32);
      else hi |= (bits & 1) << 31;
      if (b < 0x80) {
        this.high = hi;
        return lo;
      }
    }
    throw new MalformedError('a number has more than ten bytes', { offset: this.at });
  }

  /** Reads a tag or a length: a varint of up to five bytes and 32 bits, as the decoders of Google take it. */
  varint32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (this.at >= this.end) throw new MalformedError('a number is cut short', { offset: this.at });
      const b = this.bytes[this.at++]!;
      value |= (b & 0x7f) << shift;
      if (b < 0x80 && (shift < 28 || b < 0x10)) return value >>> 0;
      if (b < 0x80) break;
    }
    throw new MalformedError('a tag or a length has more than 32 bits', { offset: this.at });
  }

  /** The next tag, as `field << 3 | wire type`. */
  tag(): number {
    const tag = this.varint32();
    if (tag >>> 3 === 0) throw new MalformedError('a field has the number 0', { offset: this.at });
    return tag;
  }

  /** Reads a length and checks that so many bytes are there; the cursor stands at the first of them. */
  length(): number {
    const length = this.varint32();
    if (length > this.end - this.at) {
      throw new MalformedError('a field reaches past the end of its message', { offset: this.at });
    }
    return length;
  }

  /** Skips `count` bytes. */
  skipBytes(count: number): void {
    if (count > this.end - this.at) throw new MalformedError('a field is cut short', { offset: this.at });
    this.at += count;
  }

  /** Skips the value of a field with this tag. */
  skip(tag: number): void {
    switch (tag & 7) {
      case 0:
        this.varint64();
        return;
      case 1:
        this.skipBytes(8);
        return;
      case 2:
        this.skipBytes(this.length());
        return;
      case 5:
        this.skipBytes(4);
        return;
      default:
        throw new MalformedError(`wire type ${tag & 7} is not used in proto3`, { offset: this.at });
    }
  }
}
