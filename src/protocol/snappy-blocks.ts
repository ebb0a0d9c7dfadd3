import { declaredLength, Scratch, SnappyCompressor, uncompress } from './snappy.ts';
import { instantiateWasm, WasmError, type WasmMemory } from './wasm-module.ts';

/** Snappy blocks both ways, in buffers that are kept: what is returned is a view that the next call overwrites. */
export interface SnappyBlocks {
  compress(bytes: Uint8Array): Uint8Array;
  /** Throws `SnappyError` as `uncompress` of snappy.ts does. */
  uncompress(block: Uint8Array, limit: number): Uint8Array;
}

/** In TypeScript. */
export class PlainBlocks implements SnappyBlocks {
  readonly #compressor: SnappyCompressor = new SnappyCompressor();
  readonly #out: Scratch = new Scratch();

  compress(bytes: Uint8Array): Uint8Array {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const end = this.#compressor.compress(bytes, view, bytes.length, this.#out, 0);
    return this.#out.bytes.subarray(0, end);
  }

  uncompress(block: Uint8Array, limit: number): Uint8Array {
    const length = uncompress(block, this.#out, limit);
    return this.#out.bytes.subarray(0, length);
  }
}

/** The exports of `assembly/blocks.ts`, where they are described. */
interface BlocksModule {
  readonly memory: WasmMemory;
  uncompress(source: number, end: number, target: number, total: number): number;
  compress(source: number, length: number, table: number, start: number, end: number): number;
}

const PAGE = 65536;
/** The static data of the module, of which there is little. */
const STATIC = 4096;
/** The compressor's table: `TABLE` of assembly/compress.ts. */
const TABLE = PAGE;
/** Reads and writes overshoot by up to so much. */
const SLACK = 64;
/** Larger ones are rare, and go through the TypeScript: the memory of a module only grows. */
const MOST = 1 << 20;

/**
 * In WebAssembly, byte for byte the same for less CPU. Memory: static data, the compressor's table, what comes in, what
 * goes out; at most some 2.5 MB.
 */
export class WasmBlocks implements SnappyBlocks {
  readonly #module: BlocksModule;
  readonly #plain: PlainBlocks = new PlainBlocks();
  #bytes: Uint8Array;

  /** Throws `WasmError`. */
  constructor() {
    this.#module = instantiateWasm<BlocksModule>('blocks');
    this.#bytes = new Uint8Array(this.#module.memory.buffer);
  }

  compress(bytes: Uint8Array): Uint8Array {
    if (bytes.length > MOST) return this.#plain.compress(bytes);
    const target = this.#place(bytes, mostCompressed(bytes.length));
    const start = this.#putLength(target, bytes.length);
    const end = this.#module.compress(SOURCE, bytes.length, STATIC, start, this.#bytes.length);
    return this.#bytes.subarray(target, end);
  }

  uncompress(block: Uint8Array, limit: number): Uint8Array {
    const length = declaredLength(block);
    if (length > limit || length > MOST || block.length > MOST) return this.#plain.uncompress(block, limit);
    const target = this.#place(block, length);
    let from = SOURCE + 1;
    while (this.#bytes[from - 1]! >= 0x80) from++;
    const whole = this.#module.uncompress(from, SOURCE + block.length, target, length);
    // What is wrong is said by the one that has the words.
    return whole === 1 ? this.#bytes.subarray(target, target + length) : this.#plain.uncompress(block, limit);
  }

  /** Puts `bytes` where they are read from; returns where `room` bytes may be written. */
  #place(bytes: Uint8Array, room: number): number {
    const target = SOURCE + bytes.length + SLACK;
    const missing = target + room + SLACK - this.#bytes.length;
    if (missing > 0) {
      this.#module.memory.grow(Math.ceil(missing / PAGE));
      this.#bytes = new Uint8Array(this.#module.memory.buffer);
    }
    this.#bytes.set(bytes, SOURCE);
    return target;
  }

  #putLength(at: number, length: number): number {
    let op = at;
    let rest = length;
    for (; rest >= 0x80; rest >>>= 7) this.#bytes[op++] = (rest & 0x7f) | 0x80;
    this.#bytes[op++] = rest;
    return op;
  }
}

const SOURCE = STATIC + TABLE;

/** The bound of the C++ original, and the margin that the module keeps. */
function mostCompressed(length: number): number {
  return length + Math.ceil(length / 6) + 512;
}

/** The blocks that the configuration asks for; TypeScript where WebAssembly cannot be had. */
export function createBlocks(kernel: 'wasm' | 'typescript'): SnappyBlocks {
  if (kernel === 'wasm') {
    try {
      return new WasmBlocks();
    } catch (error) {
      // The kernel has told that already.
      if (!(error instanceof WasmError)) throw error;
    }
  }
  return new PlainBlocks();
}
