import { EXEMPLAR, SAMPLE } from '../serialization/rows.ts';
import type { SegmentDictionary } from '../serialization/segment-dictionary.ts';
import { type AttachedExemplars, attachExemplars } from './attached-exemplars.ts';
import { varintSize } from './body-writer.ts';
import type { EmittedBody, OutgoingRows } from './emit-v1.ts';
import type { EmitterV2, MetadataOf } from './emitter-v2.ts';
import { ExemplarRefs } from './exemplar-refs.ts';
import { RequestSymbols } from './request-symbols.ts';
import { Scratch, SnappyCompressor } from './snappy.ts';
import { DenseCompressor } from './snappy-dense.ts';
import { FAMILY_WORDS, SLOT_WORDS } from './symbol-columns.ts';
import { SymbolTable } from './symbol-table.ts';
import { putVarint64, varintSize64 } from './varint64.ts';

/**
 * Writes remote write 2.0 bodies straight from the dictionary: the plain message, and our compressor over it.
 *
 * Unlike 1.0 (emit-v1.ts), where labels are nine tenths of a message and most of the work is not to write them out, a
 * row has some 47 bytes here, and what repeats in them is found by the compressor at less cost than by knowing better.
 * bench/emit.ts has the figures.
 *
 *     Request:    22 <len> symbol...   2a <len> TimeSeries...
 *     TimeSeries: 0a <len> refs   12 <len> sample... | 1a <len> histogram...   22 <len> exemplar...   2a <len> metadata
 *     sample:     09 <value> 10 <time> 18 <start>        histogram: <as it came> 78 <time> 88 01 <start>
 *     exemplar:   0a <len> refs 11 <value> 18 <time>
 *
 * A `TimeSeries` has neighbouring rows of one series and one kind (RW2-S-23), skipped rows and exemplars between them
 * or not. A value or start time of zero is left out, as proto3 does.
 */
export class PlainEmitterV2 implements EmitterV2 {
  readonly #tableOf: (dictionary: SegmentDictionary) => SymbolTable;
  readonly #compressor: SnappyCompressor | DenseCompressor;
  readonly #plain: Scratch = new Scratch();
  readonly #symbols: RequestSymbols = new RequestSymbols();
  readonly #exemplarRefs: ExemplarRefs = new ExemplarRefs();
  readonly #families: FamiliesOfRows = new FamiliesOfRows();
  #attached: AttachedExemplars | undefined;
  /** Two numbers a `TimeSeries`, at its first row: its length, and that of its refs. */
  #groups: Uint32Array = new Uint32Array(2048);

  /** `tableOf` keeps a table for each dictionary for as long as there is the dictionary. */
  constructor(
    compression: 'fast' | 'small' = 'fast',
    tableOf: (dictionary: SegmentDictionary) => SymbolTable = symbolTables(),
  ) {
    this.#compressor = compression === 'small' ? new DenseCompressor() : new SnappyCompressor();
    this.#tableOf = tableOf;
  }

  emitV2(
    rows: OutgoingRows,
    first: number,
    count: number,
    dictionary: SegmentDictionary,
    metadataOf: MetadataOf,
    out: Scratch,
  ): EmittedBody {
    const table = this.#tableOf(dictionary);
    this.#families.take(rows, first, count, metadataOf, table);
    this.#attached = attachExemplars(rows, first, count);
    this.#exemplarRefs.clear();
    const request = this.#symbols.begin(table);
    const seriesBytes = this.#measure(rows, first, count, dictionary, table, request);
    if (seriesBytes === 0) return { bytes: Uint8Array.of(0), rawBytes: 0 };
    const rawBytes = this.#symbols.bytes + seriesBytes;
    const plain = this.#plain;
    // Fields are written in words, whose ends lie beyond.
    plain.ensure(rawBytes + SLACK);
    const at = this.#symbols.write(plain.bytes, 0);
    this.#write(rows, first, count, dictionary, table, at);
    const end = this.#compressor.compress(plain.bytes, plain.view, rawBytes, out);
    return { bytes: out.bytes.subarray(0, end), rawBytes };
  }

  /** The length of all `TimeSeries` fields; leaves that of each in `#groups`, and all refs in the table. */
  #measure(
    rows: OutgoingRows,
    first: number,
    count: number,
    dictionary: SegmentDictionary,
    table: SymbolTable,
    request: number,
  ): number {
    const { mask, series, kind, skip } = rows;
    const { seriesAt, seriesSlots } = dictionary.columns;
    const records = table.columns.slots;
    const symbols = this.#symbols;
    const families = this.#families.of;
    if (this.#groups.length < 2 * count) this.#groups = new Uint32Array(4 * count);
    const groups = this.#groups;
    let total = 0;
    let i = 0;
    while (i < count) {
      const start = i;
      const at = (first + i) & mask;
      i++;
      if (skip[at] !== 0 || kind[at] === EXEMPLAR) continue;
      const id = series[at]!;
      const of = kind[at]!;
      let refs = 0;
      for (let k = seriesAt[id]!; k < seriesAt[id + 1]!; k++) {
        const slot = seriesSlots[k]!;
        let mark = records[SLOT_WORDS * slot + 2]!;
        if (mark >>> 4 !== request) mark = symbols.useSlot(slot);
        refs += mark & 15;
      }
      let size = 1 + varintSize(refs) + refs + rowBytes(rows, at, of);
      while (i < count) {
        const next = (first + i) & mask;
        if (skip[next] === 0 && kind[next] !== EXEMPLAR) {
          if (series[next] !== id || kind[next] !== of) break;
          size += rowBytes(rows, next, of);
        }
        i++;
      }
      if (this.#attached !== undefined) size += this.#measureExemplars(rows, first, start, this.#attached);
      const family = families[start]!;
      if (family > 0) size += symbols.useFamily(family);
      groups[2 * start] = size;
      groups[2 * start + 1] = refs;
      total += 1 + varintSize(size) + size;
    }
    return total;
  }

  /** Bytes of the exemplars of the `TimeSeries` that begins at row `start`. */
  #measureExemplars(
    { mask, time, payload }: OutgoingRows,
    first: number,
    start: number,
    { firstAt, nextOf }: AttachedExemplars,
  ): number {
    let size = 0;
    for (let next = firstAt[start]!; next > 0; next = nextOf[next - 1]!) {
      const at = (first + next - 1) & mask;
      const refs = this.#exemplarRefs.put(payload!.of(at), this.#symbols);
      const inner = exemplarBytes(refs, time[2 * at]!, time[2 * at + 1]!);
      size += 1 + varintSize(inner) + inner;
    }
    return size;
  }

  /** Writes all `TimeSeries` fields, which `#measure` has seen, from `outAt` on. */
  #write(
    rows: OutgoingRows,
    first: number,
    count: number,
    dictionary: SegmentDictionary,
    table: SymbolTable,
    outAt: number,
  ): void {
    const { mask, series, kind, skip } = rows;
    const { seriesAt, seriesSlots } = dictionary.columns;
    const { slots: records, families: fields } = table.columns;
    const families = this.#families.of;
    const groups = this.#groups;
    const { bytes, view } = this.#plain;
    let to = outAt;
    let i = 0;
    while (i < count) {
      const start = i;
      const at = (first + i) & mask;
      i++;
      if (skip[at] !== 0 || kind[at] === EXEMPLAR) continue;
      const id = series[at]!;
      const of = kind[at]!;
      bytes[to] = 0x2a;
      to = putVarint(bytes, to + 1, groups[2 * start]!);
      bytes[to] = 0x0a;
      to = putVarint(bytes, to + 1, groups[2 * start + 1]!);
      for (let k = seriesAt[id]!; k < seriesAt[id + 1]!; k++) {
        const record = SLOT_WORDS * seriesSlots[k]!;
        const length = records[record + 2]! & 15;
        view.setInt32(to, records[record + 3]!, true);
        if (length > 4) view.setInt32(to + 4, records[record + 4]!, true);
        to += length;
      }
      to = this.#putRow(to, rows, at, of);
      while (i < count) {
        const next = (first + i) & mask;
        if (skip[next] === 0 && kind[next] !== EXEMPLAR) {
          if (series[next] !== id || kind[next] !== of) break;
          to = this.#putRow(to, rows, next, of);
        }
        i++;
      }
      if (this.#attached !== undefined) to = this.#putExemplars(to, rows, first, start, this.#attached);
      const family = families[start]!;
      if (family > 0) {
        const field = FAMILY_WORDS * (family - 1) + 3;
        for (let k = 0; k < 6; k++) view.setInt32(to + 4 * k, fields[field + 1 + k]!, true);
        to += fields[field]!;
      }
    }
  }

  /** Writes the field of a sample or a histogram; returns its end. */
  #putRow(start: number, rows: OutgoingRows, at: number, kind: number): number {
    const { bytes, view } = this.#plain;
    const { time, value } = rows;
    const size = innerBytes(rows, at, kind);
    let to = start;
    if (kind === SAMPLE) {
      bytes[to++] = 0x12;
      bytes[to++] = size;
      const lo = value[2 * at]!;
      const hi = value[2 * at + 1]!;
      if ((lo | hi) !== 0) {
        bytes[to] = 0x09;
        view.setInt32(to + 1, lo, true);
        view.setInt32(to + 5, hi, true);
        to += 9;
      }
      bytes[to++] = 0x10;
    } else {
      bytes[to] = 0x1a;
      to = putVarint(bytes, to + 1, size);
      const histogram = rows.payload!.of(at);
      bytes.set(histogram, to);
      to += histogram.length;
      bytes[to++] = 0x78;
    }
    to = putVarint64(bytes, to, time[2 * at]!, time[2 * at + 1]!);
    const { start: starts } = rows;
    if (starts !== undefined && (starts[2 * at]! | starts[2 * at + 1]!) !== 0) {
      if (kind === SAMPLE) bytes[to++] = 0x18;
      else {
        bytes[to++] = 0x88;
        bytes[to++] = 0x01;
      }
      to = putVarint64(bytes, to, starts[2 * at]!, starts[2 * at + 1]!);
    }
    return to;
  }

  #putExemplars(
    outAt: number,
    { mask, time, value }: OutgoingRows,
    first: number,
    start: number,
    { firstAt, nextOf }: AttachedExemplars,
  ): number {
    const { bytes, view } = this.#plain;
    let to = outAt;
    for (let next = firstAt[start]!; next > 0; next = nextOf[next - 1]!) {
      const at = (first + next - 1) & mask;
      const refs = this.#exemplarRefs.take();
      bytes[to] = 0x22;
      to = putVarint(bytes, to + 1, exemplarBytes(refs.length, time[2 * at]!, time[2 * at + 1]!));
      if (refs.length > 0) {
        bytes[to] = 0x0a;
        to = putVarint(bytes, to + 1, refs.length);
        bytes.set(refs, to);
        to += refs.length;
      }
      bytes[to] = 0x11;
      view.setInt32(to + 1, value[2 * at]!, true);
      view.setInt32(to + 5, value[2 * at + 1]!, true);
      bytes[to + 9] = 0x18;
      to = putVarint64(bytes, to + 10, time[2 * at]!, time[2 * at + 1]!);
    }
    return to;
  }
}

/** The tables of dictionaries, made when they are asked for. */
export function symbolTables(
  make: (dictionary: SegmentDictionary) => SymbolTable = (dictionary) => new SymbolTable(dictionary),
): (dictionary: SegmentDictionary) => SymbolTable {
  const tables = new WeakMap<SegmentDictionary, SymbolTable>();
  return (dictionary) => {
    let table = tables.get(dictionary);
    if (table === undefined) {
      table = make(dictionary);
      tables.set(dictionary, table);
    }
    return table;
  };
}

/** The family of each row of a request. */
export class FamiliesOfRows {
  /** Family plus one of each row that may begin a `TimeSeries`, 0 for none; of other rows it means nothing. */
  of: Uint32Array = new Uint32Array(1024);

  /** Asks for them all, before the request begins: families that are new add to the dictionary. */
  take(
    { mask, series, kind, skip }: OutgoingRows,
    first: number,
    count: number,
    metadataOf: MetadataOf,
    table: SymbolTable,
  ): void {
    if (this.of.length < count) this.of = new Uint32Array(2 * count);
    const { of } = this;
    let last = -1;
    let family = 0;
    for (let i = 0; i < count; i++) {
      const at = (first + i) & mask;
      if (skip[at] !== 0 || kind[at] === EXEMPLAR) continue;
      const id = series[at]!;
      if (id !== last) {
        family = table.familyOf(id, metadataOf(id));
        last = id;
      }
      of[i] = family;
    }
  }
}

/** Bytes that may be written behind the message: of the field of a family. */
const SLACK = 32;

/** Bytes of the field of a sample or a histogram. */
function rowBytes(rows: OutgoingRows, at: number, kind: number): number {
  const inner = innerBytes(rows, at, kind);
  return kind === SAMPLE ? 2 + inner : 1 + varintSize(inner) + inner;
}

/** Bytes inside of it. */
function innerBytes({ time, start, value, payload }: OutgoingRows, at: number, kind: number): number {
  let size = 1 + varintSize64(time[2 * at]!, time[2 * at + 1]!);
  if (kind !== SAMPLE) size += payload!.size[at]!;
  else if ((value[2 * at]! | value[2 * at + 1]!) !== 0) size += 9;
  if (start !== undefined && (start[2 * at]! | start[2 * at + 1]!) !== 0)
    size += (kind === SAMPLE ? 1 : 2) + varintSize64(start[2 * at]!, start[2 * at + 1]!);
  return size;
}

/** Bytes inside the field of an exemplar. */
function exemplarBytes(refs: number, timeLo: number, timeHi: number): number {
  return (refs > 0 ? 1 + varintSize(refs) + refs : 0) + 10 + varintSize64(timeLo, timeHi);
}

/** Writes a varint of 32 bits at `start`; returns its end. */
function putVarint(dst: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) dst[at++] = (rest & 0x7f) | 0x80;
  dst[at++] = rest;
  return at;
}
