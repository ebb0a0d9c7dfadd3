import { EndpointControlError, type SeekTarget } from './control.ts';

/** What is in the queue, as `segmentOf` needs it. */
export interface SeekableQueue {
  /** The oldest segment that somebody may start at. */
  readonly oldest: number;
  /** The last of them is being written, or comes next. */
  readonly watermark: { readonly segment: number };
  /** Ascending; when the last row of each came, ms. */
  readonly segments: readonly { readonly id: number; readonly lastMs: number }[];
}

/**
 * The segment that `target` means. A time means the first one that has rows of that time or later: whoever starts
 * there misses none of them, and gets some that are older. Throws `EndpointControlError` for what is not there.
 */
export function segmentOf(
  queue: SeekableQueue,
  endpoint: string,
  target: Exclude<SeekTarget, 'now'>,
  nowMs: number,
): number {
  const { oldest, segments } = queue;
  const newest = queue.watermark.segment;
  if (target === 'oldest') return oldest;
  if (typeof target === 'number') {
    if (target >= oldest && target <= newest) return target;
    throw new EndpointControlError(
      `segment ${target} is not in the queue, which has segments ${oldest} to ${newest}`,
      { endpoint },
    );
  }
  // What is gone by now was delivered; what was cut off just now may not have begun.
  if ('before' in target) {
    if (target.before <= newest + 1) return target.before;
    throw new EndpointControlError(`segment ${target.before} is not in the queue yet`, { endpoint });
  }
  if ('from' in target) return Math.min(Math.max(target.from, oldest), newest);
  const { atMs } = target;
  if (atMs > nowMs) throw new EndpointControlError('this time is still to come', { endpoint, at_ms: atMs });
  return segments.find(({ id, lastMs }) => id >= oldest && lastMs >= atMs)?.id ?? newest;
}
