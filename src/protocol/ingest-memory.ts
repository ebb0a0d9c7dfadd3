import * as at from './assembly/layout.ts';
import { instantiateWasm, type WasmMemory } from './wasm-module.ts';

/** The exports of `assembly/ingest.ts`, where they are described. */
export interface IngestModule {
  readonly memory: WasmMemory;
  uncompress(source: number, end: number, target: number, total: number): number;
  run(): number;
  take(series: number): void;
  pass(): void;
  remember(series: number): void;
  fillSlots(): void;
}

/** How much fits: bytes of a body as it came and uncompressed, and entries of the table (a power of two). */
export interface Rooms {
  readonly source: number;
  readonly target: number;
  readonly entries: number;
}

const PAGE = 65536;

/** Bytes of memory that these rooms take. */
export function memoryOf({ source, target, entries }: Rooms): number {
  return at.FREE + source + target + entries * (at.ENTRY_BYTES + 2 * 4) + 3 * at.SLACK;
}

/**
 * An instance of the ingest module with its memory, laid out as `assembly/layout.ts` says; the table is empty.
 *
 * The bodies have the room that they are made with. The table is at the end, where it can grow.
 */
export class IngestMemory {
  readonly module: IngestModule = instantiateWasm<IngestModule>('ingest');
  readonly sourceRoom: number;
  readonly targetRoom: number;
  /** Addresses. */
  readonly source: number = at.FREE;
  readonly target: number;
  readonly #entries: number;
  /** Entries that the table has room for. */
  capacity = 0;
  bytes!: Uint8Array;
  #words!: Uint32Array;
  /** The uncompressed body and the slack behind it, as two views. */
  raw!: Uint8Array;
  rawView!: DataView;

  /** Throws `WasmError`, and a `RangeError` when there is not as much memory. */
  constructor(rooms: Rooms, keys: Uint8Array) {
    this.sourceRoom = rooms.source;
    this.targetRoom = rooms.target;
    this.target = align(this.source + rooms.source + at.SLACK);
    this.#entries = align(this.target + rooms.target + at.SLACK);
    this.#grow(rooms.entries);
    this.bytes.set(keys, at.KEYS);
    this.emptyTable();
  }

  /** The entries in use; the first stands for the start of a request, and is none that can be found. */
  get entries(): Uint8Array {
    const end = this.#entries + this.get(at.ENTRY_COUNT) * at.ENTRY_BYTES;
    return this.bytes.subarray(this.#entries, end);
  }

  /** Takes over the entries of another table, for which there must be room, into an empty one. */
  takeOver(entries: Uint8Array): void {
    this.bytes.set(entries, this.#entries);
    this.set(at.ENTRY_COUNT, entries.length / at.ENTRY_BYTES);
    this.module.fillSlots();
  }

  /** Doubles the room of the table. All views are new ones then. Throws a `RangeError`, and nothing is changed. */
  growTable(): void {
    this.#grow(2 * this.capacity);
    this.module.fillSlots();
  }

  emptyTable(): void {
    const slots = this.get(at.SLOTS);
    this.bytes.fill(0, slots, slots + 8 * this.capacity);
    this.set(this.#entries + at.ENTRY_NEXT, 0);
    this.set(at.ENTRY_COUNT, 1);
    this.set(at.LAST_ENTRY, 0);
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
    this.raw = new Uint8Array(memory.buffer, this.target, this.targetRoom + at.SLACK);
    this.rawView = new DataView(memory.buffer, this.target, this.targetRoom + at.SLACK);
    this.set(at.ENTRIES, this.#entries);
    this.set(at.SLOTS, slots);
    this.set(at.SLOT_MASK, 2 * capacity - 1);
  }
}

function align(address: number): number {
  return Math.ceil(address / 64) * 64;
}
