import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { LoopSettings } from '../../src/network/loop-host.ts';
import { Manager } from '../../src/network/manager.ts';
import { decodeProgress, ProgressBlock, SHARDS } from '../../src/network/progress.ts';
import { FRONT, loopOf, ShardTable, WAITING } from '../../src/network/shard-table.ts';
import { EmitterV1 } from '../../src/protocol/emit-v1.ts';
import { EndpointStats } from '../../src/telemetry/endpoint-stats.ts';
import { atEnd } from '../support/cleanup.ts';
import { Random } from '../support/random.ts';
import type { Row } from '../support/rows.ts';
import { settings as atOnce, ok, response } from './support/outcomes.ts';
import { type PostScript, ScriptedDestination } from './support/scripted.ts';
import { push, TestSegment } from './support/segment.ts';
import { noCounts, standing } from './support/standing.ts';

/**
 * A manager with a reader that is a plain model of the real one: each shard has `perShard` rows, which are queued
 * in order into whatever loop the shard belongs to, while it is not let go.
 */
class Rig {
  readonly destination: ScriptedDestination;
  readonly block: ProgressBlock = new ProgressBlock(0);
  readonly table: ShardTable;
  readonly manager: Manager;
  readonly stats: EndpointStats = new EndpointStats();
  readonly segment: TestSegment = new TestSegment(1, SHARDS);
  /** Rows that each shard has queued so far. */
  readonly queued: Uint32Array = new Uint32Array(SHARDS);
  perShard: number;
  /** The series of row `n` of a shard. */
  seriesOf: (s: number, n: number) => number = (s) => s;
  notes = 0;
  #pumping = false;

  constructor(
    t: TestContext,
    script: PostScript,
    perShard: number,
    loops: number,
    block?: Uint8Array,
    settings: Partial<LoopSettings> = {},
    maxShards = 50,
  ) {
    this.perShard = perShard;
    this.destination = new ScriptedDestination(script);
    this.table = new ShardTable(this.block, block && decodeProgress(block), { segment: 1, row: 0 }, loops);
    this.manager = new Manager({
      settings: {
        capacity: 64,
        maxSamplesPerSend: 16,
        maxMetadataPerSend: 16,
        batchSendDeadlineMs: 0,
        ttlMs: 0,
        probeMs: 0,
        ...atOnce,
        ...settings,
      },
      minShards: 1,
      maxShards,
      table: this.table,
      destination: this.destination,
      emitter: new EmitterV1(),
      stats: this.stats,
      now: () => 1_000_000,
      random: () => 0.5,
      onProgress: () => {
        this.notes++;
      },
      onRoom: () => this.pump(),
      onLetters: async () => undefined,
      onFailure: () => undefined,
      onRecovery: () => undefined,
    });
    atEnd(t, () => this.manager.stop());
  }

  get settled(): number {
    return this.stats.settledRows;
  }

  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    for (let more = true; more; ) {
      more = false;
      for (let s = 0; s < SHARDS; s++) {
        if (this.table.lane[s] === WAITING && this.table.loop[s] === this.table.target[s]) {
          this.table.serve(s, FRONT);
        }
        const { queue } = this.manager.loops[this.table.loop[s]!]!;
        if (this.table.lane[s] !== FRONT || this.queued[s] === this.perShard || queue.full) continue;
        const series = this.seriesOf(s, this.queued[s]!);
        const row = this.queued[s]!++ * SHARDS + s;
        this.table.queued(s, 1, row);
        push(queue, this.segment, { row, series, shard: s, at: row });
        more = true;
      }
    }
    this.#pumping = false;
    this.manager.wake();
    this.assertOneLoopEach();
  }

  resize(loops: number): void {
    this.manager.resize(loops, (s) => this.table.letGo(s, { segment: 1, row: 0 }));
    this.pump();
  }

  /** A shard has rows in the loop that it belongs to, and in no other. */
  assertOneLoopEach(): void {
    for (const { index, queue } of this.manager.loops) {
      for (let i = 0; i < queue.length; i++) {
        const s = queue.shard[(queue.head + i) & queue.mask]!;
        assert.equal(this.table.loop[s], index, `shard ${s} has a row in loop ${index}`);
      }
    }
  }
}

test('resized at any time, with answers in any order: no series is in two loops, all in order', async (t) => {
  const random = Random.of(t);
  for (let round = 0; round < 4; round++) {
    const perShard = 40;
    const last = new Map<string, bigint>();
    const rig: Rig = new Rig(
      t,
      async ({ rows, index }) => {
        for (let i = random.int(0, 6); i >= 0; i--) await new Promise((resolve) => setImmediate(resolve));
        if (random.int(0, 10) === 0) return response(500);
        for (const { series, at } of rows) {
          assert.ok((last.get(series) ?? -1n) < at, `${series}: ${at} in request ${index}`);
          last.set(series, at);
        }
        if (random.int(0, 8) === 0) rig.resize(random.int(1, 20));
        return ok;
      },
      perShard,
      random.int(1, 10),
    );
    rig.pump();
    const total = perShard * SHARDS;
    await rig.destination.until('all rows', () => rig.settled === total);
    assert.equal(rig.destination.delivered.length, total);
    assert.equal(rig.manager.pendingRows, 0);
    assert.equal(rig.table.pendingRows, 0);
    await rig.destination.until('the last move', () => !rig.manager.moving);
    assert.equal(rig.manager.loops.length, rig.manager.wanted, 'loops without shards are gone');
    for (let s = 0; s < SHARDS; s++) assert.equal(rig.table.loop[s], loopOf(s, rig.manager.wanted));
    assert.equal(rig.segment.held, 0);
    await rig.manager.stop();
  }
});

test('one loop finds out that the endpoint answers again, and the others follow at once', async (t) => {
  const never = 3_600_000;
  const settings = { minBackoffMs: never, maxBackoffMs: never, probeMs: 1 };
  let down = true;
  const rig: Rig = new Rig(t, () => (down ? response(503) : ok), 1, 4, undefined, settings);
  rig.pump();
  await rig.destination.until('all to fail', () => rig.manager.loops.every((loop) => loop.failing));
  const tried = rig.destination.posts.length;
  await rig.destination.nth(tried + 3);
  assert.ok(
    rig.manager.loops.slice(1).every((loop) => loop.attempts === 1),
    'the others wait',
  );
  down = false;
  await rig.destination.until('all rows', () => rig.settled === SHARDS);
});

test('a shard moves when what it has in its old loop is settled; the others flow on', async (t) => {
  const rig = new Rig(t, () => undefined, 1, 2);
  rig.pump();
  await rig.destination.nth(1);
  const [a, b] = rig.destination.posts;
  assert.equal(rig.destination.inFlight, 2);
  rig.manager.resize(3, (s) => rig.table.letGo(s, { segment: 1, row: 0 }));
  assert.equal(rig.manager.wanted, 3);
  assert.equal(rig.manager.moving, true);
  assert.equal(rig.manager.loops.length, 3);
  // Shards without a row in flight or queued have moved at once, those with one have not.
  for (let s = 0; s < SHARDS; s++) {
    if (rig.table.pending[s] === 0) assert.equal(rig.table.loop[s], loopOf(s, 3), `shard ${s}`);
    else assert.equal(rig.table.loop[s], loopOf(s, 2), `shard ${s}`);
    const moves = loopOf(s, 2) !== loopOf(s, 3);
    assert.equal(rig.table.lane[s], moves ? WAITING : FRONT, `shard ${s} is let go when it moves`);
  }
  rig.resize(1);
  assert.equal(rig.manager.wanted, 3, 'one move at a time');
  rig.destination.script = () => ok;
  a!.answer(ok);
  b!.answer(ok);
  await rig.destination.until('all rows', () => rig.settled === SHARDS);
  assert.equal(rig.manager.moving, false);
});

test('fewer loops: those that are left over are stopped, and nothing of theirs is lost', async (t) => {
  const rig = new Rig(t, () => undefined, 2, 8);
  rig.pump();
  await rig.destination.until('eight requests', () => rig.destination.inFlight === 8);
  const retired = rig.manager.loops.slice(2);
  rig.resize(2);
  assert.equal(rig.manager.loops.length, 8, 'they still have rows');
  rig.destination.script = () => ok;
  for (const post of [...rig.destination.posts]) post.answer(ok);
  await rig.destination.until('all rows', () => rig.settled === 2 * SHARDS);
  assert.equal(rig.manager.loops.length, 2);
  for (const loop of retired) {
    assert.equal(loop.idle, true);
    push(loop.queue, rig.segment, { row: 0 });
    loop.wake();
    loop.flush();
    loop.queue.clear();
  }
  const posts = rig.destination.posts.length;
  await rig.manager.stop();
  assert.equal(rig.destination.posts.length, posts, 'a loop that was stopped sends nothing');
});

test('after a restart the loops are those of the progress block, whatever number is asked for', async (t) => {
  const before = new Rig(t, () => undefined, 1, 5);
  const block = before.block.seal(standing(0, { segment: 1, row: 0 }), noCounts).slice();
  const after = new Rig(t, () => ok, 1, 1, block);
  assert.equal(after.manager.wanted, 5);
  assert.equal(after.manager.loops.length, 5);
  assert.deepEqual([...after.table.loop], [...before.table.loop]);
  after.pump();
  await after.destination.until('all rows', () => after.settled === SHARDS);
  assert.equal(after.destination.delivered.length, SHARDS);
});

test('more loops than there may be since a reload are seen at once, and go when they have sent what they have', async (t) => {
  const before = new Rig(t, () => undefined, 1, 5);
  assert.equal(before.manager.outOfRange, false);
  const block = before.block.seal(standing(0, { segment: 1, row: 0 }), noCounts).slice();
  const after = new Rig(t, () => ok, 1, 1, block, {}, 3);
  assert.equal(after.manager.outOfRange, true);
  after.pump();
  const idle = { arrivedPerSecond: 0, deliveredPerSecond: 0, secondsPerSample: 0, backlogSamples: 0 };
  const { allowed } = after.manager.desired(idle);
  assert.equal(allowed, 3);
  after.resize(allowed);
  assert.equal(after.manager.outOfRange, false);
  await after.destination.until('all rows', () => after.settled === SHARDS);
  assert.equal(after.destination.delivered.length, SHARDS);
  assert.equal(after.manager.loops.length, 3);
});

test('it notes before a request leaves and after it is settled, and low follows', async (t) => {
  const rig = new Rig(t, () => undefined, 1, 1);
  rig.pump();
  const post = await rig.destination.nth(0);
  assert.equal(rig.notes, 1);
  assert.equal(rig.table.sentRow[15], 16);
  assert.equal(rig.table.sentRow[16], 0, 'it was queued and has not left');
  assert.equal(rig.table.lowRow[15], 15);
  post.answer(ok);
  await rig.destination.nth(1);
  assert.equal(rig.table.lowRow[15], 16);
  assert.equal(rig.table.pending[15], 0);
  assert.equal(rig.notes, 3);
});

test('flushed: loops that come later flush too', async (t) => {
  const rig = new Rig(t, () => ok, 1, 1);
  rig.manager.flush();
  rig.resize(4);
  await rig.destination.until('all rows', () => rig.settled === SHARDS);
});

test('half of the loops failing stops scaling; a failure of few does not', async (t) => {
  let failing = 2;
  const rig = new Rig(
    t,
    ({ rows }) => (rows.some(({ at }) => loopOf(Number(at) % SHARDS, 4) < failing) ? response(503) : ok),
    4,
    4,
  );
  const load = {
    arrivedPerSecond: 1000,
    deliveredPerSecond: 100,
    secondsPerSample: 0.02,
    backlogSamples: 100_000,
  };
  rig.pump();
  await rig.destination.until(
    'two fail',
    () =>
      rig.manager.loops.filter((loop) => loop.failing).length === 2 &&
      rig.destination.delivered.length === 512,
  );
  assert.equal(rig.manager.desired(load).needed, 4);
  failing = 1;
  await rig.destination.until('one fails', () => rig.destination.delivered.length === 768);
  assert.ok(rig.manager.desired(load).needed > 4);
  failing = 0;
  await rig.destination.until('all rows', () => rig.settled === 1024);
});

/** A rig in which every second row of shard 200 is of a tenant that is not let in. */
function withRefusedTenant(t: TestContext): Rig {
  const refused = (rows: readonly Row[]): boolean => rows[0]!.series === '{__name__="s200"}';
  const rig = new Rig(
    t,
    async ({ rows }) => {
      await new Promise((resolve) => setImmediate(resolve));
      return refused(rows) ? response(401) : ok;
    },
    1,
    1,
    undefined,
    { tenants: true, minBackoffMs: 3_600_000, maxBackoffMs: 3_600_000, capacity: 4 * SHARDS },
  );
  rig.seriesOf = (s, n) => (s === 200 && n % 2 === 1 ? 201 : s);
  const { dictionary } = rig.segment;
  dictionary.leavesUnder(200, dictionary.tenants.of('refused'));
  return rig;
}

test('no shard moves while a tenant is parked: others of its shard would have to wait as long', async (t) => {
  const rig = withRefusedTenant(t);
  rig.pump();
  await rig.destination.until('all of the others', () => rig.settled === SHARDS - 1);
  assert.equal(rig.manager.parks, true);
  rig.resize(2);
  assert.deepEqual([rig.manager.moving, rig.manager.loops.length], [false, 1]);
});

test('a move that a parked tenant holds up is taken back, and the shards are served where they are', async (t) => {
  const rig = withRefusedTenant(t);
  rig.pump();
  // Before it is known that a tenant is refused.
  rig.resize(2);
  await rig.destination.until('all but one', () => rig.settled === SHARDS - 1 && rig.manager.parks);
  assert.equal(rig.manager.moving, true);
  rig.perShard = 4;
  rig.pump();
  rig.manager.stay();
  assert.equal(rig.manager.moving, false);
  await rig.destination.until('all of the others', () => rig.settled === 4 * SHARDS - 2);
  assert.equal(rig.table.loop[200], 0);
  assert.equal(rig.table.loop[201], 1, 'what had moved stays where it is');
  rig.assertOneLoopEach();
});
