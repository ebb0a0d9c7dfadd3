import { Column } from '../serialization/columns.ts';
import type { RowBatch } from '../serialization/rows.ts';
import { readHistogram } from './histogram-check.ts';
import { type IngestReport, refuse } from './ingest-report.ts';
import { ProtoReader } from './proto-reader.ts';

/** Repeated numbers, which may come packed or not (WIRE-05). */
const unpackedHistogramTags: ReadonlySet<number> = new Set([0x48, 0x51, 0x60, 0x69, 0x81]);
const packedHistogramTags: ReadonlySet<number> = new Set([0x4a, 0x52, 0x62, 0x6a, 0x82]);

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
  const { fault, timeLo, timeHi, startLo, startHi, parts, unpacked } = readHistogram(
    raw,
    start,
    end,
    created !== undefined,
  );
  if (unpacked) {
    const packed = packHistogram(raw, start, end);
    ingestHistogram(packed, 0, packed.length, of);
    return;
  }
  const timeMs = timeHi * 4294967296 + (timeLo >>> 0);
  if (fault !== undefined) {
    refuse(report, 'invalid_histogram', 1, () => `${of.describe()}, the histogram at ${timeMs} ms: ${fault}`);
    return;
  }
  batch.appendHistogram(series, timeLo, timeHi, raw, parts);
  if (created !== undefined) {
    if ((startLo | startHi) !== 0) batch.setHistogramStart(startLo, startHi);
    else if ((created[0] | created[1]) !== 0) batch.setHistogramStart(created[0], created[1]);
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
