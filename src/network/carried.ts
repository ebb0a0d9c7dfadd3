import { loneExemplars } from '../protocol/emitter-v2.ts';
import { CUSTOM_BUCKETS } from '../serialization/payloads.ts';
import { EXEMPLAR, HISTOGRAM, METADATA } from '../serialization/rows.ts';
import { LIVE, lostFor, type RowQueue } from './row-queue.ts';
import type { WireVersion } from './version.ts';

const customBuckets = lostFor('custom_buckets');
const exemplarAlone = lostFor('exemplar_alone');
const withSeries = lostFor('metadata_with_series');

/**
 * Marks those of the first `rows` rows to be left out that a request of `version` cannot carry, each for the reason
 * that it is counted under; with `back`, what another version could not carry is there again. True when something
 * changed. Metadata goes by the version of requests as a rule: what goes with the series need not be sent apart.
 *
 * Not at the reader, where it would be looked at once: the version may change while rows are queued.
 */
export function leaveOutUncarried(
  queue: RowQueue,
  rows: number,
  version: WireVersion,
  standing: WireVersion,
  back: boolean,
): boolean {
  const { head, mask, kind, skip, payload } = queue;
  // Of samples alone, there is nothing that either could not carry.
  if (payload === undefined) return false;
  const before: number[] = [];
  for (let i = head; i < head + rows; i++) {
    const at = i & mask;
    before.push(skip[at]!);
    // Without its buckets at hand it was given up at the reader, for an endpoint that is sent 1.0 alone.
    const isCustom = kind[at] === HISTOGRAM && payload.note[at] === CUSTOM_BUCKETS;
    if (back && (skip[at] === exemplarAlone || (isCustom && skip[at] === customBuckets))) skip[at] = LIVE;
    if (skip[at] !== LIVE) continue;
    if (kind[at] === METADATA && standing === '2.0') skip[at] = withSeries;
    else if (kind[at] === HISTOGRAM && version === '1.0' && isCustom) skip[at] = customBuckets;
  }
  if (version === '2.0') {
    for (const i of loneExemplars(queue, head, rows)) skip[(head + i) & mask] = exemplarAlone;
  }
  return before.some((mark, i) => mark !== skip[(head + i) & mask]);
}

/** Whether the row at index `at` can be all of a request of `version`. */
export function canGoAlone(queue: RowQueue, at: number, version: WireVersion): boolean {
  const kind = queue.kind[at]!;
  if (version === '2.0') return kind !== METADATA && kind !== EXEMPLAR;
  return kind !== HISTOGRAM || queue.payload?.note[at] !== CUSTOM_BUCKETS;
}

/** How many of the first `rows` rows that are to be sent have a start time, which 1.0 cannot carry (RLY-06). */
export function startsAmong(queue: RowQueue, rows: number): number {
  const { head, mask, skip, start } = queue;
  if (start === undefined) return 0;
  let starts = 0;
  for (let i = head; i < head + rows; i++) {
    const at = i & mask;
    if (skip[at] === LIVE && (start[2 * at] !== 0 || start[2 * at + 1] !== 0)) starts++;
  }
  return starts;
}
