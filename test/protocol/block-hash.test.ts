import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as layout from '../../src/protocol/assembly/layout.ts';
import { instantiateWasm, type WasmMemory } from '../../src/protocol/wasm-module.ts';
import { Random } from '../support/random.ts';

/*
 * The hash by which the WebAssembly kernel knows series again: what it takes for the same block goes to the same
 * series, so a half of it alone must already tell apart what senders write.
 */

const wasm = instantiateWasm<{
  memory: WasmMemory;
  hashBlock(start: number, length: number): void;
  hash0: { value: bigint };
  hash1: { value: bigint };
}>('ingest');
wasm.memory.grow(4);
const bytes = new Uint8Array(wasm.memory.buffer);
const keys = bytes.subarray(layout.KEYS, layout.KEYS + layout.KEY_BYTES);
const START = 65536;

function hash(block: Uint8Array, start = START): readonly [bigint, bigint] {
  bytes.set(block, start);
  wasm.hashBlock(start, block.length);
  return [BigInt.asUintN(64, wasm.hash0.value), BigInt.asUintN(64, wasm.hash1.value)];
}

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;

/** The same from its description: two sums of products of keyed words, in four lanes each. */
function plainHash(block: Uint8Array): readonly [bigint, bigint] {
  const key = new DataView(keys.buffer, keys.byteOffset, keys.length);
  const keyed = (word: number, at: number): bigint => BigInt((word + key.getUint32(at, true)) >>> 0);
  const lanes = [0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n];
  const stripes = Math.max(1, Math.ceil(block.length / 64));
  const padded = new Uint8Array(64 * stripes);
  padded.set(block);
  const view = new DataView(padded.buffer);
  for (let stripe = 0; stripe < stripes; stripe++) {
    if (stripe > 0 && stripe % 16 === 0) {
      for (let i = 0; i < 8; i++) {
        const at = 2048 + 16 * [0, 1, 1, 0][i >> 1]! + 8 * (i & 1);
        lanes[i] = u64((lanes[i]! ^ (lanes[i]! >> 47n) ^ key.getBigUint64(at, true)) * P1);
      }
    }
    const word = (i: number): number => view.getUint32(64 * stripe + 4 * i, true);
    const keyAt = 128 * (stripe % 16);
    for (const [lane, pairs, from] of [
      [0, [0, 4, 8, 12], 0],
      [4, [0, 8, 4, 12], 64],
    ] as const) {
      for (let half = 0; half < 2; half++) {
        for (let i = 0; i < 4; i++) {
          const x = keyed(word(pairs[2 * half]! + i), keyAt + from + 32 * half + 4 * i);
          const y = keyed(word(pairs[2 * half + 1]! + i), keyAt + from + 32 * half + 16 + 4 * i);
          lanes[lane + i] = u64(lanes[lane + i]! + x * y);
        }
      }
    }
  }
  const mix = (low: bigint, high: bigint, prime: bigint): bigint => {
    const product = u64(low * prime);
    let h = u64((product << 31n) | (product >> 33n)) ^ high;
    h = u64(h * P3);
    h ^= h >> 29n;
    h = u64(h * prime);
    return h ^ (h >> 32n);
  };
  const sum = (a: number, b: number): bigint => u64(lanes[a]! + lanes[b]!);
  return [mix(sum(0, 2), sum(1, 3), P1), mix(sum(4, 6), sum(5, 7), P2)];
}

test('is what its description says, of any length, wherever the block stands and whatever is behind it', (t) => {
  const random = Random.of(t);
  const fill = (into: Uint8Array): Uint8Array => into.map(() => random.int(0, 256));
  keys.set(fill(new Uint8Array(layout.KEY_BYTES)));
  const lengths = [...Array(200).keys(), 1023, 1024, 1025, 1088, 2047, 2048, 2049, 5000];
  for (const length of lengths) {
    const block = fill(new Uint8Array(length));
    const expected = plainHash(block);
    for (let i = 0; i < 3; i++) {
      const start = START + random.int(0, 64);
      bytes.set(fill(new Uint8Array(64)), start + length);
      assert.deepEqual(hash(block, start), expected, `of ${length} bytes`);
    }
  }
});

test('each half alone tells apart blocks that differ little', (t) => {
  const random = Random.of(t);
  keys.set(keys.map(() => random.int(0, 256)));
  for (const length of [20, 60, 64, 70, 128, 394]) {
    const base = new Uint8Array(length).map(() => random.int(32, 127));
    const halves: [Set<bigint>, Set<bigint>] = [new Set(), new Set()];
    let blocks = 0;
    const add = (block: Uint8Array): void => {
      const [first, second] = hash(block);
      halves[0].add(first);
      halves[1].add(second);
      blocks++;
    };
    add(base);
    for (let at = 0; at < length; at++) {
      for (let bit = 0; bit < 8; bit++) add(base.with(at, base[at]! ^ (1 << bit)));
    }
    // Digits that change in step, and against one another, in two places: the sums of the bytes stay the same.
    for (let n = 0; n < 1000; n++) {
      const from = random.int(0, length - 4);
      const to = random.int(0, length - 4);
      if (Math.abs(from - to) < 4) continue;
      const [low, high] = [200 + (n & 31), 232 + (n >>> 5)];
      for (const [a, b] of [
        [low, high],
        [high, low],
      ] as const) {
        add(base.with(from, a).with(to, b));
      }
    }
    for (const half of halves) assert.ok(half.size >= blocks - 2, `${blocks - half.size} collisions`);
  }
});
