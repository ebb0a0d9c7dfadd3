import { isUtf8 } from 'node:buffer';
import type { Dictionary } from '../serialization/dictionary.ts';
import { RowBatch } from '../serialization/rows.ts';
import type { DoorDrop, DoorReason } from '../telemetry/reasons.ts';
import { ingestHistogram } from './ingest-histogram.ts';
import { emptyReport, type IngestReport, quote, refuse } from './ingest-report.ts';
import { type IngestLimits, LimitError, noLimits } from './limits.ts';
import { MalformedError, ProtoReader } from './proto-reader.ts';

/**
 * Appends the rows of a decoded `prometheus.WriteRequest` to a batch (RW1-R-02, WIRE-03 to WIRE-10).
 *
 * The usual series is a run of labels and one sample, as every sender writes it. That shape is read in one
 * pass without a call: labels compared with those of the predicted series, then the sample at fixed offsets.
 * Whatever else protobuf allows (fields in any order, labels behind samples, unknown fields, absent zeros)
 * takes the plain path below it, which reads a series twice: labels first, then rows.
 *
 * Throws `MalformedError` for a message that breaks the encoding, `LimitError` for one over the limits of a
 * request; the caller then rolls the batch back, so that no part of it is kept (WIRE-07). A series over a limit
 * of labels is refused alone, like any other that is invalid (RW1-R-06, RW1-R-10). `raw` needs 16 readable bytes
 * behind `length`; `view` spans it.
 */
export function ingestV1(
  raw: Uint8Array,
  view: DataView,
  length: number,
  dictionary: Dictionary,
  batch: RowBatch,
  limits: IngestLimits = noLimits,
): IngestReport {
  const request = new IngestRequest(raw, view, length, dictionary, batch, limits);
  const maxFields = limits.series;
  const maxRows = limits.rows;
  let fields = 0;
  let samples = 0;
  let newestHi = -0x80000000;
  let newestLo = 0;
  let at = 0;
  while (at < length) {
    if (++fields > maxFields) throw request.tooManyFields(at);
    if (raw[at] !== 0x0a) {
      request.samples = samples;
      at = ingestField(request, at);
      continue;
    }
    let p = at + 1;
    let size = raw[p++]!;
    if (size >= 0x80) {
      size = (size & 0x7f) | (raw[p]! << 7);
      if (raw[p++]! >= 0x80) {
        request.samples = samples;
        at = ingestField(request, at);
        continue;
      }
    }
    const end = p + size;
    if (end > length) {
      at = ingestField(request, at);
      continue;
    }
    let series = dictionary.predict(raw, view, p, end);
    const rows = series < 0 ? labelsEnd(raw, p, end) : dictionary.matchedTo;
    const timeAt = timeOfOneSample(raw, rows, end);
    if (timeAt < 0 || samples + request.rows >= maxRows) {
      request.samples = samples;
      at = ingestSeries(request, p, end, series, rows);
      continue;
    }
    if (series < 0) {
      series = dictionary.intern(raw, view, p, rows);
      if (series < 0) {
        request.refuseSeries(dictionary.invalid, 1, p, end);
        at = end;
        continue;
      }
    }
    let q = timeAt;
    let lo = raw[q]! & 0x7f;
    let hi = 0;
    for (let shift = 7; raw[q++]! >= 0x80; shift += 7) {
      const bits = raw[q]! & 0x7f;
      if (shift < 28) lo |= bits << shift;
      else if (shift === 28) {
        lo |= bits << 28;
        hi = bits >>> 4;
      } else hi |= shift === 63 ? (bits & 1) << 31 : bits << (shift - 32);
    }
    const zero = timeAt === rows + 3;
    const valueLo = zero ? 0 : view.getInt32(rows + 3, true);
    const valueHi = zero ? 0 : view.getInt32(rows + 7, true);
    batch.appendSample(series, lo, hi, valueLo, valueHi);
    samples++;
    if (hi > newestHi || (hi === newestHi && lo >>> 0 > newestLo)) {
      newestHi = hi;
      newestLo = lo >>> 0;
    }
    at = end;
  }
  request.samples = samples;
  return request.finish(newestHi * 4294967296 + newestLo);
}

/**
 * A request that is being read, for the paths that are not hot: of the loop above, and of that in WebAssembly,
 * which hands over to them what it does not read itself.
 */
export class IngestRequest {
  /** The decoded body, with 16 readable bytes behind `length`; `view` spans it. A kernel may move it. */
  raw: Uint8Array;
  view: DataView;
  readonly length: number;
  readonly dictionary: Dictionary;
  readonly batch: RowBatch;
  readonly limits: IngestLimits;
  readonly report: IngestReport = emptyReport();
  /** Interns the labels in `[start, end)` of a series, as `Dictionary.intern` does. */
  readonly intern: (raw: Uint8Array, view: DataView, start: number, end: number) => number;
  /** Samples that the hot loop has taken. */
  samples = 0;
  /** Rows of the other paths. */
  rows = 0;
  sawSeries = false;
  saw2 = false;

  constructor(
    raw: Uint8Array,
    view: DataView,
    length: number,
    dictionary: Dictionary,
    batch: RowBatch,
    limits: IngestLimits,
    intern: IngestRequest['intern'] = (of, span, start, end) => dictionary.intern(of, span, start, end),
  ) {
    this.raw = raw;
    this.view = view;
    this.length = length;
    this.dictionary = dictionary;
    this.batch = batch;
    this.limits = limits;
    this.intern = intern;
    dictionary.startRequest(limits);
  }

  get rowsLeft(): number {
    return this.limits.rows - this.samples - this.rows;
  }

  /** The error for the field at `at`, which is one too many. */
  tooManyFields(at: number): LimitError {
    const reader = new ProtoReader(this.raw, at, this.length);
    let series: string | undefined;
    if (reader.tag() === 0x0a) {
      const size = reader.length();
      series = describeLabels(this.raw, reader.at, reader.at + size);
    }
    return new LimitError(
      'has too many series or metadata',
      this.limits.series,
      'max_series_per_request',
      series,
    );
  }

  /** Refuses the series in `raw[start, end)`, which has so many rows that count. */
  refuseSeries(reason: DoorReason | DoorDrop, rows: number, start: number, end: number): void {
    this.sawSeries = true;
    this.rows += rows;
    refuse(this.report, reason, rows, () => describeLabels(this.raw, start, end));
  }

  /** To be called at the end of the body. `newestMs` is the newest time among `samples`, if there are any. */
  finish(newestMs: number): IngestReport {
    const { report, samples } = this;
    if (this.saw2 && !this.sawSeries && samples === 0) {
      throw new MalformedError(
        'the body is a remote write 2.0 message, but the Content-Type says 1.0 (INT-04)',
      );
    }
    report.samples += samples;
    if (samples > 0) report.newestMs = Math.max(report.newestMs, newestMs);
    return report;
  }
}

/** Reads the top-level field at `at`, whatever it is, and returns where it ends. Errors are those of `ingestV1`. */
export function ingestField(request: IngestRequest, at: number): number {
  const { raw, length } = request;
  const reader = new ProtoReader(raw, at, length);
  const tag = reader.tag();
  if (tag === 0x0a) {
    const start = reader.at;
    const size = reader.varint32();
    const from = reader.at;
    const end = from + size;
    if (end > length)
      throw new MalformedError('a series reaches past the end of the request', { offset: at });
    // A tag of more bytes than it needs is legal, and nobody writes it.
    if (start === at + 1) labelsEnd(raw, from, end);
    return ingestSeries(request, from, end, -1, -1);
  }
  if (tag === 0x1a) {
    const size = reader.length();
    ingestMetadata(request, reader.at, reader.at + size);
    reader.at += size;
    request.sawSeries = true;
    return reader.at;
  }
  if (tag === 0x22 || tag === 0x2a) request.saw2 = true;
  reader.skip(tag);
  return reader.at;
}

function tooManyRows(limit: number, series: string): LimitError {
  return new LimitError('has too many samples', limit, 'max_rows_per_request', series);
}

/** Where the run of `Label` fields that starts at `start` ends. */
function labelsEnd(raw: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && raw[at] === 0x0a) {
    let p = at + 1;
    let size = p < end ? raw[p++]! : 0x80;
    if (size >= 0x80) {
      const reader = new ProtoReader(raw, at + 1, end);
      size = reader.length();
      p = reader.at;
    }
    at = p + size;
  }
  if (at > end) throw new MalformedError('a label reaches past the end of its series', { offset: start });
  return at;
}

/**
 * Where the time of the sample begins when `[at, end)` is exactly one `samples` field in one of the two layouts
 * that senders write, else -1: only then are the labels before it all that the series has.
 *
 *     12 <len> 09 <8 bytes> 10 <varint>
 *     12 <len> 10 <varint>                the value is 0 and left out
 */
function timeOfOneSample(raw: Uint8Array, at: number, end: number): number {
  const size = end - at;
  if (size < 4 || size > 22 || raw[at] !== 0x12 || raw[at + 1] !== size - 2) return -1;
  let time = at + 3;
  if (raw[at + 2] === 0x09) {
    if (size < 13 || raw[at + 11] !== 0x10) return -1;
    time = at + 12;
  } else if (raw[at + 2] !== 0x10 || size > 13) return -1;
  for (let p = time; p < end - 1; p++) if (raw[p]! < 0x80) return -1;
  return raw[end - 1]! < 0x80 ? time : -1;
}

/**
 * The plain path: the series in `raw[start, end)`, of any legal layout; returns `end`. `known` is its id when its
 * labels were recognised up to `labelsTo`, else -1. Throws `LimitError` when it has more rows than are left.
 */
export function ingestSeries(
  request: IngestRequest,
  start: number,
  end: number,
  known: number,
  labelsTo: number,
): number {
  const { raw, view, dictionary, batch, report, limits } = request;
  request.sawSeries = true;
  const labels = known >= 0 ? [start, labelsTo] : [];
  const behind = known >= 0 ? labelsTo : start;
  let rows = 0;
  let scattered = false;
  const scan = new ProtoReader(raw, behind, end);
  while (!scan.done) {
    const from = scan.at;
    const tag = scan.tag();
    scan.skip(tag);
    if (tag === 0x0a) {
      if (labels[labels.length - 1] === from) labels[labels.length - 1] = scan.at;
      else if (labels.length < 2 * limits.labels) labels.push(from, scan.at);
      else {
        // More runs than there may be labels: not gathered, but read, as one that is malformed decides (WIRE-07).
        isLabel(raw, labelStart(raw, from, scan.at), scan.at);
        scattered = true;
      }
    } else if (tag === 0x12 || tag === 0x1a || tag === 0x22) rows++;
  }
  if (rows > request.rowsLeft) throw tooManyRows(limits.rows, describeLabels(raw, start, end));
  let series: number;
  if (known >= 0 && labels.length === 2 && labels[1] === labelsTo) series = known;
  else if (labels.length <= 2) series = request.intern(raw, view, labels[0] ?? start, labels[1] ?? start);
  else {
    const gathered = new Uint8Array(end - start);
    let size = 0;
    for (let i = 0; i < labels.length; i += 2) {
      gathered.set(raw.subarray(labels[i], labels[i + 1]), size);
      size += labels[i + 1]! - labels[i]!;
    }
    series = request.intern(gathered, new DataView(gathered.buffer), 0, size);
  }
  let target = batch;
  let counts = report;
  if (scattered || series < 0) {
    const reason = scattered ? 'too_many_labels' : dictionary.invalid;
    refuse(report, reason, Math.max(1, rows), () => describeLabels(raw, start, end));
    // Its rows are not kept, but they are read: a malformed one refuses the whole request (WIRE-07).
    discarded.clear();
    target = discarded;
    counts = emptyReport();
  }
  const describe = () => describeLabels(raw, start, end);
  const histograms = { series, batch: target, report: counts, created: undefined, describe };
  const reader = new ProtoReader(raw, behind, end);
  while (!reader.done) {
    const tag = reader.tag();
    if (tag !== 0x12 && tag !== 0x1a && tag !== 0x22) {
      reader.skip(tag);
      continue;
    }
    const size = reader.length();
    const at = reader.at;
    reader.at += size;
    if (tag === 0x12) ingestSample(raw, view, at, reader.at, series, target, counts);
    else if (tag === 0x22) ingestHistogram(raw, at, reader.at, histograms);
    else {
      const invalid = ingestExemplar(raw, view, at, reader.at, series, target, counts, limits);
      if (invalid !== undefined) refuse(counts, invalid, 1, describe);
    }
  }
  request.rows += rows;
  return end;
}

/** Where the message of the label field in `raw[from, end)` begins. */
function labelStart(raw: Uint8Array, from: number, end: number): number {
  const reader = new ProtoReader(raw, from, end);
  reader.tag();
  reader.length();
  return reader.at;
}

/** Takes the rows of series that are refused; never read. */
const discarded = new RowBatch();

function ingestSample(
  raw: Uint8Array,
  view: DataView,
  start: number,
  end: number,
  series: number,
  batch: RowBatch,
  report: IngestReport,
): void {
  let valueLo = 0;
  let valueHi = 0;
  let lo = 0;
  let hi = 0;
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
    } else reader.skip(tag);
  }
  batch.appendSample(series, lo, hi, valueLo, valueHi);
  report.samples++;
  report.newestMs = Math.max(report.newestMs, hi * 4294967296 + (lo >>> 0));
}

/**
 * Returns why the exemplar is refused: a label without a name or not UTF-8, or no time (RW2-R-19, -26), or labels
 * over a limit; undefined when it is taken.
 */
function ingestExemplar(
  raw: Uint8Array,
  view: DataView,
  start: number,
  end: number,
  series: number,
  batch: RowBatch,
  report: IngestReport,
  limits: IngestLimits,
): DoorReason | undefined {
  let valueLo = 0;
  let valueHi = 0;
  let lo = 0;
  let hi = 0;
  let invalid: DoorReason | undefined;
  const labels: number[] = [];
  const reader = new ProtoReader(raw, start, end);
  while (!reader.done) {
    const from = reader.at;
    const tag = reader.tag();
    if (tag === 0x0a) {
      const size = reader.length();
      if (!isLabel(raw, reader.at, reader.at + size)) invalid ??= 'invalid_exemplar';
      reader.at += size;
      if (labels.length < 2 * limits.labels) labels.push(from, reader.at);
      else invalid ??= 'too_many_labels';
    } else if (tag === 0x11) {
      const at = reader.at;
      reader.skipBytes(8);
      valueLo = view.getInt32(at, true);
      valueHi = view.getInt32(at + 4, true);
    } else if (tag === 0x18) {
      lo = reader.varint64();
      hi = reader.high;
    } else reader.skip(tag);
  }
  if (lo === 0 && hi === 0) invalid ??= 'invalid_exemplar';
  if (invalid !== undefined) return invalid;
  batch.appendExemplar(series, lo, hi, valueLo, valueHi, raw, labels);
  report.exemplars++;
  return undefined;
}

/** True for a well-formed `Label` message whose name is there and whose strings are UTF-8. */
function isLabel(raw: Uint8Array, start: number, end: number): boolean {
  const reader = new ProtoReader(raw, start, end);
  let named = false;
  let valid = true;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag !== 0x0a && tag !== 0x12) {
      reader.skip(tag);
      continue;
    }
    const size = reader.length();
    if (!isUtf8(raw.subarray(reader.at, reader.at + size))) valid = false;
    if (tag === 0x0a) named = size > 0;
    reader.at += size;
  }
  return named && valid;
}

/**
 * Appends the metadata entry in `raw[start, end)`. It is refused without the name of a family, and with a text that is
 * not UTF-8 or longer than a label value may be (RW1-R-10): endpoints keep the last texts of each family in memory.
 */
function ingestMetadata(
  { raw, dictionary, batch, report, limits }: IngestRequest,
  start: number,
  end: number,
): void {
  let type = 0;
  const texts = { family: [start, start], help: [start, start], unit: [start, start] };
  const reader = new ProtoReader(raw, start, end);
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x08) {
      type = reader.varint64() >>> 0;
      continue;
    }
    const text =
      tag === 0x12 ? texts.family : tag === 0x22 ? texts.help : tag === 0x2a ? texts.unit : undefined;
    if (text === undefined) {
      reader.skip(tag);
      continue;
    }
    const size = reader.length();
    text[0] = reader.at;
    reader.at += size;
    text[1] = reader.at;
  }
  const { family, help, unit } = texts;
  const valid = [family, help, unit].every(
    ([from, to]) => to! - from! <= limits.valueBytes && isUtf8(raw.subarray(from, to)),
  );
  if (!valid || family[0] === family[1]) {
    refuse(report, 'invalid_metadata', 1, () => `metadata of ${quote(raw, family[0]!, family[1]!)}`);
    return;
  }
  batch.appendMetadata(
    0,
    type,
    dictionary.internString(raw, family[0]!, family[1]!),
    dictionary.internString(raw, help[0]!, help[1]!),
    dictionary.internString(raw, unit[0]!, unit[1]!),
  );
  report.metadata++;
}

/** The labels of a series as `{name="value", ...}`, at most about 400 characters, for an error message. */
function describeLabels(raw: Uint8Array, start: number, end: number): string {
  const parts: string[] = [];
  let size = 0;
  const reader = new ProtoReader(raw, start, end);
  while (!reader.done) {
    const tag = reader.tag();
    if (tag !== 0x0a) {
      reader.skip(tag);
      continue;
    }
    if (size > 400) {
      parts.push('...');
      break;
    }
    const length = reader.length();
    const part = describeLabel(raw, reader.at, reader.at + length);
    reader.at += length;
    size += part.length;
    parts.push(part);
  }
  return `{${parts.join(', ')}}`;
}

function describeLabel(raw: Uint8Array, start: number, end: number): string {
  let name = '""';
  let value = '""';
  const reader = new ProtoReader(raw, start, end);
  while (!reader.done) {
    const tag = reader.tag();
    if (tag !== 0x0a && tag !== 0x12) {
      reader.skip(tag);
      continue;
    }
    const length = reader.length();
    const text = quote(raw, reader.at, reader.at + length);
    if (tag === 0x0a) name = text;
    else value = text;
    reader.at += length;
  }
  return `${/^"[a-zA-Z_]\w*"$/.test(name) ? name.slice(1, -1) : name}=${value}`;
}
