import { Column } from '../serialization/columns.ts';
import type { LabelColumns } from '../serialization/label-columns.ts';
import type { EmittedBody, OutgoingRows } from './emit-v1.ts';
import { instantiateWasm, type WasmMemory } from './wasm-module.ts';

/** What assembly/emit.ts exports. */
interface EmitExports {
  readonly memory: WasmMemory;
  heapBase(): number;
  place(
    labels: number,
    slotAt: number,
    slotSeen: number,
    seriesSlots: number,
    seriesAt: number,
    seriesBytes: number,
  ): void;
  forget(slots: number): void;
  measure(rows: number, count: number, series: number): number;
  emit(
    rows: number,
    count: number,
    rawBytes: number,
    base: number,
    slots: number,
    series: number,
    out: number,
    outEnd: number,
  ): number;
  shrink(
    body: number,
    bodyEnd: number,
    rawBytes: number,
    plain: number,
    table: number,
    out: number,
    outEnd: number,
  ): number;
}

const PAGE = 65536;
const TABLE = 65536;
const SMALLEST_BLOCK = 256;
/** Bytes of a row in the memory: time, value, series, length of its `TimeSeries`, skip, kind. */
const ROW = 8 + 8 + 4 + 4 + 1 + 1;
/** Bodies are no longer, so that a position has 32 bits. */
const LAST_POSITION = 0xffff0000;
/** The memory of a module ends at 4 GiB. */
const MEMORY_LIMIT = 0xffff0000;

/**
 * The label columns of one dictionary in the memory of a WebAssembly instance of its own, and emission from there.
 *
 * The dictionary writes into that memory and nowhere else, so nothing is copied and nothing is kept twice. An instance
 * for each dictionary, and not one for all: its memory is the garbage collector's when the segment is done with, as
 * that of arrays is, while a memory for all could only grow.
 *
 *     static data | blocks of the columns ... | rows and body of the emission under way
 *
 * A column that is full moves to a block of twice the size, and its old block is for another column. Rows and body are
 * nowhere between emissions, so they need no block.
 */
export class WasmColumns implements LabelColumns {
  readonly labels: Column;
  slotAt: Uint32Array = new Uint32Array(0);
  seriesSlots: Uint32Array = new Uint32Array(0);
  seriesAt: Uint32Array = new Uint32Array(0);
  seriesBytes: Uint32Array = new Uint32Array(0);
  readonly #exports: EmitExports;
  /** The whole memory. */
  #bytes: Uint8Array;
  #words: Int32Array;
  /** End of the blocks. */
  #top: number;
  /** Addresses of free blocks, by their size. */
  readonly #free: Map<number, number[]> = new Map();
  readonly #labels: Block = { at: 0, size: 0 };
  readonly #slotAt: Block = { at: 0, size: 0 };
  /** Where each slot last stood, counted from a base that grows from body to body. */
  readonly #slotSeen: Block = { at: 0, size: 0 };
  readonly #seriesSlots: Block = { at: 0, size: 0 };
  readonly #seriesAt: Block = { at: 0, size: 0 };
  readonly #seriesBytes: Block = { at: 0, size: 0 };
  /** Above all positions that slots may have. */
  #base = 1;

  /** Throws `WasmError` when there is no module, or no room for its memory. */
  constructor() {
    this.#exports = instantiateWasm<EmitExports>('emit');
    this.#top = align(this.#exports.heapBase());
    this.#bytes = new Uint8Array(this.#exports.memory.buffer);
    this.#words = new Int32Array(this.#exports.memory.buffer);
    this.labels = new MemoryColumn((size) => {
      this.#grow(this.#labels, size);
      this.#place();
    });
    this.#grow(this.#labels, SMALLEST_BLOCK);
    this.#grow(this.#slotAt, SMALLEST_BLOCK);
    this.#grow(this.#slotSeen, SMALLEST_BLOCK);
    this.#grow(this.#seriesSlots, 4 * SMALLEST_BLOCK);
    this.#grow(this.#seriesAt, SMALLEST_BLOCK);
    this.#grow(this.#seriesBytes, SMALLEST_BLOCK);
    this.#place();
  }

  /** Bytes of the memory. */
  get memoryBytes(): number {
    return this.#bytes.length;
  }

  reserveSlots(slots: number): void {
    const bytes = 4 * (slots + 1);
    if (bytes <= this.#slotAt.size) return;
    // The column that is asked about grows last: when memory ends in between, both grow with the next call.
    const { size } = this.#slotSeen;
    this.#grow(this.#slotSeen, bytes);
    this.#bytes.fill(0, this.#slotSeen.at + size, this.#slotSeen.at + this.#slotSeen.size);
    this.#grow(this.#slotAt, bytes);
    this.#place();
  }

  reserveSeries(series: number): void {
    const bytes = 4 * (series + 1);
    if (bytes <= this.#seriesAt.size) return;
    this.#grow(this.#seriesBytes, bytes);
    this.#grow(this.#seriesAt, bytes);
    this.#place();
  }

  reserveSeriesSlots(slots: number): void {
    if (4 * slots <= this.#seriesSlots.size) return;
    this.#grow(this.#seriesSlots, 4 * slots);
    this.#place();
  }

  /**
   * The body of these rows, as `EmitterV1.emit`: a view that the next call, and more of the dictionary, make invalid.
   * Undefined when they are not for this module: some are no samples, or the message is of gigabytes. Throws what
   * WebAssembly throws when the module stops itself, which is a bug, and `RangeError` when there is no memory.
   */
  emit(
    from: OutgoingRows,
    first: number,
    count: number,
    slots: number,
    series: number,
    compression: 'fast' | 'small' = 'fast',
  ): EmittedBody | undefined {
    const rows = align(this.#top);
    const out = align(rows + ROW * count);
    this.#ensure(out);
    this.#copyRows(from, first, count, rows);
    const rawBytes = this.#exports.measure(rows, count, series);
    if (rawBytes < 0) return undefined;
    // At worst all of it is literals of up to 60 bytes, each with a tag; and writes overshoot by up to 16 bytes.
    const outEnd = out + rawBytes + Math.ceil(rawBytes / 60) * 2 + 256;
    if (outEnd > MEMORY_LIMIT) return undefined;
    this.#ensure(outEnd);
    if (this.#base + rawBytes > LAST_POSITION) {
      this.#exports.forget(slots);
      this.#base = 1;
    }
    const base = this.#base;
    this.#base += rawBytes + 1;
    const end = this.#exports.emit(rows, count, rawBytes, base, slots, series, out, outEnd) >>> 0;
    const bytes = this.#bytes.subarray(out, end);
    return { bytes: compression === 'small' ? this.#shrink(bytes, rawBytes) : bytes, rawBytes };
  }

  /** What `SmallEmitter` makes of a body that stands in the memory. */
  #shrink(body: Uint8Array, rawBytes: number): Uint8Array {
    const at = body.byteOffset;
    const { length } = body;
    const table = align(at + length + 64);
    const plain = table + TABLE;
    const out = align(plain + rawBytes + 64);
    const outEnd = out + rawBytes + Math.ceil(rawBytes / 6) + 128;
    if (outEnd > MEMORY_LIMIT) return body;
    this.#ensure(outEnd);
    const end = this.#exports.shrink(at, at + length, rawBytes, plain, table, out, outEnd) >>> 0;
    return end - out < length ? this.#bytes.subarray(out, end) : this.#bytes.subarray(at, at + length);
  }

  /** Puts the rows behind one another, from wherever they stand in their ring. */
  #copyRows(from: OutgoingRows, first: number, count: number, rows: number): void {
    const start = first & from.mask;
    const head = Math.min(count, from.mask + 1 - start);
    const words = this.#words;
    const bytes = this.#bytes;
    const times = rows >>> 2;
    const values = times + 2 * count;
    const ids = values + 2 * count;
    const skips = rows + 24 * count;
    const kinds = skips + count;
    words.set(from.time.subarray(2 * start, 2 * (start + head)), times);
    words.set(from.value.subarray(2 * start, 2 * (start + head)), values);
    words.set(from.series.subarray(start, start + head), ids);
    bytes.set(from.skip.subarray(start, start + head), skips);
    bytes.set(from.kind.subarray(start, start + head), kinds);
    if (head === count) return;
    const rest = count - head;
    words.set(from.time.subarray(0, 2 * rest), times + 2 * head);
    words.set(from.value.subarray(0, 2 * rest), values + 2 * head);
    words.set(from.series.subarray(0, rest), ids + head);
    bytes.set(from.skip.subarray(0, rest), skips + head);
    bytes.set(from.kind.subarray(0, rest), kinds + head);
  }

  /** Moves a block to one of at least `size` bytes, and twice the size it had, with what is in it. */
  #grow(block: Block, size: number): void {
    if (size <= block.size) return;
    let room = Math.max(SMALLEST_BLOCK, block.size);
    while (room < size) room *= 2;
    if (block.size > 0 && block.at + block.size === this.#top) {
      // The last one grows where it stands.
      this.#ensure(block.at + room);
      this.#top = block.at + room;
      block.size = room;
      return;
    }
    const free = this.#free.get(room)?.pop();
    const at = free ?? this.#top;
    if (free === undefined) {
      this.#ensure(at + room);
      this.#top = at + room;
    }
    this.#bytes.copyWithin(at, block.at, block.at + block.size);
    if (block.size > 0) {
      const others = this.#free.get(block.size);
      if (others === undefined) this.#free.set(block.size, [block.at]);
      else others.push(block.at);
    }
    block.at = at;
    block.size = room;
  }

  /** Makes the memory at least `size` bytes. */
  #ensure(size: number): void {
    const { memory } = this.#exports;
    const { length } = this.#bytes;
    if (size <= length) return;
    // By an eighth at least: columns that creep upwards must not cost new views each.
    memory.grow(Math.ceil(Math.max(size - length, Math.min(length >>> 3, 1 << 24)) / PAGE));
    this.#bytes = new Uint8Array(memory.buffer);
    this.#words = new Int32Array(memory.buffer);
    this.#place();
  }

  /** Renews the views, and tells the module where the columns are. */
  #place(): void {
    const words = ({ at, size }: Block) => new Uint32Array(this.#bytes.buffer, at, size >>> 2);
    this.labels.bytes = this.#bytes.subarray(this.#labels.at, this.#labels.at + this.#labels.size);
    this.slotAt = words(this.#slotAt);
    this.seriesSlots = words(this.#seriesSlots);
    this.seriesAt = words(this.#seriesAt);
    this.seriesBytes = words(this.#seriesBytes);
    this.#exports.place(
      this.#labels.at,
      this.#slotAt.at,
      this.#slotSeen.at,
      this.#seriesSlots.at,
      this.#seriesAt.at,
      this.#seriesBytes.at,
    );
  }
}

/** A part of the memory, in bytes; sizes are powers of two. */
interface Block {
  at: number;
  size: number;
}

/** A column that is given its bytes by `grow`: at least as many as it asks for, with what was in them. */
class MemoryColumn extends Column {
  readonly #grow: (size: number) => void;

  constructor(grow: (size: number) => void) {
    super();
    this.#grow = grow;
  }

  override reserve(more: number): void {
    const size = this.length + more;
    if (size > this.bytes.length) this.#grow(size);
  }

  override clear(): void {
    this.length = 0;
  }
}

function align(at: number): number {
  return Math.ceil(at / 16) * 16;
}
