import { SHARDS } from '../network/progress.ts';
import type { RowContext, RowQueue, Samples } from '../network/row-queue.ts';
import type { ShardTable } from '../network/shard-table.ts';

/** In place of a loop: the reader does not serve that shard, and passes over its rows. */
const NOBODY = SHARDS;
/** In place of a loop: the rows of that shard have to be looked at one by one. */
const LOOK = SHARDS + 1;

/** A frame of a segment, as a reader has it. */
export interface SampleFrame {
  readonly context: RowContext;
  readonly rows: Samples;
}

/** The loops of an endpoint as they are now. */
export interface LoopQueues {
  readonly loops: readonly { readonly queue: RowQueue }[];
}

/**
 * The short way of samples from a frame to the loops.
 *
 * Of nearly every sample there is nothing to decide: its series is known, no process has seen it before, its loop has
 * room, and it is within its TTL. Runs of such rows are handed out column by column: first where each of them goes,
 * then to each loop all that it gets. bench/deliver.ts shows what that saves against row by row. A run ends at the
 * first row that is different; that one is for row-router.ts, which knows all cases.
 */
export class SampleRouter {
  readonly #table: ShardTable;
  readonly #manager: LoopQueues;
  /** By shard: the loop that its rows go to, `NOBODY` or `LOOK`. */
  readonly #ways: Uint16Array = new Uint16Array(SHARDS);
  /** By loop: how many rows it can still take; then where the next of its rows goes among the sorted ones. */
  readonly #room: Uint32Array = new Uint32Array(SHARDS);
  /** By loop: where its rows begin among the sorted ones, and end. */
  readonly #starts: Uint32Array = new Uint32Array(SHARDS + 1);
  /** Of each row of the run: its shard. */
  #shards: Uint8Array = new Uint8Array(0);
  /** Rows that loops get, counted from the first of the run, by loop. */
  #sorted: Uint32Array = new Uint32Array(0);
  /** Rows of the last run. */
  rows = 0;
  /** Those of them that were passed over: the reader does not serve their shards. */
  passedOver = 0;

  constructor(table: ShardTable, manager: LoopQueues) {
    this.#table = table;
    this.#manager = manager;
  }

  /**
   * Hands out a run of samples of a frame of a reader that serves `lane`: from sample `first` on, which is row `row` of
   * its segment, at most `most`, none from before `oldestMs`. Then `rows` and `passedOver` say what it was.
   */
  route(frame: SampleFrame, lane: number, first: number, row: number, most: number, oldestMs: number): void {
    const { context, rows } = frame;
    const { loops } = this.#manager;
    if (this.#shards.length < most) {
      this.#shards = new Uint8Array(2 * most);
      this.#sorted = new Uint32Array(2 * most);
    }
    for (let l = 0; l < loops.length; l++) {
      this.#room[l] = loops[l]!.queue.room;
      this.#starts[l] = this.#room[l]!;
    }
    this.#findWays(lane, context.segment, row);
    this.#find(frame, first, row, most, oldestMs);
    const kept = this.rows - this.passedOver;
    if (loops.length === 1 && this.passedOver === 0) {
      if (kept > 0) loops[0]!.queue.pushRun(context, rows, first, row, this.#shards, kept);
      return;
    }
    this.#sort(loops.length);
    for (let l = 0; l < loops.length; l++) {
      const from = this.#starts[l]!;
      const to = this.#starts[l + 1]!;
      if (from === to) continue;
      loops[l]!.queue.pushPicked(context, rows, first, row, this.#shards, this.#sorted, from, to);
    }
  }

  /** What becomes of the rows of each shard from row `row` of `segment` on. Nothing of it changes in a run. */
  #findWays(lane: number, segment: number, row: number): void {
    const table = this.#table;
    for (let s = 0; s < SHARDS; s++) {
      if (!table.isFresh(s, segment, row)) this.#ways[s] = LOOK;
      else this.#ways[s] = table.lane[s] === lane ? table.loop[s]! : NOBODY;
    }
  }

  /** Finds the run, and counts what loops get of it as queued. */
  #find(frame: SampleFrame, first: number, row: number, most: number, oldestMs: number): void {
    const { dictionary, segment } = frame.context;
    const { series: known, seriesHash } = dictionary;
    const { seriesAt } = dictionary.columns;
    const { sampleSeries, sampleTime } = frame.rows;
    const table = this.#table;
    const { pending, lowSegment, lowRow } = table;
    const ways = this.#ways;
    const room = this.#room;
    const shards = this.#shards;
    const limited = oldestMs > Number.NEGATIVE_INFINITY;
    let passedOver = 0;
    let n = 0;
    for (; n < most; n++) {
      const at = first + n;
      const series = sampleSeries[at]!;
      // A series that is missing, or dropped by relabelling, has no labels.
      if (series >= known || seriesAt[series + 1] === seriesAt[series]) break;
      const s = seriesHash[2 * series]! & (SHARDS - 1);
      shards[n] = s;
      const loop = ways[s]!;
      if (loop >= NOBODY) {
        if (loop === LOOK) break;
        passedOver++;
        continue;
      }
      const left = room[loop]!;
      if (left === 0) break;
      if (limited && sampleTime[2 * at + 1]! * 2 ** 32 + (sampleTime[2 * at]! >>> 0) < oldestMs) break;
      room[loop] = left - 1;
      const before = pending[s]!;
      pending[s] = before + 1;
      if (before > 0) continue;
      lowSegment[s] = segment;
      lowRow[s] = row + n;
    }
    table.pendingRows += n - passedOver;
    this.rows = n;
    this.passedOver = passedOver;
  }

  /** Sorts the rows of the run by loop; those of a loop stay in their order. */
  #sort(loops: number): void {
    const starts = this.#starts;
    const next = this.#room;
    let end = 0;
    for (let l = 0; l < loops; l++) {
      const rows = starts[l]! - next[l]!;
      starts[l] = end;
      next[l] = end;
      end += rows;
    }
    starts[loops] = end;
    const ways = this.#ways;
    const shards = this.#shards;
    const sorted = this.#sorted;
    for (let n = 0; n < this.rows; n++) {
      const loop = ways[shards[n]!]!;
      if (loop === NOBODY) continue;
      const to = next[loop]!;
      next[loop] = to + 1;
      sorted[to] = n;
    }
  }
}
