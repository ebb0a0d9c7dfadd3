import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { Load } from '../support/load.ts';
import { Sink } from '../support/sink.ts';
import { assertNoLoss } from '../support/verdict.ts';

test('rate_limit holds back what is beyond it, of samples or bytes, and a reload without it lets go at once', async (t) => {
  const [bySamples, byBytes, free] = [await Sink.start(t), await Sink.start(t), await Sink.start(t)];
  // The first request leaves, and has taken the share of so many seconds that no machine is slow enough for another.
  const config = (limited: boolean) => ({
    shutdown_grace: '100ms',
    remote_write: [
      remote(bySamples.url, { name: 'samples', ...(limited && { rate_limit: { samples: 1 } }) }),
      remote(byBytes.url, { name: 'bytes', ...(limited && { rate_limit: { bytes: '1KiB' } }) }),
      remote(free.url, { name: 'free' }),
    ],
  });
  const agent = await Agent.start(t, config(true));
  const load = new Load(t, agent.url, {
    connections: 1,
    seriesEach: 500,
    // For the bytes: what does not compress.
    labelsOf: () => ({ id: crypto.randomUUID() }),
  });
  const throttles = (endpoint: string): Promise<number | undefined> =>
    agent.metric('spillway_endpoint_throttles_total', { endpoint });

  await load.send(5);
  await free.waitForRows(load.acknowledged);
  for (const endpoint of ['samples', 'bytes']) {
    await agent.metricUntil('spillway_endpoint_throttles_total', { endpoint }, (times) => times > 0);
    await agent.metricUntil('spillway_endpoint_backlog_rows', { endpoint }, (rows) => rows > 0);
  }
  assert.equal(await throttles('free'), 0);

  await agent.configure(config(false));
  assert.equal((await agent.reload()).status, 200);
  for (const sink of [bySamples, byBytes, free]) {
    await sink.waitForRows(load.acknowledged);
    assertNoLoss(load, sink.arrivals);
  }
});
