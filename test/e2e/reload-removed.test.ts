import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Agent, type AgentConfig, remote } from '../support/agent.ts';
import { poll } from '../support/deadline.ts';
import { Load } from '../support/load.ts';
import type { Row } from '../support/rows.ts';
import { Sink } from '../support/sink.ts';
import { assertNoLoss } from '../support/verdict.ts';

interface Scene {
  readonly agent: Agent;
  readonly up: Sink;
  /** Not there at first. */
  readonly down: Sink;
  readonly load: Load;
  readonly both: AgentConfig;
  readonly one: AgentConfig;
  /** Rows that came before `down` was removed. */
  readonly before: readonly Row[];
}

/** `down` has a backlog and was removed; `up` has got everything. */
async function removed(t: TestContext, more: Omit<AgentConfig, 'remote_write'> = {}): Promise<Scene> {
  const up = await Sink.start(t);
  const down = await Sink.start(t);
  await down.stop();
  const remotes = [remote(up.url, { name: 'up' }), remote(down.url, { name: 'down' })];
  // All series are in each request: a segment ends with each commit.
  const both = { wal: { segment_series: 200 }, ...more, remote_write: remotes };
  const one = { ...both, remote_write: remotes.slice(0, 1) };
  const agent = await Agent.start(t, both);
  const load = new Load(t, agent.url);
  await load.send(40);
  const before = load.acknowledged;
  await up.waitForRows(before);
  await agent.configure(one);
  assert.deepEqual((await agent.reload()).outcome.removed, ['down']);
  return { agent, up, down, load, both, one, before };
}

/** Rows are in no order of time. */
function without(rows: readonly Row[], ...others: (readonly Row[])[]): Row[] {
  const left = new Set(rows);
  for (const other of others) for (const row of other) left.delete(row);
  return [...left];
}

function waiting(agent: Agent): Promise<number | undefined> {
  return agent.metric('spillway_removed_endpoint_backlog_rows', { endpoint: 'down' });
}

/** `down` is back: it gets what waited and what comes from now on, in order, and each row once. */
async function returns({ agent, down, load }: Scene, whileAway: readonly Row[]): Promise<void> {
  await load.send(20);
  const expected = without(load.acknowledged, whileAway);
  await down.waitForRows(expected);
  await agent.metricUntil('spillway_endpoint_backlog_rows', { endpoint: 'down' }, (rows) => rows === 0);
  const sent = { acknowledged: expected, refused: whileAway, unknown: [] };
  assertNoLoss(sent, down.arrivals);
  assert.equal(down.arrivals.duplicates, 0);
  const received = await agent.metric('spillway_endpoint_received_rows_total', { endpoint: 'down' });
  assert.equal(received, expected.length);
  await agent.metricUntil('spillway_endpoint_unaccounted_rows', {}, (rows) => rows === 0);
  assert.equal(await agent.metric('spillway_endpoint_dropped_rows_total', { endpoint: 'down' }), 0);
}

for (const end of ['stays up', 'ends in order', 'is killed'] as const) {
  test(`what waited for a removed endpoint is kept while the agent ${end}, and delivered when it is back`, async (t) => {
    const scene = await removed(t);
    const { agent, up, down, load, both, before } = scene;
    assert.equal(await waiting(agent), before.length);
    const segments = await agent.metric('spillway_wal_segments');
    await load.send(40);
    const whileAway = without(load.acknowledged, before);
    await up.waitForRows(load.acknowledged);
    // What came meanwhile goes, though what is older stays.
    await agent.metricUntil('spillway_released_rows_total', {}, (rows) => rows > 0);
    await agent.metricUntil('spillway_wal_segments', {}, (now) => now <= segments! + 2);

    if (end !== 'stays up') {
      if (end === 'is killed') await agent.kill9();
      else assert.equal(await agent.terminate(), 0);
      await agent.start();
      await agent.line(
        /level=warn .*not in the configuration any more.* endpoints=down waiting_rows=\d+ kept_bytes=\d+/,
      );
      assert.equal(await waiting(agent), before.length);
    }
    await down.restart();
    await agent.configure(both);
    assert.deepEqual((await agent.reload()).outcome.added, ['down']);
    await returns(scene, whileAway);
    assert.equal(await waiting(agent), undefined);
    assert.equal(await agent.terminate(), 0);
  });
}

test('an endpoint that is back at a start passes over what came meanwhile, and is removed once more', async (t) => {
  const scene = await removed(t);
  const { agent, up, down, load, both, one, before } = scene;
  await load.send(20);
  const whileAway = without(load.acknowledged, before);
  await up.waitForRows(load.acknowledged);
  await agent.terminate();
  await agent.configure(both);
  await agent.start();
  await load.send(20);
  const again = without(load.acknowledged, before, whileAway);
  await agent.configure(one);
  await agent.reload();
  // Two ranges wait, with a gap between them.
  assert.equal(await waiting(agent), before.length + again.length);
  await load.send(20);
  const away = without(load.acknowledged, before, again);
  await down.restart();
  await agent.configure(both);
  await agent.reload();
  const expected = [...before, ...again];
  await down.waitForRows(expected);
  assertNoLoss({ acknowledged: expected, refused: away, unknown: [] }, down.arrivals);
  assert.equal(down.arrivals.duplicates, 0);
  await agent.metricUntil('spillway_endpoint_unaccounted_rows', {}, (rows) => rows === 0);
  assert.equal(await agent.terminate(), 0);
});

test('what is kept for a removed endpoint goes when it is forgotten, and not before', async (t) => {
  const { agent, up, load, before } = await removed(t);
  const url = `${agent.url}/api/v1/endpoints`;
  const forget = async (name: string): Promise<[number, Record<string, unknown>]> => {
    const response = await fetch(`${url}?name=${name}`, { method: 'DELETE' });
    return [response.status, (await response.json()) as Record<string, unknown>];
  };
  const listed = (await (await fetch(url)).json()) as Record<string, { name: string }[]>;
  assert.deepEqual(
    listed.endpoints!.map(({ name }) => name),
    ['up'],
  );
  assert.deepEqual(
    listed.removed!.map(({ name }) => name),
    ['down'],
  );
  assert.equal((await forget('up'))[0], 409);
  assert.equal((await forget('nobody'))[0], 409);
  const [status, { rows }] = await forget('down');
  assert.deepEqual([status, rows], [200, before.length]);
  assert.equal(await waiting(agent), undefined);
  await load.send(20);
  await up.waitForRows(load.acknowledged);
  await agent.metricUntil('spillway_wal_segments', {}, (segments) => segments <= 2);
  assert.equal((await forget('down'))[0], 409);
  await agent.terminate();
  await agent.start();
  assert.equal(
    agent.lines.some((line) => line.includes('not in the configuration any more')),
    false,
  );
  assert.equal(await agent.terminate(), 0);
});

test('at a cap a removed endpoint gives way: the receiver goes on, and what was dropped is counted', async (t) => {
  const scene = await removed(t, { wal: { segment_bytes: '64KiB', max_bytes: '256KiB', segment_age: '1s' } });
  const { agent, up, down, load, both, before } = scene;
  // What came meanwhile stays as well, so that the cap is reached however slowly the load goes.
  await up.stop();
  // One after the other, since at the cap a sender is told to wait until the oldest rows have gone.
  const droppedWhileAway = (): Promise<number | undefined> =>
    agent.metric('spillway_removed_endpoint_dropped_rows_total', { endpoint: 'down' });
  await poll(
    () => 'nothing is dropped',
    async () => {
      if ((await droppedWhileAway())! > 0) return true;
      // At the cap it is refused, now and then, or never.
      await load.send(20).catch(() => undefined);
      return undefined;
    },
  );
  await up.restart();
  const whileAway = without(load.acknowledged, before);
  await up.waitForRows(whileAway);
  // More may be dropped between two questions.
  const dropped = await poll(
    () => 'what waits and what was dropped is not what came',
    async () => {
      const gone = (await droppedWhileAway())!;
      return (await waiting(agent))! + gone === before.length ? gone : undefined;
    },
  );
  await down.restart();
  await agent.configure(both);
  await agent.reload();
  await agent.metricUntil('spillway_endpoint_backlog_rows', { endpoint: 'down' }, (rows) => rows === 0);
  const lost = (await agent.metric('spillway_endpoint_dropped_rows_total', {
    endpoint: 'down',
    reason: 'dropped_full',
  }))!;
  assert.ok(lost >= dropped, `${lost}, ${dropped} of them while it was away`);
  assert.equal(
    await agent.metric('spillway_endpoint_delivered_rows_total', { endpoint: 'down' }),
    before.length - lost,
  );
  await agent.metricUntil('spillway_endpoint_unaccounted_rows', {}, (rows) => rows === 0);
  assert.deepEqual(down.arrivals.inversions, []);
  assert.equal(await agent.terminate(), 0);
});

test('an endpoint to which nothing is due is removed and back: it gets all that comes from then on', async (t) => {
  const up = await Sink.start(t);
  const other = await Sink.start(t);
  const remotes = [remote(up.url, { name: 'up' }), remote(other.url, { name: 'other' })];
  const both = { wal: { segment_series: 200 }, remote_write: remotes };
  const agent = await Agent.start(t, both);
  const load = new Load(t, agent.url);
  await load.send(10);
  await other.waitForRows(load.acknowledged);
  await agent.configure({ ...both, remote_write: remotes.slice(0, 1) });
  await agent.reload();
  const before = load.acknowledged;
  await load.send(10);
  const away = without(load.acknowledged, before);
  await up.waitForRows(load.acknowledged);
  await agent.metricUntil('spillway_wal_segments', {}, (segments) => segments <= 1);
  await agent.configure(both);
  // Nothing is there to be read for a while: neither place nor rows may be passed over.
  await agent.reload();
  await load.send(10);
  const expected = without(load.acknowledged, away);
  await other.waitForRows(expected);
  await agent.metricUntil('spillway_endpoint_backlog_rows', { endpoint: 'other' }, (rows) => rows === 0);
  assertNoLoss({ acknowledged: expected, refused: away, unknown: [] }, other.arrivals);
  assert.equal(await agent.metric('spillway_endpoint_dropped_rows_total', { endpoint: 'other' }), 0);
  await agent.metricUntil('spillway_endpoint_unaccounted_rows', {}, (rows) => rows === 0);
  assert.equal(await agent.terminate(), 0);
});
