import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { Load } from '../support/load.ts';
import { Sink } from '../support/sink.ts';
import { assertNoLoss } from '../support/verdict.ts';

test('an endpoint that is down costs its neighbour nothing, and gets all when it returns', async (t) => {
  const up = await Sink.start(t);
  const down = await Sink.start(t);
  await down.stop();
  const agent = await Agent.start(t, {
    remote_write: [remote(down.url, { name: 'down' }), remote(up.url, { name: 'up' })],
  });
  const load = new Load(t, agent.url);

  await load.send(100);
  await up.waitForRows(load.acknowledged);
  assert.equal(down.requests.length, 0);

  await down.restart();
  await down.waitForRows(load.acknowledged);
  assert.equal(await agent.terminate(), 0);
  for (const sink of [up, down]) {
    assertNoLoss(load, sink.arrivals);
    assert.equal(sink.arrivals.duplicates, 0);
  }
});

test('an endpoint that never answers does not hold its neighbour up', async (t) => {
  const up = await Sink.start(t);
  const hung = await Sink.start(t, () => ({ instead: 'hang' }));
  const agent = await Agent.start(t, {
    shutdown_grace: '100ms',
    remote_write: [remote(hung.url, { name: 'hung' }), remote(up.url, { name: 'up' })],
  });
  const load = new Load(t, agent.url);
  await load.send(100);
  await up.waitForRows(load.acknowledged);
  assert.equal(await agent.terminate(), 0);
  assertNoLoss(load, up.arrivals);
  assert.equal(up.arrivals.duplicates, 0);
});
