import assert from 'node:assert/strict';
import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, type AgentConfig, remote } from '../support/agent.ts';
import { Load } from '../support/load.ts';
import { Random } from '../support/random.ts';
import { Sink } from '../support/sink.ts';
import { assertNoLoss } from '../support/verdict.ts';

const names = { added: [], changed: [], removed: [], settings: [], needsRestart: [], failed: [] };

test('endpoints are added, changed and removed while data flows: nothing is lost, sent twice or out of order', async (t) => {
  const [kept, moved, gone, added] = [
    await Sink.start(t),
    await Sink.start(t),
    await Sink.start(t),
    await Sink.start(t),
  ];
  // One loop, for which one connection does.
  const one = remote(kept.url, { name: 'kept', queue_config: { max_shards: 1 } });
  const agent = await Agent.start(t, {
    remote_write: [one, remote(moved.url, { name: 'moved' }), remote(gone.url, { name: 'gone' })],
  });
  const load = new Load(t, agent.url);
  const running = load.run();
  await load.acknowledgedRequests(50);

  await agent.configure({
    log_level: 'debug',
    remote_write: [
      one,
      remote(`${moved.url}/other/path`, {
        name: 'moved',
        headers: { 'X-Changed': 'yes' },
        queue_config: { max_samples_per_send: 100 },
      }),
      remote(added.url, { name: 'added', start_at: 'now' }),
    ],
  });
  assert.deepEqual(await agent.reload(), {
    status: 200,
    outcome: { ...names, added: ['added'], changed: ['moved'], removed: ['gone'], settings: ['log_level'] },
  });
  await load.acknowledgedRequests(50);
  load.stop();
  await running;

  for (const sink of [kept, moved]) {
    await sink.waitForRows(load.acknowledged);
    assertNoLoss(load, sink.arrivals);
    assert.equal(sink.arrivals.duplicates, 0);
  }
  assert.equal(moved.requests.at(-1)!.headers['x-changed'], 'yes');
  assert.ok(kept.requests.every(({ connection }) => connection === kept.requests[0]!.connection));
  // What came before the added one, and behind the removed one, is not for them.
  const last = load.acknowledged.at(-1)!;
  await added.waitForRows([last]);
  assert.equal(gone.arrivals.has(last), false);
  for (const sink of [gone, added]) {
    assert.deepEqual(sink.arrivals.inversions, []);
    assert.equal(sink.arrivals.duplicates, 0);
  }
  assert.equal(await agent.terminate(), 0);
});

test('a file that is wrong changes nothing and says why; a restart key is named, and the rest is put in force', async (t) => {
  const sink = await Sink.start(t);
  const config = { remote_write: [remote(sink.url, { name: 'one' })] };
  const agent = await Agent.start(t, config);
  const load = new Load(t, agent.url);

  await agent.configure({ ...config, log_level: 'loud', remote_write: [remote('nowhere', { name: 'two' })] });
  const { status, outcome } = await agent.reload();
  assert.equal(status, 400);
  const problems = outcome.problems as { line: number; column: number; path: string }[];
  assert.deepEqual(
    problems.map(({ line, column, path }) => ({ line, column, path })),
    [
      { line: 4, column: 5, path: 'remote_write[0].url' },
      { line: 10, column: 1, path: 'log_level' },
    ],
  );
  assert.match(outcome.error as string, /spillway\.yaml:10:1: log_level: expected/);
  await agent.line(/level=error .*cannot be reloaded; the one before stays in force/);
  assert.equal(await agent.metric('spillway_config_last_reload_successful'), 0);
  agent.hangUp();
  await load.send(10);
  await sink.waitForRows(load.acknowledged);

  await agent.configure({
    ...config,
    wal: { codec: 'none', when_full: 'drop_oldest' },
    receiver: { max_connections: 7, max_labels_per_series: 2 },
    relabel_configs: [{ source_labels: ['i'], regex: '7', action: 'drop' }],
  });
  const taken = await agent.reload();
  assert.equal(taken.status, 200);
  assert.deepEqual(taken.outcome.settings, [
    'relabel_configs',
    'receiver.max_labels_per_series',
    'wal.when_full',
  ]);
  const needs = taken.outcome.needsRestart as string[];
  assert.deepEqual(
    needs.map((line) => line.replace(/^.*\//, '')),
    ['spillway.yaml:14:20: receiver.max_connections', 'spillway.yaml:11:10: wal.codec'],
  );
  assert.equal(await agent.metric('spillway_config_last_reload_successful'), 1);
  assert.equal(await agent.metric('spillway_config_needs_restart'), 2);
  await agent.line(/level=warn .*take a restart.*max_connections/);

  // Three labels are over the limit now.
  const before = load.refused.length;
  await assert.rejects(load.send(1), /400 .*max_labels_per_series/);
  assert.ok(load.refused.length > before);
  await agent.configure({ ...config, receiver: { max_request_bytes: '100B' } });
  assert.equal((await agent.reload()).status, 200);
  await assert.rejects(load.send(1), /400 .*max_request_bytes/);
  await agent.configure({
    ...config,
    relabel_configs: [{ source_labels: ['i'], regex: '7', action: 'drop' }],
  });
  assert.equal((await agent.reload()).status, 200);
  const dropped = await agent.metric('spillway_dropped_rows_total');
  await load.send(8);
  await agent.metricUntil('spillway_dropped_rows_total', {}, (rows) => rows > dropped!);
  assert.equal((await fetch(`${agent.url}/-/reload`)).status, 405);
  assert.equal(await agent.terminate(), 0);
});

test('an endpoint that is down is moved by a reload, and goes on elsewhere with all that waited', async (t) => {
  const old = await Sink.start(t);
  const other = await Sink.start(t);
  await old.stop();
  const agent = await Agent.start(t, { remote_write: [remote(old.url, { name: 'one' })] });
  const load = new Load(t, agent.url);
  await load.send(50);
  await agent.configure({ remote_write: [remote(other.url, { name: 'one' })] });
  agent.hangUp();
  await load.send(50);
  await other.waitForRows(load.acknowledged);
  assert.equal(await agent.terminate(), 0);
  assertNoLoss(load, other.arrivals);
  assert.equal(other.arrivals.duplicates, 0);
});

test('a change of the labels that a series leaves with is a barrier: no row is lost, sent twice or passed by another', async (t) => {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const sink = await Sink.start(t, () => opened.then(() => ({})));
  const queue_config = { min_shards: 4, max_samples_per_send: 100 };
  const agent = await Agent.start(t, { remote_write: [remote(sink.url, { name: 'one', queue_config })] });
  const load = new Load(t, agent.url);
  await load.send(50);
  await sink.waitFor('each loop has a request under way', () => sink.requests.length === 4);
  // Labels stay as they are, but which shard a series is in does not.
  const write_relabel_configs = [{ regex: 'nothing', action: 'labeldrop' }];
  await agent.configure({
    remote_write: [remote(sink.url, { name: 'one', queue_config, write_relabel_configs })],
  });
  const reloading = agent.reload();
  // The thread is to be told before: were it later, less would be seen.
  await sleep(200);
  open();
  assert.deepEqual((await reloading).outcome.changed, ['one']);
  await load.send(50);
  await sink.waitForRows(load.acknowledged);
  assert.equal(await agent.terminate(), 0);
  assertNoLoss(load, sink.arrivals);
  assert.equal(sink.arrivals.duplicates, 0);
});

test('a storm of signals, while the file changes and data flows, loses nothing', async (t) => {
  const sink = await Sink.start(t);
  const config = (i: number): AgentConfig => ({
    remote_write: [remote(sink.url, { name: 'one', headers: { 'X-Turn': `${i}` } })],
  });
  const agent = await Agent.start(t, config(0));
  const load = new Load(t, agent.url, { everyMs: 5 });
  const running = load.run();
  for (let i = 1; i <= 4; i++) {
    await agent.configure(config(i));
    agent.hangUp(5);
    await load.acknowledgedRequests(4);
  }
  // The last one counts: whoever asks while a reload waits is served by it.
  assert.equal((await agent.reload()).status, 200);
  await load.acknowledgedRequests(20);
  load.stop();
  await running;
  await sink.waitForRows(load.acknowledged);
  assert.equal(sink.requests.at(-1)!.headers['x-turn'], '4');
  assert.equal(await agent.terminate(), 0);
  assertNoLoss(load, sink.arrivals);
  assert.equal(sink.arrivals.duplicates, 0);
});

test('an endpoint that cannot be started is named, costs the others nothing, and starts with a later reload', async (t) => {
  const [sink, added] = [await Sink.start(t), await Sink.start(t)];
  const one = remote(sink.url, { name: 'one' });
  const agent = await Agent.start(t, { remote_write: [one] });
  const load = new Load(t, agent.url);
  const inTheWay = join(agent.dataDir, 'endpoints', 'added.progress');
  await mkdir(inTheWay);
  await agent.configure({
    remote_write: [
      { ...one, headers: { 'X-New': 'yes' } },
      remote(added.url, { name: 'added', start_at: 'now' }),
    ],
  });
  const { status, outcome } = await agent.reload();
  assert.equal(status, 500);
  assert.deepEqual(outcome.changed, ['one']);
  assert.match(JSON.stringify(outcome.failed), /^\[\{"endpoint":"added","error":".*EISDIR/);
  assert.equal(await agent.metric('spillway_config_last_reload_successful'), 0);
  await agent.line(
    /level=error .*could not be started; the others go on; reload to try again" endpoint=added/,
  );
  await load.send(10);
  await sink.waitForRows(load.acknowledged);
  assert.equal(sink.requests.at(-1)!.headers['x-new'], 'yes');

  await rmdir(inTheWay);
  const again = await agent.reload();
  assert.deepEqual([again.status, again.outcome], [200, { ...names, added: ['added'] }]);
  const before = new Set(load.acknowledged);
  await load.send(10);
  await added.waitForRows(load.acknowledged.filter((row) => !before.has(row)));
  assert.equal(await agent.terminate(), 0);
});

test('a signal to reload while the agent stops changes nothing', async (t) => {
  const sink = await Sink.start(t, () => ({ delayMs: 300 }));
  const agent = await Agent.start(t, { remote_write: [remote(sink.url, { name: 'one' })] });
  const load = new Load(t, agent.url);
  await load.send(20);
  await agent.configure({ remote_write: [remote(sink.url, { name: 'two' })] });
  const ended = agent.terminate();
  agent.hangUp();
  assert.equal(await ended, 0);
  await agent.start();
  await sink.waitForRows(load.acknowledged);
});

test('a kill in the middle of a reload loses nothing', async (t) => {
  const random = Random.of(t);
  const [sink, extra] = [await Sink.start(t), await Sink.start(t)];
  const config = (i: number): AgentConfig => ({
    wal: { segment_series: 200 },
    remote_write: [
      remote(sink.url, { name: 'one', headers: { 'X-Turn': `${i}` } }),
      ...(i % 2 === 0 ? [remote(extra.url, { name: 'extra' })] : []),
    ],
  });
  const agent = await Agent.start(t, config(0));
  const load = new Load(t, agent.url, { everyMs: 2 });
  for (let i = 1; i <= 4; i++) {
    const running = load.run();
    await load.acknowledgedRequests(10);
    await agent.configure(config(i));
    agent.hangUp();
    await load.acknowledgedRequests(random.int(1, 13));
    await agent.kill9();
    await running;
    await agent.start();
  }
  await load.send(10);
  await sink.waitForRows(load.acknowledged);
  for (const endpoint of ['one', 'extra']) {
    await agent.metricUntil('spillway_endpoint_backlog_rows', { endpoint }, (rows) => rows === 0);
    assert.equal(await agent.metric('spillway_endpoint_dropped_rows_total', { endpoint }), 0, endpoint);
  }
  await agent.metricUntil('spillway_endpoint_unaccounted_rows', {}, (rows) => rows === 0);
  assert.equal(await agent.terminate(), 0);
  assertNoLoss(load, sink.arrivals);
  assert.deepEqual(extra.arrivals.inversions, []);
});
