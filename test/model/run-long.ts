import { randomInt } from 'node:crypto';
import { explore } from './run.ts';

/*
 * The model test for as long as one likes:
 *
 *     RUNS=2000 node build/test/model/run-long.js             new seeds, printed; stops at the first failure
 *     SEED=7 RUNS=2000 SIZE=100 node build/test/model/run-long.js
 *
 * A failure prints the shortest list of steps that it could find, as a line for seeds.json; with SHRINK=0 it prints
 * the one it met, at once.
 */
const runs = Number(process.env.RUNS ?? 1000);
const size = Number(process.env.SIZE ?? 60);
let seed = process.env.SEED === undefined ? randomInt(2 ** 31) : Number(process.env.SEED);

for (let done = 0; done < runs; ) {
  const round = Math.min(50, runs - done);
  const met = await explore({ runs: round, size, seed });
  done += round;
  console.log(`SEED=${seed}: ${done} of ${runs} runs, ${JSON.stringify(met)}`);
  seed = (seed + 1) % 2 ** 31;
}
