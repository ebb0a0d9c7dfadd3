/**
 * Holds every delivered row against the workload: label set, timestamp and value, bit by bit.
 *
 * It runs beside a contender that may still be busy, so it must be cheap, about 0.2 us a row: a row is first
 * compared with the series that followed its predecessor the last time, since every sender keeps an order of
 * its own; only where that fails is the label block hashed and looked up. Labels are expected sorted by name
 * and encoded as everybody encodes them; any other bytes count as wrong.
 */
import { MAX_HISTOGRAM_BYTES } from './histogram.ts';
import { CHURN_LABEL_BYTES, CHURN_NAME, HISTOGRAM_TAG, SAMPLE_TAG, type Workload } from './workload.ts';

const TIMESERIES = 0x0a;
const LABEL = 0x0a;
const VALUE = 0x09;
const TIMESTAMP = 0x10;
const HISTOGRAM_TIMESTAMP = 0x78;

export class Verifier {
  /** Rows seen, also those seen before. */
  rows = 0;
  /** Distinct rows of the workload seen, each exact. */
  delivered = 0;
  duplicates = 0;
  /** Rows that arrived for the first time after a newer one of their series. */
  inversions = 0;
  /** Rows with labels, a time or a value that are not in the workload. */
  wrong = 0;
  /** By request body of the workload: when the last of its rows came, ms since the epoch. */
  readonly arrivedAt: Float64Array;

  readonly #workload: Workload;
  /** By row, those of a round side by side. */
  readonly #seen: Uint8Array;
  readonly #newestRound: Int32Array;
  /** By series, the one that came after it the last time. */
  readonly #successor: Int32Array;
  /** Open addressing: series + 1 by hash of the label block. */
  readonly #table: Int32Array;

  #message: Buffer = Buffer.alloc(0);
  #words: DataView = new DataView(this.#message.buffer);
  #at = 0;
  /** What the label of churn of the series at hand says; 0 without churn. */
  #generation = 0;
  readonly #churns: boolean;
  /** The tag behind the label block of a series of the set. */
  readonly #behindBlock: number;
  readonly #histogram: Buffer = Buffer.alloc(MAX_HISTOGRAM_BYTES);

  constructor(workload: Workload) {
    const { bytes, starts, count } = workload.series;
    this.#workload = workload;
    this.#churns = workload.shape.lifetime > 0;
    const rowTag = workload.shape.rows === 'floats' ? SAMPLE_TAG : HISTOGRAM_TAG;
    this.#behindBlock = this.#churns ? LABEL : rowTag;
    this.arrivedAt = new Float64Array(workload.requests);
    this.#seen = new Uint8Array(workload.samples);
    this.#newestRound = new Int32Array(count).fill(-1);
    this.#successor = Int32Array.from({ length: count }, (_, series) => (series + 1) % count);
    this.#table = new Int32Array(2 ** Math.ceil(Math.log2(count * 2)));
    const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let series = 0; series < count; series++) {
      let slot = this.#slotOf(words, starts[series]!, starts[series + 1]!);
      while (this.#table[slot] !== 0) slot = this.#nextSlot(slot);
      this.#table[slot] = series + 1;
    }
  }

  /** Takes one uncompressed `WriteRequest` that arrived at `nowMs`. Throws a `RangeError` when it is torn. */
  accept(message: Buffer, nowMs: number): void {
    this.#message = message;
    this.#words = new DataView(message.buffer, message.byteOffset, message.length);
    this.#at = 0;
    let previous = -1;
    while (this.#at < message.length) {
      const tag = this.#varint();
      if (tag !== TIMESERIES) {
        this.#skip(tag);
        continue;
      }
      const length = this.#varint();
      previous = this.#timeSeries(this.#at + length, previous, nowMs);
    }
  }

  /** Checks one series that ends at `end`; returns which one it is, -1 if it is unknown. */
  #timeSeries(end: number, previous: number, nowMs: number): number {
    let series = previous < 0 ? -1 : this.#successor[previous]!;
    if (series < 0 || !this.#hasLabelsOf(series)) {
      series = this.#lookUp(end);
      if (previous >= 0 && series >= 0) this.#successor[previous] = series;
    }
    const { starts } = this.#workload.series;
    if (series >= 0) this.#at += starts[series + 1]! - starts[series]!;
    if (series >= 0 && this.#churns) this.#churnLabel();
    while (this.#at < end) {
      const tag = this.#varint();
      if (tag === SAMPLE_TAG) this.#sample(series, nowMs);
      else if (tag === HISTOGRAM_TAG) this.#nativeHistogram(series, nowMs);
      else this.#skip(tag);
    }
    return series;
  }

  #sample(series: number, nowMs: number): void {
    const length = this.#varint();
    const end = this.#at + length;
    let low = 0;
    let high = 0;
    let timestamp = 0;
    while (this.#at < end) {
      const tag = this.#varint();
      if (tag === VALUE) {
        low = this.#words.getUint32(this.#at, true);
        high = this.#words.getUint32(this.#at + 4, true);
        this.#at += 8;
      } else if (tag === TIMESTAMP) {
        timestamp = this.#varint();
      } else {
        this.#skip(tag);
      }
    }
    const workload = this.#workload;
    const round = this.#roundOf(series, timestamp);
    let exact = round >= 0 && workload.shape.rows === 'floats';
    if (exact) {
      workload.setValue(series, round);
      exact = low === workload.bits[0] && high === workload.bits[1];
    }
    this.#row(series, exact ? round : -1, nowMs);
  }

  #nativeHistogram(series: number, nowMs: number): void {
    const length = this.#varint();
    const start = this.#at;
    const end = start + length;
    let timestamp = 0;
    while (this.#at < end) {
      const tag = this.#varint();
      if (tag === HISTOGRAM_TIMESTAMP) timestamp = this.#varint();
      else this.#skip(tag);
    }
    const workload = this.#workload;
    const round = this.#roundOf(series, timestamp);
    let exact = round >= 0 && workload.shape.rows === 'histograms';
    if (exact) {
      const expected = workload.writeHistogram(this.#histogram, 0, series, round);
      exact = this.#message.compare(this.#histogram, 0, expected, start, end) === 0;
    }
    this.#row(series, exact ? round : -1, nowMs);
  }

  /** The round in which `series` has `timestamp`, -1 if there is none or its labels are those of another one. */
  #roundOf(series: number, timestamp: number): number {
    const workload = this.#workload;
    const { startMs, stepMs, rounds } = workload.shape;
    const round = Math.floor((timestamp - startMs) / stepMs);
    const known =
      series >= 0 &&
      round >= 0 &&
      round < rounds &&
      timestamp === workload.timestampOf(series, round) &&
      workload.generationOf(series, round) === this.#generation;
    return known ? round : -1;
  }

  /** Counts a row; `round` is -1 for one that is not in the workload. */
  #row(series: number, round: number, nowMs: number): void {
    this.rows++;
    if (round < 0) {
      this.wrong++;
      return;
    }
    const row = this.#rowOf(series, round);
    if (this.#seen[row] === 1) {
      this.duplicates++;
      return;
    }
    this.#seen[row] = 1;
    this.delivered++;
    if (round >= this.#newestRound[series]!) this.#newestRound[series] = round;
    else if (this.#isOvertaken(series, round)) this.inversions++;
    this.arrivedAt[this.#workload.bodyOf(series, round)] = nowMs;
  }

  /** Whether a newer row of the same generation was seen: between generations, which are other series, is no order. */
  #isOvertaken(series: number, round: number): boolean {
    for (let newer = round + 1; newer <= this.#newestRound[series]!; newer++) {
      if (this.#workload.generationOf(series, newer) !== this.#generation) return false;
      if (this.#seen[this.#rowOf(series, newer)] === 1) return true;
    }
    return false;
  }

  #rowOf(series: number, round: number): number {
    return round * this.#workload.shape.series + series;
  }

  /** Takes the label of churn, which stands at the cursor. */
  #churnLabel(): void {
    const at = this.#at;
    const name = at + 4;
    this.#at = at + CHURN_LABEL_BYTES;
    const isChurn =
      this.#message.compare(CHURN_NAME, 0, CHURN_NAME.length, name, name + CHURN_NAME.length) === 0;
    const digits = this.#message.toString('latin1', name + CHURN_NAME.length + 2, this.#at);
    this.#generation = isChurn ? Number(digits) : -1;
  }

  /** Whether the label block of `series` stands at the cursor, and nothing but samples (or churn) after it. */
  #hasLabelsOf(series: number): boolean {
    const { bytes, starts } = this.#workload.series;
    const start = starts[series]!;
    const length = starts[series + 1]! - start;
    const at = this.#at;
    if (at + length >= this.#message.length || this.#message[at + length] !== this.#behindBlock) return false;
    return this.#message.compare(bytes, start, start + length, at, at + length) === 0;
  }

  /** The series whose label block stands at the cursor, or -1. */
  #lookUp(end: number): number {
    const start = this.#at;
    while (this.#at < end && this.#message[this.#at] === LABEL) this.#skip(this.#varint());
    const last = this.#at - (this.#churns ? CHURN_LABEL_BYTES : 0);
    let slot = this.#slotOf(this.#words, start, last);
    this.#at = start;
    for (; this.#table[slot] !== 0; slot = this.#nextSlot(slot)) {
      const series = this.#table[slot]! - 1;
      if (this.#hasLabelsOf(series)) return series;
    }
    return -1;
  }

  /** Where the search for the label block between `start` and `end` begins. */
  #slotOf(bytes: DataView, start: number, end: number): number {
    let hash = end - start;
    for (let at = start; at + 4 <= end; at += 4) {
      hash = Math.imul(hash ^ bytes.getInt32(at), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash ^ bytes.getInt32(end - 4), 0x85ebca6b);
    return (hash ^ (hash >>> 15)) & (this.#table.length - 1);
  }

  #nextSlot(slot: number): number {
    return (slot + 1) & (this.#table.length - 1);
  }

  #skip(tag: number): void {
    switch (tag & 7) {
      case 0:
        this.#varint();
        break;
      case 1:
        this.#at += 8;
        break;
      case 2: {
        const length = this.#varint();
        this.#at += length;
        break;
      }
      case 5:
        this.#at += 4;
        break;
      default:
        throw new RangeError(`wire type ${tag & 7}`);
    }
  }

  #varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#words.getUint8(this.#at++);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }
}
