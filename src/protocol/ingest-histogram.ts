import { Column } from '../serialization/columns.ts';
import type { RowBatch } from '../serialization/rows.ts';
import { histogramFault } from './histogram-check.ts';
import { type IngestReport, refuse } from './ingest-report.ts';
import { MalformedError, ProtoReader } from './proto-reader.ts';

/** The known fields of `Histogram` with their wire types; repeated numbers may come packed or not (WIRE-05). */
const histogramTags: ReadonlySet<number> = new Set([
  0x08, 0x11, 0x19, 0x20, 0x29, 0x30, 0x39, 0x42, 0x4a, 0x52, 0x5a, 0x62, 0x6a, 0x70, 0x82,
]);
const unpackedHistogramTags: ReadonlySet<number> = new Set([0x48, 0x51, 0x60, 0x69, 0x81]);
const packedHistogramTags: ReadonlySet<number> = new Set([0x4a, 0x52, 0x62, 0x6a, 0x82]);
const HISTOGRAM_TIME = 0x78;
const HISTOGRAM_START = 0x88;
/** Offsets of runs of known fields. Unknown fields end a run; a sender of a later version may have some. */
const MAX_HISTOGRAM_PARTS = 2 * 1000;

/** What the histograms of one `TimeSeries` have in common. */
export interface HistogramSeries {
  readonly series: number;
  readonly batch: RowBatch;
  readonly report: IngestReport;
  /**
   * In remote write 2.0: the start time of those that say none themselves (INT-16), low half first. Undefined in 1.0,
   * where the field of start times is an unknown one.
   */
  readonly created: readonly [lo: number, hi: number] | undefined;
  /** The labels of the series, for a message. */
  readonly describe: () => string;
}

/**
 * Appends the histogram in `raw[start, end)` as it came, but for its times. One that breaks a rule of its format is
 * refused (RW2-R-27). Throws `MalformedError`.
 */
export function ingestHistogram(raw: Uint8Array, start: number, end: number, of: HistogramSeries): void {
  const { series, batch, report, created } = of;
  let lo = 0;
  let hi = 0;
  let startLo = 0;
  let startHi = 0;
  const parts: number[] = [];
  const reader = new ProtoReader(raw, start, end);
  while (!reader.done) {
    const from = reader.at;
    const tag = reader.tag();
    if (tag === HISTOGRAM_TIME) {
      lo = reader.varint64();
      hi = reader.high;
      continue;
    }
    if (tag === HISTOGRAM_START && created !== undefined) {
      startLo = reader.varint64();
      startHi = reader.high;
      continue;
    }
    const valueAt = reader.at;
    reader.skip(tag);
    if (unpackedHistogramTags.has(tag)) {
      const packed = packHistogram(raw, start, end);
      ingestHistogram(packed, 0, packed.length, of);
      return;
    }
    if (!histogramTags.has(tag)) continue;
    checkHistogramField(raw, tag, valueAt, reader.at);
    if (parts[parts.length - 1] === from) parts[parts.length - 1] = reader.at;
    else if (parts.length < MAX_HISTOGRAM_PARTS) parts.push(from, reader.at);
    else throw new MalformedError('a histogram is scattered over too many fields', { offset: start });
  }
  const timeMs = hi * 4294967296 + (lo >>> 0);
  const fault = histogramFault(raw, start, end);
  if (fault !== undefined) {
    refuse(report, 'invalid_histogram', 1, () => `${of.describe()}, the histogram at ${timeMs} ms: ${fault}`);
    return;
  }
  batch.appendHistogram(series, lo, hi, raw, parts);
  if (created !== undefined) {
    if ((startLo | startHi) === 0) [startLo, startHi] = created;
    if ((startLo | startHi) !== 0) batch.setHistogramStart(startLo, startHi);
  }
  report.histograms++;
  report.newestMs = Math.max(report.newestMs, timeMs);
}

/** The same message with each repeated number as one packed run, behind its other fields (WIRE-05). */
function packHistogram(raw: Uint8Array, start: number, end: number): Uint8Array {
  const out = new Column();
  const packed = new Map<number, Column>();
  const reader = new ProtoReader(raw, start, end);
  while (!reader.done) {
    const from = reader.at;
    const tag = reader.tag();
    let valueAt = reader.at;
    if (packedHistogramTags.has(tag)) {
      const size = reader.length();
      valueAt = reader.at;
      reader.skipBytes(size);
    } else {
      reader.skip(tag);
      // These fields with a third wire type are unknown ones, and no part of a run.
      if (!unpackedHistogramTags.has(tag)) {
        out.putBytes(raw, from, reader.at);
        continue;
      }
    }
    const field = tag >>> 3;
    const run = packed.get(field) ?? new Column();
    packed.set(field, run);
    run.putBytes(raw, valueAt, reader.at);
  }
  for (const [field, run] of packed) {
    out.putVarint((field << 3) | 2);
    out.putVarint(run.length);
    out.putBytes(run.bytes, 0, run.length);
  }
  return out.used;
}

/** The inside of a span or of packed numbers must be well-formed too: it is passed on as it is. */
function checkHistogramField(raw: Uint8Array, tag: number, valueAt: number, end: number): void {
  if ((tag & 7) !== 2) return;
  const reader = new ProtoReader(raw, valueAt, end);
  reader.length();
  const field = tag >>> 3;
  if (field === 8 || field === 11) {
    while (!reader.done) reader.skip(reader.tag());
  } else if (field === 9 || field === 12) {
    while (!reader.done) reader.varint64();
  } else if ((reader.end - reader.at) % 8 !== 0) {
    throw new MalformedError('packed doubles are cut short', { offset: valueAt });
  }
}
