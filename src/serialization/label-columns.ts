import { Column, room } from './columns.ts';

/** The series that a frame adds, as its columns have them (frame.ts), and what they refer to. */
export interface AddedSeries {
  readonly first: number;
  /** How many labels each has. */
  readonly counts: Uint8Array;
  /** Their pairs, each as the difference to the one in the same place of the series before. */
  readonly pairs: Uint8Array;
  /** Eight bytes each. */
  readonly hashes: Uint8Array;
  /** How many pairs and slots are known. */
  readonly pairCount: number;
  readonly slotCount: number;
}

/**
 * The part of a segment's dictionary that emission reads: the labels of each series, as lists of slots; and what
 * series are placed by. It is kept apart so that it can stand in the memory of a WebAssembly module
 * (protocol/wasm-columns.ts) without being kept twice.
 *
 * The arrays are replaced when they grow: nobody keeps one across a call of `reserve...` or a write to `labels`.
 */
export interface LabelColumns {
  /** Encoded `Label` fields, one behind the other; slot `i` is `[slotAt[i], slotAt[i + 1])`. */
  readonly labels: Column;
  readonly slotAt: Uint32Array;
  /** Slot plus one of each pair on disk; 0 for a missing pair. */
  readonly pairSlot: Uint32Array;
  /** Slots of all series; series `s` has `[seriesAt[s], seriesAt[s + 1])`, none when it is missing. */
  readonly seriesSlots: Uint32Array;
  readonly seriesAt: Uint32Array;
  /** Length of the labels of each series in a 1.0 message, in bytes. */
  readonly seriesBytes: Uint32Array;
  /** Two words a series: the hash of the series as it leaves. */
  readonly seriesHash: Uint32Array;
  /** Makes room for so many slots, pairs, series, and slots of all series together. Numbers there are kept. */
  reserveSlots(slots: number): void;
  reservePairs(pairs: number): void;
  reserveSeries(series: number): void;
  reserveSeriesSlots(slots: number): void;
  /**
   * Places series as they are on disk; there is room for them in `seriesAt` and what goes with it. False when it is for
   * the dictionary to do, because these columns cannot, or because something is wrong with them: then nothing that
   * counts has changed.
   */
  placeSeries(added: AddedSeries): boolean;
  /** Nobody reads these columns of so many series any more: their memory may be another dictionary's. Idempotent. */
  release(series: number): void;
}

/** Columns in arrays of their own. */
export class HeapColumns implements LabelColumns {
  readonly labels: Column = new Column();
  slotAt: Uint32Array = new Uint32Array(65);
  pairSlot: Uint32Array = new Uint32Array(64);
  seriesSlots: Uint32Array = new Uint32Array(256);
  seriesAt: Uint32Array = new Uint32Array(65);
  seriesBytes: Uint32Array = new Uint32Array(64);
  seriesHash: Uint32Array = new Uint32Array(128);

  reserveSlots(slots: number): void {
    this.slotAt = room(this.slotAt, slots + 1);
  }

  reservePairs(pairs: number): void {
    this.pairSlot = room(this.pairSlot, pairs);
  }

  reserveSeries(series: number): void {
    this.seriesAt = room(this.seriesAt, series + 1);
    this.seriesBytes = room(this.seriesBytes, series);
    this.seriesHash = room(this.seriesHash, 2 * series);
  }

  reserveSeriesSlots(slots: number): void {
    this.seriesSlots = room(this.seriesSlots, slots);
  }

  placeSeries(): boolean {
    return false;
  }

  /** Theirs is the garbage collector's. */
  release(): void {}
}
