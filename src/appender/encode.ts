import { encodeHistogramV1, type HistogramV1, type Sparse } from '../protocol/schema.ts';
import { SpillwayError } from '../runtime/errors.ts';
import { Column } from '../serialization/columns.ts';

/** A series, sample or metadata that cannot be appended. Nothing of it was. */
export class InvalidSeriesError extends SpillwayError {
  readonly code = 'SERIES_INVALID';
}

/** Labels by name, `__name__` among them. A label with an empty value counts as absent. */
export type Labels = Readonly<Record<string, string>>;

/** A sample value: a number, or the 64 bits of one where they matter (stale markers, NaN payloads). */
export type Value = number | bigint;

/**
 * A native histogram, integer or float, with exponential or custom buckets: the fields of the 1.0 `Histogram`
 * message but its time. 64-bit counts are bigints, doubles are given as their 64 bits (`sumBits`, ...); what is
 * left out is zero.
 */
export type Histogram = Omit<Sparse<HistogramV1>, 'timestamp'>;

const encoder = new TextEncoder();
const bits = new DataView(new ArrayBuffer(8));

/** Writes `prometheus.TimeSeries` fields of a `WriteRequest`, one row each. Throws `InvalidSeriesError`. */
export class RowEncoder {
  readonly #out: Column;
  readonly #series: Column = new Column();
  readonly #row: Column = new Column();

  constructor(out: Column) {
    this.#out = out;
  }

  sample(labels: Labels, timestampMs: number | bigint, value: Value): void {
    const row = this.#begin(labels);
    row.putVarint(0x09);
    putDouble(row, value);
    row.putVarint(0x10);
    putInt64(row, timestampMs);
    this.#end(0x12);
  }

  histogram(labels: Labels, timestampMs: number | bigint, histogram: Histogram): void {
    const row = this.#begin(labels);
    const bytes = encodeHistogramV1(histogram);
    row.putBytes(bytes, 0, bytes.length);
    row.putVarint(0x78);
    putInt64(row, timestampMs);
    this.#end(0x22);
  }

  exemplar(labels: Labels, exemplar: { labels: Labels; timestampMs: number | bigint; value: Value }): void {
    const row = this.#begin(labels);
    for (const [name, value] of Object.entries(exemplar.labels)) putLabel(row, name, value);
    row.putVarint(0x11);
    putDouble(row, exemplar.value);
    row.putVarint(0x18);
    putInt64(row, exemplar.timestampMs);
    this.#end(0x1a);
  }

  metadata(family: string, metadata: { type: number; help: string; unit: string }): void {
    if (family === '') throw new InvalidSeriesError('metadata needs the name of a metric family');
    // An enum of protobuf: what is not known yet passes, what is no such number does not.
    if (metadata.type !== metadata.type >>> 0 || metadata.type >= 2 ** 31) {
      throw new InvalidSeriesError('the type of a metric family is a number from 0', { type: metadata.type });
    }
    const row = this.#row;
    row.clear();
    row.putVarint(0x08);
    row.putVarint(metadata.type);
    putText(row, 0x12, family, 'the family');
    putText(row, 0x22, metadata.help, 'the help text');
    putText(row, 0x2a, metadata.unit, 'the unit');
    putMessage(this.#out, 0x1a, row);
  }

  /** Starts a series; the row goes into what is returned. */
  #begin(labels: Labels): Column {
    if (!labels.__name__)
      throw new InvalidSeriesError('a series needs a label __name__', { labels: describe(labels) });
    this.#series.clear();
    for (const [name, value] of Object.entries(labels)) putLabel(this.#series, name, value);
    this.#row.clear();
    return this.#row;
  }

  #end(tag: number): void {
    putMessage(this.#series, tag, this.#row);
    putMessage(this.#out, 0x0a, this.#series);
  }
}

function putLabel(out: Column, name: string, value: string): void {
  if (name === '') throw new InvalidSeriesError('a label needs a name', { value });
  const label = new Column();
  putText(label, 0x0a, name, 'a label name');
  putText(label, 0x12, value, `the value of label ${name}`);
  putMessage(out, 0x0a, label);
}

function putText(out: Column, tag: number, text: string, what: string): void {
  // A lone surrogate has no UTF-8; TextEncoder would put another character in its place.
  if (/\p{Surrogate}/u.test(text))
    throw new InvalidSeriesError(`${what} is not well-formed Unicode`, { text });
  const bytes = encoder.encode(text);
  out.putVarint(tag);
  out.putVarint(bytes.length);
  out.putBytes(bytes, 0, bytes.length);
}

function putMessage(out: Column, tag: number, message: Column): void {
  out.putVarint(tag);
  out.putVarint(message.length);
  out.putBytes(message.bytes, 0, message.length);
}

function putDouble(out: Column, value: Value): void {
  if (typeof value === 'bigint') bits.setBigUint64(0, BigInt.asUintN(64, value), true);
  else bits.setFloat64(0, value, true);
  out.putWord64(bits.getInt32(0, true), bits.getInt32(4, true));
}

function putInt64(out: Column, value: number | bigint): void {
  if (typeof value === 'number' ? !Number.isSafeInteger(value) : BigInt.asIntN(64, value) !== value) {
    throw new InvalidSeriesError('a timestamp is a whole number of milliseconds, of at most 64 bits', {
      timestampMs: String(value),
    });
  }
  out.reserve(10);
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 0x80n; rest >>= 7n) out.bytes[out.length++] = Number(rest & 0x7fn) | 0x80;
  out.bytes[out.length++] = Number(rest);
}

function describe(labels: Labels): string {
  return JSON.stringify(labels).slice(0, 200);
}
