import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SampleRouter } from '../../src/endpoint/sample-router.ts';
import { decodeProgress, ProgressBlock, SHARDS } from '../../src/network/progress.ts';
import { FRESH, LIVE, RowQueue } from '../../src/network/row-queue.ts';
import { CATCH_UP, FRONT, ShardTable, WAITING } from '../../src/network/shard-table.ts';
import { SAMPLE } from '../../src/serialization/rows.ts';
import { TestSegment } from '../network/support/segment.ts';
import { noCounts, standing } from '../network/support/standing.ts';

const KNOWN = 40;
const SEGMENT = 5;
/** Of the first row of the frame. */
const ROW = 1000;

const segment = new TestSegment(SEGMENT, KNOWN);
// Two series that a damaged frame took with it, and one without labels.
segment.dictionary.add({
  series: {
    first: KNOWN + 2,
    hashes: new Uint8Array(8),
    counts: Uint8Array.of(0),
    pairs: new Uint8Array(0),
  },
});
// What is not set may be anything: the memory of a module has had other uses.
segment.dictionary.columns.seriesBytes.fill(99, KNOWN, KNOWN + 3);

/** The table and the loops of an endpoint. */
class Side {
  readonly table: ShardTable;
  readonly loops: { readonly queue: RowQueue }[];

  constructor({ loops, capacity, sent, lanes, next, shift, starts }: Case) {
    const start = { segment: SEGMENT, row: 0 };
    const before = new ShardTable(new ProgressBlock(0), undefined, start, loops);
    const block = new ProgressBlock(0);
    block.loop.set(before.loop);
    for (const [s, row] of sent.entries()) {
      block.sentSegment[s] = SEGMENT;
      block.sentRow[s] = row;
      block.lowSegment[s] = SEGMENT;
    }
    const progress = decodeProgress(block.seal(standing(0, start), noCounts).slice());
    this.table = new ShardTable(new ProgressBlock(1), progress, start, loops);
    for (const [s, lane] of lanes.entries()) this.table.lane[s] = lane;
    for (const [s, row] of next.entries()) this.table.passTo(s, { segment: SEGMENT, row });
    this.loops = Array.from({ length: loops }, () => ({ queue: new RowQueue(capacity) }));
    // Somewhere in its ring, so that some runs go around its end.
    for (const { queue } of this.loops) {
      queue.head = shift & queue.mask;
      // Other rows stood there before.
      for (const column of [queue.kind, queue.skip, queue.resent]) column.fill(3);
      if (starts === 'before') queue.start = new Int32Array(queue.time.length).fill(3);
    }
  }

  /** All that a hand-out changes. */
  get state(): unknown {
    const { pending, pendingRows, lowSegment, lowRow } = this.table;
    const queues = this.loops.map(({ queue }) =>
      Array.from({ length: queue.length }, (_, i) => {
        const at = (queue.head + i) & queue.mask;
        const { series, row, shard, kind, skip, resent, time, value, start } = queue;
        const words = [time[2 * at], time[2 * at + 1], value[2 * at], value[2 * at + 1]];
        words.push(start?.[2 * at] ?? 0, start?.[2 * at + 1] ?? 0);
        return [row[at], series[at], shard[at], kind[at], skip[at], resent[at], ...words];
      }),
    );
    const shared = this.loops.map(({ queue }) => queue.contextRows);
    return { pending, pendingRows, lowSegment, lowRow, queues, shared };
  }
}

interface Case {
  readonly loops: number;
  readonly capacity: number;
  readonly shift: number;
  /** Whether samples have start times, or only rows that were there before. */
  readonly starts: 'none' | 'some' | 'before';
  /** By shard: what the process before had sent, who serves it, what was queued before. */
  readonly sent: readonly number[];
  readonly lanes: readonly number[];
  readonly next: readonly number[];
  readonly samples: readonly { readonly series: number; readonly at: number; readonly value: bigint }[];
  readonly from: number;
  readonly oldest: number;
  readonly lane: typeof FRONT | typeof CATCH_UP;
}

/** Mostly `usual`, so that there are long runs. */
function mostly<T>(usual: T, ...others: T[]): fc.Arbitrary<T> {
  return fc.oneof({ weight: 30, arbitrary: fc.constant(usual) }, fc.constantFrom(...others));
}

function each<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return fc.array(value, { minLength: SHARDS, maxLength: SHARDS });
}

const cases: fc.Arbitrary<Case> = fc.record({
  loops: fc.constantFrom(1, 1, 2, 5),
  capacity: fc.constantFrom(30, 64, 300),
  shift: fc.nat(600),
  starts: fc.constantFrom('none', 'some', 'before'),
  sent: each(mostly(0, ROW - 1, ROW + 1, ROW + 30)),
  lanes: each(mostly<number>(FRONT, CATCH_UP, WAITING)),
  next: each(mostly(0, ROW, ROW + 7, ROW + 50)),
  samples: fc.array(
    fc.record({
      series: fc.oneof(
        { weight: 200, arbitrary: fc.nat(KNOWN - 1) },
        fc.integer({ min: KNOWN, max: KNOWN + 4 }),
      ),
      at: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
      value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    }),
    { minLength: 1, maxLength: 200, size: 'max' },
  ),
  from: fc.nat(3),
  oldest: mostly(Number.NEGATIVE_INFINITY, -(2 ** 39), 0),
  lane: fc.constantFrom(FRONT, FRONT, CATCH_UP),
});

test('a run goes to its loops as it would row by row, and ends where there is something to decide', () => {
  let rows = 0;
  fc.assert(
    fc.property(cases, (given) => {
      const { samples, from, oldest, lane } = given;
      const first = Math.min(from, samples.length - 1);
      // Values stand anywhere in a frame, aligned to nothing.
      const sampleValue = new DataView(new ArrayBuffer(8 * samples.length + 3), 3);
      const sampleTime = new Int32Array(2 * samples.length);
      samples.forEach(({ at, value }, i) => {
        sampleTime[2 * i] = at | 0;
        sampleTime[2 * i + 1] = Math.floor(at / 2 ** 32);
        sampleValue.setBigUint64(8 * i, value, true);
      });
      // Every other time itself, the rest unset.
      const sampleStart = given.starts === 'some' ? sampleTime.map((t, i) => (i & 2) * t) : undefined;
      const sampleSeries = Uint32Array.from(samples, (s) => s.series);
      const columns = { sampleSeries, sampleTime, sampleStart, sampleValue };
      const most = samples.length - first;

      const slow = new Side(given);
      let taken = 0;
      let passedOver = 0;
      for (; taken < most; taken++) {
        const i = first + taken;
        const { series, at } = samples[i]!;
        const row = ROW + taken;
        if (!segment.dictionary.has(series)) break;
        const s = segment.dictionary.seriesHash[2 * series]! & (SHARDS - 1);
        if (slow.table.isBehind(s, SEGMENT, ROW) || slow.table.isResent(s, SEGMENT, ROW)) break;
        if (slow.table.lane[s] !== lane) {
          passedOver++;
          continue;
        }
        const { queue } = slow.loops[slow.table.loop[s]!]!;
        if (queue.full || at < oldest) break;
        const value = [sampleValue.getInt32(8 * i, true), sampleValue.getInt32(8 * i + 4, true)] as const;
        const time = [sampleTime[2 * i]!, sampleTime[2 * i + 1]!] as const;
        slow.table.queued(s, SEGMENT, row);
        queue.push(segment, row, s, FRESH, LIVE, SAMPLE, series, ...time, ...value);
        if (sampleStart !== undefined) queue.startLast(sampleStart[2 * i]!, sampleStart[2 * i + 1]!);
      }

      const fast = new Side(given);
      const router = new SampleRouter(fast.table, fast);
      const held = segment.held;
      router.route({ context: segment, rows: columns }, lane, first, ROW, most, oldest);
      assert.deepEqual([router.rows, router.passedOver], [taken, passedOver]);
      assert.equal(segment.held - held, taken - passedOver);
      assert.deepEqual(fast.state, slow.state);
      rows += taken;
    }),
    { numRuns: 300 },
  );
  assert.ok(rows > 3000, `only ${rows} rows were in runs`);
});
