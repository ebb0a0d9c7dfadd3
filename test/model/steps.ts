import fc from 'fast-check';
import { type Answer, answers } from './receiver.ts';
import type { Death, Transactions, World } from './world.ts';

/**
 * One step of a run, as plain data: a run that failed is kept as a list of them (seeds.json), and means the same
 * when more kinds of steps have come.
 *
 * A step that does not apply (an answer, and no request is open) does nothing. `which` counts around what there is.
 *
 * A new kind of step is one line here, one in `take`, one in `step`, and what it allows in toy.ts.
 */
export type Step =
  | { readonly do: 'append'; readonly transactions: Transactions }
  | { readonly do: 'roll' }
  | { readonly do: 'tick' }
  | { readonly do: 'up'; readonly endpoint: number }
  | { readonly do: 'down'; readonly endpoint: number }
  /** Up, but requests with this series stay open. */
  | { readonly do: 'hold'; readonly endpoint: number; readonly series: number }
  /** Answers an open request, and its repetitions, `times` times. */
  | {
      readonly do: 'answer';
      readonly endpoint: number;
      readonly which: number;
      readonly as: Answer;
      readonly times: number;
    }
  /** A row of an open request is from now on refused, with any request that holds it. */
  | { readonly do: 'refuse'; readonly endpoint: number; readonly which: number; readonly row: number }
  | { readonly do: 'resize'; readonly endpoint: number; readonly loops: number }
  | { readonly do: 'reload'; readonly endpoint: number; readonly zone: boolean; readonly loops: number }
  | { readonly do: 'threadDies'; readonly endpoint: number; readonly stored: boolean }
  /** The endpoint gives up what lies before its newest segments, of which it keeps `keep`. */
  | { readonly do: 'cap'; readonly endpoint: number; readonly keep: number }
  | { readonly do: 'restart'; readonly stored: boolean }
  | { readonly do: 'die'; readonly death: Death };

/** Takes a step, and waits until nothing goes on by itself any more. */
export async function take(world: World, step: Step): Promise<void> {
  switch (step.do) {
    case 'append':
      await world.append(step.transactions);
      break;
    case 'roll':
      world.roll();
      break;
    case 'tick':
      await world.tick();
      break;
    case 'up':
      world.receiver(step.endpoint).goUp();
      break;
    case 'down':
      world.receiver(step.endpoint).up = false;
      break;
    case 'hold':
      world.receiver(step.endpoint).goUp();
      world.receiver(step.endpoint).heldSeries = step.series;
      break;
    case 'answer':
      await answer(world, step);
      break;
    case 'refuse': {
      const { open } = world.receiver(step.endpoint);
      const post = open[step.which % open.length];
      if (post !== undefined) {
        world.receiver(step.endpoint).refuseForEver(post.rows[step.row % post.rows.length]!);
      }
      break;
    }
    case 'resize':
      world.resize(step.endpoint, step.loops);
      break;
    case 'reload':
      await world.reload(step.endpoint, step.zone, step.loops);
      break;
    case 'threadDies':
      await world.threadDies(step.endpoint, step.stored);
      break;
    case 'cap':
      world.cap(step.endpoint, step.keep);
      break;
    case 'restart':
      await world.restart(step.stored);
      break;
    case 'die':
      await world.dies(step.death);
      break;
    default:
      step satisfies never;
  }
  await world.quiet();
  world.check();
}

async function answer(world: World, step: Step & { do: 'answer' }): Promise<void> {
  const receiver = world.receiver(step.endpoint);
  let post = receiver.open[step.which % receiver.open.length];
  const first = post?.rows[0];
  for (let i = 0; i < step.times && post !== undefined; i++) {
    receiver.answer(post, step.as);
    await world.quiet();
    post = receiver.open.find(({ rows }) => rows[0] === first);
  }
}

const endpoint = fc.nat(1);
const series = fc.nat(9);
const transactions = fc.array(fc.array(series, { minLength: 1, maxLength: 10 }), {
  minLength: 1,
  maxLength: 3,
});
const flag = fc.boolean();

function step<D extends Step['do']>(
  kind: D,
  facts: { [K in Exclude<keyof Extract<Step, { do: D }>, 'do'>]: fc.Arbitrary<Extract<Step, { do: D }>[K]> },
): fc.Arbitrary<Step> {
  return fc.record({ do: fc.constant(kind), ...facts }) as fc.Arbitrary<Step>;
}

const append = step('append', { transactions });
const answered = step('answer', {
  endpoint,
  which: fc.nat(5),
  as: fc.constantFrom(...answers),
  times: fc.constantFrom(1, 2, 4),
});
const down = step('down', { endpoint });

/** Kinds of steps; the more often one is listed, the more often it comes. */
export const anyStep: readonly fc.Arbitrary<Step>[] = [
  append,
  append,
  append,
  answered,
  answered,
  answered,
  down,
  step('hold', { endpoint, series }),
  step('hold', { endpoint, series }),
  step('up', { endpoint }),
  step('roll', {}),
  step('tick', {}),
  step('refuse', { endpoint, which: fc.nat(5), row: fc.nat(3) }),
  step('resize', { endpoint, loops: fc.integer({ min: 1, max: 6 }) }),
  step('reload', { endpoint, zone: flag, loops: fc.integer({ min: 1, max: 6 }) }),
  step('threadDies', { endpoint, stored: flag }),
  step('cap', { endpoint, keep: fc.nat(2) }),
  step('restart', { stored: flag }),
  step('die', {
    death: fc.record({
      how: fc.constantFrom('kill', 'powerCut'),
      after: fc.nat(12),
      transactions,
      stored: flag,
      seed: fc.nat(),
    }),
  }),
];
