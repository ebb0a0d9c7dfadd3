import { randomInt } from 'node:crypto';

/** One fuzzer: a round depends on its seed and number alone, and throws when it finds something. */
export interface Fuzz {
  round(number: number): void | Promise<void>;
  close(): void | Promise<void>;
}

/**
 * Runs rounds for SECONDS (10 by default), or with ROUND that round alone, with SEED or a new seed, which is printed.
 * Ends at the first failure.
 */
export async function runFuzz(open: (seed: number) => Promise<Fuzz>): Promise<void> {
  const { SEED, ROUND, SECONDS = '10' } = process.env;
  const seed = SEED === undefined ? randomInt(2 ** 31) : Number(SEED);
  console.log(`SEED=${seed}`);
  const fuzz = await open(seed);
  try {
    if (ROUND !== undefined) {
      await inRound(fuzz, seed, Number(ROUND));
      return;
    }
    const started = Date.now();
    let said = started;
    let rounds = 0;
    const say = (): void => {
      const seconds = (Date.now() - started) / 1000;
      console.log(`${rounds} rounds, ${Math.round(rounds / seconds)} a second`);
    };
    for (; Date.now() < started + 1000 * Number(SECONDS); rounds++) {
      await inRound(fuzz, seed, rounds);
      if (Date.now() - said < 60_000) continue;
      said = Date.now();
      say();
    }
    say();
  } finally {
    await fuzz.close();
  }
}

/** Runs a round; an error names the command that replays it. */
export async function inRound(fuzz: Fuzz, seed: number, number: number): Promise<void> {
  try {
    await fuzz.round(number);
  } catch (error) {
    throw new Error(`SEED=${seed} ROUND=${number} fails`, { cause: error });
  }
}
