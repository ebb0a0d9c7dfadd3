import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { KernelFuzz } from './kernel.ts';
import { inRound } from './script.ts';

test('two thousand rounds of fuzzing; more with test/fuzz/kernel.ts', async (t) => {
  const seed = process.env.SEED === undefined ? randomInt(2 ** 31) : Number(process.env.SEED);
  t.diagnostic(`replay with SEED=${seed}`);
  const fuzz = await KernelFuzz.open(seed);
  for (let round = 0; round < 2000; round++) await inRound(fuzz, seed, round);
});
