import { Decoder, Encoder } from '@msgpack/msgpack';
import { Scratch } from '../protocol/snappy.ts';
import { PlainBlocks, type SnappyBlocks } from '../protocol/snappy-blocks.ts';
import { SpillwayError } from '../runtime/errors.ts';
import { type Codec, codecs, pack, unpack } from './codec.ts';
import { Column, DeltaColumn, readDeltas, readDeltas64, readVarints } from './columns.ts';
import type { Dictionary } from './dictionary.ts';
import { MAX_PAYLOAD, RECORD_HEAD } from './record.ts';
import { EXEMPLAR, HISTOGRAM, KINDS, METADATA, type RowBatch, SAMPLE } from './rows.ts';

/**
 * A frame: one group commit, as one msgpack value. docs/format.md describes it for readers in any language.
 *
 *     frame = { row, rows, at, raw, body }
 *       row   ordinal in the segment of the first row
 *       rows  how many rows, of all kinds
 *       at    when it was committed, ms since the epoch
 *       raw   length of the body before the codec
 *       body  bin: a msgpack map, through the codec that the header of the segment names
 *     body = { strings?, pairs?, series?, order, samples?, histograms?, exemplars?, metadata? }
 *
 * `strings`, `pairs` and `series` are the additions to the dictionary of the segment, each with the id of its
 * first, so that a reader can go on behind a damaged frame. Every column is a `bin` (columns.ts).
 */
/** A frame whose CRC is right, but whose content is not what docs/format.md says. */
export class FrameError extends SpillwayError {
  readonly code = 'FRAME_INVALID';
}

/** How much of a dictionary is already in the segment. */
export interface Written {
  strings: number;
  pairs: number;
  series: number;
}

/** Turns batches into records. One for a segment writer; keeps its buffers. */
export class FrameEncoder {
  readonly #bodies: Encoder = new Encoder({ initialBufferSize: 64 * 1024 });
  readonly #frames: Encoder = new Encoder({ initialBufferSize: 64 * 1024 });
  readonly #blocks: SnappyBlocks;
  readonly #record: Scratch = new Scratch();
  readonly #lengths: Column = new Column();
  readonly #names: DeltaColumn = new DeltaColumn();
  readonly #values: DeltaColumn = new DeltaColumn();
  readonly #counts: Column = new Column();
  readonly #pairs: Column = new Column();
  readonly #hashes: Column = new Column();
  readonly #tenants: Column = new Column();

  constructor(blocks: SnappyBlocks = new PlainBlocks()) {
    this.#blocks = blocks;
  }

  /**
   * The record of a frame with all of `batch` and what `dictionary` holds beyond `written`, which is moved on. Its
   * head is left to whoever knows where in which file it will stand: `sealRecord`.
   * The view is valid until the next call.
   */
  encode(
    batch: RowBatch,
    dictionary: Dictionary,
    written: Written,
    firstRow: number,
    committedMs: number,
    codec: Codec,
  ): Uint8Array {
    batch.finishOrder();
    const body = this.#bodies.encodeSharedRef({
      ...this.#additions(dictionary, written),
      order: batch.order.used,
      ...rowColumns(batch),
    });
    const payload = this.#frames.encodeSharedRef({
      row: firstRow,
      rows: batch.rows,
      at: committedMs,
      raw: body.length,
      body: pack(codec, body, this.#blocks),
    });
    if (body.length > MAX_PAYLOAD || payload.length > MAX_PAYLOAD)
      throw new RangeError('a frame is larger than a segment can hold');
    this.#record.ensure(RECORD_HEAD + payload.length);
    const record = this.#record.bytes;
    record.set(payload, RECORD_HEAD);
    return record.subarray(0, RECORD_HEAD + payload.length);
  }

  #additions(dictionary: Dictionary, written: Written): Record<string, unknown> {
    const out: Record<string, unknown> = {};
    const { stringAt, stringCount, pairCount, seriesCount } = dictionary;
    if (stringCount > written.strings) {
      this.#lengths.clear();
      for (let i = written.strings; i < stringCount; i++)
        this.#lengths.putVarint(stringAt[i + 1]! - stringAt[i]!);
      out.strings = {
        first: written.strings,
        lengths: this.#lengths.used,
        bytes: dictionary.text.bytes.subarray(stringAt[written.strings]!, stringAt[stringCount]!),
      };
      written.strings = stringCount;
    }
    if (pairCount > written.pairs) {
      this.#names.clear();
      this.#values.clear();
      for (let i = written.pairs; i < pairCount; i++) {
        this.#names.put(dictionary.pairName[i]!);
        this.#values.put(dictionary.pairValue[i]!);
      }
      out.pairs = { first: written.pairs, names: this.#names.used, values: this.#values.used };
      written.pairs = pairCount;
    }
    if (seriesCount > written.series) {
      out.series = this.#series(dictionary, written.series);
      written.series = seriesCount;
    }
    return out;
  }

  #series(dictionary: Dictionary, first: number): Record<string, unknown> {
    const { seriesAt, seriesPairs, seriesHash, seriesTenant, seriesCount } = dictionary;
    const pairs = this.#pairs;
    this.#counts.clear();
    pairs.clear();
    this.#hashes.clear();
    this.#tenants.clear();
    let tenants = false;
    let before = 0;
    let beforeCount = 0;
    for (let s = first; s < seriesCount; s++) {
      const at = seriesAt[s]!;
      const count = seriesAt[s + 1]! - at;
      this.#counts.putVarint(count);
      // Neighbours share most labels, so a pair is stored as the difference to the one in the same place.
      pairs.reserve(5 * count);
      for (let i = 0; i < count; i++) {
        const delta = (seriesPairs[at + i]! - (i < beforeCount ? seriesPairs[before + i]! : 0)) | 0;
        // Mostly it is the same pair.
        if (delta === 0) pairs.bytes[pairs.length++] = 0;
        else pairs.putVarint((delta << 1) ^ (delta >> 31));
      }
      before = at;
      beforeCount = count;
      this.#hashes.putWord64(seriesHash[2 * s]!, seriesHash[2 * s + 1]!);
      this.#tenants.putVarint(seriesTenant[s]!);
      if (seriesTenant[s] !== 0) tenants = true;
    }
    return {
      first,
      counts: this.#counts.used,
      pairs: pairs.used,
      hashes: this.#hashes.used,
      ...(tenants ? { tenants: this.#tenants.used } : {}),
    };
  }
}

function rowColumns(batch: RowBatch): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  if (batch.counts[SAMPLE]! > 0) {
    out.samples = {
      series: batch.sampleSeries.used,
      time: batch.sampleTime.used,
      ...(batch.sampleStart.length > 0 ? { start: batch.sampleStart.used } : {}),
      value: batch.sampleValue.used,
    };
  }
  if (batch.counts[HISTOGRAM]! > 0) {
    out.histograms = {
      series: batch.histogramSeries.used,
      time: batch.histogramTime.used,
      ...(batch.histogramStart.length > 0 ? { start: batch.histogramStart.used } : {}),
      length: batch.histogramLength.used,
      bytes: batch.histogramBytes.used,
    };
  }
  if (batch.counts[EXEMPLAR]! > 0) {
    out.exemplars = {
      series: batch.exemplarSeries.used,
      time: batch.exemplarTime.used,
      value: batch.exemplarValue.used,
      length: batch.exemplarLength.used,
      labels: batch.exemplarLabels.used,
    };
  }
  if (batch.counts[METADATA]! > 0) {
    out.metadata = {
      series: batch.metadataSeries.used,
      type: batch.metadataType.used,
      family: batch.metadataFamily.used,
      help: batch.metadataHelp.used,
      unit: batch.metadataUnit.used,
      ...(batch.metadataTenant.length > 0 ? { tenant: batch.metadataTenant.used } : {}),
    };
  }
  return out;
}

/** What the outside of a frame says, without decoding its body. */
export interface FrameHead {
  readonly row: number;
  readonly rows: number;
  readonly at: number;
  readonly raw: number;
  readonly body: Uint8Array;
}

const decoder: Decoder = new Decoder();

/** The outside of the frame with this payload. Throws `FrameError`. */
export function decodeFrameHead(payload: Uint8Array): FrameHead {
  const value = section(decodeMsgpack(payload), 'the frame');
  const raw = count(value, 'raw');
  if (raw > MAX_PAYLOAD)
    throw new FrameError('the frame says that its body is larger than any can be', { raw });
  // Every row takes at least a byte: a larger claim must not be allocated for.
  if (count(value, 'rows') > raw)
    throw new FrameError('the frame says that it has more rows than bytes', { raw });
  return {
    row: count(value, 'row'),
    rows: count(value, 'rows'),
    at: count(value, 'at'),
    raw,
    body: bin(value, 'body'),
  };
}

/** A decoded body: sections as they are on disk. Its columns are views that the next `open` overwrites. */
export type FrameBody = Readonly<Record<string, unknown>>;

/** Undoes the codec and decodes bodies; keeps its buffer, so one body is open at a time. */
export class BodyOpener {
  readonly #blocks: SnappyBlocks;

  constructor(blocks: SnappyBlocks = new PlainBlocks()) {
    this.#blocks = blocks;
  }

  /**
   * The body of a frame. With an undefined codec (the header of the segment is damaged) each known one is
   * tried. Throws `FrameError` or `SnappyError` when the body is not what the frame says.
   */
  open(head: FrameHead, codec: Codec | undefined): FrameBody {
    if (codec === undefined) return this.#tryAll(head);
    const bytes = this.#unpack(head, codec);
    if (bytes.length !== head.raw) throw new FrameError('the body is not as long as the frame says');
    return section(decodeMsgpack(bytes), 'the body');
  }

  #tryAll(head: FrameHead): FrameBody {
    for (const codec of codecs) {
      try {
        return this.open(head, codec);
      } catch {
        // It is another one, or the frame is damaged.
      }
    }
    throw new FrameError('the body is packed with none of the codecs that are known here');
  }

  #unpack({ body, raw }: FrameHead, codec: Codec): Uint8Array {
    try {
      return unpack(codec, body, raw, this.#blocks);
    } catch (cause) {
      if (cause instanceof SpillwayError) throw cause;
      throw new FrameError('the body cannot be unpacked', { codec }, cause);
    }
  }
}

/** The rows of one frame as arrays; reused from frame to frame. */
export class FrameRows {
  readonly counts: Uint32Array = new Uint32Array(KINDS);
  /** Pairs of (kind, run length). */
  order: Uint32Array = new Uint32Array(16);
  orderLength = 0;

  sampleSeries: Uint32Array = new Uint32Array(0);
  /** Two words a row, low half first. */
  sampleTime: Int32Array = new Int32Array(0);
  /** As `sampleTime`; undefined when no sample of the frame has a start time. */
  sampleStart: Int32Array | undefined;
  #sampleStart: Int32Array = new Int32Array(0);
  sampleValue: DataView = new DataView(new ArrayBuffer(0));

  histogramSeries: Uint32Array = new Uint32Array(0);
  histogramTime: Int32Array = new Int32Array(0);
  histogramStart: Int32Array | undefined;
  #histogramStart: Int32Array = new Int32Array(0);
  /** Row `i` has `histogramBytes[histogramAt[i], histogramAt[i + 1])`. */
  histogramAt: Uint32Array = new Uint32Array(1);
  histogramBytes: Uint8Array = new Uint8Array(0);

  exemplarSeries: Uint32Array = new Uint32Array(0);
  exemplarTime: Int32Array = new Int32Array(0);
  exemplarValue: DataView = new DataView(new ArrayBuffer(0));
  exemplarAt: Uint32Array = new Uint32Array(1);
  exemplarLabels: Uint8Array = new Uint8Array(0);

  metadataSeries: Uint32Array = new Uint32Array(0);
  metadataType: Uint32Array = new Uint32Array(0);
  metadataFamily: Uint32Array = new Uint32Array(0);
  metadataHelp: Uint32Array = new Uint32Array(0);
  metadataUnit: Uint32Array = new Uint32Array(0);
  /** String ids; 0 is none. */
  metadataTenant: Uint32Array = new Uint32Array(0);

  /** Reads the rows of `body`, which must be `rows` in number. Throws `FrameError` or `ColumnError`. */
  read(body: FrameBody, rows: number): void {
    this.#readOrder(bin(body, 'order'), rows);
    const [samples, histograms, exemplars, metadata] = this.counts as unknown as [
      number,
      number,
      number,
      number,
    ];
    if (samples > 0) {
      const s = section(body.samples, 'samples');
      this.sampleSeries = fit(this.sampleSeries, samples);
      this.sampleTime = fit64(this.sampleTime, samples);
      readDeltas(bin(s, 'series'), samples, this.sampleSeries);
      readDeltas64(bin(s, 'time'), samples, this.sampleTime);
      this.sampleStart = undefined;
      if (s.start !== undefined) {
        this.#sampleStart = fit64(this.#sampleStart, samples);
        readDeltas64(bin(s, 'start'), samples, this.#sampleStart);
        this.sampleStart = this.#sampleStart;
      }
      this.sampleValue = words(s, samples);
    }
    if (histograms > 0) {
      const s = section(body.histograms, 'histograms');
      this.histogramSeries = fit(this.histogramSeries, histograms);
      this.histogramTime = fit64(this.histogramTime, histograms);
      this.histogramAt = fit(this.histogramAt, histograms + 1);
      readDeltas(bin(s, 'series'), histograms, this.histogramSeries);
      readDeltas64(bin(s, 'time'), histograms, this.histogramTime);
      this.histogramStart = undefined;
      if (s.start !== undefined) {
        this.#histogramStart = fit64(this.#histogramStart, histograms);
        readDeltas64(bin(s, 'start'), histograms, this.#histogramStart);
        this.histogramStart = this.#histogramStart;
      }
      this.histogramBytes = bin(s, 'bytes');
      readOffsets(bin(s, 'length'), histograms, this.histogramAt, this.histogramBytes.length);
    }
    if (exemplars > 0) {
      const s = section(body.exemplars, 'exemplars');
      this.exemplarSeries = fit(this.exemplarSeries, exemplars);
      this.exemplarTime = fit64(this.exemplarTime, exemplars);
      this.exemplarAt = fit(this.exemplarAt, exemplars + 1);
      readDeltas(bin(s, 'series'), exemplars, this.exemplarSeries);
      readDeltas64(bin(s, 'time'), exemplars, this.exemplarTime);
      this.exemplarValue = words(s, exemplars);
      this.exemplarLabels = bin(s, 'labels');
      readOffsets(bin(s, 'length'), exemplars, this.exemplarAt, this.exemplarLabels.length);
    }
    if (metadata > 0) this.#readMetadata(section(body.metadata, 'metadata'), metadata);
  }

  /** Reads the metadata of `body` alone: there are no other rows then. Throws `FrameError` or `ColumnError`. */
  readMetadata(body: FrameBody): void {
    this.orderLength = 0;
    this.counts.fill(0);
    if (body.metadata === undefined) return;
    const from = section(body.metadata, 'metadata');
    let rows = 0;
    for (const b of bin(from, 'type')) if (b < 0x80) rows++;
    this.#readMetadata(from, rows);
    this.counts[METADATA] = rows;
  }

  #readMetadata(from: FrameBody, rows: number): void {
    this.metadataSeries = fit(this.metadataSeries, rows);
    this.metadataType = fit(this.metadataType, rows);
    this.metadataFamily = fit(this.metadataFamily, rows);
    this.metadataHelp = fit(this.metadataHelp, rows);
    this.metadataUnit = fit(this.metadataUnit, rows);
    readDeltas(bin(from, 'series'), rows, this.metadataSeries);
    readVarints(bin(from, 'type'), rows, this.metadataType);
    readDeltas(bin(from, 'family'), rows, this.metadataFamily);
    readDeltas(bin(from, 'help'), rows, this.metadataHelp);
    readDeltas(bin(from, 'unit'), rows, this.metadataUnit);
    this.metadataTenant = fit(this.metadataTenant, rows);
    if (from.tenant === undefined) this.metadataTenant.fill(0, 0, rows);
    else readVarints(bin(from, 'tenant'), rows, this.metadataTenant);
  }

  #readOrder(bytes: Uint8Array, rows: number): void {
    let numbers = 0;
    for (const b of bytes) if (b < 0x80) numbers++;
    if (numbers % 2 !== 0) throw new FrameError('the order of rows is not pairs of kind and run');
    this.order = fit(this.order, numbers);
    this.orderLength = numbers;
    readVarints(bytes, numbers, this.order);
    this.counts.fill(0);
    let sum = 0;
    for (let i = 0; i < numbers; i += 2) {
      const kind = this.order[i]!;
      if (kind >= KINDS) throw new FrameError(`rows of kind ${kind} are unknown`);
      this.counts[kind] = this.counts[kind]! + this.order[i + 1]!;
      sum += this.order[i + 1]!;
    }
    if (sum !== rows)
      throw new FrameError('the order of rows does not add up to the rows of the frame', { rows });
  }
}

/** Reads `count` lengths into offsets `out[0, count]`; they must add up to `total`. */
function readOffsets(bytes: Uint8Array, rows: number, out: Uint32Array, total: number): void {
  readVarints(bytes, rows, out);
  let at = 0;
  for (let i = 0; i < rows; i++) {
    const length = out[i]!;
    out[i] = at;
    at += length;
  }
  out[rows] = at;
  if (at !== total) throw new FrameError('lengths do not add up to the bytes they divide');
}

function words(from: FrameBody, rows: number): DataView {
  const bytes = bin(from, 'value');
  if (bytes.length !== rows * 8) throw new FrameError('a column of values has another length than its rows');
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function fit(array: Uint32Array, size: number): Uint32Array {
  return array.length >= size ? array : new Uint32Array(size + (size >>> 1));
}

function fit64(array: Int32Array, rows: number): Int32Array {
  return array.length >= 2 * rows ? array : new Int32Array(2 * (rows + (rows >>> 1)));
}

function decodeMsgpack(bytes: Uint8Array): unknown {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new FrameError('a value is not msgpack', {}, cause);
  }
}

/** `value` as a map. Throws `FrameError` naming `what`. */
export function section(value: unknown, what: string): FrameBody {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    throw new FrameError(`${what} is not a map`);
  }
  return value as FrameBody;
}

/** The `bin` under `key`. Throws `FrameError`. */
export function bin(from: FrameBody, key: string): Uint8Array {
  const value = from[key];
  if (!(value instanceof Uint8Array)) throw new FrameError(`${key} is not a bin`);
  return value;
}

/** The whole number of at least 0 under `key`. Throws `FrameError`. */
export function count(from: FrameBody, key: string): number {
  const value = from[key];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new FrameError(`${key} is not a whole number`);
  }
  return value;
}
