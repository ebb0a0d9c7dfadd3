import { isUtf8 } from 'node:buffer';
import { Column } from '../serialization/columns.ts';
import { RowBatch } from '../serialization/rows.ts';
import type { DoorReason } from '../telemetry/reasons.ts';
import { ingestHistogram } from './ingest-histogram.ts';
import { emptyReport, type IngestReport, refuse } from './ingest-report.ts';
import { LimitError } from './limits.ts';
import { ProtoReader } from './proto-reader.ts';
import { putLabel, type RequestV2 } from './request-v2.ts';

/** Takes the rows of series that are refused; never read. */
export const discarded: RowBatch = new RowBatch();
const exemplarLabels = new Column();

/** Refs to symbols, as many as there may be; more are counted only. */
class Refs {
  readonly #most: number;
  list: Uint32Array = new Uint32Array(32);
  /** How many there are, also of those that are not in the list. */
  count = 0;
  /** One is not below the number of symbols. */
  outside = false;

  constructor(most: number) {
    this.#most = most;
  }

  get tooMany(): boolean {
    return this.count > this.#most;
  }

  /** How many are in the list. */
  get kept(): number {
    return Math.min(this.count, this.#most);
  }

  /** Reads the refs of a field, packed or not (WIRE-05); the tag has been read. */
  read(reader: ProtoReader, packed: boolean, symbols: number): void {
    const end = packed ? reader.length() + reader.at : 0;
    const run = packed ? new ProtoReader(reader.bytes, reader.at, end) : reader;
    do {
      if (packed && run.done) break;
      const ref = run.varint64() >>> 0;
      if (ref >= symbols) this.outside = true;
      if (this.count < this.#most) {
        if (this.count === this.list.length) {
          const grown = new Uint32Array(2 * this.count);
          grown.set(this.list);
          this.list = grown;
        }
        this.list[this.count] = ref;
      }
      this.count++;
    } while (packed);
    if (packed) reader.at = end;
  }
}

/** The labels of the series in `raw[start, end)`, for a message. */
export function describeAt(request: RequestV2, start: number, end: number): string {
  const { raw } = request;
  const refs = new Refs(200);
  const reader = new ProtoReader(raw, start, end);
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a || tag === 0x08) refs.read(reader, tag === 0x0a, 0);
    else reader.skip(tag);
  }
  return request.describe(refs.list, refs.kept);
}

/**
 * The series in `raw[start, end)`, of any legal layout, in two passes: labels, metadata and what is said of all rows,
 * then rows. Samples and histograms may come together, and keep their order (RW2-R-25, RLY-04).
 *
 * Refused are, and looked at in this order: refs that are odd in number or outside of the symbols, of labels
 * (RW2-R-22), then of help and unit (RW2-R-23); a series with neither sample nor histogram (RW2-R-24); its labels
 * (RW2-R-19 to -21, -28). Throws `MalformedError`, and `LimitError` when it has more rows than are left.
 */
export function plainSeries(request: RequestV2, start: number, end: number): void {
  const { raw, symbols, limits, dictionary } = request;
  const refs = new Refs(2 * limits.labels);
  let samples = 0;
  let histograms = 0;
  let exemplars = 0;
  let createdLo = 0;
  let createdHi = 0;
  const metadata = { type: 0, help: 0, unit: 0 };
  const scan = new ProtoReader(raw, start, end);
  while (!scan.done) {
    const tag = scan.tag();
    if (tag === 0x0a || tag === 0x08) refs.read(scan, tag === 0x0a, symbols.count);
    else if (tag === 0x2a) {
      const size = scan.length();
      readMetadata(raw, scan.at, scan.at + size, metadata);
      scan.at += size;
    } else if (tag === 0x30) {
      createdLo = scan.varint64();
      createdHi = scan.high;
    } else {
      scan.skip(tag);
      if (tag === 0x12) samples++;
      else if (tag === 0x1a) histograms++;
      else if (tag === 0x22) exemplars++;
    }
  }
  const describe = () => request.describe(refs.list, refs.kept);
  const rows = samples + histograms + exemplars;
  if (rows > limits.rows - request.rows)
    throw new LimitError('has too many samples', limits.rows, 'max_rows_per_request', describe());
  request.rows += rows;

  const isOutside = (ref: number) => ref !== 0 && ref >= symbols.count;
  let reason: DoorReason | typeof dictionary.invalid | undefined;
  let series = -1;
  if (refs.outside || refs.count % 2 !== 0 || isOutside(metadata.help) || isOutside(metadata.unit))
    reason = 'invalid_refs';
  else if (samples + histograms === 0) reason = 'no_samples';
  else if (refs.tooMany) reason = 'too_many_labels';
  else {
    series = request.internRefs(refs.list, refs.count);
    if (series < 0) reason = dictionary.invalid;
  }
  let target = request.batch;
  let counts = request.report;
  if (reason !== undefined) {
    request.refuseSeries(reason, { samples, histograms, exemplars }, refs.list, refs.kept);
    // Its rows are not kept, but they are read: a malformed one refuses the whole request (WIRE-07).
    discarded.clear();
    target = discarded;
    counts = emptyReport();
  } else if ((metadata.type | metadata.help | metadata.unit) !== 0 || dictionary.metadata.hasSome(series))
    request.storeMetadata(series, metadata.type, metadata.help, metadata.unit, refs.list, refs.count);

  const created = [createdLo, createdHi] as const;
  const histogramSeries = { series, batch: target, report: counts, created, describe };
  const reader = new ProtoReader(raw, start, end);
  while (!reader.done) {
    const tag = reader.tag();
    if (tag !== 0x12 && tag !== 0x1a && tag !== 0x22) {
      reader.skip(tag);
      continue;
    }
    const size = reader.length();
    const at = reader.at;
    reader.at += size;
    if (tag === 0x12) readSample(request, at, reader.at, series, created, target, counts);
    else if (tag === 0x1a) ingestHistogram(raw, at, reader.at, histogramSeries);
    else {
      const invalid = readExemplar(request, at, reader.at, series, target, counts);
      if (invalid !== undefined) refuse(counts, invalid, 1, describe);
    }
  }
}

/** Fields that come again replace those before, as in any message that comes in parts. */
function readMetadata(
  raw: Uint8Array,
  start: number,
  end: number,
  into: { type: number; help: number; unit: number },
): void {
  const reader = new ProtoReader(raw, start, end);
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x08) into.type = reader.varint64() >>> 0;
    else if (tag === 0x18) into.help = reader.varint64() >>> 0;
    else if (tag === 0x20) into.unit = reader.varint64() >>> 0;
    else reader.skip(tag);
  }
}

/** Reads a sample of any layout. `created` is when it started, if it does not say so itself (INT-16). */
export function readSample(
  { raw, view }: RequestV2,
  start: number,
  end: number,
  series: number,
  created: readonly [lo: number, hi: number],
  batch: RowBatch,
  report: IngestReport,
): void {
  let valueLo = 0;
  let valueHi = 0;
  let lo = 0;
  let hi = 0;
  let startLo = 0;
  let startHi = 0;
  const reader = new ProtoReader(raw, start, end);
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x09) {
      const at = reader.at;
      reader.skipBytes(8);
      valueLo = view.getInt32(at, true);
      valueHi = view.getInt32(at + 4, true);
    } else if (tag === 0x10) {
      lo = reader.varint64();
      hi = reader.high;
    } else if (tag === 0x18) {
      startLo = reader.varint64();
      startHi = reader.high;
    } else reader.skip(tag);
  }
  batch.appendSample(series, lo, hi, valueLo, valueHi);
  if ((startLo | startHi) === 0) {
    startLo = created[0];
    startHi = created[1];
  }
  if ((startLo | startHi) !== 0) batch.setSampleStart(startLo, startHi);
  report.samples++;
  report.newestMs = Math.max(report.newestMs, hi * 4294967296 + (lo >>> 0));
}

/**
 * Returns why the exemplar is refused, or undefined when it is taken: refs that are odd in number or outside, a label
 * without a name or not UTF-8, no time (RW2-R-19, -26), or more labels than there may be.
 */
function readExemplar(
  request: RequestV2,
  start: number,
  end: number,
  series: number,
  batch: RowBatch,
  report: IngestReport,
): DoorReason | undefined {
  const { raw, view, symbols, limits } = request;
  let valueLo = 0;
  let valueHi = 0;
  let lo = 0;
  let hi = 0;
  const refs = new Refs(2 * limits.labels);
  const reader = new ProtoReader(raw, start, end);
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a || tag === 0x08) refs.read(reader, tag === 0x0a, symbols.count);
    else if (tag === 0x11) {
      const at = reader.at;
      reader.skipBytes(8);
      valueLo = view.getInt32(at, true);
      valueHi = view.getInt32(at + 4, true);
    } else if (tag === 0x18) {
      lo = reader.varint64();
      hi = reader.high;
    } else reader.skip(tag);
  }
  if (refs.outside || refs.count % 2 !== 0 || (lo | hi) === 0) return 'invalid_exemplar';
  if (refs.tooMany) return 'too_many_labels';
  exemplarLabels.clear();
  const { list, count } = refs;
  const isText = (ref: number) => isUtf8(raw.subarray(symbols.at[ref]!, symbols.end[ref]!));
  for (let i = 0; i < count; i += 2) {
    const name = list[i]!;
    const value = list[i + 1]!;
    request.chargeExemplar(name, value);
    if (symbols.at[name] === symbols.end[name] || !isText(name) || !isText(value)) return 'invalid_exemplar';
    putLabel(exemplarLabels, raw, symbols, name, value);
  }
  batch.appendExemplar(series, lo, hi, valueLo, valueHi, exemplarLabels.bytes, [0, exemplarLabels.length]);
  report.exemplars++;
  return undefined;
}
