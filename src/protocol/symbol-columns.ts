import { room } from '../serialization/dictionary.ts';

/** Words of a record. */
export const SLOT_WORDS = 5;
export const STRING_WORDS = 4;
export const FAMILY_WORDS = 10;

/**
 * What emission of 2.0 keeps of a dictionary, beside its labels (`LabelColumns`): the strings that its slots are made
 * of, and where they stand in the symbols of the request under way. In arrays, or in the memory of a WebAssembly module
 * (wasm-columns.ts, assembly/emit-v2.ts).
 *
 * Nothing is cleared from request to request: what was noted for one has the number of that request with it ("mark").
 *
 *     slot    string of the name | string of the value | mark << 4 | length, and the varints of both refs (8 bytes)
 *     string  where it stands in `LabelColumns.labels` | length | mark | ref                     string 0 is ""
 *     family  metric type | slot of (help, unit) | mark | length, and the field `metadata` (24 bytes)
 *
 * The arrays are replaced when they grow.
 */
export interface SymbolColumns {
  readonly slots: Uint32Array;
  readonly strings: Uint32Array;
  readonly families: Uint32Array;
  /** Makes room for so many records; those that are new are zero. */
  reserveSlots(slots: number): void;
  reserveStrings(strings: number): void;
  reserveFamilies(families: number): void;
}

/** Columns in arrays of their own. */
export class HeapSymbolColumns implements SymbolColumns {
  slots: Uint32Array = new Uint32Array(0);
  strings: Uint32Array = new Uint32Array(0);
  families: Uint32Array = new Uint32Array(0);

  reserveSlots(slots: number): void {
    this.slots = room(this.slots, SLOT_WORDS * slots);
  }

  reserveStrings(strings: number): void {
    this.strings = room(this.strings, STRING_WORDS * strings);
  }

  reserveFamilies(families: number): void {
    this.families = room(this.families, FAMILY_WORDS * families);
  }
}
