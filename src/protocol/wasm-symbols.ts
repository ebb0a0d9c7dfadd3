import type { Block, MemoryBlocks } from './memory-blocks.ts';
import { FAMILY_WORDS, SLOT_WORDS, STRING_WORDS, type SymbolColumns } from './symbol-columns.ts';

/** `SymbolColumns` in the memory of a WebAssembly instance, beside the label columns (wasm-columns.ts). */
export class WasmSymbolColumns implements SymbolColumns {
  slots: Uint32Array = new Uint32Array(0);
  strings: Uint32Array = new Uint32Array(0);
  families: Uint32Array = new Uint32Array(0);
  readonly #memory: MemoryBlocks;
  readonly #onMove: () => void;
  readonly #slots: Block = { at: 0, size: 0 };
  readonly #strings: Block = { at: 0, size: 0 };
  readonly #families: Block = { at: 0, size: 0 };

  /** `onMove` is told when a column stands elsewhere; it calls `renew`. */
  constructor(memory: MemoryBlocks, onMove: () => void) {
    this.#memory = memory;
    this.#onMove = onMove;
  }

  reserveSlots(slots: number): void {
    this.#reserve(this.#slots, 4 * SLOT_WORDS * slots);
  }

  reserveStrings(strings: number): void {
    this.#reserve(this.#strings, 4 * STRING_WORDS * strings);
  }

  reserveFamilies(families: number): void {
    this.#reserve(this.#families, 4 * FAMILY_WORDS * families);
  }

  /** Addresses of the columns. */
  get addresses(): readonly [slots: number, strings: number, families: number] {
    return [this.#slots.at, this.#strings.at, this.#families.at];
  }

  /** Renews the views. */
  renew(): void {
    const words = ({ at, size }: Block) => new Uint32Array(this.#memory.bytes.buffer, at, size >>> 2);
    this.slots = words(this.#slots);
    this.strings = words(this.#strings);
    this.families = words(this.#families);
  }

  #reserve(block: Block, bytes: number): void {
    const { size } = block;
    if (bytes <= size) return;
    this.#memory.grow(block, bytes);
    // A block may have been another column's.
    this.#memory.bytes.fill(0, block.at + size, block.at + block.size);
    this.#onMove();
  }
}
