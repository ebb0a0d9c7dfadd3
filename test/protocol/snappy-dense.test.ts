import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as snappyjs from 'snappyjs';
import { Scratch, SnappyCompressor, uncompress } from '../../src/protocol/snappy.ts';
import { DenseCompressor } from '../../src/protocol/snappy-dense.ts';
import { ExactScratch } from '../reference/exact-scratch.ts';
import { Random } from '../support/random.ts';

const compressor = new DenseCompressor();

/** Compresses, holds the block against two decoders, and returns its length. */
function compressed(bytes: Uint8Array): number {
  const out = new ExactScratch();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = compressor.compress(bytes, view, bytes.length, out);
  const block = out.bytes.slice(0, end);
  assert.equal(Buffer.compare(snappyjs.uncompress(block), bytes), 0);
  const plain = new Scratch();
  assert.equal(uncompress(block, plain, bytes.length), bytes.length);
  assert.equal(Buffer.compare(plain.bytes.subarray(0, bytes.length), bytes), 0);
  return end;
}

/** Rows of a few fields, some of which are those of the row before. */
function rows(random: Random, count: number): Uint8Array {
  const fields = Array.from({ length: 6 }, () => Buffer.alloc(random.int(1, 20), 7));
  const parts: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    for (const field of fields) {
      if (random.next() < 0.2) field[random.int(0, field.length)] = random.int(0, 256);
      parts.push(Buffer.from(field));
    }
  }
  return Uint8Array.from(Buffer.concat(parts));
}

describe('the dense compressor', () => {
  it('gives back what it took', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      fc.array(fc.constantFrom(0, 0, 0, 1), { maxLength: 2000 }).map((list) => Uint8Array.from(list)),
      fc.tuple(fc.nat(), fc.nat(300)).map(([seed, count]) => rows(new Random(seed), count)),
    );
    fc.assert(
      fc.property(bytes, (of) => void compressed(of)),
      { numRuns: 400 },
    );
  });

  it('of any length about that of its block, of nothing at all, and of bytes that do not repeat', () => {
    for (const length of [0, 1, 3, 4, 5, 8191, 8192, 8193, 8195, 8196, 16_384, 100_000]) {
      compressed(new Uint8Array(length));
      const random = new Random(length);
      compressed(Uint8Array.from({ length }, () => random.int(0, 256)));
    }
  });

  it('is smaller than the general one by a twentieth at least on rows of short fields', () => {
    const random = new Random(5);
    const bytes = rows(random, 3000);
    const general = new SnappyCompressor();
    const view = new DataView(bytes.buffer);
    assert.ok(compressed(bytes) <= 0.95 * general.compress(bytes, view, bytes.length, new Scratch()));
  });

  it('copies from 65535 bytes back, and not from further', () => {
    for (const distance of [65_534, 65_535, 65_536]) {
      const random = new Random(distance);
      const bytes = Uint8Array.from({ length: distance + 40 }, () => random.int(0, 256));
      bytes.copyWithin(distance, 0, 40);
      compressed(bytes);
    }
  });
});
