import { EXEMPLAR } from '../serialization/rows.ts';
import type { OutgoingRows } from './emit-v1.ts';

/**
 * Which `TimeSeries` of a 2.0 request carries which exemplars: that of the last sample or histogram of the same series
 * before it, or else the first behind it, so that the exemplars of a series keep their order (RLY-04). Lists of rows,
 * as numbers counted from the first row of the request; a `TimeSeries` is known by its first row.
 */
export interface AttachedExemplars {
  /** First exemplar of the `TimeSeries` that begins at a row, plus one; 0 for none. */
  readonly firstAt: Int32Array;
  /** The one that follows an exemplar, plus one; 0 for none. */
  readonly nextOf: Int32Array;
}

/** Finds them for `count` rows from index `first` on; undefined when there is no exemplar among them. */
export function attachExemplars(
  rows: OutgoingRows,
  first: number,
  count: number,
): AttachedExemplars | undefined {
  const { mask, series, kind, skip } = rows;
  let some = false;
  for (let i = 0; i < count && !some; i++) some = kind[(first + i) & mask] === EXEMPLAR;
  if (!some) return undefined;
  const firstAt = new Int32Array(count);
  const nextOf = new Int32Array(count);
  const places = new Map<number, Place>();
  let groupSeries = -1;
  let groupKind = -1;
  for (let i = 0; i < count; i++) {
    const at = (first + i) & mask;
    if (skip[at] !== 0) continue;
    const id = series[at]!;
    let place = places.get(id);
    if (kind[at] === EXEMPLAR) {
      if (place === undefined) places.set(id, { group: -1, head: i, tail: i });
      else {
        if (place.tail >= 0) nextOf[place.tail] = i + 1;
        else firstAt[place.group] = i + 1;
        place.tail = i;
      }
      continue;
    }
    if (id === groupSeries && kind[at] === groupKind) continue;
    groupSeries = id;
    groupKind = kind[at]!;
    if (place === undefined) {
      place = { group: i, head: -1, tail: -1 };
      places.set(id, place);
    } else {
      if (place.group < 0) firstAt[i] = place.head + 1;
      else place.tail = -1;
      place.group = i;
    }
  }
  return { firstAt, nextOf };
}

/** The last `TimeSeries` of a series so far (-1: none yet), and its exemplars: the first of those that wait, the last. */
interface Place {
  group: number;
  readonly head: number;
  tail: number;
}
