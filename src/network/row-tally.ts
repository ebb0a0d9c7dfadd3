import { KINDS, SAMPLE } from '../serialization/rows.ts';
import { SHARDS } from './progress.ts';
import { LIVE, type RowQueue, SETTLED } from './row-queue.ts';

/**
 * What is to be known of the rows of a request, counted in one pass.
 *
 * The rows of a shard are in order: how many there are and the last of them is all that the table of shards needs. So
 * what is noted when a request leaves and when it is settled costs something for each shard, and nothing for each row.
 */
export class RowTally {
  /** Rows that are to be sent. */
  live = 0;
  /** The same by kind. */
  readonly kinds: Uint32Array = new Uint32Array(KINDS);
  /** The newest of their times, ms since the epoch; of none, a time before all others. */
  newestMs: number = Number.NEGATIVE_INFINITY;
  /** By shard: rows that are not settled. */
  readonly shardRows: Uint32Array = new Uint32Array(SHARDS);
  /** By shard that has such rows: the ordinal of the last of them. */
  readonly lastRow: Uint32Array = new Uint32Array(SHARDS);

  /** Counts `rows` rows of `queue` from row `from` on, and forgets what was counted before. */
  count(queue: RowQueue, from: number, rows: number): this {
    const { mask, skip, kind, time, shard, row } = queue;
    const { kinds, shardRows, lastRow } = this;
    kinds.fill(0);
    shardRows.fill(0);
    lastRow.fill(0);
    let live = rows;
    let others = 0;
    let newestHi = -(2 ** 31);
    let newestLo = 0;
    let at = (queue.head + from) & mask;
    for (let rest = rows; rest > 0; at = 0) {
      // Up to where the ring begins again.
      const end = Math.min(mask + 1, at + rest);
      rest -= end - at;
      for (; at < end; at++) {
        const left = skip[at]!;
        if (left === SETTLED) {
          live--;
          continue;
        }
        const s = shard[at]!;
        shardRows[s]!++;
        // Not the one that comes last: tenants take turns (tenant-turns.ts), and so may the rows of a shard.
        if (row[at]! > lastRow[s]!) lastRow[s] = row[at]!;
        const k = kind[at]!;
        // Nearly all are samples that are to be sent: both are 0.
        if ((left | k) !== 0) {
          if (left !== LIVE) {
            live--;
            continue;
          }
          kinds[k]!++;
          others++;
        }
        const hi = time[2 * at + 1]!;
        if (hi < newestHi) continue;
        const lo = time[2 * at]! >>> 0;
        if (hi > newestHi || lo > newestLo) {
          newestHi = hi;
          newestLo = lo;
        }
      }
    }
    kinds[SAMPLE] = live - others;
    this.live = live;
    this.newestMs = live === 0 ? Number.NEGATIVE_INFINITY : newestHi * 2 ** 32 + newestLo;
    return this;
  }
}
