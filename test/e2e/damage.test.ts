import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { segmentPath } from '../../src/filequeue/segment-file.ts';
import { PROGRESS_BYTES, ProgressBlock, progressPath } from '../../src/network/progress.ts';
import { survivors } from '../filequeue/damaged-queue.ts';
import { type GoldenRow, readFormat } from '../filequeue/format-reader.ts';
import { noCounts, standing } from '../network/support/standing.ts';
import { Agent, remote } from '../support/agent.ts';
import { poll } from '../support/deadline.ts';
import { Load } from '../support/load.ts';
import { Random } from '../support/random.ts';
import { describeRow, type Row, seriesKey } from '../support/rows.ts';
import { Sink } from '../support/sink.ts';
import { assertNoLoss } from '../support/verdict.ts';

/** An agent that holds a backlog of small segments, killed. */
async function withBacklog(t: TestContext): Promise<{ agent: Agent; sink: Sink; load: Load; wal: string }> {
  const sink = await Sink.start(t);
  await sink.stop();
  const agent = await Agent.start(t, {
    shutdown_grace: '100ms',
    wal: { segment_series: 150 },
    remote_write: [remote(sink.url, { name: 'one' })],
  });
  const load = new Load(t, agent.url);
  await load.send(100);
  // Its thread runs, and has its progress file.
  await agent.metricUntil('spillway_endpoint_retries_total', {}, (retries) => retries > 0);
  await agent.kill9();
  return { agent, sink, load, wal: join(agent.dataDir, 'wal') };
}

function toRow(row: GoldenRow): Row {
  assert.ok(row.kind === 'sample');
  const labels = row.series.labels.map(([name, value]) => ({ name, value }));
  return { series: seriesKey(labels), kind: 'sample', at: BigInt(row.time), content: row.value };
}

test('damaged, missing and exchanged segments: all that is whole arrives, in order, and the rest is counted', async (t) => {
  const { agent, sink, load, wal } = await withBacklog(t);
  const file = (id: number): string => segmentPath(wal, id, 'committed');
  const committed = fs.readdirSync(wal).filter((name) => name.endsWith('.committed'));
  assert.ok(committed.length >= 8, `${committed.length} segments`);
  const content = new Map(
    committed.map((name) => [Number.parseInt(name, 10), fs.readFileSync(join(wal, name))]),
  );
  const rowsOf = (id: number): Row[] => readFormat(content.get(id)!, id).rows.map(toRow);
  const frameOf = (id: number): number => readFormat(content.get(id)!, id).frames.length - 1;
  const keyOf = (row: Row): string => describeRow(row);
  const lost = new Set<string>();

  // The last frame of 2, all of 4, the header of 6; 7 and 8 exchanged; the end of 3.
  const damaged = Buffer.from(content.get(2)!);
  damaged[damaged.lastIndexOf('SPWF') + 100]! ^= 1;
  fs.writeFileSync(file(2), damaged);
  const left = new Set(survivors(content.get(2)!, 2, frameOf(2)));
  rowsOf(2).forEach((row, i) => {
    if (!left.has(i)) lost.add(keyOf(row));
  });
  fs.rmSync(file(4));
  for (const row of rowsOf(4)) lost.add(keyOf(row));
  const headless = Buffer.from(content.get(6)!);
  headless.fill(0, 0, 40);
  fs.writeFileSync(file(6), headless);
  fs.writeFileSync(file(7), content.get(8)!);
  fs.writeFileSync(file(8), content.get(7)!);
  fs.writeFileSync(file(3), content.get(3)!.subarray(0, -5));

  await sink.restart();
  await agent.start();
  await load.send(10);
  const whole = load.acknowledged.filter((row) => !lost.has(keyOf(row)));
  await sink.waitForRows(whole);
  assert.deepEqual(
    load.acknowledged.filter((row) => lost.has(keyOf(row)) && sink.arrivals.has(row)),
    [],
  );
  assert.equal(sink.arrivals.inversions.length, 0);
  assert.equal(sink.arrivals.count - sink.arrivals.duplicates, whole.length, 'nothing that was never sent');
  const counted = { endpoint: 'one', reason: 'damaged' };
  await poll(
    () => `${lost.size} rows are counted as lost to damage`,
    async () =>
      (await agent.metric('spillway_endpoint_dropped_rows_total', counted)) === lost.size ? true : undefined,
  );
  await poll(
    () => 'nothing waits',
    async () => ((await agent.metric('spillway_endpoint_backlog_rows')) === 0 ? true : undefined),
  );
  for (const said of [
    /another segment than its name says/,
    /a copy is in quarantine/,
    /segment 4 is not there/,
  ]) {
    await agent.line(said);
  }
  assert.ok(fs.readdirSync(join(wal, 'quarantine')).some((name) => /0002\.committed\..*damaged/.test(name)));
});

test('a damaged, deleted or foreign ledger and progress file cost duplicates, never rows', async (t) => {
  const { agent, sink, load } = await withBacklog(t);
  const random = Random.of(t);
  const ledger = join(agent.dataDir, 'state.db');
  const progress = progressPath(agent.dataDir, 'one');
  const dropLedger = (): void => {
    for (const suffix of ['', '-wal', '-shm']) fs.rmSync(ledger + suffix, { force: true });
  };
  const breaks: readonly (readonly [what: string, damage: () => void])[] = [
    ['both deleted', () => [dropLedger(), fs.rmSync(progress)]],
    ['an empty ledger', () => [dropLedger(), fs.writeFileSync(ledger, '')]],
    ['a ledger of noise', () => [dropLedger(), fs.writeFileSync(ledger, Buffer.alloc(20_000, 'noise'))]],
    [
      'a ledger with a broken page',
      () => {
        const bytes = fs.readFileSync(ledger);
        const page = 4096 * random.int(0, Math.max(1, bytes.length / 4096));
        fs.writeFileSync(ledger, bytes.fill(0xa5, page + 100, page + 4096));
      },
    ],
    [
      'a progress file cut short, no ledger',
      () => [dropLedger(), fs.truncateSync(progress, PROGRESS_BYTES - 1)],
    ],
    ['a progress file of noise', () => fs.writeFileSync(progress, Buffer.alloc(2 * PROGRESS_BYTES, 'noise'))],
    [
      'a progress file of another queue, that is further',
      () => {
        const block = new ProgressBlock(1e9);
        block.lowSegment.fill(1e6);
        block.sentSegment.fill(1e6);
        fs.writeFileSync(progress, block.seal(standing(0, { segment: 1e6, row: 0 }), noCounts));
      },
    ],
  ];
  for (const [what, damage] of breaks) {
    damage();
    await agent.start();
    if (/of another queue/.test(what)) await agent.line(/is behind the end of the queue and is not believed/);
    // With the endpoint up, so that there is something to forget.
    if (what !== 'both deleted') await sink.restart();
    await load.send(10);
    if (what !== 'both deleted') {
      await sink.waitForRows(load.acknowledged);
      await sink.stop();
      await load.send(10);
    }
    await agent.kill9();
  }
  await sink.restart();
  await agent.start();
  await sink.waitForRows(load.acknowledged);
  assertNoLoss(load, sink.arrivals);
});

test('when all was delivered and the ledger is lost, what is received from then on is not taken for settled', async (t) => {
  const sink = await Sink.start(t);
  const agent = await Agent.start(t, {
    wal: { segment_series: 50 },
    remote_write: [remote(sink.url, { name: 'one' })],
  });
  const load = new Load(t, agent.url);
  await load.send(30);
  await sink.waitForRows(load.acknowledged);
  assert.equal(await agent.terminate(), 0);
  for (const suffix of ['', '-wal', '-shm'])
    fs.rmSync(join(agent.dataDir, `state.db${suffix}`), { force: true });
  for (const name of fs.readdirSync(join(agent.dataDir, 'wal'))) {
    if (/^\d/.test(name)) fs.rmSync(join(agent.dataDir, 'wal', name));
  }
  await agent.start();
  await load.send(10);
  await sink.waitForRows(load.acknowledged);
  assertNoLoss(load, sink.arrivals);
});

test('a ledger of a later version ends the start by name, and is left as it is', async (t) => {
  const { agent, sink, load } = await withBacklog(t);
  const ledger = join(agent.dataDir, 'state.db');
  await agent.start();
  assert.equal(await agent.terminate(), 0);
  const good = fs.readFileSync(ledger);
  const later = Buffer.from(good);
  later.writeUInt32BE(99, 60);
  fs.writeFileSync(ledger, later);
  const refused = agent.startAnother();
  assert.deepEqual(await refused.end(), { code: 1, signal: null });
  assert.match(refused.lines.join('\n'), /state\.db was written by a newer Spillway \(version 99\)/);
  fs.writeFileSync(ledger, good);
  await sink.restart();
  await agent.start();
  await sink.waitForRows(load.acknowledged);
  assertNoLoss(load, sink.arrivals);
});
