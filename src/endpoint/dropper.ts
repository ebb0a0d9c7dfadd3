import type { PassedSegment } from '../filequeue/keeper.ts';
import { SHARDS } from '../network/progress.ts';
import { type ShardTable, WAITING } from '../network/shard-table.ts';
import { comparePositions, type Position } from '../serialization/position.ts';
import { EXEMPLAR, HISTOGRAM, KINDS, METADATA, SAMPLE } from '../serialization/rows.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import { familyShard } from './metadata.ts';
import type { WalReader } from './wal-reader.ts';

/** What is to be given up: all rows below `before` that are not settled, and not in a loop. */
export interface DropOrder {
  readonly before: number;
  readonly reason: EndpointReason;
  /** Row counts of the segments, so that one of which nothing was handed out need not be read. */
  readonly passed: ReadonlyMap<number, PassedSegment>;
}

/** What became of the rows of a frame that a reader gives up. */
export interface UnreadRows {
  /** By kind: rows that nobody has, and nobody gets now. */
  readonly dropped: readonly number[];
  /** Rows that were settled before. */
  readonly settledBefore: number;
}

/**
 * Goes through the rest of a reader's frame, up to row `limit` of its segment, and says which rows nobody has: those
 * that are not behind the next row of their shard. With `waitingOnly` only shards that wait count: what the others
 * have before the front is queued or settled. `onDamaged` is told of rows whose series is lost, so that they belong
 * to no shard.
 */
export function countUnread(
  reader: WalReader,
  table: ShardTable,
  limit: number,
  waitingOnly: boolean,
  onDamaged: (kind: number, segment: number, row: number) => void,
): UnreadRows {
  const { rows, head, context } = reader;
  const { dictionary, segment } = context;
  const dropped = new Array<number>(KINDS).fill(0);
  let settledBefore = 0;
  const next = [0, 0, 0, 0];
  const from = reader.position.row;
  let row = head.row;
  for (let r = 0; r < rows.orderLength && row < limit; r += 2) {
    const kind = rows.order[r]!;
    for (let left = rows.order[r + 1]!; left > 0 && row < limit; left--, row++) {
      const i = next[kind]!++;
      if (row < from) continue;
      const series =
        kind === SAMPLE
          ? rows.sampleSeries[i]!
          : kind === HISTOGRAM
            ? rows.histogramSeries[i]!
            : kind === EXEMPLAR
              ? rows.exemplarSeries[i]!
              : -1;
      if (kind !== METADATA && !dictionary.has(series) && !dictionary.isDropped(series)) {
        onDamaged(kind, segment, row);
        continue;
      }
      const s =
        kind === METADATA
          ? familyShard(dictionary.string(rows.metadataFamily[i]!))
          : dictionary.seriesHash[2 * series]! & (SHARDS - 1);
      if (waitingOnly && table.lane[s] !== WAITING) continue;
      if (table.isBehind(s, segment, row)) settledBefore++;
      else dropped[kind]!++;
    }
  }
  reader.passed(row - 1);
  return { dropped, settledBefore };
}

/** Where the first row lies that a waiting shard has passed over, if that is before `end`. */
export function firstWaiting(table: ShardTable, end: Position): Position | undefined {
  let first: Position | undefined;
  for (let s = 0; s < SHARDS; s++) {
    if (table.lane[s] !== WAITING) continue;
    const next = { segment: table.nextSegment[s]!, row: table.nextRow[s]! };
    if (comparePositions(next, first ?? end) < 0) first = next;
  }
  return first;
}
