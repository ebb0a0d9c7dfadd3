import { uncompress } from 'snappyjs';
import type { Emitter, OutgoingRows } from '../../src/protocol/emit-v1.ts';
import { createEmitterV2 } from '../../src/protocol/emit-v2-wasm.ts';
import { createEmitter } from '../../src/protocol/emit-wasm.ts';
import type { EmitterV2, MetadataOf } from '../../src/protocol/emitter-v2.ts';
import type { IngestReport } from '../../src/protocol/ingest-report.ts';
import type { IngestLimits } from '../../src/protocol/limits.ts';
import { decodeWriteRequestV1, type MetricMetadata, type TimeSeriesV1 } from '../../src/protocol/schema.ts';
import type { Codec } from '../../src/serialization/codec.ts';
import type { Dictionary, SeriesGate } from '../../src/serialization/dictionary.ts';
import {
  BodyOpener,
  decodeFrameHead,
  FrameEncoder,
  FrameRows,
  type Written,
} from '../../src/serialization/frame.ts';
import type { TenantChoice } from '../../src/serialization/leaving-tenants.ts';
import { Payloads } from '../../src/serialization/payloads.ts';
import { FRAME, RECORD_HEAD, recordAt, sealRecord } from '../../src/serialization/record.ts';
import { EXEMPLAR, HISTOGRAM, KINDS, METADATA, type RowBatch, SAMPLE } from '../../src/serialization/rows.ts';
import { SegmentDictionary, type SeriesRewrite } from '../../src/serialization/segment-dictionary.ts';
import { mark } from '../filequeue/records.ts';
import { BothKernels } from './both-kernels.ts';
import { ExactScratch } from './exact-scratch.ts';
import { varint } from './snappy-elements.ts';

export type Kernel = 'wasm' | 'typescript';

/**
 * The whole way of a row through the kernel, in memory: ingest (by both kernels), frame, dictionary of the reader,
 * emission. What comes out is uncompressed by snappyjs and decoded by protobufjs.
 */
export class Road {
  readonly #kernels: BothKernels;
  readonly dictionary: Dictionary;
  readonly batch: RowBatch;
  readonly reader: SegmentDictionary;
  readonly codec: Codec;
  /** Made when it is needed: tests of what is refused go through thousands of roads. */
  #encoder: FrameEncoder | undefined;
  readonly #written: Written = { strings: 0, pairs: 0, series: 0 };
  readonly #opener: BodyOpener = new BodyOpener();
  readonly #frame: FrameRows = new FrameRows();
  readonly #emitter: Emitter;
  readonly #emitterV2: EmitterV2;
  readonly #out: ExactScratch = new ExactScratch();
  #rows = 0;

  constructor(
    codec: Codec = 'snappy',
    rewrite?: SeriesRewrite,
    kernel: Kernel = 'typescript',
    compression?: 'small',
    gate?: () => SeriesGate,
    tenants?: TenantChoice,
  ) {
    this.codec = codec;
    this.#kernels = new BothKernels(gate);
    this.dictionary = this.#kernels.dictionary;
    this.batch = this.#kernels.batch;
    const fail = (error: unknown) => {
      throw error;
    };
    this.#emitter = createEmitter(kernel, fail, compression);
    this.#emitterV2 = createEmitterV2(kernel, fail, compression);
    this.reader = new SegmentDictionary(rewrite, this.#emitter.newColumns(), tenants);
  }

  /** Takes a request in as group commit does: all of it, or none when it throws. */
  take(raw: Uint8Array, limits?: IngestLimits, tenant?: string): IngestReport {
    return this.#kernels.take(raw, limits, tenant);
  }

  /** Writes what was taken into a record, and empties the batch. */
  commit(): Uint8Array {
    this.#kernels.compareAll();
    this.#encoder ??= new FrameEncoder();
    const record = this.#encoder
      .encode(this.batch, this.dictionary, this.#written, this.#rows, 1_700_000_000_000, this.codec)
      .slice();
    sealRecord(record, 0, FRAME, record.length - RECORD_HEAD, mark, 0);
    this.#rows += this.batch.rows;
    this.#kernels.clear();
    return record;
  }

  /** Reads a record: its additions go to `reader`, its rows into a ring. */
  read(record: Uint8Array): Ring {
    return this.readInto(record, this.reader);
  }

  /** Reads a record with another dictionary. */
  readInto(record: Uint8Array, reader: SegmentDictionary): Ring {
    const found = recordAt(record, 0, mark, 0);
    if (typeof found === 'string') throw new Error(`the record is ${found}`);
    const head = decodeFrameHead(record.subarray(RECORD_HEAD, found.end));
    const body = this.#opener.open(head, this.codec);
    reader.add(body);
    this.#frame.read(body, head.rows);
    return ringOf(this.#frame, head.rows, reader);
  }

  /** The body that carries these rows, as it goes on the wire, as bytes of its own. */
  emit(rows: Ring, first = 0, count: number = rows.length): { body: Uint8Array; rawBytes: number } {
    const { bytes, rawBytes } = this.#emitter.emit(rows, rows.head + first, count, this.reader, this.#out);
    return { body: bytes.slice(), rawBytes };
  }

  /** The 2.0 body that carries these rows, as bytes of its own. */
  emitV2(
    rows: Ring,
    metadataOf: MetadataOf = () => undefined,
    first = 0,
    count: number = rows.length,
  ): { body: Uint8Array; rawBytes: number } {
    const emitter = this.#emitterV2;
    const { head } = rows;
    const { bytes, rawBytes } = emitter.emitV2(rows, head + first, count, this.reader, metadataOf, this.#out);
    return { body: bytes.slice(), rawBytes };
  }

  emitMetadata(rows: Ring): Uint8Array {
    return this.#emitter.emitMetadata(rows, rows.head, rows.length, this.#out).bytes.slice();
  }

  /** Commits what was taken, and delivers all of it: series in one body, metadata in another. */
  deliver(): { timeseries: readonly TimeSeriesV1[]; metadata: readonly MetricMetadata[] } {
    const rows = this.read(this.commit());
    const metadata = decodeWriteRequestV1(uncompress(this.emitMetadata(rows))).metadata;
    for (let i = 0; i < rows.length; i++) {
      if (rows.kind[rows.at(i)] === METADATA) rows.skip[rows.at(i)] = 1;
    }
    const { timeseries } = decodeWriteRequestV1(uncompress(this.emit(rows).body));
    return { timeseries, metadata };
  }
}

/** Rows as a loop queues them: a ring of columns that may start anywhere. */
export class Ring implements OutgoingRows {
  readonly mask: number;
  readonly series: Uint32Array;
  readonly time: Int32Array;
  /** Undefined until `setStart`. */
  start: Int32Array | undefined;
  readonly value: Int32Array;
  readonly kind: Uint8Array;
  readonly skip: Uint8Array;
  readonly payload: Payloads;
  readonly head: number;
  length = 0;

  /** Room for `rows`; the first one stands at `head`. */
  constructor(rows: number, head = 0) {
    let size = 4;
    while (size < rows) size *= 2;
    this.mask = size - 1;
    this.head = head & this.mask;
    this.series = new Uint32Array(size);
    this.time = new Int32Array(2 * size);
    this.value = new Int32Array(2 * size);
    this.kind = new Uint8Array(size);
    this.skip = new Uint8Array(size);
    this.payload = new Payloads(size);
  }

  /** Where row `i` stands. */
  at(i: number): number {
    return (this.head + i) & this.mask;
  }

  push(
    kind: number,
    series: number,
    time: readonly [lo: number, hi: number],
    value: readonly [lo: number, hi: number],
    payload?: Uint8Array,
  ): void {
    const at = this.at(this.length++);
    this.kind[at] = kind;
    this.series[at] = series;
    this.time.set(time, 2 * at);
    this.value.set(value, 2 * at);
    if (payload !== undefined) this.setPayload(at, payload);
  }

  /** Gives the row at index `at` these bytes, in place of those that it has. */
  setPayload(at: number, bytes: Uint8Array): void {
    this.payload.forget(at);
    this.payload.put(at, bytes, 0, bytes.length, 0);
  }

  /** Gives row `i` a start time. */
  setStart(i: number, lo: number, hi: number): void {
    this.start ??= new Int32Array(2 * (this.mask + 1));
    this.start.set([lo, hi], 2 * this.at(i));
  }

  /** The same rows in a ring that starts at `head`. */
  turned(head: number): Ring {
    const ring = new Ring(this.mask + 1, head);
    for (let i = 0; i < this.length; i++) {
      const at = this.at(i);
      const words = (column: Int32Array) => [column[2 * at]!, column[2 * at + 1]!] as const;
      ring.push(this.kind[at]!, this.series[at]!, words(this.time), words(this.value), this.payload.of(at));
      ring.skip[ring.at(i)] = this.skip[at]!;
      if (this.start !== undefined) ring.setStart(i, ...words(this.start));
    }
    return ring;
  }
}

/** The rows of a frame, in their order; those of missing series and of missing texts are left out. */
export function ringOf(frame: FrameRows, rows: number, dictionary: SegmentDictionary): Ring {
  const ring = new Ring(rows);
  const next = new Uint32Array(KINDS);
  for (let i = 0; i < frame.orderLength; i += 2) {
    const kind = frame.order[i]!;
    for (let n = frame.order[i + 1]!; n > 0; n--) {
      const at = next[kind]!;
      next[kind] = at + 1;
      pushRow(ring, kind, frame, at, dictionary);
    }
  }
  return ring;
}

function pushRow(
  ring: Ring,
  kind: number,
  frame: FrameRows,
  at: number,
  dictionary: SegmentDictionary,
): void {
  const words = (column: Int32Array) => [column[2 * at]!, column[2 * at + 1]!] as const;
  const value = (column: DataView) =>
    [column.getInt32(8 * at, true), column.getInt32(8 * at + 4, true)] as const;
  if (kind === SAMPLE) {
    const series = frame.sampleSeries[at]!;
    if (dictionary.has(series)) ring.push(kind, series, words(frame.sampleTime), value(frame.sampleValue));
  } else if (kind === HISTOGRAM) {
    const series = frame.histogramSeries[at]!;
    const bytes = frame.histogramBytes.slice(frame.histogramAt[at], frame.histogramAt[at + 1]);
    if (dictionary.has(series)) ring.push(kind, series, words(frame.histogramTime), [0, 0], bytes);
  } else if (kind === EXEMPLAR) {
    const series = frame.exemplarSeries[at]!;
    const bytes = frame.exemplarLabels.slice(frame.exemplarAt[at], frame.exemplarAt[at + 1]);
    if (dictionary.has(series))
      ring.push(kind, series, words(frame.exemplarTime), value(frame.exemplarValue), bytes);
  } else {
    const bytes = metadataBytes(frame, at, dictionary);
    if (bytes !== undefined) ring.push(kind, 0, [0, 0], [0, 0], bytes);
  }
}

/** The `MetricMetadata` message of a row, or undefined when one of its texts is missing. */
function metadataBytes(
  { metadataType, metadataFamily, metadataHelp, metadataUnit }: FrameRows,
  at: number,
  dictionary: SegmentDictionary,
): Uint8Array | undefined {
  const parts: Uint8Array[] = [Uint8Array.of(0x08), varint(metadataType[at]!)];
  for (const [tag, ids] of [
    [0x12, metadataFamily],
    [0x22, metadataHelp],
    [0x2a, metadataUnit],
  ] as const) {
    const text = dictionary.string(ids[at]!);
    if (text === undefined) return undefined;
    parts.push(Uint8Array.of(tag), varint(text.length), text);
  }
  return Buffer.concat(parts);
}
