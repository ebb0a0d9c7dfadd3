/** Writes a varint at `at` and returns where it ends; `value` may exceed 32 bits (timestamps do), not 2^53. */
export function writeVarint(target: Buffer, at: number, value: number): number {
  let rest = value;
  while (rest >= 0x80) {
    target[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  target[at++] = rest;
  return at;
}
