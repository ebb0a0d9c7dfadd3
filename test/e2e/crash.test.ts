import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, remote } from '../support/agent.ts';
import { Load } from '../support/load.ts';
import { Random } from '../support/random.ts';
import { Sink } from '../support/sink.ts';
import { assertNoLoss } from '../support/verdict.ts';

const lives = 20;

test(`killed with -9 ${lives} times under load, it loses nothing that it acknowledged (RLY-01, -02)`, async (t) => {
  const random = Random.of(t);
  const sink = await Sink.start(t);
  const agent = await Agent.start(t, {
    wal: { segment_age: '200ms' },
    remote_write: [
      remote(sink.url, { queue_config: { min_shards: 2, max_shards: 4, max_samples_per_send: 200 } }),
    ],
  });
  const load = new Load(t, agent.url);

  for (let life = 0; life < lives; life++) {
    // Every third life meets a dead endpoint; the one after it drains that backlog while new rows come.
    const endpointDown = life % 3 === 1;
    if (endpointDown) await sink.stop();
    const running = load.run();
    await load.acknowledgedRequests(random.int(1, 100));
    await sleep(random.int(0, 20));
    await agent.kill9();
    await running;
    if (endpointDown) await sink.restart();
    await agent.start();
  }

  await sink.waitForRows(load.acknowledged);
  assert.equal(await agent.terminate(), 0);
  assertNoLoss(load, sink.arrivals);
  t.diagnostic(
    `${load.acknowledged.length} rows acknowledged, ${sink.arrivals.duplicates} arrivals were duplicates`,
  );
});
