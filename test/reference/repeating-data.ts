import { Random } from '../support/random.ts';

/**
 * `length` bytes that a compressor finds something in: noise, runs and repeats at any distance, in pieces of up to
 * `longest` bytes. Made from a seed, so that fast-check need not hold it.
 */
export function repeatingData(seed: number, length: number, longest = 400): Uint8Array {
  const random = new Random(seed);
  const out = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const size = Math.min(random.int(1, longest), length - at);
    const choice = random.int(0, 3);
    if (choice === 0 || at === 0) for (let i = 0; i < size; i++) out[at + i] = random.int(0, 256);
    else if (choice === 1) out.fill(random.int(0, 256), at, at + size);
    else out.copyWithin(at, random.int(0, at), at);
    at += size;
  }
  return out;
}
