import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { FileQueue } from '../../src/filequeue/file-queue.ts';
import { HISTOGRAM, SAMPLE } from '../../src/serialization/rows.ts';
import { noon, put, usingQueue } from '../filequeue/queue.ts';
import { ok, response } from '../network/support/outcomes.ts';
import { type PostScript, ScriptedDestination } from '../network/support/scripted.ts';
import { Arrivals } from '../support/arrivals.ts';
import { labels, request, series } from '../support/messages.ts';
import { Random } from '../support/random.ts';
import { tempDir } from '../support/temp.ts';
import { Delivery, type DeliveryOptions, namesByLoop, quick, unsynced } from './delivery.ts';

const first = noon - 1_000_000;
const names = namesByLoop(4, 3).flat();

interface Rig {
  readonly queue: FileQueue;
  readonly destination: ScriptedDestination;
  start(options?: DeliveryOptions): Delivery;
}

async function rig(t: TestContext, script: PostScript): Promise<Rig> {
  const { queue } = await usingQueue(t, await tempDir(t, 'dropper'), {
    files: unsynced,
    roll: { bytes: 1000 },
  });
  const destination = new ScriptedDestination(script);
  return { queue, destination, start: (options) => new Delivery(t, queue, destination, options) };
}

async function rounds(queue: FileQueue, count: number, from = 0): Promise<void> {
  for (let i = from; i < from + count; i++) {
    await put(queue, request(...names.map((name) => series({ __name__: name }, [first + i, i]))));
  }
}

/** Rows before segment `id`. */
function rowsBefore(queue: FileQueue, id: number): number {
  return queue.rowsFrom(0, 0) - queue.rowsFrom(id, 0);
}

/** What must hold in the end: each row delivered once and in order, or counted as lost. */
function assertBalance(delivery: Delivery, { destination, queue }: Rig): void {
  const arrivals = new Arrivals();
  arrivals.add(destination.delivered);
  assert.equal(arrivals.duplicates, 0);
  assert.deepEqual(arrivals.inversions, []);
  assert.equal(delivery.waitingRows, 0);
  assert.equal(delivery.feeder.unsettled, 0);
  assert.equal(delivery.stats.get('returnedRows'), 0);
  assert.equal(delivery.stats.deliveredRows + delivery.lost('dropped_full'), delivery.received);
  assert.equal(delivery.stats.lostRows, delivery.lost('dropped_full'));
  assert.ok(queue.segments.length > 0);
}

test('what no loop has is given up to the row, and what lies behind is delivered', async (t) => {
  let broken = true;
  const all = await rig(t, () => (broken ? response(500, 'no') : ok));
  const { queue, destination } = all;
  await rounds(queue, 100);
  const delivery = all.start();
  await delivery.until('the loops are full', () => delivery.manager.pendingRows >= quick.capacity);
  const before = queue.segments.at(-4)!.id;
  delivery.drop(before);
  await delivery.until('it is dropped', () => delivery.drops.length === 1);
  assert.ok(delivery.drops[0]!.rows > 0);
  assert.equal(delivery.feeder.front.segment, before);

  broken = false;
  await delivery.done();
  assertBalance(delivery, all);
  const kept = queue.rowsFrom(before, 0);
  const oldest = Math.floor(rowsBefore(queue, before) / names.length);
  const late = destination.delivered.filter(({ at }) => at >= BigInt(first + oldest));
  assert.equal(late.length, kept, 'all rows behind the cut are there');
  delivery.tick();
});

test('rows of series that relabelling drops are given up like others, and never count as damaged', async (t) => {
  let broken = true;
  const all = await rig(t, () => (broken ? response(500, 'no') : ok));
  const { queue, destination } = all;
  const [dropped, kept] = [names.slice(0, 5), names.slice(5)];
  const relabel = [{ action: 'drop', sourceLabels: ['__name__'], regex: dropped.join('|') }] as const;
  await rounds(queue, 100);
  const delivery = all.start({ relabel });
  await delivery.until('the loops are full', () => delivery.manager.pendingRows >= quick.capacity);
  // The first segments it has read in part: their rows are looked at one by one.
  delivery.drop(delivery.feeder.front.segment + 1);
  await delivery.until('it is dropped', () => delivery.drops.length === 1);
  broken = false;
  await delivery.done();
  assert.equal(delivery.lost('damaged'), 0);
  assert.equal(delivery.waitingRows, 0);
  assert.equal(delivery.stats.lostRows, delivery.lost('dropped_full') + delivery.lost('dropped_by_relabel'));
  assert.equal(delivery.stats.deliveredRows + delivery.stats.lostRows, delivery.received);
  assert.ok(delivery.lost('dropped_full') > 0);
  const series = new Set(destination.delivered.map((row) => row.series));
  assert.deepEqual([...series].sort(), kept.map((name) => `{__name__="${name}"}`).sort());
});

test('rows that were passed over for a stuck loop are given up up to the cut, and no others', async (t) => {
  const stuck = new Set(namesByLoop(4, 3)[1]!.map((name) => `{__name__="${name}"}`));
  let broken = true;
  const all = await rig(t, ({ rows }) =>
    broken && rows.some((r) => stuck.has(r.series)) ? response(500, 'no') : ok,
  );
  const { queue, destination } = all;
  await rounds(queue, 100);
  const delivery = all.start();
  await delivery.until('the others are through', () => destination.delivered.length === 9 * 100);
  const before = queue.segments[Math.floor(queue.segments.length / 2)]!.id;
  delivery.drop(before);
  await delivery.until('it is dropped', () => delivery.drops.length === 1);
  const dropped = delivery.drops[0]!.rows;
  assert.ok(dropped > 0 && dropped <= rowsBefore(queue, before) / 4, `${dropped} rows`);
  broken = false;
  await delivery.done();
  assertBalance(delivery, all);
  assert.ok(destination.delivered.length >= 9 * 100 + queue.rowsFrom(before, 0) / 4);
});

test('after a restart, what the process before had delivered is not counted as dropped', async (t) => {
  const stuck = new Set(namesByLoop(4, 3)[1]!.map((name) => `{__name__="${name}"}`));
  const all = await rig(t, ({ rows }) => (rows.some((r) => stuck.has(r.series)) ? response(500, 'no') : ok));
  const { queue, destination } = all;
  await rounds(queue, 100);
  const one = all.start();
  await one.until('the others are through', () => destination.delivered.length === 9 * 100);
  await one.stop();
  destination.script = () => ok;
  const two = all.start({ block: one.block! });
  assert.equal(two.waitingAtStart, 300);
  two.drop(queue.watermark.segment);
  await two.done();
  assertBalance(two, all);
  assert.ok(two.drops[0]!.rows > 100, `${two.drops[0]!.rows} of the 300 rows that wait`);
});

test('kinds are counted each for itself', async (t) => {
  const all = await rig(t, () => response(500, 'no'));
  const { queue } = all;
  for (let i = 0; i < 40; i++) {
    const one = series({ __name__: names[i % names.length]! }, [first + i, i]);
    const histogram = { labels: labels({ __name__: 'h' }), histograms: [{ timestamp: BigInt(first + i) }] };
    await put(queue, request(one, histogram as never));
  }
  const delivery = all.start({ settings: { capacity: 64 } });
  delivery.drop(queue.watermark.segment);
  await delivery.until('it is dropped', () => delivery.drops.length === 1);
  const half = rowsBefore(queue, queue.watermark.segment) / 2;
  assert.ok(delivery.stats.lost('dropped_full', SAMPLE) <= half);
  assert.ok(delivery.stats.lost('dropped_full', HISTOGRAM) <= half);
  assert.equal(delivery.lost('dropped_full') + delivery.waitingRows, queue.rowsFrom(0, 0));
});

test('whatever is stuck, moved, dropped and restarted: each row is delivered once, or counted', async (t) => {
  const random = Random.of(t);
  for (let life = 0; life < 12; life++) {
    let failing = new Set<string>();
    const all = await rig(t, ({ rows }) =>
      rows.some((r) => failing.has(r.series)) ? response(500, 'no') : ok,
    );
    const { queue, destination } = all;
    await rounds(queue, 60);
    let delivery = all.start();
    let before = 0;
    for (let step = 0; step < 10; step++) {
      switch (random.int(0, 4)) {
        case 0:
          failing = new Set(names.filter(() => random.int(0, 2) === 0).map((name) => `{__name__="${name}"}`));
          break;
        case 1:
          before = Math.max(before, random.int(0, queue.watermark.segment));
          delivery.drop(before);
          break;
        case 2:
          delivery.resize(random.int(1, 6));
          break;
        case 3:
          await rounds(queue, 3, 60 + 3 * step);
          delivery.feeder.pump();
          break;
        default:
          await delivery.stop();
          delivery = all.start({ block: delivery.block! });
      }
      for (let i = random.int(0, 30); i > 0; i--) await new Promise((resolve) => setImmediate(resolve));
    }
    failing = new Set();
    await delivery.done();
    const delivered = delivery.stats.deliveredRows;
    const lost = delivery.lost('dropped_full');
    const arrivals = new Arrivals();
    arrivals.add(destination.delivered);
    assert.deepEqual(arrivals.inversions, [], `life ${life}`);
    assert.equal(arrivals.duplicates, 0, `life ${life}`);
    assert.equal(delivered, destination.delivered.length, `life ${life}`);
    const returned = delivery.stats.get('returnedRows');
    assert.equal(delivered + lost - returned, queue.rowsFrom(0, 0), `life ${life}: delivered and dropped`);
    delivery.tick();
    assert.equal(delivery.waitingByPosition, 0, `life ${life}`);
    const behind = queue.rowsFrom(before, 0);
    assert.ok(delivered >= behind, `life ${life}: ${delivered} of at least ${behind}`);
    await delivery.stop();
  }
});
