import { Column } from '../serialization/columns.ts';
import type { AddedSeries, LabelColumns } from '../serialization/label-columns.ts';
import type { EmitExports } from './emit-module.ts';
import type { EmittedBody, OutgoingRows } from './emit-v1.ts';
import { align, type Block, MEMORY_LIMIT, MemoryBlocks } from './memory-blocks.ts';
import type { SymbolColumns } from './symbol-columns.ts';
import { emitV2Within, type RequestV2 } from './wasm-emit-v2.ts';
import { instantiateWasm } from './wasm-module.ts';
import { copyPayloads, PAYLOAD_ROW, payloadSpan, SLACK } from './wasm-payloads.ts';
import { WasmSymbolColumns } from './wasm-symbols.ts';

const TABLE = 65536;
const MIB = 1 << 20;
/** Bytes of a row in the memory but for its payload: time, value, series, length of its `TimeSeries`, skip, kind. */
const ROW = 8 + 8 + 4 + 4 + 1 + 1;
/** Bodies are no longer, so that a position has 32 bits. */
const LAST_POSITION = 0xffff0000;

/**
 * How large the blocks are at first, in the order of `#blocks`: enough for the segments of most, so that hardly any
 * moves. What is not written to takes no memory of the machine; a block that moves leaves a hole that does. The last one, which is the largest in the end, grows where it stands.
 */
const FIRST_SIZES: readonly number[] = [8, 1 / 4, 1 / 4, 1 / 4, 2, 2, 4, 4].map((mib) => mib * MIB);
/** A space in which so much was used once, or which is that large, is not kept, nor one of which an eighth would do. */
const LARGEST_USE = 64 * MIB;
const LARGEST_SPACE = 256 * MIB;
const LEAST_USE = 8;

/** An instance of the module that has served dictionaries. */
export interface EmitSpace {
  readonly exports: EmitExports;
  /** How large the blocks of the last one were. */
  readonly sizes: readonly number[];
  /** Bytes that the columns of the largest one took. */
  readonly most: number;
}

/**
 * The label columns of one dictionary in the memory of a WebAssembly instance of its own, and emission from there.
 *
 * The dictionary writes into that memory and nowhere else, so nothing is copied and nothing is kept twice. An instance
 * for each dictionary, and not one for all: a memory for all could only grow. When a segment is done with, its instance
 * may serve the next one (`EmitSpace`), which then finds blocks as large as that one's, and no new memory costs a
 * garbage collection.
 *
 *     static data | blocks of the columns ... | rows, payloads and body of the emission under way
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
  seriesHash: Uint32Array = new Uint32Array(0);
  pairSlot: Uint32Array = new Uint32Array(0);
  readonly #exports: EmitExports;
  readonly #memory: MemoryBlocks;
  readonly #labels: Block = { at: 0, size: 0 };
  readonly #slotAt: Block = { at: 0, size: 0 };
  /** Where each slot last stood, counted from a base that grows from body to body. */
  readonly #slotSeen: Block = { at: 0, size: 0 };
  readonly #seriesSlots: Block = { at: 0, size: 0 };
  readonly #seriesAt: Block = { at: 0, size: 0 };
  readonly #seriesBytes: Block = { at: 0, size: 0 };
  readonly #seriesHash: Block = { at: 0, size: 0 };
  readonly #pairSlot: Block = { at: 0, size: 0 };
  /** Above all positions that slots may have. */
  #base = 1;
  #symbols: WasmSymbolColumns | undefined;

  readonly #most: number;
  readonly #onRelease: (space: EmitSpace) => void;

  /**
   * In `space`, if another dictionary has left one; and this one is given to `onRelease` when it is worth its memory.
   * Throws `WasmError` when there is no module, or no room for its memory.
   */
  constructor(space?: EmitSpace, onRelease: (space: EmitSpace) => void = () => undefined) {
    this.#onRelease = onRelease;
    this.#exports = space?.exports ?? instantiateWasm<EmitExports>('emit');
    this.#memory = new MemoryBlocks(this.#exports.memory, this.#exports.heapBase(), () => this.#place());
    this.labels = new MemoryColumn((size) => {
      this.#memory.grow(this.#labels, size);
      this.#place();
    });
    this.#most = space?.most ?? 0;
    const sizes = space?.sizes ?? FIRST_SIZES;
    this.#memory.ensure(align(this.#memory.top) + sizes.reduce((sum, size) => sum + size, 0));
    for (const [i, block] of this.#blocks.entries()) this.#memory.grow(block, sizes[i]!);
    this.#place();
    if (space === undefined) return;
    this.#memory.bytes.fill(0, this.#slotSeen.at, this.#slotSeen.at + this.#slotSeen.size);
    this.slotAt[0] = 0;
    this.seriesAt[0] = 0;
  }

  /** In the order of their sizes in an `EmitSpace`. */
  get #blocks(): Block[] {
    return [
      this.#labels,
      this.#slotAt,
      this.#slotSeen,
      this.#pairSlot,
      this.#seriesAt,
      this.#seriesBytes,
      this.#seriesHash,
      this.#seriesSlots,
    ];
  }

  release(series: number): void {
    if (this.#memory.isEnded) return;
    const used = this.labels.length + 4 * (this.seriesAt[series] ?? 0) + 16 * series;
    const most = Math.max(this.#most, used);
    const sizes = this.#blocks.map(({ size }) => size);
    // Whoever still reads them finds nothing, and not what is another's.
    this.#memory.end();
    this.labels.bytes = new Uint8Array(0);
    this.slotAt = new Uint32Array(0);
    this.pairSlot = this.slotAt;
    this.seriesSlots = this.slotAt;
    this.seriesAt = this.slotAt;
    this.seriesBytes = this.slotAt;
    this.seriesHash = this.slotAt;
    const size = sizes.reduce((sum, each) => sum + each, 0);
    if (most <= LARGEST_USE && size <= LARGEST_SPACE && used >= most / LEAST_USE)
      this.#onRelease({ exports: this.#exports, sizes, most });
  }

  /** Bytes of the memory. */
  get memoryBytes(): number {
    return this.#memory.bytes.length;
  }

  /** The columns of emission of 2.0, beside these; made when they are first asked for. */
  get symbols(): SymbolColumns {
    this.#symbols ??= new WasmSymbolColumns(this.#memory, () => this.#place());
    return this.#symbols;
  }

  reserveSlots(slots: number): void {
    const bytes = 4 * (slots + 1);
    if (bytes <= this.#slotAt.size) return;
    // The column that is asked about grows last: when memory ends in between, both grow with the next call.
    const { size } = this.#slotSeen;
    this.#memory.grow(this.#slotSeen, bytes);
    this.#memory.bytes.fill(0, this.#slotSeen.at + size, this.#slotSeen.at + this.#slotSeen.size);
    this.#memory.grow(this.#slotAt, bytes);
    this.#place();
  }

  reservePairs(pairs: number): void {
    if (4 * pairs <= this.#pairSlot.size) return;
    this.#memory.grow(this.#pairSlot, 4 * pairs);
    this.#place();
  }

  reserveSeries(series: number): void {
    const bytes = 4 * (series + 1);
    if (bytes <= this.#seriesAt.size) return;
    this.#memory.grow(this.#seriesHash, 2 * bytes);
    this.#memory.grow(this.#seriesBytes, bytes);
    this.#memory.grow(this.#seriesAt, bytes);
    this.#place();
  }

  reserveSeriesSlots(slots: number): void {
    if (4 * slots <= this.#seriesSlots.size) return;
    this.#memory.grow(this.#seriesSlots, 4 * slots);
    this.#place();
  }

  placeSeries({ first, counts, pairs, hashes, pairCount, slotCount }: AddedSeries): boolean {
    // Every label takes at least a byte; the module writes whole vectors.
    this.reserveSeriesSlots(this.seriesAt[first]! + pairs.length + 4);
    const at = align(this.#memory.top);
    const pairsAt = at + counts.length;
    const end = pairsAt + pairs.length;
    if (end > MEMORY_LIMIT) return false;
    this.#memory.ensure(end);
    const { bytes } = this.#memory;
    bytes.set(counts, at);
    bytes.set(pairs, pairsAt);
    bytes.set(hashes, this.#seriesHash.at + 8 * first);
    const added = hashes.length / 8;
    return this.#exports.placeSeries(first, added, at, pairsAt, end, pairCount, slotCount) === 1;
  }

  /**
   * The body of these rows, as `EmitterV1.emit`: a view that the next call, and more of the dictionary, make invalid.
   * Undefined when they are not for this module: some are metadata, or the message is of gigabytes. Throws what
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
    const rows = align(this.#memory.top);
    const span = payloadSpan(from, first, count);
    const payloads = align(rows + (span === undefined ? ROW : ROW + PAYLOAD_ROW) * count);
    const out = span === undefined ? payloads : align(payloads + span.to - span.from + SLACK);
    if (out > MEMORY_LIMIT) return undefined;
    this.#memory.ensure(out);
    this.#copyRows(from, first, count, rows, span !== undefined);
    copyPayloads(this.#exports, this.#memory, from, span, payloads);
    const rawBytes = this.#exports.measure(rows, count, series);
    if (rawBytes < 0) return undefined;
    // At worst all of it is literals of up to 60 bytes, each with a tag; and writes overshoot by up to 16 bytes.
    const outEnd = out + rawBytes + Math.ceil(rawBytes / 60) * 2 + 256;
    if (outEnd > MEMORY_LIMIT) return undefined;
    this.#memory.ensure(outEnd);
    if (this.#base + rawBytes > LAST_POSITION) {
      this.#exports.forget(slots);
      this.#base = 1;
    }
    const base = this.#base;
    this.#base += rawBytes + 1;
    const end = this.#exports.emit(rows, count, rawBytes, base, slots, series, out, outEnd) >>> 0;
    const bytes = this.#memory.bytes.subarray(out, end);
    return { bytes: compression === 'small' ? this.#shrink(bytes, rawBytes) : bytes, rawBytes };
  }

  /** The same of 2.0, as `PlainEmitterV2.emitV2`. */
  emitV2(request: RequestV2): EmittedBody | undefined {
    return emitV2Within(this.#exports, this.#memory, request);
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
    this.#memory.ensure(outEnd);
    const end = this.#exports.shrink(at, at + length, rawBytes, plain, table, out, outEnd) >>> 0;
    return end - out < length
      ? this.#memory.bytes.subarray(out, end)
      : this.#memory.bytes.subarray(at, at + length);
  }

  /** Puts the rows behind one another, from wherever they stand in their ring. */
  #copyRows(from: OutgoingRows, first: number, count: number, rows: number, payloads: boolean): void {
    const start = first & from.mask;
    const head = Math.min(count, from.mask + 1 - start);
    const words = this.#memory.words;
    const bytes = this.#memory.bytes;
    const times = rows >>> 2;
    const values = times + 2 * count;
    const ids = values + 2 * count;
    const skips = rows + (payloads ? 24 + PAYLOAD_ROW : 24) * count;
    const kinds = skips + count;
    words.set(from.time.subarray(2 * start, 2 * (start + head)), times);
    words.set(from.value.subarray(2 * start, 2 * (start + head)), values);
    words.set(from.series.subarray(start, start + head), ids);
    bytes.set(from.skip.subarray(start, start + head), skips);
    bytes.set(from.kind.subarray(start, start + head), kinds);
    const rest = count - head;
    if (payloads) {
      const { at, size } = from.payload!;
      const places = ids + 2 * count;
      for (const [column, to] of [[at, places] as const, [size, places + count] as const]) {
        words.set(column.subarray(start, start + head), to);
        words.set(column.subarray(0, rest), to + head);
      }
    }
    if (rest === 0) return;
    words.set(from.time.subarray(0, 2 * rest), times + 2 * head);
    words.set(from.value.subarray(0, 2 * rest), values + 2 * head);
    words.set(from.series.subarray(0, rest), ids + head);
    bytes.set(from.skip.subarray(0, rest), skips + head);
    bytes.set(from.kind.subarray(0, rest), kinds + head);
  }

  /** Renews the views, and tells the module where the columns are. */
  #place(): void {
    const words = ({ at, size }: Block) => new Uint32Array(this.#memory.bytes.buffer, at, size >>> 2);
    this.labels.bytes = this.#memory.bytes.subarray(this.#labels.at, this.#labels.at + this.#labels.size);
    this.slotAt = words(this.#slotAt);
    this.seriesSlots = words(this.#seriesSlots);
    this.seriesAt = words(this.#seriesAt);
    this.seriesBytes = words(this.#seriesBytes);
    this.seriesHash = words(this.#seriesHash);
    this.pairSlot = words(this.#pairSlot);
    this.#exports.placeSeriesColumns(
      this.#slotAt.at,
      this.#slotAt.size >>> 2,
      this.#pairSlot.at,
      this.#pairSlot.size >>> 2,
      this.#seriesSlots.at,
      this.#seriesSlots.size >>> 2,
      this.#seriesAt.at,
      this.#seriesBytes.at,
      Math.min(this.#seriesAt.size, this.#seriesBytes.size, this.#seriesHash.size >>> 1) >>> 2,
    );
    this.#exports.place(
      this.#labels.at,
      this.#slotAt.at,
      this.#slotSeen.at,
      this.#seriesSlots.at,
      this.#seriesAt.at,
      this.#seriesBytes.at,
    );
    if (this.#symbols === undefined) return;
    this.#symbols.renew();
    this.#exports.placeV2(
      this.#labels.at,
      ...this.#symbols.addresses,
      this.#seriesSlots.at,
      this.#seriesAt.at,
      this.#seriesBytes.at,
    );
  }
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
