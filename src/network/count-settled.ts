import { KINDS } from '../serialization/rows.ts';
import type { EndpointStats } from '../telemetry/endpoint-stats.ts';
import type { PartialAnswer } from './partial-letter.ts';
import { LIVE, type RowQueue, reasonOf, SETTLED } from './row-queue.ts';
import type { RowTally } from './row-tally.ts';

/**
 * Counts `rows` rows from row `from` on, of which `tally` tells, as what became of them. Those that are live were
 * delivered, less as many as an answer says were not written.
 */
export function countSettled(
  stats: EndpointStats,
  { head, mask, skip, kind }: RowQueue,
  from: number,
  rows: number,
  { live, kinds, newestMs }: RowTally,
  not?: PartialAnswer,
): void {
  for (let i = head + from; i < head + from + rows && live < rows; i++) {
    const left = skip[i & mask]!;
    if (left !== LIVE && left !== SETTLED) stats.addLost(reasonOf(left), kind[i & mask]!, 1);
  }
  for (let k = 0; k < KINDS; k++) {
    const lost = not?.missing[k] ?? 0;
    if (kinds[k]! > lost) stats.addDelivered(k, kinds[k]! - lost);
    if (not !== undefined && lost > 0) stats.addLost(not.reason, k, lost);
  }
  if (live > 0 && newestMs > stats.get('highestSentMs')) stats.set('highestSentMs', newestMs);
}
