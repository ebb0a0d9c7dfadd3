import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, type AgentConfig, remote } from '../support/agent.ts';
import { Load } from '../support/load.ts';
import { Sink } from '../support/sink.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { assertNoLoss } from '../support/verdict.ts';

const DISK_BYTES = 4 * 2 ** 20;

/**
 * A real file system that is really full. Where a test may not mount one, test/filequeue/keeper.test.ts, which does
 * the same on the file system port, has to do.
 */
async function disk(t: TestContext, bytes = DISK_BYTES): Promise<SmallDisk | undefined> {
  const mounted = await SmallDisk.mount(t, bytes);
  if (mounted === undefined)
    t.skip('a disk of its own takes root, to mount it: sudo npm test -- e2e/full-disk');
  return mounted;
}

async function start(
  t: TestContext,
  place: SmallDisk,
  url: string,
  wal: AgentConfig['wal'] = {},
): Promise<Agent> {
  return await Agent.start(
    t,
    {
      wal: { segment_bytes: '256KiB', codec: 'none', ...wal },
      shutdown_grace: '100ms',
      remote_write: [remote(url, { name: 'far' })],
    },
    { place: join(place.dir, 'data') },
  );
}

test('a disk that others fill: writes are refused, delivery goes on, and all is taken again when there is room', async (t) => {
  const place = await disk(t);
  if (place === undefined) return;
  const sink = await Sink.start(t);
  // Segments that are delivered go, and make room: not before all is asked.
  await sink.stop();
  // No free space is kept: it is the file system itself that refuses.
  const agent = await start(t, place, sink.url, { min_free_bytes: '0B' });
  const load = new Load(t, agent.url);
  await load.send(20);
  place.fill();
  await load.run();
  assert.ok(load.refused.length > 0);
  await agent.line(/the queue is full: its disk has no room left.*limit=disk/);
  assert.equal(await agent.metric('spillway_queue_full'), 1);
  assert.match((await agent.readiness()).text, /its disk has no room left/);
  const full = await agent.statusUntil(({ status: { state } }) => state === 'full');
  assert.equal(full.status.level, 'critical');
  const noRoom = 'the disk of the queue has no room left';
  assert.match(full.status.says, new RegExp(`^Writes are refused: ${noRoom}\\. What was taken is safe`));
  assert.equal(full.disk.full, noRoom);
  await sink.restart();
  await sink.waitForRows(load.acknowledged);

  await place.empty();
  await agent.metricUntil('spillway_queue_full', {}, (value) => value === 0);
  const { disk: room, status } = await agent.statusUntil((now) => now.status.state !== 'full');
  assert.deepEqual({ full: room.full, state: status.state }, { full: null, state: 'ok' });
  await load.send(20);
  await sink.waitForRows(load.acknowledged);
  assert.equal(await agent.terminate(), 0);
  assertNoLoss(load, sink.arrivals);
});

test('a disk that the queue fills while the endpoint is down; it starts on the full disk, and drains', async (t) => {
  const place = await disk(t);
  if (place === undefined) return;
  const sink = await Sink.start(t);
  await sink.stop();
  const agent = await start(t, place, sink.url, { min_free_bytes: '0B' });
  const load = new Load(t, agent.url, { seriesEach: 200 });
  await load.run();
  assert.ok(load.refused.length > 0);
  await agent.line(/the queue is full/);
  const { status, disk: queue, endpoints } = await agent.statusUntil((now) => now.status.state === 'full');
  assert.match(status.says, /^Writes are refused: /);
  assert.equal(status.advice, 'Bring back far, or give the queue more room.');
  assert.match(endpoints[0]!.says, /the queue is full: senders are told to keep theirs/);
  // The cap is what there is, though none is configured.
  assert.ok(
    queue.usedBytes > 0 && queue.capBytes! > 0 && queue.capBytes! <= DISK_BYTES,
    JSON.stringify(queue),
  );
  await agent.kill9();
  // It runs, in the space that the reserve gave back; if there is some more than that, it takes rows until there is not.
  const child = agent.startAnother();
  await child.line(/listening on/);
  let full = false;
  const told = child.line(/the queue is full/).then(() => {
    full = true;
  });
  while (!full) {
    const running = load.run();
    await Promise.race([told, running]);
    await running;
    await Promise.race([told, sleep(20)]);
  }
  await sink.restart();
  await child.line(/the queue has room again/);
  await sink.waitForRows(load.acknowledged);
  assertNoLoss(load, sink.arrivals);
  await child.kill('SIGTERM');
});

test('with drop_oldest a full disk takes the newest rows, and counts what it gave up', async (t) => {
  const place = await disk(t);
  if (place === undefined) return;
  const sink = await Sink.start(t);
  await sink.stop();
  const agent = await start(t, place, sink.url, { when_full: 'drop_oldest' });
  const load = new Load(t, agent.url, { connections: 2, everyMs: 10, seriesEach: 200 });
  const sending = load.run();
  await agent.metricUntil(
    'spillway_endpoint_dropped_rows_total',
    { reason: 'dropped_full' },
    (rows) => rows > 0,
  );
  load.stop();
  await sending;
  assert.deepEqual(load.refused, []);
  assert.ok(place.freeBytes > 0);
  await sink.restart();
  await agent.metricUntil('spillway_endpoint_backlog_rows', { endpoint: 'far' }, (rows) => rows === 0);
  const lost = load.acknowledged.filter((row) => !sink.arrivals.has(row)).length;
  await agent.metricUntil(
    'spillway_endpoint_dropped_rows_total',
    { reason: 'dropped_full' },
    (rows) => rows === lost,
  );
  assert.deepEqual(sink.arrivals.inversions, []);
  assert.equal(await agent.terminate(), 0);
});

test('on a read-only disk it does not start, says which directory, and loses nothing', async (t) => {
  const place = await disk(t);
  if (place === undefined) return;
  const sink = await Sink.start(t);
  const agent = await start(t, place, sink.url, { segment_age: '200ms' });
  const load = new Load(t, agent.url, { connections: 1 });
  await load.send(5);
  await sink.waitForRows(load.acknowledged);
  await agent.terminate();
  place.readOnly(true);
  const child = agent.startAnother();
  assert.equal((await child.end()).code, 1);
  assert.match(child.tail(), new RegExp(`directory ${join(place.dir, 'data')} cannot be used`));
  place.readOnly(false);
  await agent.start();
  await load.send(5);
  await sink.waitForRows(load.acknowledged);
  assertNoLoss(load, sink.arrivals);
});

test('a start for which there is no room at all waits, and goes on when there is', async (t) => {
  const place = await disk(t);
  if (place === undefined) return;
  const sink = await Sink.start(t);
  await sink.stop();
  const agent = await start(t, place, sink.url);
  const load = new Load(t, agent.url, { connections: 1 });
  await load.send(5);
  await agent.kill9();
  // Also what the reserve of the process before will give back.
  rmSync(join(agent.dataDir, 'wal', 'reserve'));
  place.fill();
  const child = agent.startAnother();
  await child.line(/the disk is full, not even the start has room/);
  await place.empty();
  await child.line(/listening on/);
  await sink.restart();
  await sink.waitForRows(load.acknowledged);
  assertNoLoss(load, sink.arrivals);
  assert.equal((await child.kill('SIGTERM')).code, 0);
});
