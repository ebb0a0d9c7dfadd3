import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digest, murmur3 } from '../../src/protocol/murmur3.ts';

function hex(text: string, seed: number): string {
  const bytes = new TextEncoder().encode(`xyz${text}`);
  murmur3(new DataView(bytes.buffer), 3, bytes.length - 3, seed);
  return Array.from(digest, (w) => w.toString(16).padStart(8, '0')).join('');
}

test('the empty key and a published vector', () => {
  assert.equal(hex('', 0), '00000000000000000000000000000000');
  assert.equal(hex('I will not buy this record, it is scratched.', 0), 'a0a9683b25ac5e40d9af2895890dddf5');
});

// The check that the reference C++ (SMHasher) runs on each of its hashes.
test('SMHasher verification value: every length from 0 to 255', () => {
  const key = new Uint8Array(256);
  const hashes = new Uint8Array(256 * 16);
  for (let i = 0; i < 256; i++) {
    key[i] = i;
    murmur3(new DataView(key.buffer), 0, i, 256 - i);
    hashes.set(new Uint8Array(digest.slice().buffer), i * 16);
  }
  murmur3(new DataView(hashes.buffer), 0, hashes.length, 0);
  assert.equal(digest[0], 0xb3ece62a);
});
