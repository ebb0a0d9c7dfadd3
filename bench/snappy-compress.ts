/**
 * Snappy block compression: greedy matching through a hash table of 4-byte words, in blocks of 64 KiB, like
 * the C++ original. Makes the bodies of the workload, three times as fast as snappyjs, against which
 * self-check.ts holds it. Not `src/protocol/snappy.ts`: a yardstick must not share bugs with what it measures.
 */
const HASH_BITS = 14;
const BLOCK_BYTES = 65536;

export class SnappyCompressor {
  /** Position in the block, by hash of the word that stands there. */
  readonly #table = new Uint16Array(1 << HASH_BITS);
  #out = Buffer.alloc(0);
  #at = 0;

  /** The compressed block of `input`, in memory of its own. */
  compress(input: Buffer): Buffer {
    const worstCase = 32 + input.length + Math.ceil(input.length / 6);
    if (this.#out.length < worstCase) this.#out = Buffer.allocUnsafeSlow(worstCase);
    this.#at = 0;
    for (let rest = input.length; ; rest >>>= 7) {
      this.#out[this.#at++] = rest < 0x80 ? rest : (rest & 0x7f) | 0x80;
      if (rest < 0x80) break;
    }
    const words = new DataView(input.buffer, input.byteOffset, input.length);
    for (let start = 0; start < input.length; start += BLOCK_BYTES) {
      this.#compressBlock(input, words, start, Math.min(start + BLOCK_BYTES, input.length));
    }
    return Buffer.from(this.#out.subarray(0, this.#at));
  }

  #compressBlock(input: Buffer, words: DataView, start: number, end: number): void {
    const table = this.#table.fill(0);
    let emitted = start;
    let at = start + 1; // an empty slot means position 0, so that one can be a match but never looks for one
    let effort = 32; // every 32 misses in a row, the steps get one byte longer
    while (at + 4 <= end) {
      const word = words.getUint32(at, true);
      const slot = Math.imul(word, 0x1e35a7bd) >>> (32 - HASH_BITS);
      const match = start + table[slot]!;
      table[slot] = at - start;
      if (words.getUint32(match, true) !== word) {
        at += effort++ >>> 5;
        continue;
      }
      effort = 32;
      const length = matchLength(input, words, match, at, end);
      this.#literal(input, emitted, at);
      this.#copy(at - match, length);
      at += length;
      emitted = at;
    }
    this.#literal(input, emitted, end);
  }

  #literal(input: Buffer, from: number, to: number): void {
    const out = this.#out;
    const last = to - from - 1;
    if (last < 0) return;
    if (last < 60) {
      out[this.#at++] = last << 2;
    } else if (last < 256) {
      out[this.#at++] = 60 << 2;
      out[this.#at++] = last;
    } else {
      out[this.#at++] = 61 << 2;
      out[this.#at++] = last & 255;
      out[this.#at++] = last >>> 8;
    }
    for (let i = from; i < to; i++) out[this.#at++] = input[i]!;
  }

  #copy(offset: number, length: number): void {
    const out = this.#out;
    let rest = length;
    while (rest > 0) {
      // Leaves at least 4 bytes for the last part: the short form starts there.
      const part = rest > 64 ? Math.min(64, rest - 4) : rest;
      const short = part < 12 && offset < 2048;
      out[this.#at++] = short ? ((offset >>> 8) << 5) | ((part - 4) << 2) | 1 : ((part - 1) << 2) | 2;
      out[this.#at++] = offset & 255;
      if (!short) out[this.#at++] = offset >>> 8;
      rest -= part;
    }
  }
}

/** How many bytes from `at` on repeat those from `match` on; the first 4 are known to. */
function matchLength(input: Buffer, words: DataView, match: number, at: number, end: number): number {
  let length = 4;
  while (
    at + length + 4 <= end &&
    words.getUint32(match + length, true) === words.getUint32(at + length, true)
  ) {
    length += 4;
  }
  while (at + length < end && input[match + length] === input[at + length]) length++;
  return length;
}
