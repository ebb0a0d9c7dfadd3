import { Column, Delta64Column, DeltaColumn } from './columns.ts';

/** The kinds of row, as numbers in the `order` column of a frame. Never renumber: they are on disk. */
export const SAMPLE = 0;
export const HISTOGRAM = 1;
export const EXEMPLAR = 2;
export const METADATA = 3;
export const KINDS = 4;
export const kindNames: readonly ['samples', 'histograms', 'exemplars', 'metadata'] = [
  'samples',
  'histograms',
  'exemplars',
  'metadata',
];

/** Where a batch stood, for `rollback`: lengths and last values of every column. */
export type RowMark = readonly number[];

/** Where the encoded columns of samples stand, as offsets (start, end), and what their last row holds. */
export interface EncodedSamples {
  readonly series: readonly [number, number];
  readonly time: readonly [number, number];
  readonly value: readonly [number, number];
  readonly lastSeries: number;
  readonly lastTimeLo: number;
  readonly lastTimeHi: number;
}

/**
 * The rows that wait for the next commit, as columns.
 *
 * Each kind has columns of its own; `order` says how the kinds interleave, as runs, so that float and
 * histogram rows of one series share one order (RLY-04). Row `i` of the frame has ordinal `firstRow + i`.
 *
 * - A sample is (series, time, start time, value bits).
 * - A histogram is (series, time, start time, the encoded `Histogram` message less its two times): what was
 *   received is passed on, field by field as it was (HIST-08, HIST-09, WIRE-06).
 * - An exemplar is (series, time, value bits, its encoded `Label` fields). Its labels are not interned: a
 *   trace id is seen once, and would only fill the dictionary.
 * - A metadata row is (series + 1 or 0, type, family, help, unit, tenant): by family as 1.0 sends it, or with a series
 *   as 2.0 does. The texts are strings of the dictionary.
 *
 * The start columns stay empty while every start time is 0 (unset), that of tenants while there is none.
 */
export class RowBatch {
  readonly counts: Uint32Array = new Uint32Array(KINDS);
  readonly order: Column = new Column();
  #runKind = 0;
  #run = 0;
  /** Rows that the start columns reach up to. Rows without a start time, most of them, cost nothing: they are filled up late. */
  #sampleStarts = 0;
  #histogramStarts = 0;

  readonly sampleSeries: DeltaColumn = new DeltaColumn();
  readonly sampleTime: Delta64Column = new Delta64Column();
  readonly sampleStart: Delta64Column = new Delta64Column();
  readonly sampleValue: Column = new Column();

  readonly histogramSeries: DeltaColumn = new DeltaColumn();
  readonly histogramTime: Delta64Column = new Delta64Column();
  readonly histogramStart: Delta64Column = new Delta64Column();
  readonly histogramLength: Column = new Column();
  readonly histogramBytes: Column = new Column();

  readonly exemplarSeries: DeltaColumn = new DeltaColumn();
  readonly exemplarTime: Delta64Column = new Delta64Column();
  readonly exemplarValue: Column = new Column();
  readonly exemplarLength: Column = new Column();
  readonly exemplarLabels: Column = new Column();

  readonly metadataSeries: DeltaColumn = new DeltaColumn();
  readonly metadataType: Column = new Column();
  readonly metadataFamily: DeltaColumn = new DeltaColumn();
  readonly metadataHelp: DeltaColumn = new DeltaColumn();
  readonly metadataUnit: DeltaColumn = new DeltaColumn();
  readonly metadataTenant: Column = new Column();
  /** Of the metadata that is appended from now on, as a string id; 0 is none. Series have their own. */
  tenant = 0;

  /** Every column in one fixed order, for what is done to all of them alike. */
  readonly #plain: readonly Column[] = [
    this.order,
    this.sampleValue,
    this.histogramLength,
    this.histogramBytes,
    this.exemplarValue,
    this.exemplarLength,
    this.exemplarLabels,
    this.metadataType,
    this.metadataTenant,
  ];
  readonly #deltas: readonly DeltaColumn[] = [
    this.sampleSeries,
    this.histogramSeries,
    this.exemplarSeries,
    this.metadataSeries,
    this.metadataFamily,
    this.metadataHelp,
    this.metadataUnit,
  ];
  readonly #deltas64: readonly Delta64Column[] = [
    this.sampleTime,
    this.sampleStart,
    this.histogramTime,
    this.histogramStart,
    this.exemplarTime,
  ];

  /** Rows of all kinds. */
  get rows(): number {
    return this.counts[SAMPLE]! + this.counts[HISTOGRAM]! + this.counts[EXEMPLAR]! + this.counts[METADATA]!;
  }

  /** Bytes that the rows take before compression. */
  get bytes(): number {
    let sum = 0;
    for (const column of this.#plain) sum += column.length;
    for (const column of this.#deltas) sum += column.length;
    for (const column of this.#deltas64) sum += column.length;
    return sum;
  }

  /** Times and values are given as two 32-bit halves, low half first. */
  appendSample(series: number, timeLo: number, timeHi: number, valueLo: number, valueHi: number): void {
    this.#count(SAMPLE);
    this.sampleSeries.put(series);
    this.sampleTime.put(timeLo, timeHi);
    this.sampleValue.putWord64(valueLo, valueHi);
  }

  /** Gives the sample that was appended last a start time; one that is 0 is unset, and is not to be given. */
  setSampleStart(startLo: number, startHi: number): void {
    const rows = this.counts[SAMPLE]!;
    this.sampleStart.putZeros(rows - 1 - this.#sampleStarts);
    this.sampleStart.put(startLo, startHi);
    this.#sampleStarts = rows;
  }

  /** Gives the histogram that was appended last a start time that is not 0. */
  setHistogramStart(startLo: number, startHi: number): void {
    const rows = this.counts[HISTOGRAM]!;
    this.histogramStart.putZeros(rows - 1 - this.#histogramStarts);
    this.histogramStart.put(startLo, startHi);
    this.#histogramStarts = rows;
  }

  /** Gives `count` samples their place behind the rows so far; their columns follow by `appendSampleColumns`. */
  countSamples(count: number): void {
    if (count > 0) this.#count(SAMPLE, count);
  }

  /** Appends the columns of samples that were counted, which stand encoded in `src` as the continuation of those here. */
  appendSampleColumns(src: Uint8Array, columns: EncodedSamples): void {
    const { series, time, value } = columns;
    this.sampleSeries.putBytes(src, series[0], series[1]);
    this.sampleSeries.last = columns.lastSeries;
    this.sampleTime.putBytes(src, time[0], time[1]);
    this.sampleTime.lastLo = columns.lastTimeLo;
    this.sampleTime.lastHi = columns.lastTimeHi;
    this.sampleValue.putBytes(src, value[0], value[1]);
  }

  /** `parts` are pairs of offsets into `src`: the fields of the message without its times. */
  appendHistogram(
    series: number,
    timeLo: number,
    timeHi: number,
    src: Uint8Array,
    parts: readonly number[],
  ): void {
    this.#count(HISTOGRAM);
    this.histogramSeries.put(series);
    this.histogramTime.put(timeLo, timeHi);
    const before = this.histogramBytes.length;
    for (let i = 0; i < parts.length; i += 2) this.histogramBytes.putBytes(src, parts[i]!, parts[i + 1]!);
    this.histogramLength.putVarint(this.histogramBytes.length - before);
  }

  /** `parts` are pairs of offsets into `src`: the encoded `Label` fields. */
  appendExemplar(
    series: number,
    timeLo: number,
    timeHi: number,
    valueLo: number,
    valueHi: number,
    src: Uint8Array,
    parts: readonly number[],
  ): void {
    this.#count(EXEMPLAR);
    this.exemplarSeries.put(series);
    this.exemplarTime.put(timeLo, timeHi);
    this.exemplarValue.putWord64(valueLo, valueHi);
    const before = this.exemplarLabels.length;
    for (let i = 0; i < parts.length; i += 2) this.exemplarLabels.putBytes(src, parts[i]!, parts[i + 1]!);
    this.exemplarLength.putVarint(this.exemplarLabels.length - before);
  }

  /** `seriesPlusOne` is 0 for metadata by family; the others are string ids. */
  appendMetadata(seriesPlusOne: number, type: number, family: number, help: number, unit: number): void {
    if (this.tenant !== 0 && this.metadataTenant.length === 0) {
      for (let i = 0; i < this.counts[METADATA]!; i++) this.metadataTenant.putVarint(0);
    }
    if (this.tenant !== 0 || this.metadataTenant.length > 0) this.metadataTenant.putVarint(this.tenant);
    this.#count(METADATA);
    this.metadataSeries.put(seriesPlusOne);
    this.metadataType.putVarint(type);
    this.metadataFamily.put(family);
    this.metadataHelp.put(help);
    this.metadataUnit.put(unit);
  }

  /** Ends the last run of `order` and fills the start columns up; to be called once, before the columns are encoded. */
  finishOrder(): void {
    this.#endRun();
    if (this.#sampleStarts > 0) {
      this.sampleStart.putZeros(this.counts[SAMPLE]! - this.#sampleStarts);
      this.#sampleStarts = this.counts[SAMPLE]!;
    }
    if (this.#histogramStarts > 0) {
      this.histogramStart.putZeros(this.counts[HISTOGRAM]! - this.#histogramStarts);
      this.#histogramStarts = this.counts[HISTOGRAM]!;
    }
  }

  mark(): RowMark {
    // One is taken for each request: spread and push took three times as long.
    const mark = new Array<number>(
      KINDS + 4 + this.#plain.length + 2 * this.#deltas.length + 3 * this.#deltas64.length,
    );
    let i = 0;
    for (let kind = 0; kind < KINDS; kind++) mark[i++] = this.counts[kind]!;
    mark[i++] = this.#runKind;
    mark[i++] = this.#run;
    mark[i++] = this.#sampleStarts;
    mark[i++] = this.#histogramStarts;
    for (const column of this.#plain) mark[i++] = column.length;
    for (const column of this.#deltas) {
      mark[i++] = column.length;
      mark[i++] = column.last;
    }
    for (const column of this.#deltas64) {
      mark[i++] = column.length;
      mark[i++] = column.lastLo;
      mark[i++] = column.lastHi;
    }
    return mark;
  }

  /** Forgets every row that was appended after `mark` was taken. */
  rollback(mark: RowMark): void {
    let i = 0;
    for (let kind = 0; kind < KINDS; kind++) this.counts[kind] = mark[i++]!;
    this.#runKind = mark[i++]!;
    this.#run = mark[i++]!;
    this.#sampleStarts = mark[i++]!;
    this.#histogramStarts = mark[i++]!;
    for (const column of this.#plain) column.length = mark[i++]!;
    for (const column of this.#deltas) {
      column.length = mark[i++]!;
      column.last = mark[i++]!;
    }
    for (const column of this.#deltas64) {
      column.length = mark[i++]!;
      column.lastLo = mark[i++]!;
      column.lastHi = mark[i++]!;
    }
  }

  clear(): void {
    this.counts.fill(0);
    this.#run = 0;
    this.#runKind = 0;
    this.#sampleStarts = 0;
    this.#histogramStarts = 0;
    for (const column of this.#plain) column.clear();
    for (const column of this.#deltas) column.clear();
    for (const column of this.#deltas64) column.clear();
  }

  #endRun(): void {
    if (this.#run === 0) return;
    this.order.putVarint(this.#runKind);
    this.order.putVarint(this.#run);
    this.#run = 0;
  }

  #count(kind: number, rows = 1): void {
    this.counts[kind] = this.counts[kind]! + rows;
    if (kind === this.#runKind) this.#run += rows;
    else {
      this.#endRun();
      this.#runKind = kind;
      this.#run = rows;
    }
  }
}
