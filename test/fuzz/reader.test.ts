import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { ReaderFuzz } from './reader.ts';
import { inRound } from './script.ts';

const rounds = 300;

test(`${rounds} rounds of fuzzing the reader; more with test/fuzz/reader.ts`, async (t) => {
  const seed = process.env.SEED === undefined ? randomInt(2 ** 31) : Number(process.env.SEED);
  t.diagnostic(`replay with SEED=${seed}`);
  const fuzz = await ReaderFuzz.open(seed);
  try {
    for (let round = 0; round < rounds; round++) await inRound(fuzz, seed, round);
  } finally {
    await fuzz.close();
  }
});
