import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { Load } from '../support/load.ts';
import { Sink } from '../support/sink.ts';
import { TokenServer } from '../support/token-server.ts';
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

test('a token endpoint that hangs holds only its own endpoint, and costs it nothing', async (t) => {
  const up = await Sink.start(t);
  const waiting = await Sink.start(t);
  const tokens = await TokenServer.start(t);
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  tokens.script = () => released.then(() => ({}));
  const oauth2 = { client_id: 'me', client_secret: 's3cret', token_url: tokens.url };
  const agent = await Agent.start(t, {
    remote_write: [remote(waiting.url, { name: 'waiting', oauth2 }), remote(up.url, { name: 'up' })],
  });
  const load = new Load(t, agent.url);
  await load.send(100);
  await up.waitForRows(load.acknowledged);
  assert.equal(waiting.requests.length, 0);

  release();
  await waiting.waitForRows(load.acknowledged);
  assert.equal(await agent.terminate(), 0);
  for (const sink of [up, waiting]) {
    assertNoLoss(load, sink.arrivals);
    assert.equal(sink.arrivals.duplicates, 0);
  }
  assert.doesNotMatch(agent.lines.join('\n'), /s3cret|token-\d/);
});
