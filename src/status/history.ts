import type { EndpointHistory, HistoryDocument } from './document.ts';

export const STEP_MS = 10_000;
/** An hour of them; the page keeps as many as the agent. */
export const STEPS = 360;
const HOUR_MS = STEPS * STEP_MS;

/** What is kept of an endpoint each step. */
export interface EndpointStep {
  readonly deliveredPerSecond: number;
  readonly lostPerSecond: number;
  readonly backlogRows: number;
  readonly lagSeconds: number;
}

export interface Step {
  readonly atMs: number;
  readonly receivedPerSecond: number;
  readonly walBytes: number;
  /** Of all endpoints, in this step. A count: a step is longer than `STEP_MS` when the process stood still. */
  readonly lostRows: number;
  readonly endpoints: ReadonlyMap<string, EndpointStep>;
}

const columnNames = ['deliveredPerSecond', 'lostPerSecond', 'backlogRows', 'lagSeconds'] as const;
type Columns = Readonly<Record<(typeof columnNames)[number], Float64Array>>;

/**
 * The last hour in memory of fixed size: a few kilobytes for each endpoint, so that it is there when somebody opens
 * the page in the middle of an outage. It begins anew with the process.
 */
export class History {
  readonly #atMs = column();
  readonly #received = column();
  readonly #walBytes = column();
  readonly #lostRows = column();
  readonly #endpoints = new Map<string, Columns>();
  /** Where the next step goes, and how many there are. */
  #next = 0;
  #length = 0;

  add(step: Step): void {
    const at = this.#next;
    this.#next = (at + 1) % STEPS;
    this.#length = Math.min(STEPS, this.#length + 1);
    this.#atMs[at] = step.atMs;
    this.#received[at] = step.receivedPerSecond;
    this.#walBytes[at] = step.walBytes;
    this.#lostRows[at] = step.lostRows;
    for (const name of step.endpoints.keys()) {
      if (!this.#endpoints.has(name)) this.#endpoints.set(name, newColumns());
    }
    for (const [name, columns] of this.#endpoints) {
      const values = step.endpoints.get(name);
      for (const key of columnNames) columns[key][at] = values?.[key] ?? Number.NaN;
      // One that has been gone for an hour leaves nothing.
      if (values === undefined && columns.backlogRows.every(Number.isNaN)) this.#endpoints.delete(name);
    }
  }

  /** The last `most` steps. */
  document(most: number = STEPS): HistoryDocument {
    const length = Math.min(most, this.#length);
    const order = Array.from({ length }, (_, i) => (this.#next - length + i + STEPS) % STEPS);
    const read = (values: Float64Array): (number | null)[] => order.map((at) => rounded(values[at]!));
    const endpoints = Object.fromEntries(
      [...this.#endpoints].map(([name, columns]) => [
        name,
        Object.fromEntries(columnNames.map((key) => [key, read(columns[key])])) as Record<
          keyof EndpointHistory,
          (number | null)[]
        >,
      ]),
    );
    return {
      stepMs: STEP_MS,
      atMs: order.map((at) => this.#atMs[at]!),
      receivedPerSecond: read(this.#received),
      walBytes: read(this.#walBytes),
      endpoints,
    };
  }

  /** Rows of all endpoints that were lost in the hour before `nowMs`, by steps that ended in it. */
  lostLastHour(nowMs: number): number {
    return this.#lostRows.reduce(
      (sum, rows, at) => (this.#atMs[at]! > nowMs - HOUR_MS ? sum + rows : sum),
      0,
    );
  }
}

function column(): Float64Array {
  return new Float64Array(STEPS).fill(Number.NaN);
}

function newColumns(): Columns {
  return {
    deliveredPerSecond: column(),
    lostPerSecond: column(),
    backlogRows: column(),
    lagSeconds: column(),
  };
}

/** Short in JSON. */
function rounded(value: number): number | null {
  return Number.isNaN(value) ? null : Math.round(value * 100) / 100;
}
