import type { Standing } from '../../../src/network/progress.ts';
import type { Position } from '../../../src/serialization/position.ts';

/** The counts of a block that has none. */
export const noCounts: Float64Array = new Float64Array(0);

/** A standing in which only these two say something. */
export function standing(unsettled: number, front: Position): Standing {
  const zero = { segment: 0, row: 0 };
  return { unsettled, front, counted: zero, received: 0, known: zero, returned: 0 };
}
