import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { Load } from '../support/load.ts';
import { Sink } from '../support/sink.ts';
import { assertNoLoss } from '../support/verdict.ts';

test('ended with SIGTERM in the middle of a drain, it waits for the answers: nothing comes twice', async (t) => {
  const sink = await Sink.start(t, () => ({ delayMs: 50 }));
  await sink.stop();
  const agent = await Agent.start(t, {
    shutdown_grace: '5s',
    remote_write: [
      remote(sink.url, { queue_config: { min_shards: 4, max_shards: 4, max_samples_per_send: 10 } }),
    ],
  });
  const load = new Load(t, agent.url);
  await load.send(100);
  await sink.restart();
  await sink.waitFor('a drain', () => sink.arrivals.count > 100);
  assert.equal(await agent.terminate(), 0);
  const delivered = sink.arrivals.count;
  assert.ok(delivered < load.acknowledged.length, 'it was in the middle');

  sink.script = () => ({});
  await agent.start();
  await sink.waitForRows(load.acknowledged);
  assert.equal(await agent.terminate(), 0);
  assertNoLoss(load, sink.arrivals);
  assert.equal(sink.arrivals.duplicates, 0);
});
