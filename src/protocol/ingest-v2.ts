import type { Dictionary } from '../serialization/dictionary.ts';
import type { RowBatch } from '../serialization/rows.ts';
import { emptyReport, type IngestReport } from './ingest-report.ts';
import { describeAt, discarded, plainSeries, readSample } from './ingest-v2-series.ts';
import { type IngestLimits, LimitError, noLimits } from './limits.ts';
import { MalformedError, ProtoReader } from './proto-reader.ts';
import { RequestV2 } from './request-v2.ts';
import { Symbols } from './symbols.ts';

/**
 * Symbols that a request may have for each series that it may have, and so many in any case. Nobody writes more; each
 * takes 20 bytes of memory here, and two in a forged body.
 */
const SYMBOLS_PER_SERIES = 8;
const SYMBOLS = 10_000;

/** For requests without a kernel. */
const shared = new Symbols();

/** What `varint` has read. */
let lo = 0;
let hi = 0;
/** Refs of the series at hand, in the usual layout; a length of two bytes is the longest that it has. */
const refs = new Uint32Array(1 << 14);

/**
 * Appends the rows of a decoded `io.prometheus.write.v2.Request` to a batch (RW2-R-01, WIRE-03 to WIRE-10). Errors are
 * those of `ingestV1`, and so is the reading: the usual series in one pass at fixed places, all others by
 * `plainSeries`.
 *
 * The message is read twice. First its outermost fields, for the symbols: they may come behind the series (WIRE-04).
 * Then the series. No string is made of a symbol, and no object of a series: a label is two refs, which become a pair
 * of the dictionary by a look at a table (`Symbols`), and the pairs are compared with those of the series that is
 * expected next. So 2.0 and 1.0 come to the same series (RLY-05).
 */
export function ingestV2(
  raw: Uint8Array,
  view: DataView,
  length: number,
  dictionary: Dictionary,
  batch: RowBatch,
  limits: IngestLimits = noLimits,
  symbols: Symbols = shared,
): IngestReport {
  return inRequest(dictionary, limits, () => {
    readSymbols(raw, length, symbols, limits);
    const request = new RequestV2(raw, view, length, symbols, dictionary, batch, limits);
    readSeries(request);
    return request.report;
  });
}

/** Reads a request, and takes back what it said of series when it is refused. */
export function inRequest(
  dictionary: Dictionary,
  limits: IngestLimits,
  read: () => IngestReport,
): IngestReport {
  dictionary.startRequest(limits);
  const { metadata } = dictionary;
  metadata.mark();
  try {
    const report = read();
    metadata.mark();
    return report;
  } catch (error) {
    metadata.rollback();
    throw error;
  }
}

/** The most symbols that a request may have. */
export function mostSymbols(limits: IngestLimits): number {
  return Math.max(SYMBOLS, SYMBOLS_PER_SERIES * limits.series);
}

/** Takes the series in `raw[start, end)` of the request. Throws `MalformedError` and `LimitError`. */
export function takeSeries(request: RequestV2, start: number, end: number): void {
  if (!usualSeries(request, start, end)) plainSeries(request, start, end);
}

/** Finds the symbols of the request. All of its outermost fields are whole then. */
function readSymbols(raw: Uint8Array, length: number, symbols: Symbols, limits: IngestLimits): void {
  const most = mostSymbols(limits);
  symbols.clear();
  let saw1 = false;
  let sawSeries = false;
  let at = 0;
  while (at < length) {
    const tag = raw[at]!;
    if (tag === 0x22 || tag === 0x2a) {
      let p = at + 1;
      let size = raw[p++]!;
      let high = 0;
      if (size >= 0x80) {
        high = raw[p++]!;
        size = (size & 0x7f) | (high << 7);
      }
      if (high < 0x80 && p + size <= length) {
        at = p + size;
        if (tag === 0x2a) sawSeries = true;
        else if (symbols.count < most) symbols.add(p, at);
        else throw tooManySymbols(most);
        continue;
      }
    }
    const reader = new ProtoReader(raw, at, length);
    const field = reader.tag();
    if (field === 0x22) {
      const size = reader.length();
      if (symbols.count >= most) throw tooManySymbols(most);
      symbols.add(reader.at, reader.at + size);
      reader.at += size;
    } else {
      if (field === 0x2a) sawSeries = true;
      else if (field === 0x0a || field === 0x1a) saw1 = true;
      reader.skip(field);
    }
    at = reader.at;
  }
  if (saw1 && !sawSeries) {
    throw new MalformedError(
      'the body is a remote write 1.0 message, but the Content-Type says 2.0 (INT-04)',
    );
  }
  symbols.finish();
}

function tooManySymbols(most: number): LimitError {
  return new LimitError('has too many symbols', most, 'max_series_per_request');
}

function readSeries(request: RequestV2): void {
  const { raw, length, limits } = request;
  let fields = 0;
  let at = 0;
  while (at < length) {
    const tag = raw[at]!;
    let p = at + 1;
    let size = raw[p++]!;
    let high = 0;
    if (size >= 0x80) {
      high = raw[p++]!;
      size = (size & 0x7f) | (high << 7);
    }
    let isSeries = tag === 0x2a;
    let isSymbol = tag === 0x22;
    let end = p + size;
    if (high >= 0x80 || !(isSeries || isSymbol)) {
      const reader = new ProtoReader(raw, at, length);
      const field = reader.tag();
      isSeries = field === 0x2a;
      isSymbol = field === 0x22;
      if (isSeries) {
        size = reader.length();
        p = reader.at;
        end = p + size;
      } else {
        reader.skip(field);
        end = reader.at;
      }
    }
    if (!isSymbol && ++fields > limits.series) {
      const series = isSeries ? describeAt(request, p, end) : undefined;
      throw new LimitError('has too many series', limits.series, 'max_series_per_request', series);
    }
    if (isSeries) takeSeries(request, p, end);
    at = end;
  }
}

/**
 * Takes the series in `raw[start, end)` when it has the layout that senders write, and returns true; else nothing of it
 * was taken:
 *
 *     0a <len> refs
 *     12 <len> sample                                    one or more
 *     2a <len> 08 <varint> 18 <varint> 20 <varint>       metadata, or none; each of its fields may be left out
 *     30 <varint>                                        when the series was created, up to rc.3 (INT-16), or not
 */
function usualSeries(request: RequestV2, start: number, end: number): boolean {
  const { raw, symbols, limits, dictionary } = request;
  if (raw[start] !== 0x0a) return false;
  let refsAt = start + 1;
  let size = raw[refsAt++]!;
  if (size >= 0x80) {
    size = (size & 0x7f) | (raw[refsAt]! << 7);
    if (raw[refsAt++]! >= 0x80) return false;
  }
  const refsEnd = refsAt + size;
  let p = refsEnd;
  let samples = 0;
  while (p < end && raw[p] === 0x12) {
    const length = raw[p + 1]!;
    if (length >= 0x80) return false;
    p += 2 + length;
    samples++;
  }
  if (samples === 0 || p > end || request.rows + samples > limits.rows) return false;
  const samplesEnd = p;

  let type = 0;
  let help = 0;
  let unit = 0;
  let createdLo = 0;
  let createdHi = 0;
  if (p < end && raw[p] === 0x2a) {
    const metadataEnd = p + 2 + raw[p + 1]!;
    if (raw[p + 1]! >= 0x80 || metadataEnd > end) return false;
    p += 2;
    if (p < metadataEnd && raw[p] === 0x08) {
      p = varint(raw, p + 1);
      type = lo >>> 0;
    }
    if (p < metadataEnd && raw[p] === 0x18) {
      p = varint(raw, p + 1);
      help = lo >>> 0;
    }
    if (p < metadataEnd && raw[p] === 0x20) {
      p = varint(raw, p + 1);
      unit = lo >>> 0;
    }
    if (p !== metadataEnd) return false;
  }
  if (p < end && raw[p] === 0x30) {
    p = varint(raw, p + 1);
    createdLo = lo;
    createdHi = hi;
  }
  const { count } = symbols;
  if (p !== end || (help !== 0 && help >= count) || (unit !== 0 && unit >= count)) return false;

  let n = 0;
  for (p = refsAt; p < refsEnd; ) {
    let ref = raw[p++]!;
    if (ref >= 0x80) {
      const byte = raw[p++]!;
      ref = (ref & 0x7f) | ((byte & 0x7f) << 7);
      if (byte >= 0x80) {
        p = varint(raw, p - 2);
        ref = lo >>> 0;
      }
    }
    if (ref >= count) return false;
    refs[n++] = ref;
  }
  if (p !== refsEnd || (n & 1) !== 0 || n > 2 * limits.labels) return false;

  const series = request.internRefs(refs, n);
  request.rows += samples;
  let { batch, report } = request;
  if (series < 0) {
    request.refuseSeries(dictionary.invalid, { samples, histograms: 0, exemplars: 0 }, refs, n);
    // Its samples are not kept, but they are read: a malformed one refuses the whole request (WIRE-07).
    batch = discarded;
    batch.clear();
    report = emptyReport();
  } else if ((type | help | unit) !== 0 || dictionary.metadata.hasSome(series)) {
    request.storeMetadata(series, type, help, unit, refs, n);
  }
  for (p = refsEnd; p < samplesEnd; ) {
    const at = p + 2;
    p = at + raw[p + 1]!;
    takeSample(request, at, p, series, createdLo, createdHi, batch, report);
  }
  return true;
}

/**
 * Takes the sample in `raw[start, end)`. The usual layout is read here, others are left to `readSample`:
 *
 *     09 <8 bytes> 10 <varint> 18 <varint>     the value is left out when it is 0, and so is the start time
 */
function takeSample(
  request: RequestV2,
  start: number,
  end: number,
  series: number,
  createdLo: number,
  createdHi: number,
  batch: RowBatch,
  report: IngestReport,
): void {
  const { raw, view } = request;
  let p = start;
  if (end - start > 9 && raw[p] === 0x09) p += 9;
  const hasValue = p > start;
  let startLo = createdLo;
  let startHi = createdHi;
  if (p < end && raw[p] === 0x10) {
    p = varint(raw, p + 1);
    const timeLo = lo;
    const timeHi = hi;
    if (p < end && raw[p] === 0x18) {
      p = varint(raw, p + 1);
      if ((lo | hi) !== 0) {
        startLo = lo;
        startHi = hi;
      }
    }
    if (p === end) {
      const valueLo = hasValue ? view.getInt32(start + 1, true) : 0;
      const valueHi = hasValue ? view.getInt32(start + 5, true) : 0;
      batch.appendSample(series, timeLo, timeHi, valueLo, valueHi);
      if ((startLo | startHi) !== 0) batch.setSampleStart(startLo, startHi);
      report.samples++;
      const timeMs = timeHi * 4294967296 + (timeLo >>> 0);
      if (timeMs > report.newestMs) report.newestMs = timeMs;
      return;
    }
  }
  readSample(request, start, end, series, [createdLo, createdHi], batch, report);
}

/**
 * Reads the varint at `at` into `lo` and `hi`, and returns where it ends. One of more than ten bytes ends nowhere: the
 * series is read again then, and found to be malformed.
 */
function varint(raw: Uint8Array, at: number): number {
  let p = at;
  let byte = raw[p++]!;
  lo = byte & 0x7f;
  hi = 0;
  for (let shift = 7; byte >= 0x80; shift += 7) {
    if (shift >= 70) return Number.POSITIVE_INFINITY;
    byte = raw[p++]!;
    const bits = byte & 0x7f;
    if (shift < 28) lo |= bits << shift;
    else if (shift === 28) {
      lo |= bits << 28;
      hi = bits >>> 4;
    } else hi |= shift === 63 ? (bits & 1) << 31 : bits << (shift - 32);
  }
  return p;
}
