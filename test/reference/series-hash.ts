import type { Label } from '../../src/protocol/schema.ts';

/**
 * The hash of a series, as serialization/dictionary.ts defines it, by code of its own: bigints, byte by byte.
 * Returns the first eight bytes of the digest as two words.
 */
export function seriesHash(sortedLabels: readonly Label[], tenant = ''): [lo: number, hi: number] {
  const inFront = tenant === '' ? [] : [{ name: '', value: tenant }];
  const pairs = [...inFront, ...sortedLabels].map(({ name, value }) => {
    return first8(murmur3([...Buffer.from(name), 0xff, ...Buffer.from(value)]));
  });
  const bytes = first8(murmur3(pairs.flat()));
  const words = new DataView(Uint8Array.from(bytes).buffer);
  return [words.getUint32(0, true), words.getUint32(4, true)];
}

function first8(digest: readonly number[]): number[] {
  return digest.slice(0, 8);
}

const u32 = (n: bigint): bigint => n & 0xffffffffn;
const rotate = (n: bigint, by: bigint): bigint => u32(n << by) | (n >> (32n - by));

/** MurmurHash3_x86_128 with seed 0, as its author describes it; the digest as 16 bytes. */
function murmur3(bytes: readonly number[]): number[] {
  const c = [0x239b961bn, 0xab0e9789n, 0x38b34ae5n, 0xa1e38b93n];
  const turn1 = [15n, 16n, 17n, 18n];
  const turn2 = [19n, 17n, 15n, 13n];
  const add = [0x561ccd1bn, 0x0bcaa747n, 0x96cd1c35n, 0x32ac3b17n];
  const h = [0n, 0n, 0n, 0n];
  const word = (at: number): bigint => {
    let value = 0n;
    for (let i = 3; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i] ?? 0);
    return value;
  };
  const stir = (at: number, lane: number): void => {
    const k = u32(rotate(u32(word(at + 4 * lane) * c[lane]!), turn1[lane]!) * c[(lane + 1) % 4]!);
    h[lane] = h[lane]! ^ k;
  };
  const blocks = Math.floor(bytes.length / 16);
  for (let block = 0; block < blocks; block++) {
    for (let lane = 0; lane < 4; lane++) {
      stir(16 * block, lane);
      h[lane] = u32((rotate(h[lane]!, turn2[lane]!) + h[(lane + 1) % 4]!) * 5n + add[lane]!);
    }
  }
  for (let lane = 0; lane < 4; lane++) {
    if (bytes.length % 16 > 4 * lane) stir(16 * blocks, lane);
  }
  const spread = (): void => {
    h[0] = u32(h[0]! + h[1]! + h[2]! + h[3]!);
    for (let lane = 1; lane < 4; lane++) h[lane] = u32(h[lane]! + h[0]!);
  };
  for (let lane = 0; lane < 4; lane++) h[lane] = h[lane]! ^ BigInt(bytes.length);
  spread();
  for (let lane = 0; lane < 4; lane++) {
    let x = h[lane]!;
    x = u32((x ^ (x >> 16n)) * 0x85ebca6bn);
    x = u32((x ^ (x >> 13n)) * 0xc2b2ae35n);
    h[lane] = x ^ (x >> 16n);
  }
  spread();
  return h.flatMap((x) => [0n, 8n, 16n, 24n].map((shift) => Number((x >> shift) & 0xffn)));
}
