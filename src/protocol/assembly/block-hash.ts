import { KEYS } from './layout';

/**
 * A keyed 128-bit hash of label blocks, for the table alone: it never leaves the process.
 *
 * NH (Black et al., UMAC, 1999) twice, with independent random keys and other pairs of words: for two blocks of
 * one length up to 1 KiB, whatever they are, the chance over the keys that both sums agree is at most 2^-64. The
 * sums are then mixed to 64 bits each. Longer blocks are scrambled between KiBs as XXH3 does. Blocks of different
 * lengths are told apart by their length, which the caller compares.
 *
 * Multiplying 32-bit words to 64 bits is what SIMD of WebAssembly does at full speed: a block of 394 bytes takes 50 ns
 * where MurmurHash3 in TypeScript takes 200 (measured side by side; bench/kernel.ts has the whole).
 */
export let hash0: u64 = 0;
export let hash1: u64 = 0;

const P1: u64 = 0x9e3779b185ebca87;
const P2: u64 = 0xc2b2ae3d27d4eb4f;
const P3: u64 = 0x165667b19e3779f9;

/** Hashes `[start, start + length)` into `hash0` and `hash1`. Reads up to 64 bytes behind the end. */
export function hashBlock(start: usize, length: u32): void {
  let a = i64x2.splat(0);
  let b = i64x2.splat(0);
  let c = i64x2.splat(0);
  let d = i64x2.splat(0);
  let p = start;
  let key: usize = KEYS;
  let rest = length;
  while (true) {
    let m0 = v128.load(p);
    let m1 = v128.load(p, 16);
    let m2 = v128.load(p, 32);
    let m3 = v128.load(p, 48);
    if (rest < 64) {
      m0 = v128.and(m0, headMask(rest, 0));
      m1 = v128.and(m1, headMask(rest, 16));
      m2 = v128.and(m2, headMask(rest, 32));
      m3 = v128.and(m3, headMask(rest, 48));
    }
    let x = i32x4.add(m0, v128.load(key));
    let y = i32x4.add(m1, v128.load(key, 16));
    a = i64x2.add(a, i64x2.extmul_low_i32x4_u(x, y));
    b = i64x2.add(b, i64x2.extmul_high_i32x4_u(x, y));
    x = i32x4.add(m2, v128.load(key, 32));
    y = i32x4.add(m3, v128.load(key, 48));
    a = i64x2.add(a, i64x2.extmul_low_i32x4_u(x, y));
    b = i64x2.add(b, i64x2.extmul_high_i32x4_u(x, y));
    x = i32x4.add(m0, v128.load(key, 64));
    y = i32x4.add(m2, v128.load(key, 80));
    c = i64x2.add(c, i64x2.extmul_low_i32x4_u(x, y));
    d = i64x2.add(d, i64x2.extmul_high_i32x4_u(x, y));
    x = i32x4.add(m1, v128.load(key, 96));
    y = i32x4.add(m3, v128.load(key, 112));
    c = i64x2.add(c, i64x2.extmul_low_i32x4_u(x, y));
    d = i64x2.add(d, i64x2.extmul_high_i32x4_u(x, y));
    if (rest <= 64) break;
    rest -= 64;
    p += 64;
    key += 128;
    if (key == KEYS + 2048) {
      key = KEYS;
      const k0 = v128.load(KEYS + 2048);
      const k1 = v128.load(KEYS + 2064);
      a = scramble(a, k0);
      b = scramble(b, k1);
      c = scramble(c, k1);
      d = scramble(d, k0);
    }
  }
  a = i64x2.add(a, b);
  c = i64x2.add(c, d);
  hash0 = mix(i64x2.extract_lane(a, 0), i64x2.extract_lane(a, 1), P1);
  hash1 = mix(i64x2.extract_lane(c, 0), i64x2.extract_lane(c, 1), P2);
}

/** Ones for the bytes of a word at `at` that lie before `length`. */
@inline
function headMask(length: u32, at: i32): v128 {
  const indices = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const inside = <i32>length - at;
  return i8x16.gt_s(i8x16.splat(<i8>min(max(inside, 0), 16)), indices);
}

@inline
function scramble(sum: v128, key: v128): v128 {
  return i64x2.mul(v128.xor(v128.xor(sum, i64x2.shr_u(sum, 47)), key), i64x2.splat(P1));
}

@inline
function mix(low: u64, high: u64, prime: u64): u64 {
  let h = rotl<u64>(low * prime, 31) ^ high;
  h *= P3;
  h ^= h >> 29;
  h *= prime;
  return h ^ (h >> 32);
}
