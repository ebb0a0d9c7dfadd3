import type { WasmMemory } from './wasm-module.ts';

/** A part of the memory, in bytes; sizes are powers of two. */
export interface Block {
  at: number;
  size: number;
}

const PAGE = 65536;
const SMALLEST_BLOCK = 256;
/** The memory of a module ends at 4 GiB. */
const MEMORY_END = 2 ** 32;
export const MEMORY_LIMIT = 0xffff0000;
const SMALLEST_STEP = 4 << 20;
const LARGEST_STEP = 16 << 20;

/**
 * The memory of a WebAssembly instance, divided into blocks that grow.
 *
 *     static data | blocks ... | what is there for a moment
 *
 * A block that is full moves to one of twice the size, and its old place is for another. What is behind the last block
 * belongs to whoever works there, until a block grows.
 */
export class MemoryBlocks {
  /** The whole memory. */
  bytes: Uint8Array;
  words: Int32Array;
  /** End of the blocks. */
  top: number;
  readonly #memory: WasmMemory;
  readonly #onMove: () => void;
  /** Addresses of free blocks, by their size. */
  readonly #free: Map<number, number[]> = new Map();

  /** Blocks begin at `start`; `onMove` is told when views of the memory are no longer good. */
  constructor(memory: WasmMemory, start: number, onMove: () => void) {
    this.#memory = memory;
    this.#onMove = onMove;
    this.top = align(start);
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Int32Array(memory.buffer);
  }

  /**
   * Moves a block to one of at least `size` bytes, and twice the size it had, with what is in it; what is behind that
   * is anything. Throws `RangeError` when there is no memory.
   */
  grow(block: Block, size: number): void {
    if (size <= block.size) return;
    let room = Math.max(SMALLEST_BLOCK, block.size);
    while (room < size) room *= 2;
    if (block.size > 0 && block.at + block.size === this.top) {
      // The last one grows where it stands.
      this.ensure(block.at + room);
      this.top = block.at + room;
      block.size = room;
      return;
    }
    const free = this.#free.get(room)?.pop();
    const at = free ?? this.top;
    if (free === undefined) {
      this.ensure(at + room);
      this.top = at + room;
    }
    this.bytes.copyWithin(at, block.at, block.at + block.size);
    if (block.size > 0) {
      const others = this.#free.get(block.size);
      if (others === undefined) this.#free.set(block.size, [block.at]);
      else others.push(block.at);
    }
    block.at = at;
    block.size = room;
  }

  /** The memory is in other hands. */
  get isEnded(): boolean {
    return this.top === MEMORY_END;
  }

  /** Gives the memory out of its hands: there are no blocks any more, and no room for any. */
  end(): void {
    this.bytes = new Uint8Array(0);
    this.words = new Int32Array(0);
    this.top = MEMORY_END;
  }

  /** Makes the memory at least `size` bytes. */
  ensure(size: number): void {
    const { length } = this.bytes;
    if (size <= length) return;
    if (this.isEnded) throw new RangeError('the memory of these blocks is in other hands');
    // In large steps: each costs new views, and counts for the garbage collector as if all of the memory were new. What
    // nobody has written to takes no memory of the machine.
    const step = Math.min(Math.max(length, SMALLEST_STEP), LARGEST_STEP, MEMORY_END - length);
    this.#memory.grow(Math.ceil(Math.max(size - length, step) / PAGE));
    this.bytes = new Uint8Array(this.#memory.buffer);
    this.words = new Int32Array(this.#memory.buffer);
    this.#onMove();
  }
}

/** The next address that is a multiple of 16. */
export function align(at: number): number {
  return Math.ceil(at / 16) * 16;
}
