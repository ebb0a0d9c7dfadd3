/**
 * MurmurHash3_x86_128 (Austin Appleby, public domain), in 32-bit arithmetic that V8 keeps in registers.
 *
 * Why this one: 128 bits, all of its multiplications are 32 bits wide (XXH64 would need BigInt here), and
 * there are published test vectors. test/protocol/murmur3.test.ts holds it to them.
 */

/** The digest of the last `murmur3` call, as four unsigned words. Valid until the next call. */
export const digest: Uint32Array = new Uint32Array(4);

/** Hashes `length` bytes from `start` of `view` with `seed`, into `digest`. */
export function murmur3(view: DataView, start: number, length: number, seed: number): void {
  let h1 = seed | 0;
  let h2 = h1;
  let h3 = h1;
  let h4 = h1;
  let p = start;
  const blocksEnd = start + (length & ~15);
  for (; p < blocksEnd; p += 16) {
    h1 ^= Math.imul(rotl(Math.imul(view.getInt32(p, true), C1), 15), C2);
    h1 = (Math.imul((rotl(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
    h2 ^= Math.imul(rotl(Math.imul(view.getInt32(p + 4, true), C2), 16), C3);
    h2 = (Math.imul((rotl(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
    h3 ^= Math.imul(rotl(Math.imul(view.getInt32(p + 8, true), C3), 17), C4);
    h3 = (Math.imul((rotl(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
    h4 ^= Math.imul(rotl(Math.imul(view.getInt32(p + 12, true), C4), 18), C1);
    h4 = (Math.imul((rotl(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  }
  const tail = length & 15;
  if (tail > 0) {
    const k1 = tailWord(view, p, tail);
    const k2 = tailWord(view, p + 4, tail - 4);
    const k3 = tailWord(view, p + 8, tail - 8);
    const k4 = tailWord(view, p + 12, tail - 12);
    if (tail > 12) h4 ^= Math.imul(rotl(Math.imul(k4, C4), 18), C1);
    if (tail > 8) h3 ^= Math.imul(rotl(Math.imul(k3, C3), 17), C4);
    if (tail > 4) h2 ^= Math.imul(rotl(Math.imul(k2, C2), 16), C3);
    h1 ^= Math.imul(rotl(Math.imul(k1, C1), 15), C2);
  }
  h1 ^= length;
  h2 ^= length;
  h3 ^= length;
  h4 ^= length;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = (h2 + h1) | 0;
  h3 = (h3 + h1) | 0;
  h4 = (h4 + h1) | 0;
  h1 = mix(h1);
  h2 = mix(h2);
  h3 = mix(h3);
  h4 = mix(h4);
  h1 = (h1 + h2 + h3 + h4) | 0;
  digest[0] = h1;
  digest[1] = h2 + h1;
  digest[2] = h3 + h1;
  digest[3] = h4 + h1;
}

const C1 = 0x239b961b;
const C2 = 0xab0e9789 | 0;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93 | 0;

/** The next word when `left` bytes are left: what is behind the last of them counts as zeros. */
function tailWord(view: DataView, at: number, left: number): number {
  if (left >= 4) return view.getInt32(at, true);
  let word = 0;
  for (let i = left - 1; i >= 0; i--) word = (word << 8) | view.getUint8(at + i);
  return word;
}

function rotl(x: number, r: number): number {
  return (x << r) | (x >>> (32 - r));
}

function mix(x: number): number {
  let h = x;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
