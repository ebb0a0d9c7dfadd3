import { Column } from '../serialization/columns.ts';
import { ABSENT, type Dictionary, INVALID, METRIC_NAME_ID } from '../serialization/dictionary.ts';
import type { RowBatch } from '../serialization/rows.ts';
import type { DoorDrop, DoorReason } from '../telemetry/reasons.ts';
import { emptyReport, type IngestReport, quote, refuse } from './ingest-report.ts';
import { type IngestLimits, LimitError } from './limits.ts';
import type { Symbols } from './symbols.ts';

/** Rows of a series by kind. */
export interface RowCounts {
  readonly samples: number;
  readonly histograms: number;
  readonly exemplars: number;
}

/** What the metadata of a series ends with that is no part of the name of its family, by type. */
const suffixes: Readonly<Record<number, readonly string[]>> = {
  1: ['_created'],
  3: ['_bucket', '_sum', '_count', '_created'],
  4: ['_bucket', '_gsum', '_gcount', '_sum', '_count'],
  5: ['_sum', '_count', '_created'],
  6: ['_info'],
};
/** How much longer the labels of a request may be than the longest body. Those of real senders are about five times as long. */
const EXPANSION = 8;
/** The most bytes of labels that may be looked up for a request. */
export function mostLabelBytes({ decodedBytes }: IngestLimits): number {
  return EXPANSION * decodedBytes;
}

/** No pair, and none of `ABSENT` and `INVALID`. */
const NONE = -3;

/** A remote write 2.0 request that is being read. Its symbols are all known. */
export class RequestV2 {
  /** The decoded body, with 16 readable bytes behind `length`; `view` spans it. A kernel may move it. */
  raw: Uint8Array;
  view: DataView;
  readonly length: number;
  readonly symbols: Symbols;
  readonly dictionary: Dictionary;
  readonly batch: RowBatch;
  readonly limits: IngestLimits;
  readonly report: IngestReport = emptyReport();
  /** Samples, histograms and exemplars so far, also refused ones. */
  rows = 0;
  /** Bytes of labels that were looked up or written out, each symbol as often as that was done. */
  #labelBytes = 0;
  /** Pairs of the series at hand. */
  #pairs: Uint32Array = new Uint32Array(64);

  constructor(
    raw: Uint8Array,
    view: DataView,
    length: number,
    symbols: Symbols,
    dictionary: Dictionary,
    batch: RowBatch,
    limits: IngestLimits,
  ) {
    this.raw = raw;
    this.view = view;
    this.length = length;
    this.symbols = symbols;
    this.dictionary = dictionary;
    this.batch = batch;
    this.limits = limits;
  }

  /**
   * The series with the first `count` of these refs, all of them within the symbols and `count` even. Returns -1, with
   * the reason in `dictionary.invalid`, when they make no valid series, or one that the gate drops.
   *
   * What the dictionary expects next is what they are compared with first; then nothing is hashed.
   */
  internRefs(refs: Uint32Array, count: number): number {
    const { dictionary, symbols } = this;
    if (dictionary.hasGate) return this.#internBlock(refs, count);
    const { nameOfValue, pairOfValue } = symbols;
    const { seriesPairs, expected } = dictionary;
    let at = expected < 0 ? 0 : dictionary.seriesAt[expected]!;
    const to = expected < 0 ? 0 : dictionary.seriesAt[expected + 1]!;
    let same = expected >= 0;
    let pairs = this.#pairs;
    if (2 * pairs.length < count) pairs = this.#pairs = new Uint32Array(count);
    let n = 0;
    for (let i = 0; i < count; i += 2) {
      const name = refs[i]!;
      const value = refs[i + 1]!;
      const wanted = at < to ? seriesPairs[at]! : NONE;
      const pair = nameOfValue[value] === name + 1 ? pairOfValue[value]! : this.#lookUp(name, value, wanted);
      if (pair === wanted) at++;
      else if (pair === ABSENT) continue;
      else if (pair === INVALID) return -1;
      else same = false;
      pairs[n++] = pair;
    }
    if (!same || at !== to) return dictionary.internPairs(pairs, n);
    dictionary.accept(expected);
    return expected;
  }

  #lookUp(name: number, value: number, expected: number): number {
    this.#charge(name, value);
    return this.symbols.pair(name, value, expected, this.raw, this.view, this.dictionary);
  }

  /** A label of an exemplar is written out. Throws `LimitError` when they are longer than the longest body. */
  chargeExemplar(name: number, value: number): void {
    const { at, end } = this.symbols;
    this.report.expandedBytes += 16 + end[name]! - at[name]! + (end[value]! - at[value]!);
    if (this.report.expandedBytes > this.limits.decodedBytes) {
      throw new LimitError(
        'has too many bytes of labels of exemplars, each symbol counted as often as it is used',
        this.limits.decodedBytes,
        'max_decoded_bytes',
      );
    }
  }

  /** A long symbol takes its bytes once, and may be used a hundred thousand times: the work that it makes is bounded. */
  #charge(name: number, value: number): void {
    const { at, end } = this.symbols;
    this.#labelBytes += end[name]! - at[name]! + (end[value]! - at[value]!);
    const most = mostLabelBytes(this.limits);
    if (this.#labelBytes > most) {
      throw new LimitError(
        'has too many bytes of labels, each symbol counted as often as it is used',
        most,
        'max_decoded_bytes',
      );
    }
  }

  /** The same where there is a gate, which looks at the labels as remote write 1.0 has them. */
  #internBlock(refs: Uint32Array, count: number): number {
    const { dictionary, symbols, raw } = this;
    blockBytes.clear();
    for (let i = 0; i < count; i += 2) {
      this.#charge(refs[i]!, refs[i + 1]!);
      putLabel(blockBytes, raw, symbols, refs[i]!, refs[i + 1]!);
    }
    const { bytes, length } = blockBytes;
    if (blockView.buffer !== bytes.buffer) blockView = new DataView(bytes.buffer);
    const series = dictionary.predict(bytes, blockView, 0, length);
    return series >= 0 ? series : dictionary.intern(bytes, blockView, 0, length);
  }

  /**
   * Appends a row of metadata for the series when it is not what is stored for it in this segment; refuses texts that
   * are not UTF-8 or longer than a label value may be. `helpRef` and `unitRef` are within the symbols, or 0; `refs` are
   * those of the labels.
   */
  storeMetadata(
    series: number,
    type: number,
    helpRef: number,
    unitRef: number,
    refs: Uint32Array,
    count: number,
  ): void {
    const { dictionary, report } = this;
    const help = this.string(helpRef);
    const unit = this.string(unitRef);
    if (help < 0 || unit < 0) {
      refuse(report, 'invalid_metadata', 1, () => `metadata of ${this.describe(refs, count)}`);
      return;
    }
    const { metadata } = dictionary;
    if (metadata.isKnown(series, type, help, unit)) return;
    metadata.set(series, type, help, unit);
    this.batch.appendMetadata(series + 1, type, this.#family(series, type), help, unit);
    report.metadata++;
  }

  /** As `Symbols.string`, within the limit of this request. */
  string(ref: number): number {
    return this.symbols.string(ref, this.raw, this.view, this.dictionary, this.limits.valueBytes);
  }

  /** The string with the name of the metric family: what 1.0 calls the metadata by (RLY-06). */
  #family(series: number, type: number): number {
    const { seriesAt, seriesPairs, pairName, pairValue, stringAt, text } = this.dictionary;
    let name = 0;
    for (let i = seriesAt[series]!; i < seriesAt[series + 1]!; i++) {
      const pair = seriesPairs[i]!;
      if (pairName[pair] === METRIC_NAME_ID) name = pairValue[pair]!;
    }
    const bytes = Buffer.from(text.bytes.subarray(stringAt[name]!, stringAt[name + 1]!));
    const suffix = suffixes[type]?.find(
      (end) => bytes.length > end.length && bytes.subarray(-end.length).equals(Buffer.from(end)),
    );
    if (suffix === undefined) return name;
    return this.dictionary.internString(bytes, 0, bytes.length - suffix.length);
  }

  /** Refuses a series with these refs and rows, or counts it as dropped. */
  refuseSeries(reason: DoorReason | DoorDrop, counts: RowCounts, refs: Uint32Array, count: number): void {
    const { samples, histograms, exemplars } = counts;
    refuse(this.report, reason, Math.max(1, samples + histograms + exemplars), () =>
      this.describe(refs, count),
    );
    if (reason !== 'dropped_by_relabel_configs') return;
    this.report.droppedHistograms += histograms;
    this.report.droppedExemplars += exemplars;
  }

  /** The labels with the first `count` of these refs as `{name="value", ...}`, at most about 400 characters, for an error message. */
  describe(refs: Uint32Array, count: number): string {
    const parts: string[] = [];
    let size = 0;
    for (let i = 0; i < count; i += 2) {
      if (size > 400) {
        parts.push('...');
        break;
      }
      const name = this.#text(refs[i]!);
      const value = i + 1 < count ? this.#text(refs[i + 1]!) : '(no value)';
      const part = `${/^"[a-zA-Z_]\w*"$/.test(name) ? name.slice(1, -1) : name}=${value}`;
      size += part.length;
      parts.push(part);
    }
    return `{${parts.join(', ')}}`;
  }

  #text(ref: number): string {
    const { symbols } = this;
    if (ref >= symbols.count) return `(symbol ${ref} of ${symbols.count})`;
    return quote(this.raw, symbols.at[ref]!, symbols.end[ref]!);
  }
}

/** Of the series at hand, where there is a gate. */
const blockBytes = new Column();
let blockView = new DataView(blockBytes.bytes.buffer);

/** Appends the `Label` field of remote write 1.0 with the texts of these symbols. */
export function putLabel(out: Column, raw: Uint8Array, symbols: Symbols, name: number, value: number): void {
  const nameLength = symbols.end[name]! - symbols.at[name]!;
  const valueLength = symbols.end[value]! - symbols.at[value]!;
  out.putVarint(0x0a);
  out.putVarint(2 + lengthSize(nameLength) + nameLength + lengthSize(valueLength) + valueLength);
  out.putVarint(0x0a);
  out.putVarint(nameLength);
  out.putBytes(raw, symbols.at[name]!, symbols.end[name]!);
  out.putVarint(0x12);
  out.putVarint(valueLength);
  out.putBytes(raw, symbols.at[value]!, symbols.end[value]!);
}

function lengthSize(length: number): number {
  let size = 1;
  for (let rest = length; rest >= 0x80; rest >>>= 7) size++;
  return size;
}
