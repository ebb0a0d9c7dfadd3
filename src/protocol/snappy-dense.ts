import { putCopy, putLiteral, type Scratch } from './snappy.ts';

const HASH_BITS = 14;
const MAX_OFFSET = 65535;
/** Longest copy of one element, and longest of the short form, which reaches back less than 2 KiB. */
const LONGEST = 64;
const SHORT = 11;
const SHORT_REACH = 2048;
/** Behind the first byte of a match that is longer, what it leaves is taken, and no other is looked for. */
const LONG = 8;
/** Positions that are looked at together. */
const BLOCK = 1 << 13;
/** Of `#choice`: the copy pays even while a literal is open. */
const ALWAYS = 0x80;

/**
 * A snappy compressor for short rows of binary fields, where one match hides the next and a copy costs nearly what it
 * saves: messages of 2.0 become a tenth smaller than by `SnappyCompressor`, which takes each match as it comes
 * (bench/emit.ts).
 *
 * For each position the last place with the same four bytes is looked up; then, from the end of a block back to its
 * start, what the rest costs at best is known for each position, as a literal that goes on or as a copy; and the
 * cheapest way is written.
 */
export class DenseCompressor {
  /** Where a word with this hash last stood, plus one. */
  readonly #table: Uint32Array = new Uint32Array(1 << HASH_BITS);
  /** Of each position of a block: the longest match, 0 for none, and how far back it is. */
  readonly #length: Uint8Array = new Uint8Array(BLOCK);
  readonly #offset: Uint16Array = new Uint16Array(BLOCK);
  /** Bytes from here to the end of the block, behind a byte of a literal. */
  readonly #cost: Int32Array = new Int32Array(BLOCK + LONGEST);
  /** The same behind a copy. */
  readonly #costFresh: Int32Array = new Int32Array(BLOCK + LONGEST);
  /** Length of the copy to take, with `ALWAYS` or without; 0 for a byte of a literal. */
  readonly #choice: Uint8Array = new Uint8Array(BLOCK);

  /** Compresses `src[0, length)` into `out` and returns the end of the block there. */
  compress(src: Uint8Array, srcView: DataView, length: number, out: Scratch): number {
    out.ensure(32 + length + Math.ceil(length / 6));
    const { bytes: dst, view } = out;
    let op = 0;
    let rest = length;
    for (; rest >= 0x80; rest >>>= 7) dst[op++] = (rest & 0x7f) | 0x80;
    dst[op++] = rest;
    this.#table.fill(0);
    let literal = 0;
    for (let start = 0; start < length; start += BLOCK) {
      const end = Math.min(length, start + BLOCK);
      this.#findMatches(src, srcView, start, end, length);
      this.#choose(end - start);
      const choice = this.#choice;
      const offset = this.#offset;
      for (let ip = start; ip < end; ) {
        const chosen = choice[ip - start]!;
        const copy = chosen & ~ALWAYS;
        if (copy === 0 || (literal < ip && chosen < ALWAYS)) ip++;
        else {
          if (literal < ip) op = putLiteral(src, literal, ip, dst, op);
          op = putCopy(view, op, offset[ip - start]!, copy);
          ip += copy;
          literal = ip;
        }
      }
    }
    return literal < length ? putLiteral(src, literal, length, dst, op) : op;
  }

  #findMatches(src: Uint8Array, view: DataView, start: number, end: number, length: number): void {
    const table = this.#table;
    const lengths = this.#length;
    const offsets = this.#offset;
    let lastOffset = 0;
    let last = 0;
    for (let ip = start; ip < end; ip++) {
      let match = 0;
      if (ip + 4 <= length) {
        const word = view.getInt32(ip, true);
        const slot = Math.imul(word, 0x1e35a7bd) >>> (32 - HASH_BITS);
        const candidate = table[slot]! - 1;
        table[slot] = ip + 1;
        const offset = ip - candidate;
        if (last > LONG) {
          match = last - 1;
          offsets[ip - start] = lastOffset;
        } else if (candidate >= 0 && offset <= MAX_OFFSET && view.getInt32(candidate, true) === word) {
          const most = Math.min(LONGEST, end - ip);
          // Behind the first byte of a match stands the rest of it.
          match = offset === lastOffset && last > 4 ? last - 1 : 4;
          while (match < most && src[ip + match] === src[candidate + match]) match++;
          if (match > most) match = 0;
          lastOffset = offset;
          offsets[ip - start] = offset;
        }
      }
      last = match;
      lengths[ip - start] = match;
    }
  }

  /** Fills `#choice` for the first `count` positions. */
  #choose(count: number): void {
    const lengths = this.#length;
    const offsets = this.#offset;
    const cost = this.#cost;
    const fresh = this.#costFresh;
    const choice = this.#choice;
    cost[count] = 0;
    fresh[count] = 0;
    for (let i = count - 1; i >= 0; i--) {
      const literal = cost[i + 1]! + 1;
      const length = lengths[i]!;
      if (length === 0) {
        cost[i] = literal;
        fresh[i] = literal + 1;
        choice[i] = 0;
        continue;
      }
      // What is left behind a copy costs less the longer the copy is, nearly always: no others are tried.
      let best = length;
      let copy = fresh[i + length]! + 3;
      if (offsets[i]! < SHORT_REACH) {
        const short = length < SHORT ? length : SHORT;
        const cheaper = fresh[i + short]! + 2;
        if (cheaper < copy) {
          copy = cheaper;
          best = short;
        }
      }
      if (copy <= literal) {
        cost[i] = copy;
        fresh[i] = copy;
        choice[i] = best | ALWAYS;
      } else {
        cost[i] = literal;
        fresh[i] = literal + 1 < copy ? literal + 1 : copy;
        choice[i] = copy <= literal + 1 ? best : 0;
      }
    }
  }
}
