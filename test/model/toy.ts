import type { Row } from '../support/rows.ts';

/** A row that was appended, as the toy remembers it. */
export interface ToyRow {
  /** Its time, and its place among all rows: no two are alike. */
  readonly at: number;
  readonly series: number;
  readonly kind: Row['kind'];
  /** `rowKey` of the row: what arrives must be the same to the bit. */
  readonly key: string;
  /** `waiting` for its commit; `unknown` when the process died meanwhile: it may be there, and need not. */
  state: 'waiting' | 'acknowledged' | 'unknown' | 'refused';
}

/**
 * What the endpoint's receiver knows of a row, by the answers that it gave:
 * - `fresh`: was in no request, or in one that it said not to have seen
 * - `parted`: was in a request that it refused; it may have kept the good rows of it
 * - `maybe`: was in a request without an answer, or with one that leaves open what became of it
 * - `delivered`: was in a request that was answered with a 2xx
 * - `unknown`: the sender cannot know any more which of these it is (a power cut, another routing)
 */
export type Fate = 'fresh' | 'parted' | 'maybe' | 'delivered' | 'unknown';

/** The toy model: lists of rows by series, and what became of them at each endpoint. */
export class Toy {
  readonly rows: ToyRow[] = [];
  /** By series, in the order in which they were appended. */
  readonly bySeries = new Map<number, ToyRow[]>();
  readonly endpoints: ToyEndpoint[];
  /** What may not be. Looked at after each step. */
  readonly violations: string[] = [];

  constructor(endpoints: number) {
    this.endpoints = Array.from({ length: endpoints }, (_, i) => new ToyEndpoint(this, i));
  }

  /** A row of `series` is about to be appended; its `at` is its place. */
  append(series: number, { kind, at, key }: { kind: Row['kind']; at: number; key: string }): ToyRow {
    const row: ToyRow = { at, series, kind, key, state: 'waiting' };
    this.rows.push(row);
    const list = this.bySeries.get(series);
    if (list === undefined) this.bySeries.set(series, [row]);
    else list.push(row);
    return row;
  }

  violated(what: string): void {
    this.violations.push(what);
  }
}

/** What has become of the rows at one endpoint. */
export class ToyEndpoint {
  readonly index: number;
  readonly #toy: Toy;
  readonly #fates: Fate[] = [];
  /** Rows that its receiver has, by their place. */
  readonly taken = new Set<number>();
  /** Rows that the sender may count as lost: they stood alone in a request that was refused, or room was needed. */
  readonly refused = new Set<number>();
  /** Rows that may come again without blame. */
  readonly #mayRepeat = new Set<number>();
  duplicates = 0;

  constructor(toy: Toy, index: number) {
    this.#toy = toy;
    this.index = index;
  }

  fate(row: ToyRow): Fate {
    return this.#fates[row.at] ?? 'fresh';
  }

  /**
   * A request comes. Rows that may have been delivered already never share one with fresh ones (RLY-13): a receiver
   * that refuses the old ones would refuse these with them.
   */
  arrives(rows: readonly ToyRow[]): void {
    const fresh = rows.find((row) => this.fate(row) === 'fresh');
    const old = rows.find((row) => ['parted', 'maybe', 'delivered'].includes(this.fate(row)));
    if (fresh !== undefined && old !== undefined) {
      this.#violated(`row ${old.at} (${this.fate(old)}) shares a request with fresh row ${fresh.at}`);
    }
    for (const row of rows)
      if (row.state === 'refused') this.#violated(`row ${row.at} was refused at the door`);
  }

  /**
   * The receiver stores the rows of a request. No row of a series comes for the first time after a newer one, nor
   * before an older one that is still owed; kinds are in fields of their own, so within a request they have no order.
   */
  takes(rows: readonly ToyRow[]): void {
    const together = new Set(rows);
    const first: ToyRow[] = [];
    for (const [i, row] of rows.entries()) {
      if (rows.some((other, j) => j < i && alike(row, other) && other.at > row.at)) {
        this.#violated(`row ${row.at} of series ${row.series} is behind a newer one in its request`);
      }
      if (this.taken.has(row.at)) {
        this.duplicates++;
        // One row alone may come once more, to see whether anything is taken.
        if (rows.length > 1 && !this.#mayRepeat.has(row.at))
          this.#violated(`row ${row.at} was delivered, and comes again`);
        continue;
      }
      first.push(row);
      for (const other of this.#toy.bySeries.get(row.series)!) {
        if (together.has(other)) continue;
        // What was refused once has lost its turn, should a restart send it again.
        if (other.at > row.at && this.taken.has(other.at) && !this.refused.has(row.at)) {
          this.#violated(`row ${row.at} of series ${row.series} comes after row ${other.at}`);
        }
        if (other.at < row.at && other.state === 'acknowledged' && this.#owes(other)) {
          this.#violated(`row ${row.at} of series ${row.series} comes before row ${other.at}`);
        }
      }
    }
    for (const { at } of first) this.taken.add(at);
  }

  /** It said that it has them. */
  delivered(rows: readonly ToyRow[]): void {
    for (const row of rows) this.#fates[row.at] = 'delivered';
  }

  /** It did not say what became of them. */
  left(rows: readonly ToyRow[]): void {
    for (const row of rows) {
      this.#fates[row.at] = 'maybe';
      this.#mayRepeat.add(row.at);
    }
  }

  /**
   * It said that it will not take this request. A row that stands alone may be given up then; the rows at fault are
   * looked for until they do.
   */
  refuses(rows: readonly ToyRow[]): void {
    for (const row of rows) {
      if (rows.length === 1) this.refused.add(row.at);
      if (this.fate(row) === 'fresh') this.#fates[row.at] = 'parted';
    }
  }

  /** It is to make room: whatever has not been taken by now may be given up. */
  capped(): void {
    for (const row of this.#toy.rows) if (!this.taken.has(row.at)) this.refused.add(row.at);
  }

  /** A process starts: of a row that was sent it knows no more than that. */
  starts(): void {
    for (const [at, fate] of this.#fates.entries()) if (fate === 'parted') this.#fates[at] = 'unknown';
  }

  /** What lies between the position that was saved and the power cut is sent again, without a mark. */
  forgets(): void {
    for (const row of this.#toy.rows) {
      if (this.fate(row) !== 'fresh') this.#fates[row.at] = 'unknown';
      this.#mayRepeat.add(row.at);
    }
  }

  /** Under another routing all shards go back to the lowest position, and up to the furthest all counts as sent. */
  reroutes(): void {
    for (const row of this.#toy.rows) {
      this.#fates[row.at] = 'unknown';
      this.#mayRepeat.add(row.at);
    }
  }

  /** What was acknowledged and has neither arrived nor been refused. */
  missing(): ToyRow[] {
    return this.#toy.rows.filter((row) => row.state === 'acknowledged' && this.#owes(row));
  }

  #owes({ at }: ToyRow): boolean {
    return !this.taken.has(at) && !this.refused.has(at);
  }

  #violated(what: string): void {
    this.#toy.violated(`endpoint ${this.index}: ${what}`);
  }
}

function alike(a: ToyRow, b: ToyRow): boolean {
  return a.series === b.series && a.kind === b.kind;
}
