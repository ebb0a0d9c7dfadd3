import { varintSize } from './body-writer.ts';

/** Bytes of a varint of 64 bits, given as two halves. */
export function varintSize64(lo: number, hi: number): number {
  if (hi === 0) return varintSize(lo >>> 0);
  if (hi < 0) return 10;
  // 4 bits of the fifth byte come from the low half.
  const rest = (hi >>> 3) >>> 0;
  return rest === 0 ? 5 : 5 + varintSize(rest);
}

/** Writes a 64-bit varint at `outAt`; returns its end. */
export function putVarint64(dst: Uint8Array, outAt: number, lo: number, hi: number): number {
  let at = outAt;
  let l = lo >>> 0;
  let h = hi >>> 0;
  while (h !== 0 || l >= 0x80) {
    dst[at++] = (l & 0x7f) | 0x80;
    l = ((l >>> 7) | (h << 25)) >>> 0;
    h >>>= 7;
  }
  dst[at++] = l;
  return at;
}
