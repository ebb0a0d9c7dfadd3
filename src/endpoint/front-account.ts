import type { Position } from '../serialization/position.ts';
import { SAMPLE } from '../serialization/rows.ts';
import type { EndpointStats } from '../telemetry/endpoint-stats.ts';
import type { SettledAhead } from './settled-ahead.ts';
import type { Damage } from './wal-reader.ts';

/**
 * Accounts for the rows that the front has come by and that are in no loop: those that were passed over for later, those
 * that the processes before had settled, and those that cannot be read.
 */
export class FrontAccount {
  /** Rows that were passed over and not queued yet. */
  passedOver = 0;
  readonly ahead: SettledAhead;
  readonly #stats: EndpointStats;
  readonly #onReturned: (rows: number) => void;

  /** `onReturned` is told of rows that were settled once and wait again. */
  constructor(ahead: SettledAhead, stats: EndpointStats, onReturned: (rows: number) => void) {
    this.ahead = ahead;
    this.#stats = stats;
    this.#onReturned = onReturned;
  }

  /** Those of them that are not settled. */
  get unsettled(): number {
    return this.passedOver + this.ahead.unsettled;
  }

  /** The front cannot read some rows; returns the damage with as many of them as are lost for certain. */
  damaged(damage: Damage): Damage {
    if (!this.ahead.mayCover(damage)) return damage;
    this.ahead.lose(damage.rows);
    return { ...damage, rows: 0 };
  }

  /** A row at the front is of a series that is not known: it belongs to no shard that could remember it. */
  damagedRow(kind: number, segment: number, row: number): void {
    if (this.ahead.mayCover({ segment, row })) this.ahead.lose(1);
    else this.#stats.addLost('damaged', kind, 1);
  }

  /** The front has come to `front`. Where nothing behind it was settled before, what became of `ahead` is known. */
  cameTo(front: Position): void {
    const over = this.ahead.finish(front);
    if (over === undefined) return;
    this.#stats.addLost('damaged', SAMPLE, over.damaged);
    this.#onReturned(over.returned);
  }

  /** Nobody is to come back for what was passed over: it could be read then, and cannot now. */
  losePassedOver(): void {
    this.#stats.addLost('damaged', SAMPLE, this.passedOver);
    this.passedOver = 0;
  }
}
