import type { OutgoingRows } from '../protocol/emit-v1.ts';
import type { MetadataOf } from '../protocol/emitter-v2.ts';
import { Payloads } from '../serialization/payloads.ts';
import { KINDS, METADATA, SAMPLE } from '../serialization/rows.ts';
import type { SegmentDictionary } from '../serialization/segment-dictionary.ts';
import { type EndpointReason, endpointReasonNames } from '../telemetry/reasons.ts';

/** In the column `skip`: the row is to be sent. */
export const LIVE = 0;
/** It was settled before its turn came. Between the two: it is lost, for the reason of `lostFor` less one. */
export const SETTLED = 255;

/** In the column `resent`: the row has not been sent. */
export const FRESH = 0;
/** It was sent, and what became of it is not known (RLY-13). */
export const UNKNOWN = 1;
/** It was in a request that was refused; some receivers keep the good rows of such a request all the same. */
export const REFUSED = 2;

/** What the column `skip` says of a row that is lost for `reason`. */
export function lostFor(reason: EndpointReason): number {
  return 1 + endpointReasonNames.indexOf(reason);
}

/** The reverse of `lostFor`. */
export function reasonOf(skip: number): EndpointReason {
  return endpointReasonNames[skip - 1]!;
}

/** The segment that a queued row comes from: its dictionary, kept as long as rows refer to it. */
export interface RowContext {
  readonly segment: number;
  readonly dictionary: SegmentDictionary;
  /** When the row was committed, ms since the epoch; undefined when it is not known. */
  committedMs(row: number): number | undefined;
  /** What is known of the metadata of its series, for remote write 2.0. */
  readonly metadataOf?: MetadataOf | undefined;
  hold(rows: number): void;
  letGo(rows: number): void;
}

/** The samples of a frame as columns; times and values are two words a row, low half first. */
export interface Samples {
  readonly sampleSeries: Uint32Array;
  readonly sampleTime: Int32Array;
  /** Start times; undefined when none is set. */
  readonly sampleStart?: Int32Array | undefined;
  readonly sampleValue: DataView;
}

/**
 * The rows that wait in a loop, as a ring of columns: first in, first out, bounded, about 30 bytes a row and
 * no object for any of them. Rows that are not samples may have bytes beside (`Payloads`).
 *
 * Indices into the columns are `(head + i) & mask`.
 */
export class RowQueue implements OutgoingRows {
  readonly capacity: number;
  readonly mask: number;
  readonly series: Uint32Array;
  readonly time: Int32Array;
  /** As `time`; there from the first row on that has a start time. */
  start: Int32Array | undefined;
  readonly value: Int32Array;
  readonly #valueBytes: Uint8Array;
  readonly kind: Uint8Array;
  /** `LIVE`, `SETTLED` or `lostFor` a reason. */
  readonly skip: Uint8Array;
  /** There from the first row on that is not a sample. */
  payload: Payloads | undefined;
  /** Ordinal in its segment. */
  readonly row: Uint32Array;
  readonly shard: Uint8Array;
  /** `FRESH`, `UNKNOWN` or `REFUSED`. Rows of different kinds never share a request (RLY-13). */
  readonly resent: Uint8Array;
  head = 0;
  length = 0;
  /** Runs of rows of one context, in order. */
  readonly #runs: { context: RowContext; rows: number }[] = [];
  /** All columns, each as many words a row as it is longer than the ring. */
  readonly #columns: (Uint8Array | Uint32Array | Int32Array)[];

  /** Room for `capacity` rows, up to the next power of two. */
  constructor(capacity: number) {
    let size = 64;
    while (size < capacity) size *= 2;
    this.capacity = capacity;
    this.mask = size - 1;
    this.series = new Uint32Array(size);
    this.time = new Int32Array(2 * size);
    this.value = new Int32Array(2 * size);
    this.#valueBytes = new Uint8Array(this.value.buffer);
    this.kind = new Uint8Array(size);
    this.skip = new Uint8Array(size);
    this.row = new Uint32Array(size);
    this.shard = new Uint8Array(size);
    this.resent = new Uint8Array(size);
    const { series, time, value, kind, skip, row, shard, resent } = this;
    this.#columns = [series, time, value, kind, skip, row, shard, resent];
  }

  /** Runs of rows of one context, in order. */
  get runs(): readonly { readonly context: RowContext; readonly rows: number }[] {
    return this.#runs;
  }

  /**
   * Brings rows into another order: row `from + i` becomes the one that was row `order[i]`. These are the rows from
   * `from` on, each once.
   */
  reorder(from: number, order: Uint32Array): void {
    const { head, mask } = this;
    this.#reorderRuns(from, order);
    for (const column of this.#columns) {
      const words = column.length / (mask + 1);
      const moved = column.slice(0, words * order.length);
      for (let i = 0; i < order.length; i++) {
        const at = (head + order[i]!) & mask;
        for (let word = 0; word < words; word++) moved[words * i + word] = column[words * at + word]!;
      }
      for (let i = 0; i < order.length; i++) {
        const at = (head + from + i) & mask;
        for (let word = 0; word < words; word++) column[words * at + word] = moved[words * i + word]!;
      }
    }
  }

  #reorderRuns(from: number, order: Uint32Array): void {
    // As usual, all of one context: the first, which has at least as many rows.
    if (from + order.length <= this.contextRows) return;
    const contexts = this.#runs.flatMap(({ context, rows }) => new Array<RowContext>(rows).fill(context));
    const before = contexts.slice(from, from + order.length);
    for (let i = 0; i < order.length; i++) contexts[from + i] = before[order[i]! - from]!;
    this.#runs.length = 0;
    for (const context of contexts) {
      const last = this.#runs[this.#runs.length - 1];
      if (last?.context === context) last.rows++;
      else this.#runs.push({ context, rows: 1 });
    }
  }

  /** The context of row `i` from the head on. */
  contextAt(i: number): RowContext {
    let left = i;
    for (const { context, rows } of this.#runs) {
      if (left < rows) return context;
      left -= rows;
    }
    throw new RangeError(`row ${i} of ${this.length}`);
  }

  /** How many rows from the head on are of segments before `segment`. */
  rowsBefore(segment: number): number {
    let rows = 0;
    for (const run of this.#runs) {
      if (run.context.segment >= segment) break;
      rows += run.rows;
    }
    return rows;
  }

  /** Bytes that payloads hold. */
  get payloadBytes(): number {
    return this.payload?.total ?? 0;
  }

  get full(): boolean {
    return this.length >= this.capacity || this.payloadBytes >= MAX_PAYLOAD_BYTES;
  }

  /** Samples that it can take. */
  get room(): number {
    return this.full ? 0 : this.capacity - this.length;
  }

  /** The context of the first row. The queue must not be empty. */
  get context(): RowContext {
    return this.#runs[0]!.context;
  }

  /** How many rows from the first on share its context. */
  get contextRows(): number {
    return this.#runs[0]?.rows ?? 0;
  }

  /** Adds a row; the caller has seen that the queue is not full. `skip` is `LIVE` or `lostFor` a reason. */
  push(
    context: RowContext,
    row: number,
    shard: number,
    resent: number,
    skip: number,
    kind: number,
    series: number,
    timeLo: number,
    timeHi: number,
    valueLo: number,
    valueHi: number,
  ): void {
    const at = (this.head + this.length) & this.mask;
    this.#add(context, 1);
    this.series[at] = series;
    this.time[2 * at] = timeLo;
    this.time[2 * at + 1] = timeHi;
    this.value[2 * at] = valueLo;
    this.value[2 * at + 1] = valueHi;
    if (this.start !== undefined) this.start.fill(0, 2 * at, 2 * at + 2);
    this.kind[at] = kind;
    this.skip[at] = skip;
    this.row[at] = row;
    this.shard[at] = shard;
    this.resent[at] = resent;
    if (kind !== SAMPLE) this.#payloads();
  }

  /** Gives the last row, which is no sample, `src[from, to)`; `note` as in `Payloads`. */
  payloadLast(src: Uint8Array, from: number, to: number, note: number): void {
    this.#payloads().put((this.head + this.length - 1) & this.mask, src, from, to, note);
  }

  #payloads(): Payloads {
    if (this.payload === undefined) {
      this.payload = new Payloads(this.mask + 1);
      this.#columns.push(this.payload.at, this.payload.size, this.payload.note);
    }
    return this.payload;
  }

  /** Gives the last row a start time. */
  startLast(lo: number, hi: number): void {
    if (lo === 0 && hi === 0) return;
    const at = (this.head + this.length - 1) & this.mask;
    const start = this.#startColumn();
    start[2 * at] = lo;
    start[2 * at + 1] = hi;
  }

  #startColumn(): Int32Array {
    if (this.start === undefined) {
      this.start = new Int32Array(this.time.length);
      this.#columns.push(this.start);
    }
    return this.start;
  }

  /**
   * Adds `count` samples, live and fresh, as they stand: `samples` from `first` on, whose ordinals count from `row` on
   * and whose shards are the first of `shards`. The caller has seen that there is room.
   */
  pushRun(
    context: RowContext,
    samples: Samples,
    first: number,
    row: number,
    shards: Uint8Array,
    count: number,
  ): void {
    const { sampleSeries, sampleTime, sampleStart, sampleValue } = samples;
    const { buffer, byteOffset } = sampleValue;
    const start = sampleStart === undefined ? this.start : this.#startColumn();
    for (let done = 0; done < count; ) {
      const at = (this.head + this.length) & this.mask;
      // Up to where the ring begins again.
      const rows = Math.min(count - done, this.mask + 1 - at);
      const from = first + done;
      this.series.set(sampleSeries.subarray(from, from + rows), at);
      this.time.set(sampleTime.subarray(2 * from, 2 * (from + rows)), 2 * at);
      if (sampleStart !== undefined) start?.set(sampleStart.subarray(2 * from, 2 * (from + rows)), 2 * at);
      else start?.fill(0, 2 * at, 2 * (at + rows));
      this.#valueBytes.set(new Uint8Array(buffer, byteOffset + 8 * from, 8 * rows), 8 * at);
      this.shard.set(shards.subarray(done, done + rows), at);
      this.#add(context, rows);
      this.#markLive(at, rows);
      const ordinals = this.row;
      for (let i = 0; i < rows; i++) ordinals[at + i] = row + done + i;
      done += rows;
    }
  }

  /** The same with those of the samples that have the numbers `picked[from..to)`, counted from `first`. */
  pushPicked(
    context: RowContext,
    samples: Samples,
    first: number,
    row: number,
    shards: Uint8Array,
    picked: Uint32Array,
    from: number,
    to: number,
  ): void {
    const { mask, series, time, value, row: ordinals, shard } = this;
    const { sampleSeries, sampleTime, sampleStart, sampleValue } = samples;
    const starts = sampleStart === undefined ? this.start : this.#startColumn();
    const start = (this.head + this.length) & mask;
    this.#add(context, to - from);
    for (let i = from; i < to; i++) {
      const at = (start + i - from) & mask;
      const n = picked[i]!;
      const k = first + n;
      series[at] = sampleSeries[k]!;
      time[2 * at] = sampleTime[2 * k]!;
      time[2 * at + 1] = sampleTime[2 * k + 1]!;
      value[2 * at] = sampleValue.getInt32(8 * k, true);
      value[2 * at + 1] = sampleValue.getInt32(8 * k + 4, true);
      if (starts !== undefined) {
        starts[2 * at] = sampleStart === undefined ? 0 : sampleStart[2 * k]!;
        starts[2 * at + 1] = sampleStart === undefined ? 0 : sampleStart[2 * k + 1]!;
      }
      ordinals[at] = row + n;
      shard[at] = shards[n]!;
    }
    const head = Math.min(to - from, mask + 1 - start);
    this.#markLive(start, head);
    this.#markLive(0, to - from - head);
  }

  /** Says of `rows` rows from index `at` on, up to the end of the ring, that they are samples, live and fresh. */
  #markLive(at: number, rows: number): void {
    this.kind.fill(SAMPLE, at, at + rows);
    this.skip.fill(LIVE, at, at + rows);
    this.resent.fill(FRESH, at, at + rows);
  }

  /** Takes the next places, for rows of `context`. */
  #add(context: RowContext, rows: number): void {
    const last = this.#runs[this.#runs.length - 1];
    if (last !== undefined && last.context === context) last.rows += rows;
    else this.#runs.push({ context, rows });
    context.hold(rows);
    this.length += rows;
  }

  /** Rows among `rows` from row `from` on that are to be sent. */
  liveRows(rows: number, from = 0): number {
    const { head, mask, skip } = this;
    let live = 0;
    for (let i = head + from; i < head + from + rows; i++) if (skip[i & mask] === LIVE) live++;
    return live;
  }

  /** The same by kind. */
  liveByKind(from: number, rows: number): number[] {
    const { head, mask, skip, kind } = this;
    const kinds = new Array<number>(KINDS).fill(0);
    for (let i = head + from; i < head + from + rows; i++) {
      const at = i & mask;
      if (skip[at] === LIVE) kinds[kind[at]!]!++;
    }
    return kinds;
  }

  /** The first of the first `rows` rows that is to be sent; the last of them when none is. */
  firstLive(rows: number): number {
    let i = 0;
    while (i < rows - 1 && this.skip[(this.head + i) & this.mask] !== LIVE) i++;
    return i;
  }

  /** Whether the first of `rows` rows from row `from` on that is to be sent is metadata; undefined when none is. */
  isMetadata(from: number, rows: number): boolean | undefined {
    for (let i = this.head + from; i < this.head + from + rows; i++) {
      if (this.skip[i & this.mask] === LIVE) return this.kind[i & this.mask] === METADATA;
    }
    return undefined;
  }

  /** The shards of which a row that is not settled is among the first `rows`. */
  shardsOf(rows: number): Set<number> {
    const shards = new Set<number>();
    for (let i = 0; i < rows; i++) {
      const at = (this.head + i) & this.mask;
      if (this.skip[at] !== SETTLED) shards.add(this.shard[at]!);
    }
    return shards;
  }

  /** The series of row `i` as a number that is the same in all segments; 0 for metadata. */
  seriesKey(i: number): number {
    const at = (this.head + i) & this.mask;
    if (this.kind[at] === METADATA) return 0;
    const { seriesHash } = this.contextAt(i).dictionary;
    const series = this.series[at]!;
    return seriesHash[2 * series]! * 2 ** 21 + (seriesHash[2 * series + 1]! >>> 11);
  }

  /** Notes of `rows` rows from row `from` on that they were sent, and not taken. */
  note(resent: typeof UNKNOWN | typeof REFUSED, from: number, rows: number): void {
    for (let i = from; i < from + rows; i++) {
      const at = (this.head + i) & this.mask;
      // Of what may have been taken before, a refusal says nothing.
      if (this.resent[at] !== UNKNOWN) this.resent[at] = resent;
    }
  }

  /** Time of the row at index `at` of the columns, ms since the epoch; 0 for metadata. */
  timeMs(at: number): number {
    return this.time[2 * at + 1]! * 4294967296 + (this.time[2 * at]! >>> 0);
  }

  /** Forgets the first `rows` rows, which share a context. */
  shift(rows: number): void {
    const { payload } = this;
    if (payload !== undefined) for (let i = 0; i < rows; i++) payload.forget((this.head + i) & this.mask);
    this.head = (this.head + rows) & this.mask;
    this.length -= rows;
    const run = this.#runs[0]!;
    run.rows -= rows;
    if (run.rows === 0) this.#runs.shift();
    run.context.letGo(rows);
  }

  /** Forgets everything. */
  clear(): void {
    while (this.length > 0) this.shift(this.contextRows);
  }
}

/** A loop whose payloads (histograms, exemplars, metadata) hold this much counts as full. */
const MAX_PAYLOAD_BYTES = 8 * 1024 * 1024;
