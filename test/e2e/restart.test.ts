import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Agent, remote } from '../support/agent.ts';
import { poll } from '../support/deadline.ts';
import { Load } from '../support/load.ts';
import { Sink } from '../support/sink.ts';
import { assertNoLoss } from '../support/verdict.ts';

async function segments(agent: Agent): Promise<string[]> {
  const names = await readdir(join(agent.dataDir, 'wal'));
  return names.filter((name) => /^\d{20}\.(open|committed)$/.test(name)).sort();
}

test('SIGTERM delivers what is waiting, then ends the process', async (t) => {
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const sink = await Sink.start(t, () => gate.then(() => ({})));
  const agent = await Agent.start(t, { shutdown_grace: '1m', remote_write: [remote(sink.url)] });
  const load = new Load(t, agent.url);
  await load.send(20);
  await sink.waitFor('a request that is held', () => sink.requests.length > 0);
  assert.equal(sink.arrivals.count, 0);

  const ended = agent.terminate();
  open();
  assert.equal(await ended, 0);
  assertNoLoss(load, sink.arrivals);
  assert.equal(sink.arrivals.duplicates, 0);
});

test('what SIGTERM leaves behind is delivered in order by the next start, and its segments go (RW1-S-23)', async (t) => {
  const sink = await Sink.start(t);
  const agent = await Agent.start(t, {
    shutdown_grace: '100ms',
    wal: { segment_series: 100 },
    remote_write: [remote(sink.url)],
  });
  const load = new Load(t, agent.url);
  await load.send(20);
  await sink.waitForRows(load.acknowledged);
  await sink.stop();
  await load.send(200);
  assert.equal(await agent.terminate(), 0);

  const left = await segments(agent);
  assert.ok(left.length > 1, `a backlog of several segments: ${left}`);
  assert.ok(
    left.every((name) => name.endsWith('.committed')),
    `sealed at the end: ${left}`,
  );

  await sink.restart();
  await agent.start();
  await load.send(20);
  await sink.waitForRows(load.acknowledged);
  await poll(
    () => `delivered segments are still there`,
    async () => ((await segments(agent)).some((name) => left.includes(name)) ? undefined : true),
  );
  assert.equal(await agent.terminate(), 0);
  assertNoLoss(load, sink.arrivals);
  assert.equal(sink.arrivals.duplicates, 0);
  // Ids only grow, also from an empty directory.
  assert.ok((await segments(agent)).every((name) => name > left.at(-1)!));
});

test('a second agent does not get into the directory of a running one', async (t) => {
  const sink = await Sink.start(t);
  const agent = await Agent.start(t, { remote_write: [remote(sink.url)] });
  const second = agent.startAnother('--listen', '127.0.0.1:0');
  const { code } = await second.end();
  assert.ok(code !== 0 && code !== null);
  assert.match(second.tail(), new RegExp(agent.dataDir));

  const load = new Load(t, agent.url);
  await load.send(5);
  await sink.waitForRows(load.acknowledged);
});
