import { METADATA } from '../serialization/rows.ts';
import { LIVE, lostFor, type RowQueue } from './row-queue.ts';

/** Rows of segments before `segment` are given up; `skip` says for which reason (row-queue.ts). */
export interface DropMark {
  readonly segment: number;
  readonly skip: number;
}

const expired = lostFor('expired');

/**
 * Marks those of the first `rows` rows to be left out that are to be dropped, or are older than `oldestMs`, ms since
 * the epoch; metadata has no age. True when there were new ones.
 */
export function leaveOutOld(queue: RowQueue, rows: number, drop: DropMark, oldestMs: number): boolean {
  const dropped = Math.min(rows, queue.rowsBefore(drop.segment));
  let found = false;
  for (let i = 0; i < dropped; i++) {
    const at = (queue.head + i) & queue.mask;
    if (queue.skip[at] !== LIVE) continue;
    queue.skip[at] = drop.skip;
    found = true;
  }
  if (oldestMs === Number.NEGATIVE_INFINITY) return found;
  for (let i = dropped; i < rows; i++) {
    const at = (queue.head + i) & queue.mask;
    if (queue.skip[at] !== LIVE || queue.kind[at] === METADATA) continue;
    if (queue.timeMs(at) >= oldestMs) continue;
    queue.skip[at] = expired;
    found = true;
  }
  return found;
}
