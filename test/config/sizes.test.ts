import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatSize, parseSize } from '../../src/config/sizes.ts';

describe('parseSize', () => {
  const table: readonly [text: string, bytes: number | undefined][] = [
    ['0', 0],
    ['1024', 1024],
    ['17B', 17],
    ['64KiB', 65536],
    ['64KB', 64000],
    ['32MiB', 33554432],
    ['1GB', 1e9],
    ['1GiB', 1073741824],
    ['2TiB', 2 * 1024 ** 4],
    ['', undefined],
    ['MiB', undefined],
    ['1.5MiB', undefined],
    ['-1', undefined],
    ['32 MiB', undefined],
    ['32mib', undefined],
    ['32M', undefined],
    ['1constructor', undefined],
    ['9007199254740992', undefined],
    ['9007199254740991TiB', undefined],
  ];
  for (const [text, bytes] of table) {
    it(`${JSON.stringify(text)} is ${bytes}`, () => assert.equal(parseSize(text), bytes));
  }
});

describe('formatSize', () => {
  const table: readonly [bytes: number, text: string][] = [
    [0, '0B'],
    [1, '1B'],
    [1025, '1025B'],
    [65536, '64KiB'],
    [1e9, '1GB'],
    [1073741824, '1GiB'],
  ];
  for (const [bytes, text] of table) {
    it(`${bytes} is ${text}`, () => assert.equal(formatSize(bytes), text));
  }

  it('is read back as the same number of bytes', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (bytes) => assert.equal(parseSize(formatSize(bytes)), bytes)));
  });
});
