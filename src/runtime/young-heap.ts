import { setFlagsFromString } from 'node:v8';

/**
 * The live space of the young part of a JavaScript heap is 1 MB a thread, as it is when a thread starts.
 *
 * Left alone V8 lets it grow to 16 MB, and twice that in passing. On the data path what is short-lived is short-lived
 * indeed: a larger one saves no time, and its growth looks like a leak to whoever watches a backlog drain.
 */

/** `resourceLimits.maxYoungGenerationSizeMb` for a thread of its own: three times its live space. */
export const YOUNG_GENERATION_MB = 3;

/**
 * The same for the main thread; to be called early. A program cannot give itself `--max-semi-space-size`, which is read
 * before it runs; the factor of growth is read when the heap is about to grow.
 */
export function keepYoungHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
