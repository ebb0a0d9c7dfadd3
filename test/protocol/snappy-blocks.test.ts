import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as snappyjs from 'snappyjs';
import { PlainBlocks, WasmBlocks } from '../../src/protocol/snappy-blocks.ts';
import { repeatingData } from '../reference/repeating-data.ts';

const LIMIT = 64 * 1024 * 1024;

function outcome(run: () => Uint8Array): string {
  try {
    return `bytes ${Buffer.from(run()).toString('hex')}`;
  } catch (error) {
    return `${(error as Error).constructor.name} ${(error as Error).message}`;
  }
}

describe('blocks in WebAssembly', () => {
  const wasm = new WasmBlocks();
  const plain = new PlainBlocks();

  it('are byte for byte those of the TypeScript, and what snappyjs reads, at any size in any order', () => {
    const size = fc.oneof(
      fc.nat(200),
      fc.nat(200_000),
      fc.constantFrom(0, 1, 14, 15, 16, 65535, 65536, 1 << 20),
    );
    fc.assert(
      fc.property(fc.integer(), size, (seed, length) => {
        const bytes = repeatingData(seed, length, 3000);
        const block = Buffer.from(wasm.compress(bytes));
        assert.ok(block.equals(plain.compress(bytes)), 'another block');
        assert.ok(Buffer.from(bytes).equals(new Uint8Array(snappyjs.uncompress(block))), 'another content');
        assert.ok(Buffer.from(bytes).equals(wasm.uncompress(block, LIMIT)), 'not what it was');
      }),
      { numRuns: 150 },
    );
  });

  it('take what is larger than their memory is for', () => {
    for (const length of [(1 << 20) + 1, 3 << 20]) {
      const bytes = repeatingData(length, length, 3000);
      const block = Buffer.from(wasm.compress(bytes));
      assert.ok(Buffer.from(bytes).equals(wasm.uncompress(block, LIMIT)));
      assert.ok(block.equals(plain.compress(bytes)));
    }
    // Little of which becomes much, and data that does not compress at all.
    const zeros = new Uint8Array(1 << 20);
    assert.ok(Buffer.from(zeros).equals(wasm.uncompress(Buffer.from(wasm.compress(zeros)), LIMIT)));
    const noise = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 13));
    assert.ok(noise.equals(wasm.uncompress(Buffer.from(wasm.compress(noise)), LIMIT)));
  });

  it('refuse what is broken in the same words', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.nat(3000),
        fc.nat(),
        fc.nat(255),
        fc.nat(5000),
        (seed, length, at, byte, limit) => {
          const block = Buffer.from(plain.compress(repeatingData(seed, length, 3000)));
          block[at % block.length] = byte;
          const cut = block.subarray(0, 1 + (at % block.length));
          for (const broken of [block, cut]) {
            assert.equal(
              outcome(() => wasm.uncompress(broken, limit)),
              outcome(() => plain.uncompress(broken, limit)),
            );
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
