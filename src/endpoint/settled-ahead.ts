import { comparePositions, type Position } from '../serialization/position.ts';

/**
 * The rows behind the start of the front reader that the processes before had settled already. It meets them once more,
 * and recognises them by their shards, which are further on. Rows that it meets and cannot read belong to no shard that
 * could remember them: some of these may have been settled while they could be read. Only at the end, behind which
 * nothing was settled, is it known how many.
 */
export class SettledAhead {
  /** No row behind this was settled by the processes before. */
  readonly end: Position;
  #rows: number;
  #lost = 0;

  constructor(rows: number, end: Position) {
    this.#rows = rows;
    this.end = end;
  }

  /** Rows that were settled and are not recognised yet. */
  get rows(): number {
    return this.#rows;
  }

  /** Of the rows before the end that were met: those that are not settled, as far as is known. */
  get unsettled(): number {
    return this.#lost - this.#rows;
  }

  /** Whether a row there may have been settled by the processes before. */
  mayCover(position: Position): boolean {
    return comparePositions(position, this.end) < 0;
  }

  /** `rows` rows were met that their shards know to be settled. */
  recognise(rows: number): void {
    this.#rows -= Math.min(this.#rows, rows);
  }

  /** `rows` rows before the end cannot be read any more. */
  lose(rows: number): void {
    this.#lost += rows;
  }

  /**
   * To be asked when the front has come to `front`; undefined until that is the end, and when there is nothing to say.
   * Then it is over: rows that cannot be read were settled before, as many as are left; the others are `damaged` now. If
   * more are left (after a change of routing no shard is what it was), they have been queued once more: `returned`.
   */
  finish(front: Position): { readonly damaged: number; readonly returned: number } | undefined {
    if ((this.#rows === 0 && this.#lost === 0) || this.mayCover(front)) return undefined;
    const settled = Math.min(this.#rows, this.#lost);
    const result = { damaged: this.#lost - settled, returned: this.#rows - settled };
    this.#rows = 0;
    this.#lost = 0;
    return result;
  }
}
