import type { Fault } from './decisions.ts';

/** A request that was refused. */
export interface Refusal {
  readonly fault: Fault;
  /** Rows that it had, those left out aside. */
  readonly rows: number;
  /** Its first row, as a number that no other row of the loop has at the same time. */
  readonly row: number;
  /** The series of that row; 0 when it has none. */
  readonly series: number;
}

/**
 * - `halve`: send the first half alone.
 * - `reject`: give its rows up.
 * - `ask`: a row alone was refused. Before it is given up the endpoint has to take something else, and then to refuse
 *   the row again.
 */
export type Verdict = 'halve' | 'reject' | 'ask';

/** After so many rows alone that were refused as old, with nothing taken between them, requests are given up whole. */
const MOST_OLD = 10_000;
/** After a series was given up so often with nothing of it taken between, its rows are sent alone, */
const SUSPECT_AFTER = 2;
/** and from then on they need no evidence any more. */
const BAD_AFTER = 3;
/** Bad series that are remembered. */
const MOST_SUSPECTS = 1024;
/** In a run of bad rows, evidence for one row serves so many behind it at most, once as many were confirmed. */
const MOST_TRUST = 8;
/** After so many requests that were taken, larger ones than a 413 allowed are tried again. */
const SIZE_PATIENCE = 64;

/**
 * What a loop has learned from refusals, and what to do about the next one. Pure: no clock, no I/O.
 *
 * A refused request is halved, its first half sent alone, and so on down to a single row; from there requests grow
 * again, by doubling. A row that stands alone is not given up on one word of an endpoint that may be at fault
 * itself (a proxy with a page of its own, a tenant over its limit): something else has to be taken after the
 * refusal, by any loop, and the row refused again. An endpoint that refuses everything is so held, and
 * nothing is lost. Rows that the receiver's words call old need no such evidence. This goes for requests of unknown
 * outcome too: usually they were taken, and every row of them is refused now; but they may hold rows that a sender sent
 * twice, and then they were refused whole, and the rows beside them are nowhere else.
 *
 * The price, in requests for each row that is given up out of requests of `n`: `2 log2 n` to come down to it and up
 * again, the row, at most `MOST_PROBES` others (loop.ts), the row again. A series that keeps being refused is known:
 * its rows are cut out of requests beforehand, which costs three requests a row.
 */
export class Refusals {
  readonly #split: boolean;
  /** Rows of the present run of bad ones that were given up on evidence of their own. */
  #confirmed = 0;
  /** Rows that may be given up on the evidence that was there for the last one. */
  #trust = 0;
  /** Most rows of the next request. */
  limit: number = Number.POSITIVE_INFINITY;
  /** `limit` does not grow beyond this: what a 413 taught. */
  #sizeLimit = Number.POSITIVE_INFINITY;
  #takenSinceSize = 0;
  #oldInARow = 0;
  /** The row that waits for its verdict, and how much the endpoint had taken when it was refused. */
  #asked: { readonly row: number; readonly taken: number } | undefined;
  /** How often the rows of a series were given up since one was taken; the least recent first. */
  readonly #suspects: Map<number, number> = new Map();

  /** Without `split`, what is refused is given up at once: RW1-S-18 to the letter. */
  constructor(split: boolean) {
    this.#split = split;
  }

  /** True when rows of that series were given up again and again: they are sent alone. */
  isSuspect(series: number): boolean {
    return (this.#suspects.get(series) ?? 0) >= SUSPECT_AFTER;
  }

  get hasSuspects(): boolean {
    return this.#suspects.size > 0;
  }

  /** What to do about a refusal. `taken` grows with all that the endpoint takes of the tenant, by all loops. */
  judge(refusal: Refusal, taken: number): Verdict {
    if (!this.#split) return 'reject';
    const { fault, rows, row, series } = refusal;
    if (fault === 'old' && this.#oldInARow >= MOST_OLD) {
      this.limit = this.#sizeLimit;
      return 'reject';
    }
    if (rows > 1) {
      this.limit = Math.ceil(rows / 2);
      if (fault === 'size') {
        this.#sizeLimit = this.limit;
        this.#takenSinceSize = 0;
      }
      return 'halve';
    }
    if (fault === 'old') {
      this.#oldInARow++;
      return 'reject';
    }
    if ((this.#suspects.get(series) ?? 0) >= BAD_AFTER) return 'reject';
    if (this.#asked?.row !== row) {
      if (this.#trust > 0) {
        this.#trust--;
        return 'reject';
      }
      this.#asked = { row, taken };
    }
    if (taken <= this.#asked.taken) return 'ask';
    this.#trust = Math.min(++this.#confirmed, MOST_TRUST);
    return 'reject';
  }

  /** A request was taken; `series` is that of its row when it had one alone, else 0. */
  taken(series: number): void {
    this.#oldInARow = 0;
    this.endRun();
    if (++this.#takenSinceSize === SIZE_PATIENCE) {
      this.#sizeLimit *= 2;
      this.#takenSinceSize = 0;
    }
    this.limit = Math.min(2 * this.limit, this.#sizeLimit);
    if (series !== 0) this.#suspects.delete(series);
  }

  /** A run of bad rows, if there was one, is over: evidence is asked for anew. */
  endRun(): void {
    this.#confirmed = 0;
    this.#trust = 0;
  }

  /** A row alone was given up, and is no duplicate. */
  gaveUp(series: number): void {
    this.#asked = undefined;
    if (series === 0) return;
    const times = this.#suspects.get(series) ?? 0;
    this.#suspects.delete(series);
    this.#suspects.set(series, times + 1);
    if (this.#suspects.size > MOST_SUSPECTS) this.#suspects.delete(this.#suspects.keys().next().value!);
  }
}
