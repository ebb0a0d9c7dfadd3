/** Is memory flat? Of readings taken at even intervals. */

/** The first part of a phase, in which buffers and heaps find their size. */
const WARM_UP = 1 / 5;
const WINDOWS = 5;
/** Fewer readings in a window say nothing. */
const LEAST_READINGS = 3;
const MOST_GROWTH = 0.1;

export interface Flatness {
  /** Medians of the windows, in order of time. */
  readonly windows: readonly number[];
  /** Of the largest window over the first; 0 is none. */
  readonly growth: number;
  /** Why it is not flat; undefined if it is. */
  readonly fault: string | undefined;
}

/**
 * Leaves out the first fifth, cuts the rest into five windows, and holds the median of each against that of the
 * first: none may exceed it by more than 10 %. Medians, since a collection that has not run yet is no growth.
 */
export function flatness(readings: readonly number[]): Flatness {
  const warm = readings.slice(Math.ceil(readings.length * WARM_UP));
  const windows = Array.from({ length: WINDOWS }, (_, i) =>
    warm.slice(Math.floor((i * warm.length) / WINDOWS), Math.floor(((i + 1) * warm.length) / WINDOWS)),
  );
  if (windows.some((window) => window.length < LEAST_READINGS)) {
    return { windows: [], growth: 0, fault: `too short to tell: ${readings.length} readings` };
  }
  const medians = windows.map((window) => window.toSorted((a, b) => a - b)[window.length >>> 1]!);
  const growth = Math.max(...medians) / medians[0]! - 1;
  const fault = growth > MOST_GROWTH ? `grew by ${(growth * 100).toFixed(0)} %` : undefined;
  return { windows: medians, growth, fault };
}
