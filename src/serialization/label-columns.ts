import { Column, room } from './columns.ts';

/**
 * The part of a segment's dictionary that emission reads: the labels of each series, as lists of slots. It is kept
 * apart so that it can stand in the memory of a WebAssembly module (protocol/wasm-columns.ts) without being kept twice.
 *
 * The arrays are replaced when they grow: nobody keeps one across a call of `reserve...` or a write to `labels`.
 */
export interface LabelColumns {
  /** Encoded `Label` fields, one behind the other; slot `i` is `[slotAt[i], slotAt[i + 1])`. */
  readonly labels: Column;
  readonly slotAt: Uint32Array;
  /** Slots of all series; series `s` has `[seriesAt[s], seriesAt[s + 1])`, none when it is missing. */
  readonly seriesSlots: Uint32Array;
  readonly seriesAt: Uint32Array;
  /** Length of the labels of each series in a 1.0 message, in bytes. */
  readonly seriesBytes: Uint32Array;
  /** Makes room for so many slots, series, and slots of all series together. Numbers there are kept. */
  reserveSlots(slots: number): void;
  reserveSeries(series: number): void;
  reserveSeriesSlots(slots: number): void;
}

/** Columns in arrays of their own. */
export class HeapColumns implements LabelColumns {
  readonly labels: Column = new Column();
  slotAt: Uint32Array = new Uint32Array(65);
  seriesSlots: Uint32Array = new Uint32Array(256);
  seriesAt: Uint32Array = new Uint32Array(65);
  seriesBytes: Uint32Array = new Uint32Array(64);

  reserveSlots(slots: number): void {
    this.slotAt = room(this.slotAt, slots + 1);
  }

  reserveSeries(series: number): void {
    this.seriesAt = room(this.seriesAt, series + 1);
    this.seriesBytes = room(this.seriesBytes, series);
  }

  reserveSeriesSlots(slots: number): void {
    this.seriesSlots = room(this.seriesSlots, slots);
  }
}
