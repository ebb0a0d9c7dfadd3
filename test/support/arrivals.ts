import { type Row, rowKey } from './rows.ts';

/**
 * Rows in the order in which they came, by series, with what is wrong about that order.
 *
 * Samples and histograms of a series share one order; exemplars, which have times of their own, have another.
 */
export class Arrivals {
  /** Rows that arrived, duplicates included. */
  count = 0;
  /** Arrivals of a row that had arrived before. */
  duplicates = 0;
  /** Rows that arrived for the first time after a newer one of their series. */
  readonly inversions: Row[] = [];
  readonly #lanes = new Map<string, Lane>();

  add(rows: readonly Row[]): void {
    for (const row of rows) this.#add(row);
  }

  has(row: Row): boolean {
    return this.#lanes.get(laneKey(row))?.times.has(rowKey(row)) === true;
  }

  /** How often the row arrived. */
  times(row: Row): number {
    return this.#lanes.get(laneKey(row))?.times.get(rowKey(row)) ?? 0;
  }

  /** Every row once, in order of first arrival within its series. */
  *rows(): Iterable<Row> {
    for (const lane of this.#lanes.values()) yield* lane.rows;
  }

  /** The first arrivals of the same series and kind as text, by series: what another such list is compared with. */
  sequences(): Map<string, string[]> {
    return new Map([...this.#lanes].map(([key, lane]) => [key, lane.rows.map(rowKey)]));
  }

  #add(row: Row): void {
    this.count++;
    const key = laneKey(row);
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = { rows: [], times: new Map(), newest: row.at };
      this.#lanes.set(key, lane);
    }
    const name = rowKey(row);
    const before = lane.times.get(name) ?? 0;
    lane.times.set(name, before + 1);
    if (before > 0) {
      this.duplicates++;
      return;
    }
    lane.rows.push(row);
    if (row.at < lane.newest) this.inversions.push(row);
    else lane.newest = row.at;
  }
}

interface Lane {
  /** First arrivals. */
  readonly rows: Row[];
  readonly times: Map<string, number>;
  newest: bigint;
}

function laneKey(row: Row): string {
  return row.kind === 'exemplar' ? `exemplars of ${row.series}` : row.series;
}
