import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { FileQueue } from '../../src/filequeue/file-queue.ts';
import { HttpDestination } from '../../src/network/client.ts';
import { decodeProgress } from '../../src/network/progress.ts';
import { CATCH_UP, FRONT, WAITING } from '../../src/network/shard-table.ts';
import { HISTOGRAM, METADATA, SAMPLE } from '../../src/serialization/rows.ts';
import { noon, put, putEach, row, usingQueue } from '../filequeue/queue.ts';
import { ok, response } from '../network/support/outcomes.ts';
import { type Post, type PostScript, ScriptedDestination } from '../network/support/scripted.ts';
import { Arrivals } from '../support/arrivals.ts';
import { labels, type Message, request, series } from '../support/messages.ts';
import { Random } from '../support/random.ts';
import { describeRow, type Row } from '../support/rows.ts';
import { Sink } from '../support/sink.ts';
import { tempDir } from '../support/temp.ts';
import { Delivery, type DeliveryOptions, namesByLoop, quick, unsynced } from './delivery.ts';

/** Times are counted from here, so that no row is too old by accident. */
const first = noon - 1_000_000;

interface Rig {
  readonly queue: FileQueue;
  readonly destination: ScriptedDestination;
  start(options?: DeliveryOptions): Delivery;
}

async function rig(t: TestContext, script: PostScript = () => ok, rollBytes = 1000): Promise<Rig> {
  const { queue } = await usingQueue(t, await tempDir(t, 'feeder'), {
    files: unsynced,
    roll: { bytes: rollBytes },
  });
  const destination = new ScriptedDestination(script);
  return {
    queue,
    destination,
    start: (options) => new Delivery(t, queue, destination, options),
  };
}

/** `rounds` requests, each with one new row of every name. */
async function rounds(
  queue: FileQueue,
  names: readonly string[],
  from: number,
  count: number,
): Promise<void> {
  for (let i = from; i < from + count; i++) {
    await put(queue, request(...names.map((name) => series({ __name__: name }, [first + i, i]))));
  }
}

/** Every series has arrived with `count` rows, each once and in order. */
function assertAllInOrder(delivered: readonly Row[], names: readonly string[], count: number): void {
  const arrivals = new Arrivals();
  arrivals.add(delivered);
  assert.equal(arrivals.duplicates, 0);
  assert.deepEqual(arrivals.inversions, []);
  const sequences = arrivals.sequences();
  assert.equal(sequences.size, names.length);
  for (const [name, rows] of sequences) assert.equal(rows.length, count, name);
}

/** Rows that may have been delivered are in requests of their own (RLY-13). */
function assertNotMixed(posts: readonly Post[], old: ReadonlySet<string>): void {
  for (const { index, rows } of posts) {
    const resent = rows.filter((r) => old.has(describeRow(r))).length;
    assert.ok(
      resent === 0 || resent === rows.length,
      `request ${index}: ${resent} of ${rows.length} rows are old`,
    );
  }
}

test('all rows of many segments are delivered, in order, and nothing is left over', async (t) => {
  const { queue, destination, start } = await rig(t);
  const names = namesByLoop(4, 3).flat();
  await rounds(queue, names, 0, 30);
  assert.ok(queue.segments.length > 3);
  const delivery = start();
  await delivery.done();
  await rounds(queue, names, 30, 10);
  delivery.feeder.pump();
  await delivery.done();
  assertAllInOrder(destination.delivered, names, 40);
  assert.equal(delivery.feeder.unsettled, 0);
  assert.equal(delivery.feeder.dry, true);
  assert.equal(delivery.waitingRows, 0);
  assert.equal(delivery.stats.delivered(SAMPLE), 40 * names.length);
  assert.ok(delivery.mostPending <= 4 * quick.capacity);
  delivery.tick();
  assert.deepEqual(delivery.feeder.front, { segment: queue.watermark.segment, row: queue.watermark.rows });
});

test('a stuck loop stops no other, costs no memory, and gets its rows in order when it recovers', async (t) => {
  const byLoop = namesByLoop(4, 3);
  const names = byLoop.flat();
  const stuck = new Set(byLoop[1]!.map((name) => `{__name__="${name}"}`));
  let broken = true;
  const { queue, destination, start } = await rig(t, ({ rows }) =>
    broken && rows.some(({ series }) => stuck.has(series)) ? response(500, 'no') : ok,
  );
  // All of it lies in the queue before the start: nothing but the loops themselves wakes the reader.
  await rounds(queue, names, 0, 100);
  const delivery = start();
  await delivery.until('the other loops have all their rows', () => destination.delivered.length === 9 * 100);
  assert.ok(destination.delivered.every(({ series }) => !stuck.has(series)));
  assert.ok(delivery.mostPending <= 4 * quick.capacity);
  assert.ok(delivery.mostOpenSegments <= 8, `${delivery.mostOpenSegments} segments were open`);
  assert.ok(queue.segments.length > 16, `there are ${queue.segments.length}`);
  assert.equal(delivery.feeder.unsettled, 300);
  assert.equal(delivery.feeder.dry, false);
  assert.equal(delivery.waitingRows, 300);

  broken = false;
  await delivery.done();
  assertAllInOrder(destination.delivered, names, 100);
  assert.equal(delivery.feeder.unsettled, 0);
  assert.ok(
    delivery.table.lane.every((lane) => lane === FRONT),
    'all shards are at the front again',
  );
});

test('over HTTP: a receiver that refuses some series for a while, and a sink that checks what comes', async (t) => {
  const byLoop = namesByLoop(3, 4);
  const names = byLoop.flat();
  const stuck = new Set(byLoop[2]!.map((name) => `{__name__="${name}"}`));
  let broken = true;
  const sink = await Sink.start(t, ({ rows }) => ({
    status: broken && rows.some(({ series }) => stuck.has(series)) ? 503 : 204,
  }));
  const { queue } = await usingQueue(t, await tempDir(t, 'feeder'), { roll: { bytes: 2000 } });
  await rounds(queue, names, 0, 60);
  const destination = new HttpDestination({
    href: sink.url,
    headers: {},
    authorization: () => undefined,
    remoteTimeoutMs: 30_000,
    userAgent: 'spillway/0',
  });
  t.after(() => destination.close());
  const delivery = new Delivery(t, queue, destination, { loops: 3 });
  await sink.waitFor('the rows of the others', () => sink.arrivals.count === 8 * 60);
  broken = false;
  await delivery.done();
  assertAllInOrder([...sink.arrivals.rows()], names, 60);
  assert.equal(sink.arrivals.duplicates, 0);
  assert.equal(delivery.feeder.unsettled, 0);
});

test('loops that are stuck at any time, resized at any time: every row once, in order', async (t) => {
  const random = Random.of(t);
  for (let round = 0; round < 6; round++) {
    const names = namesByLoop(8, 3).flat();
    const until = new Map(names.map((name) => [`{__name__="${name}"}`, 0]));
    const { queue, destination, start } = await rig(t, ({ rows, index }) =>
      rows.some(({ series }) => until.get(series)! > index) ? response(500) : ok,
    );
    const delivery = start({ loops: random.int(1, 9) });
    const total = 80;
    let written = 0;
    while (written < total) {
      const more = Math.min(total - written, random.int(1, 15));
      await rounds(queue, names, written, more);
      written += more;
      delivery.feeder.pump();
      // Some series fail for the next so many requests.
      for (let i = random.int(0, 3); i > 0; i--) {
        const at = destination.posts.length;
        until.set(`{__name__="${names[random.int(0, names.length)]}"}`, at + random.int(1, 60));
      }
      if (random.int(0, 3) === 0) delivery.resize(random.int(1, 9));
      if (random.int(0, 2) === 0) delivery.tick();
    }
    await delivery.done();
    assertAllInOrder(destination.delivered, names, total);
    assert.equal(delivery.feeder.unsettled, 0);
    assert.equal(delivery.waitingRows, 0);
    assert.ok(delivery.mostPending <= 9 * quick.capacity);
    delivery.tick();
    await delivery.stop();
  }
});

test('killed at any moment: the next process sends what is not settled, in order, and knows what is old (RLY-08)', async (t) => {
  const random = Random.of(t);
  for (let round = 0; round < 6; round++) {
    const names = namesByLoop(4, 3).flat();
    const { queue, destination, start } = await rig(t);
    await rounds(queue, names, 0, 40);
    const arrivals = new Arrivals();
    /** Rows that left before a kill: they may have been delivered. */
    const old = new Set<string>();
    let block: Uint8Array | undefined;
    for (let life = 0; ; life++) {
      const last = life === 4;
      const bad = `{__name__="${names[random.int(0, names.length)]}"}`;
      const die = destination.posts.length + random.int(1, 40);
      const begin = destination.delivered.length;
      const posts = destination.posts.length;
      let atDeath: Uint8Array | undefined;
      let waiting = -1;
      destination.script = ({ index, rows }) => {
        if (!last && index >= die) {
          // The last thing it does: whatever it notes later, the next process does not see it.
          if (atDeath === undefined) {
            atDeath = delivery.block;
            waiting = delivery.waitingRows;
          }
          return undefined;
        }
        return !last && rows.some(({ series }) => series === bad) ? response(503) : ok;
      };
      const delivery = start({ loops: 4, block });
      if (life > 0) {
        assert.ok(delivery.waitingAtStart >= 0);
      }
      if (last) {
        await delivery.done();
        assertNotMixed(destination.posts.slice(posts), old);
        arrivals.add(destination.delivered.slice(begin));
        assert.equal(delivery.feeder.unsettled, 0);
        assert.equal(delivery.waitingRows, 0);
        assert.equal(delivery.stats.get('returnedRows'), 0);
        assert.equal(delivery.stats.settledRows, delivery.received, 'the counts balance over all its lives');
        break;
      }
      await delivery.until('its death, or the end', () => {
        return atDeath !== undefined || (delivery.waitingRows === 0 && delivery.manager.idle);
      });
      if (atDeath === undefined) {
        atDeath = delivery.block;
        waiting = delivery.waitingRows;
      }
      const settled = destination.delivered.slice(begin);
      await delivery.stop();
      assertNotMixed(destination.posts.slice(posts), old);
      for (const post of destination.posts.slice(posts, die + 1))
        for (const r of post.rows) old.add(describeRow(r));
      arrivals.add(settled);
      block = atDeath;
      const { unsettled, front } = decodeProgress(block!)!;
      const noted = unsettled + queue.rowsFrom(front.segment, front.row);
      assert.equal(noted, waiting, `life ${life} of round ${round}`);
    }
    assert.deepEqual(arrivals.inversions, []);
    const sequences = arrivals.sequences();
    assert.equal(sequences.size, names.length);
    for (const [name, rows] of sequences) assert.equal(rows.length, 40, name);
    // A request of each loop may have been on its way at each of the kills.
    assert.ok(arrivals.duplicates <= 4 * 4 * 10, `${arrivals.duplicates} rows were sent twice`);
  }
});

test('what is noted when a request is settled and when the thread stops is what is not settled', async (t) => {
  const names = namesByLoop(4, 3).flat();
  const { queue, destination, start } = await rig(t, () => undefined);
  await rounds(queue, names, 0, 5);
  const delivery = start();
  const rows = queue.rowsFrom(0, 0);
  const post = await destination.nth(0);
  await destination.until('all loops', () => destination.inFlight === 4);
  post.answer(ok);
  await delivery.until('a request is settled', () => delivery.settledRows > 0);
  const left = rows - post.rows.length;
  const noted = (): number => {
    const progress = decodeProgress(delivery.block!)!;
    return progress.unsettled + queue.rowsFrom(progress.front.segment, progress.front.row);
  };
  assert.equal(noted(), left);
  await delivery.stop();
  assert.equal(noted(), left, 'what was queued and not sent waits for the next process');

  destination.script = () => ok;
  const next = start({ block: delivery.block });
  assert.equal(next.waitingAtStart, left);
  await next.done();
  assert.equal(next.feeder.unsettled, 0);
});

test('rows that the process before had settled are not counted twice, also those that it dropped', async (t) => {
  const [[slow], [fast]] = namesByLoop(2, 1) as [[string], [string]];
  let open = false;
  const { queue, destination, start } = await rig(t, ({ rows }) =>
    !open && rows.some(({ series }) => series === `{__name__="${slow}"}`) ? undefined : ok,
  );
  // One pending row holds the start back; behind it rows that are delivered, and rows that are too old.
  await put(queue, request(series({ __name__: slow }, [noon, 1])));
  await putEach(queue, [
    request(series({ __name__: fast }, [noon, 1]), series({ __name__: slow }, [noon - 5000, 2])),
    request(series({ __name__: fast }, [noon + 1, 2]), series({ __name__: fast }, [noon - 5000, 3])),
  ]);
  const options = { loops: 2, settings: { ttlMs: 1000, maxSamplesPerSend: 1 } };
  const before = start(options);
  await before.until('all but two', () => before.waitingRows === 2);
  assert.equal(before.stats.lost('expired', SAMPLE), 1, 'the other one waits for its turn');
  await before.stop();
  open = true;
  const after = start({ ...options, block: before.block });
  assert.equal(after.waitingAtStart, 2);
  await after.until('the row that was pending', () => destination.delivered.length === 3);
  await after.until('the end', () => after.feeder.dry && after.manager.idle);
  assert.equal(after.waitingRows, 0);
  assert.equal(after.feeder.unsettled, 0);
  assert.equal(destination.delivered.length, 3);
  assert.equal(after.stats.lost('expired', SAMPLE), 2);
  assert.equal(after.stats.get('returnedRows'), 0);
  assert.equal(after.waitingByPosition, 0);
});

test('under other labels, what is sent again counts as returned before the first of it is delivered', async (t) => {
  const slow = namesByLoop(2, 1)[0]![0]!;
  const fast = namesByLoop(2, 1)[1]![0]!;
  let open = false;
  const { queue, start } = await rig(t, ({ rows }) =>
    !open && rows.some(({ series }) => series.includes(slow)) ? undefined : ok,
  );
  await put(queue, request(series({ __name__: slow }, [noon, 1])));
  for (let i = 0; i < 5; i++) await put(queue, request(series({ __name__: fast }, [noon + i, i])));
  const before = start({ loops: 2 });
  await before.until('all but one', () => before.waitingRows === 1);
  await before.stop();
  open = true;
  const after = start({ loops: 2, block: before.block, externalLabels: { zone: 'other' } });
  assert.equal(after.stats.get('returnedRows'), 5);
  assert.equal(after.waitingRows, 6);
  await after.done();
  assert.equal(after.stats.get('returnedRows'), 5);
  assert.equal(after.stats.settledRows, 6 + 5);
  assert.equal(after.waitingByPosition, 0);
});

test('rows that are too old when they are read are counted, of all kinds but metadata, and not sent', async (t) => {
  const { queue, destination, start } = await rig(t);
  const message: Message = {
    timeseries: [
      series({ __name__: 'a' }, [noon - 1001, 1], [noon - 1000, 2]),
      { labels: labels({ __name__: 'h' }), histograms: [{ timestamp: BigInt(noon - 5000) }] },
      {
        labels: labels({ __name__: 'a' }),
        exemplars: [{ timestamp: BigInt(noon - 5000), valueBits: 0n, labels: [] }],
      },
    ],
    metadata: [{ type: 1, metricFamilyName: 'a', help: '', unit: '' }],
  };
  await put(queue, message);
  const delivery = start({ settings: { ttlMs: 1000 } });
  await delivery.done();
  assert.deepEqual(
    [0, 1, 2, 3].map((kind) => delivery.stats.lost('expired', kind)),
    [1, 1, 1, 0],
  );
  assert.deepEqual(
    destination.delivered.map(({ at }) => at),
    [BigInt(noon - 1000)],
  );
  assert.equal(destination.posts.flatMap(({ metadata }) => metadata).length, 1);
  assert.equal(delivery.feeder.unsettled, 0);
});

test('histograms with custom buckets cannot go over 1.0: counted, and the others go (HIST-10, RLY-06)', async (t) => {
  const { queue, destination, start } = await rig(t);
  const histogram = (at: number, schema: number): Message => ({
    timeseries: [
      {
        labels: labels({ __name__: 'h' }),
        histograms: [{ timestamp: BigInt(first + at), countInt: 0n, zeroCountInt: 0n, sumBits: 1n, schema }],
      },
    ],
  });
  await putEach(queue, [histogram(1, 3), histogram(2, -53), histogram(3, -4), histogram(4, -53)]);
  const delivery = start();
  await delivery.done();
  assert.deepEqual(
    destination.delivered.map(({ at }) => at),
    [BigInt(first + 1), BigInt(first + 3)],
  );
  assert.equal(delivery.stats.lost('custom_buckets', HISTOGRAM), 2);
  assert.equal(delivery.stats.delivered(HISTOGRAM), 2);
  assert.equal(delivery.feeder.unsettled, 0);
});

const family = (name: string, help = 'Help.'): Message => ({
  timeseries: [],
  metadata: [{ type: 1, metricFamilyName: name, help, unit: '' }],
});

test('metadata is counted and not sent when it is switched off', async (t) => {
  const { queue, destination, start } = await rig(t);
  await putEach(queue, [family('a'), row('s', first), family('b')]);
  const delivery = start({ metadata: { send: false, sendIntervalMs: 60_000 } });
  await delivery.done();
  assert.equal(delivery.stats.lost('metadata_off', METADATA), 2);
  assert.ok(destination.posts.every(({ metadata }) => metadata.length === 0));
  assert.equal(destination.delivered.length, 1);
  assert.equal(delivery.feeder.unsettled, 0);
});

test('metadata that has not changed is sent once an interval; a backlog is not all of its minutes', async (t) => {
  let now = noon;
  const { queue } = await usingQueue(t, await tempDir(t, 'feeder'), { now: () => now });
  const destination = new ScriptedDestination(() => ok);
  const delivery = new Delivery(t, queue, destination);
  for (const [after, message] of [
    [0, family('a')],
    [1000, family('a')],
    [1000, family('b')],
    [1000, family('a', 'Another.')],
    [60_000, family('a', 'Another.')],
    [1000, family('a', 'Another.')],
  ] as const) {
    now += after;
    delivery.now = now;
    await put(queue, message);
    delivery.feeder.pump();
    await delivery.done();
  }
  assert.equal(delivery.stats.lost('metadata_unchanged', METADATA), 2);
  assert.equal(delivery.stats.delivered(METADATA), 4);
  const later = new ScriptedDestination(() => ok);
  const another = new Delivery(t, queue, later);
  await another.done();
  assert.equal(another.stats.delivered(METADATA), 3, 'read at once');
  const sent = destination.posts.flatMap(({ metadata }) => metadata).filter((text) => text.includes('"a"'));
  assert.deepEqual(
    sent.map((text) => JSON.parse(text).help),
    ['Help.', 'Another.', 'Another.'],
  );
  assert.ok(destination.posts.every(({ rows, metadata }) => rows.length === 0 || metadata.length === 0));
});

test('two series that leave as one go to one loop, in the order in which they came', async (t) => {
  const { queue, destination, start } = await rig(t, async ({ index }) => {
    // Answers overtake one another, as far as requests do.
    for (let i = index % 5; i >= 0; i--) await new Promise((resolve) => setImmediate(resolve));
    return ok;
  });
  const names = Array.from({ length: 20 }, (_, i) => `merged_${i}`);
  for (let i = 0; i < 20; i++) {
    const pairs = (name: string) => (i % 2 === 0 ? { __name__: name, zone: 'x' } : { __name__: name });
    await put(queue, request(...names.map((name) => series(pairs(name), [first + i, i]))));
  }
  const delivery = start({ loops: 8, externalLabels: { zone: 'x' }, settings: { maxSamplesPerSend: 3 } });
  await delivery.done();
  const arrivals = new Arrivals();
  arrivals.add(destination.delivered);
  assert.deepEqual(arrivals.inversions, []);
  assert.equal(arrivals.sequences().size, names.length);
  assert.equal(arrivals.count, 400);
});

test('a shard that is let go waits; the second reader brings it back to the front', async (t) => {
  const [[name]] = namesByLoop(1, 1) as [[string]];
  const { queue, destination, start } = await rig(t);
  await rounds(queue, [name], 0, 5);
  const delivery = start({ loops: 1 });
  await delivery.done();
  const s = delivery.table.lane.findIndex(
    (_, i) => delivery.table.lowRow[i]! >= 0 && delivery.table.sentRow[i]! > 0,
  );
  delivery.feeder.letGo(s);
  assert.equal(delivery.table.lane[s], WAITING);
  await rounds(queue, [name], 5, 5);
  delivery.feeder.pump();
  await delivery.done();
  assert.equal(delivery.table.lane[s], FRONT);
  assert.notEqual(delivery.table.lane[s], CATCH_UP);
  assertAllInOrder(destination.delivered, [name], 10);
});

test('external labels that change between two starts cost no row', async (t) => {
  const names = namesByLoop(4, 6).flat();
  const { queue, destination, start } = await rig(t, () => undefined);
  await rounds(queue, names, 0, 1);
  const before = start();
  await destination.until('all loops', () => destination.inFlight === 4);
  before.tick();
  await before.stop();
  destination.script = () => ok;
  const after = start({ block: before.block, externalLabels: { zone: 'x' } });
  await after.until('the end', () => after.feeder.dry && after.manager.idle);
  assert.equal(destination.delivered.length, names.length);
});

test('rows of series that relabelling drops are counted once, in their place, and cost no request', async (t) => {
  const { queue, destination, start } = await rig(t, () => undefined);
  const names = Array.from({ length: 12 }, (_, i) => (i % 3 === 0 ? `kept_${i}` : `dropped_${i}`));
  const kept = names.filter((name) => name.startsWith('kept'));
  const relabel = [{ action: 'drop', sourceLabels: ['__name__'], regex: 'dropped_.*' }] as const;
  await rounds(queue, names, 0, 5);
  const before = start({ relabel });
  await destination.until('all loops', () => destination.inFlight > 0);
  await before.until('the end of the queue', () => before.feeder.dry);
  assert.equal(before.waitingRows, before.table.pendingRows);
  before.tick();
  await before.stop();
  destination.script = () => ok;

  // Some of them were settled by the process before, and others stand behind rows that were not.
  const after = start({ block: before.block, relabel });
  await after.done();
  await rounds(queue, names, 5, 5);
  after.feeder.pump();
  await after.done();
  assertAllInOrder(destination.delivered, kept, 10);
  assert.equal(after.stats.lost('dropped_by_relabel', SAMPLE), 10 * (names.length - kept.length));
  assert.equal(after.stats.lostRows, 10 * (names.length - kept.length));
  assert.equal(after.waitingRows, 0);
});
