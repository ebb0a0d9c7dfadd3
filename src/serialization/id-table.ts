import { room } from './columns.ts';

/** An open-addressing table from 32-bit hash to id; ids are given in order, and compared by the caller. */
export class IdTable {
  #slots: Uint32Array = new Uint32Array(512);
  /** Hash of each id. */
  hashes: Uint32Array = new Uint32Array(256);
  #count = 0;

  clear(): void {
    if (this.#slots.length > 512 && this.#count * 8 < this.#slots.length) {
      this.#slots = new Uint32Array(this.#slots.length >>> 1);
    } else this.#slots.fill(0);
    this.#count = 0;
  }

  first(hash: number): number {
    return hash & (this.#slots.length - 1);
  }

  next(slot: number): number {
    return (slot + 1) & (this.#slots.length - 1);
  }

  /** The id in this slot, or -1 when it is empty. */
  idAt(slot: number): number {
    return this.#slots[slot]! - 1;
  }

  add(hash: number, id: number): void {
    this.hashes = room(this.hashes, id + 1);
    this.hashes[id] = hash;
    this.#count = id + 1;
    if (2 * this.#count > this.#slots.length) {
      this.#slots = new Uint32Array(this.#slots.length * 2);
      for (let i = 0; i < id; i++) this.#place(this.hashes[i]!, i);
    }
    this.#place(hash, id);
  }

  #place(hash: number, id: number): void {
    let slot = this.first(hash);
    while (this.#slots[slot] !== 0) slot = this.next(slot);
    this.#slots[slot] = id + 1;
  }
}
