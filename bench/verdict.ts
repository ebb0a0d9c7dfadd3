/** What counts as a failed trial. */
import type { Name } from './contenders.ts';
import type { TrialResult } from './trial.ts';

/**
 * What is wrong with a delivery, in words; undefined if nothing is. Altered samples fail everybody. Spillway
 * also promises that none is lost, repeated or out of order; what peers lose is a number in the table.
 */
export function faultOf(name: Name, { samples, sink }: TrialResult): string | undefined {
  const promised = name === 'spillway';
  const faults = [
    [sink.wrong, 'not as they were sent'],
    [promised ? samples - sink.delivered : 0, 'lost'],
    [promised ? sink.duplicates : 0, 'delivered twice'],
    [promised ? sink.inversions : 0, 'out of order'],
  ] as const;
  const found = faults.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return found.length > 0 ? found.join(', ') : undefined;
}
