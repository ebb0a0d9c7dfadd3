import { type Progress, ProgressBlock } from '../network/progress.ts';
import type { Position } from '../serialization/position.ts';
import { later } from './gaps.ts';

/**
 * A progress block that stands at `to`, which is not behind any shard of `progress`. `rows` more rows wait by that:
 * they count as returned, so that the counts balance. What was sent stays noted, so that rows of it go as rows that may
 * have been delivered (RLY-13).
 */
export function rewound(progress: Progress, to: Position, rows: number): Uint8Array {
  const block = new ProgressBlock(progress.sequence, progress.routing);
  block.loop.set(progress.loops);
  block.lowSegment.fill(to.segment);
  block.lowRow.fill(to.row);
  progress.sent.forEach(({ segment, row }, s) => {
    block.sentSegment[s] = segment;
    block.sentRow[s] = row;
  });
  const { front, furthest, received, known, returned, counts } = progress;
  return block.seal(
    {
      unsettled: 0,
      front: to,
      furthest: later(front, furthest),
      received,
      known,
      returned: returned + rows,
    },
    counts,
  );
}
