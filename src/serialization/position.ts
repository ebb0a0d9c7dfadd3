/** A place in the queue: before the row with ordinal `row` of segment `segment`. */
export interface Position {
  readonly segment: number;
  readonly row: number;
}

/** Below 0 when `a` comes before `b`. */
export function comparePositions(a: Position, b: Position): number {
  return a.segment - b.segment || a.row - b.row;
}
