import { randomFillSync } from 'node:crypto';
import type { Dictionary } from '../serialization/dictionary.ts';
import type { RowBatch } from '../serialization/rows.ts';
import * as at from './assembly/layout.ts';
import { type IngestReport, IngestRequest, ingestField, ingestSeries } from './ingest-v1.ts';
import type { IngestLimits } from './limits.ts';
import { instantiateWasm, type WasmMemory } from './wasm-module.ts';

/** The exports of `assembly/ingest.ts`, where they are described. */
interface IngestExports {
  readonly memory: WasmMemory;
  uncompress(source: number, end: number, target: number, total: number): number;
  run(): number;
  take(series: number): void;
  pass(): void;
  remember(series: number): void;
  fillSlots(): void;
}

const PAGE = 65536;
/** Bodies and tables get room in powers of two from here on. */
const LEAST_BODY = 1 << 16;
const LEAST_ENTRIES = 1 << 10;
/** 40 bytes of memory each. Beyond, the table starts anew: it is a cache. */
const MOST_ENTRIES = 1 << 22;

/**
 * Drives the loop in WebAssembly: keeps its memory, and does what it hands back.
 *
 * The memory holds the body as it came and uncompressed, and a table from the hash of a label block to a series
 * of the dictionary: a cache in front of `Dictionary`, which stays the only place where series come to be. The
 * table is emptied when the dictionary is (its `generation`), so that no id outlives its series.
 *
 * The memory of a module only grows. So where the bodies need more room than there is, or far less, a new instance
 * takes the place of the old one, with a copy of the table.
 */
export class WasmIngest {
  readonly #keys: Uint8Array = randomFillSync(new Uint8Array(at.KEY_BYTES));
  #wasm!: IngestExports;
  #bytes!: Uint8Array;
  #words!: Uint32Array;
  /** The uncompressed body and the slack behind it; `#rawView` spans it. */
  #raw!: Uint8Array;
  #rawView!: DataView;
  #source = 0;
  #target = 0;
  #entries = 0;
  #sourceRoom: number = LEAST_BODY;
  #targetRoom: number = LEAST_BODY;
  #capacity: number = LEAST_ENTRIES;
  #dictionary: Dictionary | undefined;
  #generation = 0;
  /** The largest bodies since the dictionary was emptied. */
  #largestSource = 0;
  #largestTarget = 0;
  /** The series of the labels at hand, when they were unknown to the table. */
  #interned = -1;

  /** Throws `WasmError`. */
  constructor() {
    this.#layOut();
    this.#emptyTable();
  }

  /** Bytes of memory that the module holds. */
  get memoryBytes(): number {
    return this.#bytes.length;
  }

  /**
   * Uncompresses `body`, which declares `length` bytes, for `ingest` into this dictionary. Returns a view of them,
   * valid until the next call, or undefined when the body is no well-formed snappy block.
   */
  uncompress(body: Uint8Array, length: number, dictionary: Dictionary): Uint8Array | undefined {
    this.#follow(dictionary);
    this.#makeRoom(body.length, length);
    this.#bytes.set(body, this.#source);
    let start = 1;
    while (body[start - 1]! >= 0x80) start++;
    const end = this.#source + body.length;
    const done = this.#wasm.uncompress(this.#source + start, end, this.#target, length);
    return done === 1 ? this.#raw.subarray(0, length) : undefined;
  }

  /** Ingests the `length` bytes that were uncompressed last; results and errors are those of `ingestV1`. */
  ingest(length: number, limits: IngestLimits, dictionary: Dictionary, batch: RowBatch): IngestReport {
    const request: IngestRequest = new IngestRequest(
      this.#raw,
      this.#rawView,
      length,
      dictionary,
      batch,
      limits,
      (raw, view, start, end) => this.#intern(request, raw, view, start, end),
    );
    this.#set(at.AT, this.#target);
    this.#set(at.END, this.#target + length);
    this.#set(at.FIELDS_LEFT, Math.min(limits.series, 0xffffffff));
    this.#set(at.SAMPLES, 0);
    this.#set(at.NEWEST, 0);
    this.#set(at.NEWEST + 4, 0x80000000);
    this.#set(at.LAST_ENTRY, 0);
    this.#goOnBehind(request);
    for (;;) {
      const status = this.#wasm.run();
      if (status === at.UNKNOWN) this.#takeUnknown(request);
      else {
        this.#handOver(batch);
        request.samples = this.#get(at.SAMPLES);
        if (status === at.DONE) break;
        if (status === at.ODD) this.#readField(request);
      }
    }
    return request.finish((this.#get(at.NEWEST + 4) | 0) * 4294967296 + this.#get(at.NEWEST));
  }

  #takeUnknown(request: IngestRequest): void {
    const { dictionary } = request;
    const start = this.#get(at.LABELS_START) - this.#target;
    const end = this.#get(at.LABELS_END) - this.#target;
    const series = dictionary.internLabels(request.raw, request.view, start, end);
    if (series >= 0) {
      this.#makeRoomInTable(request);
      this.#wasm.take(series);
      return;
    }
    request.refuseSeries(
      dictionary.invalid,
      this.#get(at.ROWS),
      start,
      this.#get(at.FIELD_END) - this.#target,
    );
    this.#set(at.ROWS_LEFT, rowsLeft(request));
    this.#wasm.pass();
  }

  /** The field at the cursor, by the code that reads all there is. The columns have been handed over. */
  #readField(request: IngestRequest): void {
    const from = this.#get(at.AT) - this.#target;
    if (this.#get(at.FIELDS_LEFT) === 0) throw request.tooManyFields(from);
    const series = this.#get(at.FOUND) | 0;
    this.#interned = -1;
    let end: number;
    if (series < 0) end = ingestField(request, from);
    else {
      const labels = this.#get(at.LABELS_START) - this.#target;
      const labelsEnd = this.#get(at.LABELS_END) - this.#target;
      end = ingestSeries(request, labels, this.#get(at.FIELD_END) - this.#target, series, labelsEnd);
    }
    if (this.#interned >= 0) {
      this.#makeRoomInTable(request);
      this.#wasm.remember(this.#interned);
    }
    this.#set(at.FIELD_END, this.#target + end);
    this.#wasm.pass();
    this.#goOnBehind(request);
  }

  #intern(request: IngestRequest, raw: Uint8Array, view: DataView, start: number, end: number): number {
    const series = request.dictionary.internLabels(raw, view, start, end);
    // Entered into the table later: it may have to grow, and the memory would be another while it is being read.
    if (
      raw === request.raw &&
      this.#get(at.LABELS_START) === this.#target + start &&
      this.#get(at.LABELS_END) === this.#target + end
    )
      this.#interned = series;
    return series;
  }

  /** Moves the rows in the columns to the batch. */
  #handOver(batch: RowBatch): void {
    const rows = this.#get(at.OUT_ROWS);
    if (rows === 0) return;
    batch.appendSamples(rows, this.#bytes, {
      series: [at.SERIES_COLUMN, this.#get(at.SERIES_END)],
      time: [at.TIME_COLUMN, this.#get(at.TIME_END)],
      value: [at.VALUE_COLUMN, at.VALUE_COLUMN + 8 * rows],
      lastSeries: this.#get(at.LAST_SERIES),
      lastTimeLo: this.#get(at.LAST_TIME) | 0,
      lastTimeHi: this.#get(at.LAST_TIME + 4) | 0,
    });
    this.#emptyColumns();
  }

  #emptyColumns(): void {
    this.#set(at.OUT_ROWS, 0);
    this.#set(at.SERIES_END, at.SERIES_COLUMN);
    this.#set(at.TIME_END, at.TIME_COLUMN);
  }

  /** Sets what the next row refers to: those in the batch may be of this request or of others. */
  #goOnBehind(request: IngestRequest): void {
    const { sampleSeries, sampleTime } = request.batch;
    this.#set(at.LAST_SERIES, sampleSeries.last);
    this.#set(at.LAST_TIME, sampleTime.lastLo);
    this.#set(at.LAST_TIME + 4, sampleTime.lastHi);
    this.#set(at.ROWS_LEFT, rowsLeft(request));
    this.#emptyColumns();
  }

  /** Empties the table when what it holds is of another dictionary, and then gives back memory of larger times. */
  #follow(dictionary: Dictionary): void {
    if (this.#dictionary === dictionary && this.#generation === dictionary.generation) return;
    this.#dictionary = dictionary;
    this.#generation = dictionary.generation;
    const sourceRoom = roomFor(this.#largestSource, LEAST_BODY);
    const targetRoom = roomFor(this.#largestTarget, LEAST_BODY);
    const capacity = roomFor(this.#get(at.ENTRY_COUNT), LEAST_ENTRIES);
    this.#largestSource = 0;
    this.#largestTarget = 0;
    if (
      8 * (sourceRoom + targetRoom + 40 * capacity) <
      this.#sourceRoom + this.#targetRoom + 40 * this.#capacity
    ) {
      this.#sourceRoom = sourceRoom;
      this.#targetRoom = targetRoom;
      this.#capacity = capacity;
      this.#layOut();
    }
    this.#emptyTable();
  }

  #makeRoom(sourceBytes: number, targetBytes: number): void {
    this.#largestSource = Math.max(this.#largestSource, sourceBytes);
    this.#largestTarget = Math.max(this.#largestTarget, targetBytes);
    if (sourceBytes <= this.#sourceRoom && targetBytes <= this.#targetRoom) return;
    const count = this.#get(at.ENTRY_COUNT);
    const entries = this.#bytes.subarray(this.#entries, this.#entries + count * at.ENTRY_BYTES);
    this.#sourceRoom = roomFor(sourceBytes, this.#sourceRoom);
    this.#targetRoom = roomFor(targetBytes, this.#targetRoom);
    this.#layOut();
    this.#bytes.set(entries, this.#entries);
    this.#set(at.ENTRY_COUNT, count);
    this.#wasm.fillSlots();
  }

  /** Makes room for one more entry, which is about to be used. */
  #makeRoomInTable(request: IngestRequest): void {
    request.dictionary.countBlock();
    if (this.#get(at.ENTRY_COUNT) < this.#capacity) return;
    if (this.#capacity >= MOST_ENTRIES) {
      this.#emptyTable();
      return;
    }
    this.#capacity *= 2;
    this.#growMemory();
    request.raw = this.#raw;
    request.view = this.#rawView;
    this.#wasm.fillSlots();
  }

  /** A new instance, with memory of the sizes that are wanted now. All in it is zero but for the keys. */
  #layOut(): void {
    this.#wasm = instantiateWasm<IngestExports>('ingest');
    this.#source = at.FREE;
    this.#target = align(this.#source + this.#sourceRoom + at.SLACK);
    this.#entries = align(this.#target + this.#targetRoom + at.SLACK);
    this.#growMemory();
    this.#bytes.set(this.#keys, at.KEYS);
  }

  /** Grows the memory to what the table needs at its end, where the new slots are zero. */
  #growMemory(): void {
    const slots = this.#entries + this.#capacity * at.ENTRY_BYTES;
    const { memory } = this.#wasm;
    const size = slots + 8 * this.#capacity + at.SLACK;
    memory.grow(Math.max(0, Math.ceil((size - memory.buffer.byteLength) / PAGE)));
    this.#bytes = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.#raw = new Uint8Array(memory.buffer, this.#target, this.#targetRoom + at.SLACK);
    this.#rawView = new DataView(memory.buffer, this.#target, this.#targetRoom + at.SLACK);
    this.#set(at.ENTRIES, this.#entries);
    this.#set(at.SLOTS, slots);
    this.#set(at.SLOT_MASK, 2 * this.#capacity - 1);
  }

  /** The first entry stands for the start of a request, and is none that can be found. */
  #emptyTable(): void {
    const slots = this.#entries + this.#capacity * at.ENTRY_BYTES;
    this.#bytes.fill(0, slots, slots + 8 * this.#capacity);
    this.#set(this.#entries + at.ENTRY_NEXT, 0);
    this.#set(at.ENTRY_COUNT, 1);
    this.#set(at.LAST_ENTRY, 0);
  }

  #get(address: number): number {
    return this.#words[address >>> 2]!;
  }

  #set(address: number, value: number): void {
    this.#words[address >>> 2] = value;
  }
}

/** What `ROWS_LEFT` is: less than 2^31 rows fit into a memory of 4 GiB. */
function rowsLeft({ limits, rows }: IngestRequest): number {
  return Math.min(limits.rows - rows, 0x7fffffff);
}

/** A power of two. */
function roomFor(size: number, least: number): number {
  let room = least;
  while (room < size) room *= 2;
  return room;
}

function align(address: number): number {
  return Math.ceil(address / 64) * 64;
}
