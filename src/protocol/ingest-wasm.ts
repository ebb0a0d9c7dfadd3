import { randomFillSync } from 'node:crypto';
import type { Dictionary } from '../serialization/dictionary.ts';
import type { RowBatch } from '../serialization/rows.ts';
import * as at from './assembly/layout.ts';
import { IngestMemory, memoryOf, type Rooms } from './ingest-memory.ts';
import { type IngestReport, IngestRequest, ingestField, ingestSeries } from './ingest-v1.ts';
import type { IngestLimits } from './limits.ts';

/** Bodies and tables get room in powers of two from here on. */
const LEAST: Rooms = { source: 1 << 16, target: 1 << 16, entries: 1 << 10 };
/** 40 bytes of memory each. Beyond, the table starts anew: it is a cache. */
const MOST_ENTRIES = 1 << 22;

/**
 * Drives the loop in WebAssembly: keeps its memory, and does what it hands back.
 *
 * The memory holds the body as it came and uncompressed, and a table from the hash of a label block to a series
 * of the dictionary: a cache in front of `Dictionary`, which stays the only place where series come to be. The
 * table is emptied when the dictionary is (its `generation`), so that no id outlives its series; a request that is
 * rolled back leaves its series in both.
 *
 * The memory of a module only grows. So where the bodies need more room than there is, or far less, a new instance
 * takes the place of the old one.
 */
export class WasmIngest {
  readonly #keys: Uint8Array = randomFillSync(new Uint8Array(at.KEY_BYTES));
  #memory: IngestMemory = new IngestMemory(LEAST, this.#keys);
  #dictionary: Dictionary | undefined;
  #generation = 0;
  /** The largest bodies since the dictionary was emptied. */
  #largestSource = 0;
  #largestTarget = 0;
  /** The series of the labels at hand, when they were unknown to the table. */
  #interned = -1;

  /** Bytes of memory that the module holds. */
  get memoryBytes(): number {
    return this.#memory.bytes.length;
  }

  /**
   * Uncompresses `body`, which declares `length` bytes, for `ingest` into this dictionary. Returns a view of them,
   * valid until the next call, or undefined when the body is no well-formed snappy block.
   */
  uncompress(body: Uint8Array, length: number, dictionary: Dictionary): Uint8Array | undefined {
    this.#follow(dictionary);
    this.#makeRoom(body.length, length);
    const { module, bytes, source, target, raw } = this.#memory;
    bytes.set(body, source);
    let start = 1;
    while (body[start - 1]! >= 0x80) start++;
    const done = module.uncompress(source + start, source + body.length, target, length);
    return done === 1 ? raw.subarray(0, length) : undefined;
  }

  /** Ingests the `length` bytes that were uncompressed last; results and errors are those of `ingestV1`. */
  ingest(length: number, limits: IngestLimits, dictionary: Dictionary, batch: RowBatch): IngestReport {
    const memory = this.#memory;
    const request: IngestRequest = new IngestRequest(
      memory.raw,
      memory.rawView,
      length,
      dictionary,
      batch,
      limits,
      (raw, view, start, end) => this.#intern(request, raw, view, start, end),
    );
    memory.set(at.AT, memory.target);
    memory.set(at.END, memory.target + length);
    memory.set(at.FIELDS_LEFT, Math.min(limits.series, 0xffffffff));
    memory.set(at.SAMPLES, 0);
    memory.set(at.NEWEST, 0);
    memory.set(at.NEWEST + 4, 0x80000000);
    memory.set(at.LAST_ENTRY, 0);
    memory.set(at.TENANT, dictionary.tenant);
    this.#goOnBehind(request);
    for (;;) {
      const status = memory.module.run();
      if (status === at.UNKNOWN) this.#takeUnknown(request);
      else {
        this.#handOver(batch);
        request.samples = memory.get(at.SAMPLES);
        if (status === at.DONE) break;
        if (status === at.ODD) this.#readField(request);
      }
    }
    return request.finish((memory.get(at.NEWEST + 4) | 0) * 4294967296 + memory.get(at.NEWEST));
  }

  /** A series of plain samples that is not in the table. */
  #takeUnknown(request: IngestRequest): void {
    const memory = this.#memory;
    const { dictionary } = request;
    const start = memory.get(at.LABELS_START) - memory.target;
    const end = memory.get(at.LABELS_END) - memory.target;
    const series = dictionary.internLabels(request.raw, request.view, start, end);
    if (series >= 0) {
      this.#makeRoomInTable(request);
      memory.module.take(series);
      return;
    }
    const fieldEnd = memory.get(at.FIELD_END) - memory.target;
    request.refuseSeries(dictionary.invalid, memory.get(at.ROWS), start, fieldEnd);
    memory.set(at.ROWS_LEFT, rowsLeft(request));
    memory.module.pass();
  }

  /** The field at the cursor, by the code that reads all there is. The columns have been handed over. */
  #readField(request: IngestRequest): void {
    const memory = this.#memory;
    const { target } = memory;
    const from = memory.get(at.AT) - target;
    if (memory.get(at.FIELDS_LEFT) === 0) throw request.tooManyFields(from);
    const series = memory.get(at.FOUND) | 0;
    this.#interned = -1;
    let end: number;
    if (series < 0) end = ingestField(request, from);
    else {
      const labels = memory.get(at.LABELS_START) - target;
      const labelsEnd = memory.get(at.LABELS_END) - target;
      end = ingestSeries(request, labels, memory.get(at.FIELD_END) - target, series, labelsEnd);
    }
    if (this.#interned >= 0) {
      this.#makeRoomInTable(request);
      memory.module.remember(this.#interned);
    }
    memory.set(at.FIELD_END, target + end);
    memory.module.pass();
    this.#goOnBehind(request);
  }

  #intern(request: IngestRequest, raw: Uint8Array, view: DataView, start: number, end: number): number {
    const series = request.dictionary.internLabels(raw, view, start, end);
    const memory = this.#memory;
    // Entered into the table later: it may have to grow, and the views would be empty ones while they are read.
    if (
      raw === request.raw &&
      memory.get(at.LABELS_START) === memory.target + start &&
      memory.get(at.LABELS_END) === memory.target + end
    )
      this.#interned = series;
    return series;
  }

  /** Moves the rows in the columns to the batch. */
  #handOver(batch: RowBatch): void {
    const memory = this.#memory;
    const rows = memory.get(at.OUT_ROWS);
    if (rows === 0) return;
    batch.appendSamples(rows, memory.bytes, {
      series: [at.SERIES_COLUMN, memory.get(at.SERIES_END)],
      time: [at.TIME_COLUMN, memory.get(at.TIME_END)],
      value: [at.VALUE_COLUMN, at.VALUE_COLUMN + 8 * rows],
      lastSeries: memory.get(at.LAST_SERIES),
      lastTimeLo: memory.get(at.LAST_TIME) | 0,
      lastTimeHi: memory.get(at.LAST_TIME + 4) | 0,
    });
    emptyColumns(memory);
  }

  /** Sets what the next row refers to: those in the batch may be of this request or of others. */
  #goOnBehind(request: IngestRequest): void {
    const memory = this.#memory;
    const { sampleSeries, sampleTime } = request.batch;
    memory.set(at.LAST_SERIES, sampleSeries.last);
    memory.set(at.LAST_TIME, sampleTime.lastLo);
    memory.set(at.LAST_TIME + 4, sampleTime.lastHi);
    memory.set(at.ROWS_LEFT, rowsLeft(request));
    emptyColumns(memory);
  }

  /** Empties the table when what it holds is of another dictionary, and then gives back memory of larger times. */
  #follow(dictionary: Dictionary): void {
    if (this.#dictionary === dictionary && this.#generation === dictionary.generation) return;
    const memory = this.#memory;
    const enough: Rooms = {
      source: roomFor(this.#largestSource, LEAST.source),
      target: roomFor(this.#largestTarget, LEAST.target),
      entries: roomFor(memory.get(at.ENTRY_COUNT), LEAST.entries),
    };
    if (4 * memoryOf(enough) < memory.bytes.length) this.#memory = new IngestMemory(enough, this.#keys);
    else memory.emptyTable();
    this.#largestSource = 0;
    this.#largestTarget = 0;
    this.#dictionary = dictionary;
    this.#generation = dictionary.generation;
  }

  #makeRoom(source: number, target: number): void {
    this.#largestSource = Math.max(this.#largestSource, source);
    this.#largestTarget = Math.max(this.#largestTarget, target);
    const { sourceRoom, targetRoom, capacity, entries } = this.#memory;
    if (source <= sourceRoom && target <= targetRoom) return;
    const rooms = {
      source: roomFor(source, sourceRoom),
      target: roomFor(target, targetRoom),
      entries: capacity,
    };
    this.#memory = new IngestMemory(rooms, this.#keys);
    this.#memory.takeOver(entries);
  }

  /** Makes room for one more entry, which is about to be used. */
  #makeRoomInTable(request: IngestRequest): void {
    const memory = this.#memory;
    request.dictionary.countBlock();
    if (memory.get(at.ENTRY_COUNT) < memory.capacity) return;
    if (memory.capacity >= MOST_ENTRIES) {
      memory.emptyTable();
      return;
    }
    memory.growTable();
    request.raw = memory.raw;
    request.view = memory.rawView;
  }
}

function emptyColumns(memory: IngestMemory): void {
  memory.set(at.OUT_ROWS, 0);
  memory.set(at.SERIES_END, at.SERIES_COLUMN);
  memory.set(at.TIME_END, at.TIME_COLUMN);
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
