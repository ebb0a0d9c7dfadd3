import { test } from 'node:test';
import { killRound, killsPerRound } from '../support/kill-campaign.ts';
import { mixedRound } from '../support/mixed-campaign.ts';
import { Random } from '../support/random.ts';

// `node build/test/long/kills.js` goes on for hundreds.
for (let round = 1; round <= 2; round++) {
  test(`killed with -9 ${killsPerRound} times, wherever it hurts, it loses nothing (${round})`, async (t) => {
    const { kills, ...figures } = await killRound(t, Random.of(t));
    t.diagnostic(`${JSON.stringify(kills)} ${JSON.stringify(figures)}`);
  });
}

// `MIXED=100 node build/test/long/kills.js` goes on.
for (let round = 1; round <= 2; round++) {
  test(`versions, tenants, relabelling, reloads, kills and troubles that meet cost nothing (${round})`, async (t) => {
    t.diagnostic(JSON.stringify(await mixedRound(t, Random.of(t), 3)));
  });
}
