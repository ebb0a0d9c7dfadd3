import { comparePositions, type Position } from '../serialization/position.ts';
import { furthestSent, lowest, type Progress, type ProgressBlock, SHARDS } from './progress.ts';

/** Served by the reader at the front of the queue. */
export const FRONT = 0;
/** Served by the reader that goes over what was let go. */
export const CATCH_UP = 1;
/** Not served: it waits for its loop, at `next`. */
export const WAITING = 2;

/** How many rows of each shard there are, and the ordinal of the last of them in its segment. */
export interface RowsByShard {
  readonly shardRows: Uint32Array;
  readonly lastRow: Uint32Array;
}

/** A position for each shard. */
export interface PositionsByShard {
  readonly segment: Float64Array;
  readonly row: Uint32Array;
}

/**
 * What an endpoint knows of each virtual shard.
 *
 * A row of shard `s` is in one of four states, in the order of the queue:
 *
 *     settled | sent, unknown | queued in a loop | not read yet
 *             ^ low           ^ sent             ^ next, or its reader
 *
 * - `pending` rows are queued or in a request; while there are any, everything before `low` is settled.
 * - rows before `next` have been queued, whatever a reader that starts further back comes across.
 * - rows before the `sent` of the process before that are not settled may have been delivered by the process before
 * (RLY-13).
 */
export class ShardTable {
  /** Loop of each shard. */
  readonly loop: Uint8Array;
  /** Where it shall move once nothing of it is pending; the same as `loop` when it stays. */
  readonly target: Uint8Array = new Uint8Array(SHARDS);
  readonly lane: Uint8Array = new Uint8Array(SHARDS);
  readonly pending: Uint32Array = new Uint32Array(SHARDS);
  /** Sum of `pending`. */
  pendingRows = 0;
  readonly lowSegment: Float64Array;
  readonly lowRow: Uint32Array;
  readonly nextSegment: Float64Array = new Float64Array(SHARDS);
  readonly nextRow: Uint32Array = new Uint32Array(SHARDS);
  /** Shards are not those of `progress`: all rows behind its lowest position are queued again, settled or not. */
  readonly rerouted: boolean;
  readonly sentSegment: Float64Array;
  readonly sentRow: Uint32Array;
  readonly #resentSegment: Float64Array = new Float64Array(SHARDS);
  readonly #resentRow: Uint32Array = new Uint32Array(SHARDS);

  /**
   * The table lives in `block`. It goes on from `progress`; without, every shard starts at `start`, spread over
   * `loops` loops.
   *
   * Under another routing than that of `progress` a series is in another shard than before, so all of them go
   * back to the lowest position: what that sends twice goes in requests of its own, and nothing is lost.
   */
  constructor(block: ProgressBlock, progress: Progress | undefined, start: Position, loops: number) {
    this.loop = block.loop;
    this.lowSegment = block.lowSegment;
    this.lowRow = block.lowRow;
    this.sentSegment = block.sentSegment;
    this.sentRow = block.sentRow;
    const rerouted =
      progress !== undefined && progress.routing !== block.routing
        ? { low: lowest(progress), sent: furthestSent(progress) }
        : undefined;
    this.rerouted = rerouted !== undefined;
    for (let s = 0; s < SHARDS; s++) {
      const low = rerouted?.low ?? progress?.low[s] ?? start;
      const sent = rerouted?.sent ?? progress?.sent[s] ?? start;
      this.loop[s] = progress?.loops[s] ?? loopOf(s, loops);
      this.target[s] = this.loop[s]!;
      this.lowSegment[s] = low.segment;
      this.lowRow[s] = low.row;
      this.nextSegment[s] = low.segment;
      this.nextRow[s] = low.row;
      this.sentSegment[s] = sent.segment;
      this.sentRow[s] = sent.row;
      this.#resentSegment[s] = sent.segment;
      this.#resentRow[s] = sent.row;
    }
  }

  /** Takes shard `s` from the reader that serves it; `at` is where that reader stands. */
  letGo(s: number, at: Position): void {
    if (this.lane[s] === WAITING) return;
    this.lane[s] = WAITING;
    this.#raiseNext(s, at);
  }

  /** Gives shard `s` to a reader. */
  serve(s: number, lane: typeof FRONT | typeof CATCH_UP): void {
    this.lane[s] = lane;
  }

  /** Whatever of shard `s` lies before `at` is done with: no reader hands it out any more. */
  passTo(s: number, at: Position): void {
    this.#raiseNext(s, at);
  }

  /** True when the row at `row` of `segment` has been queued before, by whichever reader. */
  isBehind(s: number, segment: number, row: number): boolean {
    const next = this.nextSegment[s]!;
    return segment < next || (segment === next && row < this.nextRow[s]!);
  }

  /** The position behind which no row of any shard has been queued. */
  furthestNext(): Position {
    let furthest: Position = { segment: 0, row: 0 };
    for (let s = 0; s < SHARDS; s++) {
      const next = { segment: this.nextSegment[s]!, row: this.nextRow[s]! };
      if (comparePositions(next, furthest) > 0) furthest = next;
    }
    return furthest;
  }

  /** True when that row may have been delivered by the process before. */
  isResent(s: number, segment: number, row: number): boolean {
    const end = this.#resentSegment[s]!;
    return segment < end || (segment === end && row < this.#resentRow[s]!);
  }

  /** True when no process has queued that row before, nor any behind it. */
  isFresh(s: number, segment: number, row: number): boolean {
    return !this.isBehind(s, segment, row) && !this.isResent(s, segment, row);
  }

  /** Counts a row as queued. */
  queued(s: number, segment: number, row: number): void {
    if (this.pending[s] === 0) {
      this.lowSegment[s] = segment;
      this.lowRow[s] = row;
    }
    this.pending[s]!++;
    this.pendingRows++;
  }

  /** Counts a row that was not queued as settled. Nothing of the shard may be pending. */
  passed(s: number, segment: number, row: number): void {
    this.lowSegment[s] = segment;
    this.lowRow[s] = row + 1;
  }

  /**
   * Counts rows of `segment` as settled. They are the oldest pending ones of their shards, unless `oldest` says which
   * of the others are older; a segment of 0 stands for none.
   */
  settled(segment: number, { shardRows, lastRow }: RowsByShard, oldest?: PositionsByShard): void {
    for (let s = 0; s < SHARDS; s++) {
      const rows = shardRows[s]!;
      if (rows === 0) continue;
      this.pending[s]! -= rows;
      this.pendingRows -= rows;
      const staysSegment = oldest?.segment[s] ?? 0;
      const staysRow = oldest?.row[s] ?? 0;
      const isBehind =
        staysSegment === 0 || staysSegment > segment || (staysSegment === segment && staysRow > lastRow[s]!);
      this.lowSegment[s] = isBehind ? segment : staysSegment;
      this.lowRow[s] = isBehind ? lastRow[s]! + 1 : staysRow;
    }
  }

  /** Notes that rows of `segment` are about to leave. What the process before had sent stays noted. */
  sent(segment: number, { shardRows, lastRow }: RowsByShard): void {
    for (let s = 0; s < SHARDS; s++) {
      if (shardRows[s] === 0) continue;
      const row = lastRow[s]!;
      const end = this.sentSegment[s]!;
      if (segment < end || (segment === end && row < this.sentRow[s]!)) continue;
      this.sentSegment[s] = segment;
      this.sentRow[s] = row + 1;
    }
  }

  /**
   * Moves `low` of the shards that have nothing pending up to where their reader stands: what lies before has
   * no row of theirs. Returns the lowest of all.
   */
  raise(front: Position, catchUp: Position): Position {
    let lowest = front;
    for (let s = 0; s < SHARDS; s++) {
      let low: Position = { segment: this.lowSegment[s]!, row: this.lowRow[s]! };
      if (this.pending[s] === 0) {
        const next = { segment: this.nextSegment[s]!, row: this.nextRow[s]! };
        const reader = this.lane[s] === FRONT ? front : this.lane[s] === CATCH_UP ? catchUp : next;
        const at = comparePositions(reader, next) > 0 ? reader : next;
        if (comparePositions(at, low) > 0) {
          low = at;
          this.lowSegment[s] = at.segment;
          this.lowRow[s] = at.row;
        }
      }
      if (comparePositions(low, lowest) < 0) lowest = low;
    }
    return lowest;
  }

  /**
   * Moves `low` of the shards that have no row of their own before `segment` any more up to its start: where rows of
   * a shard are pending it knows only that what lies before the last settled one is done with.
   */
  raiseTo(segment: number, except: ReadonlySet<number>): void {
    for (let s = 0; s < SHARDS; s++) {
      if (this.lowSegment[s]! >= segment || except.has(s)) continue;
      this.lowSegment[s] = segment;
      this.lowRow[s] = 0;
    }
  }

  #raiseNext(s: number, at: Position): void {
    if (this.isBehind(s, at.segment, at.row)) return;
    this.nextSegment[s] = at.segment;
    this.nextRow[s] = at.row;
  }
}

/** The loop that shard `s` belongs to when there are `loops`: whole ranges of the hash space. */
export function loopOf(s: number, loops: number): number {
  return Math.floor((s * loops) / SHARDS);
}
