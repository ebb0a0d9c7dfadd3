import { randomFillSync } from 'node:crypto';
import type { Dictionary } from '../serialization/dictionary.ts';
import type { RowBatch } from '../serialization/rows.ts';
import type { SeriesMetadata } from '../serialization/series-metadata.ts';
import * as at from './assembly/layout.ts';
import { IngestMemory, memoryOf, type Rooms } from './ingest-memory.ts';

/** Bodies and tables get room in powers of two from here on. */
const LEAST: Rooms = {
  source: 1 << 16,
  target: 1 << 16,
  symbols: 1 << 12,
  metadata: 1 << 10,
  entries: 1 << 10,
};
/** 40 bytes of memory each. Beyond, the table starts anew: it is a cache. */
const MOST_ENTRIES = 1 << 22;

/**
 * The memory of the loop in WebAssembly, with as much room as requests and segments need.
 *
 * It holds the body as it came and uncompressed, and a table from the hash of labels to a series of the dictionary. The
 * table is emptied when the dictionary is (its `generation`), so that no id outlives its series; a request that is
 * rolled back leaves its series in both. Beside it stands a copy of what is stored as metadata of each series, which
 * follows every change.
 *
 * The module interns series of 1.0 by itself as long as the table knows all series of the dictionary: those that came
 * to be elsewhere are told to it. When the table has to start anew for want of room, it is a cache from then on, until
 * the dictionary is emptied.
 *
 * The memory of a module only grows. So where anything but the table needs more room than there is, or all of it far
 * less, a new instance takes the place of the old one; never while a request is being read.
 */
export class IngestWorkspace {
  readonly #keys: Uint8Array = randomFillSync(new Uint8Array(at.KEY_BYTES));
  memory: IngestMemory = new IngestMemory(LEAST, this.#keys);
  /** Of the dictionary that the table is of, and the generation of that. */
  #metadata: SeriesMetadata | undefined;
  #generation = 0;
  /** Rows in the columns that have their place in the batch. */
  #counted = 0;
  /** The table knows all series below it; infinite when it has lost some. */
  #knownSeries = 0;
  /** The most that was asked for since the dictionary was emptied. */
  #largest: Rooms = LEAST;
  readonly #mostEntries: number;
  readonly #onMetadata = (series: number, type: number, help: number, unit: number): void =>
    this.memory.setMetadata(series, type, help, unit);

  /** `mostEntries` is a power of two, from 2048 on. */
  constructor(mostEntries: number = MOST_ENTRIES) {
    this.#mostEntries = mostEntries;
  }

  /**
   * Uncompresses `body`, which declares `length` bytes, for a request into this dictionary. Returns a view of them,
   * valid until the next call, or undefined when the body is no well-formed snappy block.
   */
  uncompress(body: Uint8Array, length: number, dictionary: Dictionary): Uint8Array | undefined {
    this.#follow(dictionary);
    this.ask({ source: body.length, target: length });
    this.#makeRoom(dictionary);
    const { module, bytes, source, target, raw } = this.memory;
    bytes.set(body, source);
    let start = 1;
    while (body[start - 1]! >= 0x80) start++;
    const done = module.uncompress(source + start, source + body.length, target, length);
    return done === 1 ? raw.subarray(0, length) : undefined;
  }

  /** The next request gets room for so much of these. */
  ask(rooms: Partial<Rooms>): void {
    const { source = 0, target = 0, symbols = 0, metadata = 0 } = rooms;
    const largest = this.#largest;
    this.#largest = {
      source: Math.max(largest.source, source),
      target: Math.max(largest.target, target),
      symbols: Math.max(largest.symbols, symbols),
      metadata: Math.max(largest.metadata, metadata),
      entries: LEAST.entries,
    };
  }

  /** A request begins to be read, with so many rows left to it. */
  begin(batch: RowBatch, dictionary: Dictionary, rowsLeft: number): void {
    const { memory } = this;
    memory.set(at.SAMPLES, 0);
    memory.set(at.NEWEST, 0);
    memory.set(at.NEWEST + 4, 0x80000000);
    memory.set(at.LAST_ENTRY, 0);
    memory.set(at.TENANT, dictionary.tenant);
    this.goOnBehind(batch, rowsLeft);
  }

  /** New series of the request that begins may have so many labels; without a number the module interns none. */
  internWithin(labels: number, dictionary: Dictionary): void {
    const { memory } = this;
    const most = dictionary.hasGate || this.#knownSeries === Number.POSITIVE_INFINITY ? 0 : labels;
    memory.set(at.MOST_LABELS, Math.min(most, at.LABELS));
    memory.set(at.LABEL_AT, 0);
    memory.set(at.KNOWN_LABELS, 0);
    memory.set(at.ORDERED_COUNT, 0);
    const [low, high] = dictionary.tenantHash;
    memory.set(at.LABEL_HASHES - 8, low);
    memory.set(at.LABEL_HASHES - 4, high);
    this.learnSeries(dictionary);
  }

  /** Moves the series that the module has interned to the dictionary. To be called before anything else is interned. */
  adoptSeries(dictionary: Dictionary): void {
    const { memory } = this;
    if (memory.get(at.NEW_END) === at.NEW_SERIES) return;
    const before = dictionary.seriesCount;
    try {
      dictionary.adopt(memory.takeNewSeries());
    } catch (error) {
      this.#forget();
      throw error;
    }
    dictionary.countBlocks(dictionary.seriesCount - before);
    this.#knownSeries = dictionary.seriesCount;
  }

  /** Tells the module of series that were interned elsewhere. The views of the memory may be new ones then. */
  learnSeries(dictionary: Dictionary): void {
    if (this.memory.get(at.MOST_LABELS) === 0) return;
    for (; this.#knownSeries < dictionary.seriesCount; this.#knownSeries++) {
      const length = dictionary.blockLength(this.#knownSeries);
      // The module does not intern longer ones.
      if (length > at.BLOCK_BYTES) continue;
      this.makeRoomInTable(1);
      // It started anew for that, and is a cache from here on.
      if (this.#knownSeries === Number.POSITIVE_INFINITY) return;
      const { memory } = this;
      const entries = memory.get(at.ENTRY_COUNT);
      dictionary.writeBlock(this.#knownSeries, memory.bytes, memory.source);
      const tenant = dictionary.seriesTenant[this.#knownSeries]!;
      memory.module.learnSeries(memory.source, length, tenant, this.#knownSeries);
      dictionary.countBlocks(memory.get(at.ENTRY_COUNT) - entries);
    }
    this.memory.set(at.NEXT_SERIES, dictionary.seriesCount);
  }

  /** Newest time among the samples that the module took, in ms. */
  get newestMs(): number {
    return (this.memory.get(at.NEWEST + 4) | 0) * 4294967296 + this.memory.get(at.NEWEST);
  }

  /** Sets what the next row refers to: those in the batch may be of this request or of others. */
  goOnBehind({ sampleSeries, sampleTime }: RowBatch, rowsLeft: number): void {
    const { memory } = this;
    memory.set(at.LAST_SERIES, sampleSeries.last);
    memory.set(at.LAST_TIME, sampleTime.lastLo);
    memory.set(at.LAST_TIME + 4, sampleTime.lastHi);
    this.setRowsLeft(rowsLeft);
    this.#emptyColumns();
  }

  /** Less than 2^31 rows fit into a memory of 4 GiB. */
  setRowsLeft(rows: number): void {
    this.memory.set(at.ROWS_LEFT, Math.min(rows, 0x7fffffff));
  }

  /** Gives the rows in the columns their place in the batch: others may be appended behind them. */
  count(batch: RowBatch): void {
    const rows = this.memory.get(at.OUT_ROWS);
    batch.countSamples(rows - this.#counted);
    this.#counted = rows;
  }

  /** Moves the rows in the columns to the batch. */
  handOver(batch: RowBatch): void {
    const { memory } = this;
    const rows = memory.get(at.OUT_ROWS);
    if (rows === 0) return;
    this.count(batch);
    batch.appendSampleColumns(memory.bytes, {
      series: [at.SERIES_COLUMN, memory.get(at.SERIES_END)],
      time: [at.TIME_COLUMN, memory.get(at.TIME_END)],
      value: [at.VALUE_COLUMN, at.VALUE_COLUMN + 8 * rows],
      lastSeries: memory.get(at.LAST_SERIES),
      lastTimeLo: memory.get(at.LAST_TIME) | 0,
      lastTimeHi: memory.get(at.LAST_TIME + 4) | 0,
    });
    this.#emptyColumns();
  }

  /** Makes room for so many more entries, at most 2047; the views of the memory may be new ones then. */
  makeRoomInTable(entries: number): void {
    const { memory } = this;
    while (memory.get(at.ENTRY_COUNT) + entries > memory.capacity) {
      if (memory.capacity >= this.#mostEntries) this.#forget();
      else memory.growTable();
    }
  }

  /** The table starts anew, and cannot tell any more which series are new. */
  #forget(): void {
    this.memory.emptyTable();
    this.memory.set(at.MOST_LABELS, 0);
    this.memory.set(at.LABEL_AT, 0);
    this.#knownSeries = Number.POSITIVE_INFINITY;
  }

  /** Empties the table when what it holds is of another dictionary, and then gives back memory of larger times. */
  #follow(dictionary: Dictionary): void {
    const { metadata, generation } = dictionary;
    if (metadata.watcher === this.#onMetadata && this.#generation === generation) return;
    const { memory } = this;
    const enough = {
      ...roomsFor(this.#largest),
      entries: roomFor(memory.get(at.ENTRY_COUNT), LEAST.entries),
    };
    if (4 * memoryOf(enough) < memory.bytes.length) this.memory = new IngestMemory(enough, this.#keys);
    else memory.emptyTable();
    this.#knownSeries = 0;
    this.memory.loadMetadata(metadata.words);
    this.#largest = LEAST;
    if (this.#metadata !== undefined) this.#metadata.watcher = undefined;
    this.#metadata = metadata;
    metadata.watcher = this.#onMetadata;
    this.#generation = generation;
  }

  #emptyColumns(): void {
    const { memory } = this;
    memory.set(at.OUT_ROWS, 0);
    memory.set(at.SERIES_END, at.SERIES_COLUMN);
    memory.set(at.TIME_END, at.TIME_COLUMN);
    this.#counted = 0;
  }

  #makeRoom(dictionary: Dictionary): void {
    const { rooms, capacity } = this.memory;
    const { source, target, symbols, metadata } = this.#largest;
    if (
      source <= rooms.source &&
      target <= rooms.target &&
      symbols <= rooms.symbols &&
      metadata <= rooms.metadata
    )
      return;
    const old = this.memory;
    this.memory = new IngestMemory({ ...roomsFor(this.#largest, rooms), entries: capacity }, this.#keys);
    this.memory.takeOver(old);
    this.memory.loadMetadata(dictionary.metadata.words);
  }
}

function roomsFor(
  { source, target, symbols, metadata }: Rooms,
  least: Rooms = LEAST,
): Omit<Rooms, 'entries'> {
  return {
    source: roomFor(source, least.source),
    target: roomFor(target, least.target),
    symbols: roomFor(symbols, least.symbols),
    metadata: roomFor(metadata, least.metadata),
  };
}

/** A power of two. */
function roomFor(size: number, least: number): number {
  let room = least;
  while (room < size) room *= 2;
  return room;
}
