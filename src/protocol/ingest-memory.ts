import * as at from './assembly/layout.ts';
import { instantiateWasm, type WasmMemory } from './wasm-module.ts';

/** The exports of `assembly/ingest.ts`, where they are described. */
export interface IngestModule {
  readonly memory: WasmMemory;
  uncompress(source: number, end: number, target: number, total: number): number;
  run(): number;
  scan(at: number, end: number, mostSymbols: number, mostSeries: number): number;
  labelBytes(end: number): number;
  runV2(): number;
  takeV2(series: number): void;
  rememberRefs(series: number): void;
  learnText(ref: number, string: number): void;
  forgetTexts(): void;
  learnPair(pair: number, name: number, hashLow: number, hashHigh: number): void;
  learnSeries(start: number, length: number, tenant: number, series: number): void;
  take(series: number): void;
  pass(): void;
  remember(series: number): void;
  fillSlots(): void;
}

/**
 * How much fits: bytes of a body as it came and uncompressed, symbols of a 2.0 request, series with metadata, and
 * entries of the table (a power of two).
 */
export interface Rooms {
  readonly source: number;
  readonly target: number;
  readonly symbols: number;
  readonly metadata: number;
  readonly entries: number;
}

const PAGE = 65536;

/** Bytes of memory that these rooms take. */
export function memoryOf({ source, target, symbols, metadata, entries }: Rooms): number {
  const columns = symbols * 3 * 4 + metadata * at.METADATA_BYTES;
  return at.FREE + source + target + columns + entries * (at.ENTRY_BYTES + 2 * 4) + 3 * at.SLACK;
}

/**
 * An instance of the ingest module with its memory, laid out as `assembly/layout.ts` says; the table is empty.
 *
 * All but the table have the room that they are made with. The table is at the end, where it can grow.
 */
export class IngestMemory {
  readonly module: IngestModule = instantiateWasm<IngestModule>('ingest');
  readonly rooms: Rooms;
  /** Addresses. */
  readonly source: number = at.FREE;
  readonly target: number;
  readonly #symbols: number;
  readonly #metadata: number;
  readonly #entries: number;
  /** Entries that the table has room for. */
  capacity = 0;
  bytes!: Uint8Array;
  #words!: Uint32Array;
  /** The uncompressed body and the slack behind it, as two views. */
  raw!: Uint8Array;
  rawView!: DataView;
  /** Refs of the labels of the 2.0 series at hand. */
  refs!: Uint32Array;

  /** Throws `WasmError`, and a `RangeError` when there is not as much memory. */
  constructor(rooms: Rooms, keys: Uint8Array) {
    this.rooms = rooms;
    this.target = align(this.source + rooms.source + at.SLACK);
    this.#symbols = align(this.target + rooms.target + at.SLACK);
    this.#metadata = align(this.#symbols + rooms.symbols * 3 * 4);
    this.#entries = align(this.#metadata + rooms.metadata * at.METADATA_BYTES);
    this.#grow(rooms.entries);
    this.bytes.set(keys, at.KEYS);
    this.set(at.SYMBOLS, this.#symbols);
    this.set(at.SYMBOL_ENDS, this.#symbols + rooms.symbols * 4);
    this.set(at.SYMBOL_TEXTS, this.#symbols + rooms.symbols * 8);
    this.set(at.SYMBOL_ROOM, rooms.symbols);
    this.set(at.METADATA, this.#metadata);
    this.set(at.METADATA_ROOM, rooms.metadata);
    this.set(at.NEW_END, at.NEW_SERIES);
    this.emptyTable();
  }

  /** Takes over the table of another memory, for which there must be room, into an empty one. */
  takeOver(other: IngestMemory): void {
    const count = other.get(at.ENTRY_COUNT);
    const end = other.#entries + count * at.ENTRY_BYTES;
    this.bytes.set(other.bytes.subarray(other.#entries, end), this.#entries);
    this.set(at.ENTRY_COUNT, count);
    this.module.fillSlots();
  }

  /** Begins and ends of the symbols, as addresses: views. */
  symbols(count: number): readonly [begins: Uint32Array, ends: Uint32Array] {
    const column = (address: number) => new Uint32Array(this.bytes.buffer, address, count);
    return [column(this.get(at.SYMBOLS)), column(this.get(at.SYMBOL_ENDS))];
  }

  /** The series that the module has interned and nobody took over, as `Dictionary.adopt` takes them; no more of them. */
  takeNewSeries(): Uint32Array {
    const words = this.#words.subarray(at.NEW_SERIES >>> 2, this.get(at.NEW_END) >>> 2);
    this.set(at.NEW_END, at.NEW_SERIES);
    return words;
  }

  /** Says what is stored for each series, as `SeriesMetadata.words`; those beyond the room are not known of. */
  loadMetadata(words: Uint32Array): void {
    const start = this.#metadata >>> 2;
    const count = (this.rooms.metadata * at.METADATA_BYTES) >>> 2;
    this.#words.fill(0, start, start + count);
    this.#words.set(words.subarray(0, count), start);
  }

  /** The same of one series. */
  setMetadata(series: number, type: number, help: number, unit: number): void {
    if (series >= this.rooms.metadata) return;
    const address = this.#metadata + series * at.METADATA_BYTES;
    this.set(address, type);
    this.set(address + 4, help);
    this.set(address + 8, unit);
  }

  /** Doubles the room of the table. All views are new ones then. Throws a `RangeError`, and nothing is changed. */
  growTable(): void {
    this.#grow(2 * this.capacity);
    this.module.fillSlots();
  }

  /** No entry, and nothing is known of texts. */
  emptyTable(): void {
    const slots = this.get(at.SLOTS);
    this.bytes.fill(0, slots, slots + 8 * this.capacity);
    this.set(this.#entries + at.ENTRY_NEXT, 0);
    this.set(at.ENTRY_COUNT, 1);
    this.set(at.LAST_ENTRY, 0);
    this.module.forgetTexts();
  }

  /** A word of the state, unsigned. */
  get(address: number): number {
    return this.#words[address >>> 2]!;
  }

  set(address: number, value: number): void {
    this.#words[address >>> 2] = value;
  }

  /** Makes room for so many entries, and for slots behind them, in memory that was not in use: they are zero. */
  #grow(capacity: number): void {
    const slots = this.#entries + capacity * at.ENTRY_BYTES;
    const size = slots + 8 * capacity + at.SLACK;
    const { memory } = this.module;
    memory.grow(Math.max(0, Math.ceil((size - memory.buffer.byteLength) / PAGE)));
    this.capacity = capacity;
    this.bytes = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.raw = new Uint8Array(memory.buffer, this.target, this.rooms.target + at.SLACK);
    this.rawView = new DataView(memory.buffer, this.target, this.rooms.target + at.SLACK);
    this.refs = new Uint32Array(memory.buffer, at.LABEL_REFS, at.REFS);
    this.set(at.ENTRIES, this.#entries);
    this.set(at.SLOTS, slots);
    this.set(at.SLOT_MASK, 2 * capacity - 1);
    this.set(at.CAPACITY, capacity);
  }
}

function align(address: number): number {
  return Math.ceil(address / 64) * 64;
}
