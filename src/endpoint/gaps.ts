import type { FileQueue, SegmentRange } from '../filequeue/file-queue.ts';
import { comparePositions, type Position } from '../serialization/position.ts';

/** Rows of the queue from one position up to another, less those in `gaps`. */
export function rowsBetween(
  queue: Pick<FileQueue, 'rowsFrom'>,
  from: Position,
  to: Position,
  gaps: readonly SegmentRange[],
): number {
  const rows = (a: Position, b: Position): number =>
    queue.rowsFrom(a.segment, a.row) - queue.rowsFrom(b.segment, b.row);
  let sum = rows(from, to);
  for (const gap of gaps) {
    const start = later(from, { segment: gap.from, row: 0 });
    const end = earlier(to, { segment: gap.to, row: 0 });
    if (comparePositions(start, end) < 0) sum -= rows(start, end);
  }
  return sum;
}

export function later(a: Position, b: Position): Position {
  return comparePositions(a, b) > 0 ? a : b;
}

export function earlier(a: Position, b: Position): Position {
  return comparePositions(a, b) < 0 ? a : b;
}
