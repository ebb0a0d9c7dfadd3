import { test } from 'node:test';
import { type Instant, killRound, killsPerRound, type RoundFigures } from '../support/kill-campaign.ts';
import { mixedRound } from '../support/mixed-campaign.ts';
import { Random } from '../support/random.ts';

/*
 * The kill campaign for as long as you like: `KILLS=500 [SEED=...] node build/test/long/kills.js`; and with `MIXED=100`
 * in place of `KILLS` so many rounds in which settings meet (mixed-campaign.ts).
 *
 * Each round has a seed of its own, drawn from SEED and printed: `KILLS=1 SEED=<that of the round>` replays it
 * alone, since a first round takes SEED itself. It goes on after a round that fails, and its exit code is 1 then.
 */
const mixed = Number(process.env.MIXED ?? 0);
const kills = Number(process.env.KILLS ?? 500);

test(`settings that meet, ${mixed} rounds`, { skip: mixed === 0 }, async (t) => {
  const random = Random.of(t);
  for (let round = 0; round < mixed; round++) {
    const seed = round === 0 ? random.seed : random.int(0, 2 ** 32);
    await t.test(`round ${round + 1} of ${mixed}, SEED=${seed}`, async (t) => {
      t.diagnostic(JSON.stringify(await mixedRound(t, new Random(seed))));
    });
  }
});

test(`kill -9, ${kills} times and more`, { skip: mixed > 0 }, async (t) => {
  const random = Random.of(t);
  const sum: RoundFigures[] = [];
  const rounds = Math.ceil(kills / killsPerRound);
  for (let round = 0; round < rounds; round++) {
    const seed = round === 0 ? random.seed : random.int(0, 2 ** 32);
    await t.test(`round ${round + 1} of ${rounds}, SEED=${seed}`, async (t) => {
      const figures = await killRound(t, new Random(seed));
      const { kills, ...rest } = figures;
      t.diagnostic(`${JSON.stringify(kills)} ${JSON.stringify(rest)}`);
      sum.push(figures);
    });
  }
  const total: Partial<Record<Instant | 'ended', number>> = {};
  for (const { kills } of sum) {
    for (const [instant, count] of Object.entries(kills) as [Instant, number][])
      total[instant] = (total[instant] ?? 0) + count;
  }
  const add = (of: (figures: RoundFigures) => number): number => sum.reduce((n, f) => n + of(f), 0);
  t.diagnostic(
    `${sum.length} rounds held: ${JSON.stringify(total)}; ${add((f) => f.rows)} rows to each of two endpoints, ` +
      `${add((f) => f.duplicates)} arrivals were duplicates`,
  );
});
