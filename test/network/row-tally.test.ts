import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SHARDS } from '../../src/network/progress.ts';
import { FRESH, LIVE, lostFor, RowQueue, SETTLED } from '../../src/network/row-queue.ts';
import { RowTally } from '../../src/network/row-tally.ts';
import { KINDS, METADATA, SAMPLE } from '../../src/serialization/rows.ts';
import { Choices } from '../reference/choices.ts';
import { TestSegment } from './support/segment.ts';

/** The same, row by row, by the plainest code. */
function plainly(queue: RowQueue, from: number, rows: number) {
  const shardRows = new Uint32Array(SHARDS);
  const lastRow = new Map<number, number>();
  const kinds = new Uint32Array(KINDS);
  let newestMs = Number.NEGATIVE_INFINITY;
  for (let i = from; i < from + rows; i++) {
    const at = (queue.head + i) & queue.mask;
    if (queue.skip[at] === SETTLED) continue;
    const s = queue.shard[at]!;
    shardRows[s]!++;
    lastRow.set(s, Math.max(lastRow.get(s) ?? 0, queue.row[at]!));
    if (queue.skip[at] !== LIVE) continue;
    kinds[queue.kind[at]!]!++;
    newestMs = Math.max(newestMs, queue.timeMs(at));
  }
  const live = kinds.reduce((sum, n) => sum + n, 0);
  return { live, kinds, newestMs, shardRows, lastRow };
}

describe('the tally of a request', () => {
  it('is that of its rows, whatever they are, in any order, over the end of the ring', () => {
    const choices = new Choices(11);
    const context = new TestSegment(1);
    const queue = new RowQueue(256);
    const tally = new RowTally();
    let ordinal = 0;
    for (let turn = 0; turn < 60; turn++) {
      const plain = choices.chance(0.3);
      while (!queue.full && choices.chance(0.99)) {
        const kind = plain || choices.chance(0.8) ? SAMPLE : choices.int(1, METADATA + 1);
        const skip = plain || choices.chance(0.8) ? LIVE : choices.of([SETTLED, lostFor('expired')]);
        // Before 1970 and after 2106, and two whose low halves are the other way round.
        const hi = choices.of([400, 400, 401, -1, 0]);
        const lo = choices.of([0, 1, -1, choices.int(0, 1000)]);
        // Tenants take turns: the rows of a shard are not in order.
        const row = choices.chance(0.1) ? choices.int(0, ordinal + 1) : ordinal++;
        queue.push(context, row, choices.int(0, SHARDS), FRESH, skip, kind, 0, lo, hi, 0, 0);
      }
      const from = choices.int(0, queue.length + 1);
      const rows = choices.int(0, queue.length - from + 1);
      const expected = plainly(queue, from, rows);
      assert.equal(tally.count(queue, from, rows), tally);
      assert.equal(tally.live, expected.live);
      assert.deepEqual(tally.kinds, expected.kinds);
      assert.equal(tally.newestMs, expected.newestMs);
      assert.deepEqual(tally.shardRows, expected.shardRows);
      for (const [s, row] of expected.lastRow) assert.equal(tally.lastRow[s], row);
      queue.shift(choices.int(0, queue.length + 1));
    }
  });
});
