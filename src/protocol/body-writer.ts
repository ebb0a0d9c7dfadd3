import { putCopy, putFarCopy, type Scratch } from './snappy.ts';

/** How far back a short copy reaches, and how long bytes further away must be to be worth a long one. */
export const NEAR = 65535;
export const FAR_MINIMUM = 8;
/** What a literal with a tag of one byte holds. */
const LITERAL = 60;

/**
 * Writes a body as snappy elements: bytes as they are, and copies of what stands in the message already. Copies whose
 * sources follow one another become one. Positions are counted from a base that grows from body to body.
 *
 * Nothing is held against the end of the buffer here. Callers make room for the message, a tag for each 60 bytes and
 * eight bytes more, since words are written whole; and keep to copies of at least four bytes in all (`FAR_MINIMUM` from
 * further than `NEAR`): such a copy takes no more room than its bytes would, the tag of a literal behind it included.
 */
export class BodyWriter {
  /** Where the next byte of the message goes. */
  at = 0;
  #dst: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(this.#dst.buffer);
  #op = 0;
  /** Where the tag of the open literal stands, or -1. */
  #literal = -1;
  /** The copy that has not been written yet, while its length is above 0. */
  #copyOffset = 0;
  #copyLength = 0;

  /** Begins the body of a message of `rawBytes`, whose first byte is at `base`. */
  begin(out: Scratch, rawBytes: number, base: number): void {
    this.#dst = out.bytes;
    this.#view = out.view;
    this.#literal = -1;
    this.#copyLength = 0;
    this.at = base;
    this.#op = putVarint(this.#dst, 0, rawBytes);
  }

  /** Ends the body; returns its length. */
  end(): number {
    this.#flushCopy();
    this.#closeLiteral();
    return this.#op;
  }

  /** True when the pending copy would go on with the bytes at `from`. */
  extends(from: number): boolean {
    return this.#copyLength > 0 && this.at - from === this.#copyOffset;
  }

  /** Repeats `length` bytes that stand at `from` in this body. */
  copy(from: number, length: number): void {
    const offset = this.at - from;
    if (this.#copyLength > 0 && offset === this.#copyOffset) this.#copyLength += length;
    else {
      this.#flushCopy();
      this.#copyOffset = offset;
      this.#copyLength = length;
    }
    this.at += length;
  }

  putBytes(src: Uint8Array, from: number, length: number): void {
    const dst = this.#dst;
    let at = from;
    let rest = length;
    while (rest > 0) {
      const part = Math.min(rest, LITERAL);
      const to = this.#room(part);
      for (let i = 0; i < part; i++) dst[to + i] = src[at + i]!;
      at += part;
      rest -= part;
    }
  }

  /** A byte, and then a varint. */
  putHead(tag: number, length: number): void {
    const at = this.#room(1 + varintSize(length));
    this.#dst[at] = tag;
    putVarint(this.#dst, at + 1, length);
  }

  putVarint(value: number): void {
    putVarint(this.#dst, this.#room(varintSize(value)), value);
  }

  /** Three bytes. */
  putTriple(a: number, b: number, c: number): void {
    const dst = this.#dst;
    const at = this.#room(3);
    dst[at] = a;
    dst[at + 1] = b;
    dst[at + 2] = c;
  }

  /** Bytes `[from, to)` of a word of 64 bits; at least one. What is written behind them does not count. */
  putWord64(lo: number, hi: number, from: number, to: number): void {
    const view = this.#view;
    const at = this.#room(to - from);
    const shift = 8 * (from & 3);
    if (from >= 4) view.setInt32(at, hi >>> shift, true);
    else {
      // A shift by 32 is one by 0.
      view.setInt32(at, shift === 0 ? lo : (lo >>> shift) | (hi << (32 - shift)), true);
      view.setInt32(at + 4, hi >>> shift, true);
    }
  }

  /** Makes room in a literal for `length` bytes (at most 60): where they go. */
  #room(length: number): number {
    if (this.#copyLength > 0) this.#flushCopy();
    if (this.#literal < 0) this.#literal = this.#op++;
    else if (this.#op - this.#literal - 1 + length > LITERAL) {
      this.#closeLiteral();
      this.#literal = this.#op++;
    }
    const at = this.#op;
    this.#op += length;
    this.at += length;
    return at;
  }

  #flushCopy(): void {
    if (this.#copyLength === 0) return;
    this.#closeLiteral();
    // Called by their names, either can be inlined.
    this.#op =
      this.#copyOffset <= NEAR
        ? putCopy(this.#view, this.#op, this.#copyOffset, this.#copyLength)
        : putFarCopy(this.#view, this.#op, this.#copyOffset, this.#copyLength);
    this.#copyLength = 0;
  }

  #closeLiteral(): void {
    if (this.#literal < 0) return;
    this.#dst[this.#literal] = (this.#op - this.#literal - 2) << 2;
    this.#literal = -1;
  }
}

/** Bytes of a varint of 32 bits. */
export function varintSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}

/** Writes a varint of 32 bits at `start`; returns its end. */
function putVarint(dst: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) dst[at++] = (rest & 0x7f) | 0x80;
  dst[at++] = rest;
  return at;
}
