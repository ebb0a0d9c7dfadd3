/** What counts as a failed trial. */
import { isSpillway, type Name } from './contenders.ts';
import type { TrialResult } from './stage.ts';

/**
 * What is wrong with a delivery, in words; undefined if nothing is. Altered samples fail everybody. Spillway
 * also promises that none is lost, repeated or out of order; what peers lose is a number in the table. Where
 * requests were cut while they were under way, sending them again is what is promised.
 */
export function faultOf(name: Name, trial: TrialResult): string | undefined {
  const { sink, drained } = trial;
  const promised = isSpillway(name);
  const faults = [
    [sink.wrong, 'not as they were sent'],
    [promised ? (lostOf(trial) ?? 0) : 0, 'lost'],
    [promised && drained ? sink.duplicates : 0, 'delivered twice'],
    [promised ? sink.inversions : 0, 'out of order'],
  ] as const;
  const found = faults.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return found.length > 0 ? found.join(', ') : undefined;
}

/** Samples that an endpoint never got; undefined if the trial did not wait for them. */
export function lostOf({ samples, endpoints, sink, drained }: TrialResult): number | undefined {
  return drained ? samples * endpoints - sink.delivered : undefined;
}
