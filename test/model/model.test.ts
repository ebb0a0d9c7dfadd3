import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../support/random.ts';
import { explore, keptRuns, replay } from './run.ts';

/*
 * A short round of the model test; run-long.ts has the long one. What failed once comes first.
 *
 * To keep a run: copy the line that a failure prints into seeds.json, and say in `bug` what it was.
 */

test('runs that failed once do not fail any more', async (t) => {
  for (const { bug, steps } of keptRuns()) {
    await t.test(bug, () => replay(steps));
  }
});

test('the queue and its endpoints do as the toy model, whatever happens', async (t) => {
  const { seed } = Random.of(t);
  const met = await explore({ runs: Number(process.env.RUNS ?? 60), size: 40, seed: seed % 2 ** 31 });
  t.diagnostic(JSON.stringify(met));
  assert.ok(met.steps > 200 && met.rows > 500, 'hardly anything happened');
});
