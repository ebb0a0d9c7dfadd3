import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeProgress, lowest, ProgressBlock, SHARDS } from '../../src/network/progress.ts';
import {
  CATCH_UP,
  FRONT,
  loopOf,
  type RowsByShard,
  ShardTable,
  WAITING,
} from '../../src/network/shard-table.ts';
import type { Position } from '../../src/serialization/position.ts';
import { noCounts, standing } from './support/standing.ts';

const start: Position = { segment: 3, row: 10 };

function newTable(loops = 4): { block: ProgressBlock; table: ShardTable } {
  const block = new ProgressBlock(0);
  return { block, table: new ShardTable(block, undefined, start, loops) };
}

function low(table: ShardTable, s: number): Position {
  return { segment: table.lowSegment[s]!, row: table.lowRow[s]! };
}

function next(table: ShardTable, s: number): Position {
  return { segment: table.nextSegment[s]!, row: table.nextRow[s]! };
}

/** A row of shard `s` alone. */
function one(s: number, row: number): RowsByShard {
  return { shardRows: new Uint32Array(SHARDS).fill(1, s, s + 1), lastRow: new Uint32Array(SHARDS).fill(row) };
}

/** The table of the process that comes next. */
function restarted(block: ProgressBlock, front: Position): ShardTable {
  const progress = decodeProgress(block.seal(standing(0, front), noCounts).slice());
  assert.ok(progress !== undefined);
  return new ShardTable(new ProgressBlock(progress.sequence), progress, lowest(progress), 1);
}

test('every number of loops gets whole ranges of the shards, as even as can be', () => {
  for (let loops = 1; loops <= SHARDS; loops++) {
    const shares = new Array<number>(loops).fill(0);
    let before = 0;
    for (let s = 0; s < SHARDS; s++) {
      const loop = loopOf(s, loops);
      assert.ok(loop === before || loop === before + 1, `shard ${s} of ${loops} loops: ${before}, ${loop}`);
      before = loop;
      shares[loop]!++;
    }
    assert.equal(before, loops - 1);
    assert.ok(Math.max(...shares) - Math.min(...shares) <= 1, `${loops} loops: ${shares}`);
  }
});

test('a new table starts every shard at the start, with nothing to send again', () => {
  const { table } = newTable();
  for (let s = 0; s < SHARDS; s++) {
    assert.deepEqual(low(table, s), start);
    assert.deepEqual(next(table, s), start);
    assert.equal(table.loop[s], loopOf(s, 4));
    assert.equal(table.target[s], table.loop[s]);
    assert.equal(table.lane[s], FRONT);
    assert.equal(table.isBehind(s, 3, 9), true);
    assert.equal(table.isBehind(s, 2, 1000), true);
    assert.equal(table.isBehind(s, 3, 10), false);
    assert.equal(table.isBehind(s, 4, 0), false);
    assert.equal(table.isResent(s, 3, 10), false);
  }
});

test('low stands at the oldest row that is pending, and behind the last one that was settled', () => {
  const { table } = newTable();
  table.queued(5, 3, 20);
  assert.deepEqual(low(table, 5), { segment: 3, row: 20 }, 'nothing of the shard lies before its first row');
  table.queued(5, 3, 25);
  table.queued(5, 4, 2);
  assert.equal(table.pending[5], 3);
  assert.deepEqual(low(table, 5), { segment: 3, row: 20 });
  table.settled(3, one(5, 20));
  assert.deepEqual(low(table, 5), { segment: 3, row: 21 });
  table.settled(3, one(5, 25));
  table.settled(4, one(5, 2));
  assert.equal(table.pending[5], 0);
  assert.deepEqual(low(table, 5), { segment: 4, row: 3 });
  assert.deepEqual(low(table, 6), start, 'other shards stay');
});

test('settled before an older row of its shard, a row leaves low at that one', () => {
  const { table } = newTable();
  for (const [s, row] of [
    [5, 20],
    [5, 21],
    [7, 22],
    [5, 23],
  ] as const) {
    table.queued(s, 3, row);
  }
  const oldest = { segment: new Float64Array(SHARDS), row: new Uint32Array(SHARDS) };
  oldest.segment[5] = 3;
  oldest.row[5] = 20;
  table.settled(3, one(5, 21), oldest);
  assert.deepEqual(low(table, 5), { segment: 3, row: 20 });
  assert.deepEqual(low(table, 7), { segment: 3, row: 22 });
  oldest.row[5] = 23;
  table.settled(3, one(5, 20), oldest);
  assert.deepEqual(low(table, 5), { segment: 3, row: 21 });
  oldest.segment[5] = 0;
  table.settled(3, one(5, 23), oldest);
  assert.deepEqual(low(table, 5), { segment: 3, row: 24 });
  assert.equal(table.pendingRows, 1);
});

test('raise: by lane, the low of shards with nothing pending', () => {
  const front = { segment: 9, row: 90 };
  const catchUp = { segment: 6, row: 60 };
  const at = { segment: 5, row: 50 };
  for (const { what, prepare, low: expected } of [
    { what: 'at the front', prepare: () => {}, low: front },
    {
      what: 'waiting: where it was let go',
      prepare: (table: ShardTable) => table.letGo(0, at),
      low: at,
    },
    {
      what: 'catching up: where that reader stands',
      prepare: (table: ShardTable) => {
        table.letGo(0, at);
        table.serve(0, CATCH_UP);
      },
      low: catchUp,
    },
    {
      what: 'catching up, let go behind that reader',
      prepare: (table: ShardTable) => {
        table.letGo(0, { segment: 7, row: 70 });
        table.serve(0, CATCH_UP);
      },
      low: { segment: 7, row: 70 },
    },
    {
      what: 'pending: it stays',
      prepare: (table: ShardTable) => table.queued(0, 4, 40),
      low: { segment: 4, row: 40 },
    },
    {
      what: 'pending while let go: it stays',
      prepare: (table: ShardTable) => {
        table.queued(0, 4, 40);
        table.letGo(0, at);
      },
      low: { segment: 4, row: 40 },
    },
  ]) {
    const { table } = newTable();
    prepare(table);
    assert.deepEqual(table.raise(front, catchUp), expected, `${what}: the lowest of all`);
    assert.deepEqual(low(table, 0), expected, what);
    assert.deepEqual(low(table, 1), front, what);
    // A reader that stands further back (a restart reads from the lowest) takes nothing back.
    table.raise(start, start);
    assert.deepEqual(low(table, 0), expected, what);
  }
});

test('a shard that is let go is passed over from there; letting go twice keeps the first place', () => {
  const { table } = newTable();
  table.letGo(7, { segment: 4, row: 1 });
  assert.equal(table.lane[7], WAITING);
  table.letGo(7, { segment: 8, row: 1 });
  assert.deepEqual(next(table, 7), { segment: 4, row: 1 });
  assert.equal(table.isBehind(7, 4, 0), true);
  assert.equal(table.isBehind(7, 4, 1), false);
  table.serve(7, CATCH_UP);
  table.letGo(7, { segment: 3, row: 11 });
  assert.deepEqual(next(table, 7), { segment: 4, row: 1 }, 'what was queued once is never queued again');
});

test('after a restart each shard goes on behind what was settled, and knows what may have been delivered', () => {
  const { block, table } = newTable();
  table.queued(1, 3, 20);
  table.queued(1, 3, 30);
  table.queued(2, 3, 21);
  table.queued(3, 3, 22);
  table.sent(3, one(1, 20));
  table.settled(3, one(1, 20));
  table.sent(3, one(2, 21));
  const front = { segment: 3, row: 40 };
  assert.deepEqual(table.raise(front, front), { segment: 3, row: 21 });
  const again = restarted(block, front);
  assert.deepEqual([...again.loop], [...table.loop], 'the same loops, whatever is asked for now');
  for (const { s, row, behind, resent } of [
    { s: 1, row: 20, behind: true, resent: true },
    { s: 1, row: 30, behind: false, resent: false },
    { s: 2, row: 21, behind: false, resent: true },
    { s: 2, row: 22, behind: false, resent: false },
    { s: 3, row: 22, behind: false, resent: false },
    { s: 4, row: 39, behind: true, resent: false },
    { s: 4, row: 40, behind: false, resent: false },
  ]) {
    assert.equal(again.isBehind(s, 3, row), behind, `shard ${s} row ${row}`);
    assert.equal(again.isResent(s, 3, row), resent, `shard ${s} row ${row}`);
  }
});

test('what may have been delivered stays so when it is sent again in smaller requests (RLY-13)', () => {
  const { block, table } = newTable();
  for (const row of [20, 21, 22]) table.queued(1, 3, row);
  for (const row of [20, 21, 22]) table.sent(3, one(1, row));
  const second = restarted(block, start);
  const secondBlock = new ProgressBlock(1);
  const progress = decodeProgress(block.bytes.slice());
  const sending = new ShardTable(secondBlock, progress, start, 1);
  sending.queued(1, 3, 20);
  sending.sent(3, one(1, 20));
  const third = restarted(secondBlock, start);
  assert.equal(second.isResent(1, 3, 22), true);
  assert.equal(third.isResent(1, 3, 22), true, 'the process before the last had sent it');
});
