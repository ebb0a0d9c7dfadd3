import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { projectDir } from '../support/paths.ts';
import { anyStep, type Step, take } from './steps.ts';
import type { Toy } from './toy.ts';
import { World } from './world.ts';

/**
 * A run that failed once. `seed` and `path` are what fast-check found it by, for the record; `steps` is what is
 * replayed, for they mean the same after the steps that are drawn have changed.
 */
export interface KeptRun {
  readonly bug: string;
  readonly seed: number;
  readonly path: string;
  readonly steps: readonly Step[];
}

/** The runs in seeds.json. */
export function keptRuns(): KeptRun[] {
  return JSON.parse(readFileSync(`${projectDir}test/model/seeds.json`, 'utf8')) as KeptRun[];
}

/** Takes the steps, and then lets everything through. Throws when the queue and the toy differ. */
export async function replay(steps: readonly Step[]): Promise<void> {
  const world = await World.open();
  for (const step of steps) await take(world, step);
  await world.drain();
  await world.close();
}

/** What the runs have met, to see that they meet what they are meant to. */
export interface Met {
  steps: number;
  rows: number;
  refused: number;
  duplicates: number;
  /** Shards that had been let go by their reader, summed over the steps. */
  letGo: number;
}

const LIMIT_MS = 120_000;

/**
 * Draws `runs` lists of up to `size` steps and takes them. The shortest list that fails is thrown, with the line
 * to add to seeds.json.
 */
export async function explore(options: { runs: number; size: number; seed: number }): Promise<Met> {
  const { runs, size, seed } = options;
  const met: Met = { steps: 0, rows: 0, refused: 0, duplicates: 0, letGo: 0 };
  const commands = fc.commands(
    anyStep.map((arbitrary) => arbitrary.map((step) => new StepCommand(step, met))),
    { maxCommands: size, size: 'max' },
  );
  const property = fc.asyncProperty(commands, async (drawn) => {
    const world = await World.open();
    await fc.asyncModelRun(() => ({ model: world.toy, real: world }), drawn);
    await world.drain();
    await world.close();
    met.rows += world.toy.rows.length;
    for (const { refused, duplicates } of world.toy.endpoints) {
      met.refused += refused.size;
      met.duplicates += duplicates;
    }
  });
  const found = await fc.check(property, {
    seed,
    numRuns: runs,
    endOnFailure: process.env.SHRINK === '0',
    // Finding the shortest list ends here too.
    interruptAfterTimeLimit: LIMIT_MS,
  });
  if (!found.failed) return met;
  const steps = [...(found.counterexample?.[0] ?? [])].map((command) => JSON.parse(String(command)) as Step);
  const kept = JSON.stringify({ bug: '', seed: found.seed, path: found.counterexamplePath, steps });
  throw new Error(
    `SEED=${found.seed} fails: ${String((found.errorInstance as Error | undefined)?.message)}\nto keep it, add to test/model/seeds.json:\n${kept}`,
    { cause: found.errorInstance },
  );
}

class StepCommand implements fc.AsyncCommand<Toy, World> {
  readonly step: Step;
  readonly #met: Met;

  constructor(step: Step, met: Met) {
    this.step = step;
    this.#met = met;
  }

  check(): boolean {
    return true;
  }

  /** The toy hears from the receivers and of each append, and is compared when all is quiet. */
  async run(_toy: Toy, world: World): Promise<void> {
    this.#met.steps++;
    await take(world, this.step);
    this.#met.letGo += world.letGo;
  }

  toString(): string {
    return JSON.stringify(this.step);
  }
}
