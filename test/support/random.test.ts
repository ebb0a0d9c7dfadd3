import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from './random.ts';

test('a seed makes the same choices again, another seed makes others', () => {
  const choices = (seed: number): number[] => {
    const random = new Random(seed);
    return Array.from({ length: 100 }, () => random.int(3, 7));
  };
  assert.deepEqual(choices(1), choices(1));
  assert.notDeepEqual(choices(1), choices(2));
  assert.deepEqual(new Set(choices(1)), new Set([3, 4, 5, 6]));
});
