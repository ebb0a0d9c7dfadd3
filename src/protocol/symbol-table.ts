import { randomBytes } from 'node:crypto';
import type { SegmentDictionary } from '../serialization/segment-dictionary.ts';
import type { SeriesMetadata } from './emitter-v2.ts';
import { digest, murmur3 } from './murmur3.ts';
import {
  FAMILY_WORDS,
  HeapSymbolColumns,
  SLOT_WORDS,
  STRING_WORDS,
  type SymbolColumns,
} from './symbol-columns.ts';

/**
 * The strings of a dictionary for the symbols of 2.0, each once (RW2-S-24): a name that all series have, a value that
 * is that of two labels, a unit that is a label value somewhere are one string. Slots are taken apart when they are
 * first seen, which is once in the life of a segment; what a request does with the strings is in `columns`.
 *
 * Metadata becomes a slot of the dictionary whose name is the help and whose value is the unit: its texts stand where
 * all others do. Memory is bounded as the dictionary is, and by the metadata that has ever been told apart.
 */
export class SymbolTable {
  readonly columns: SymbolColumns;
  readonly #dictionary: SegmentDictionary;
  #slots = 0;
  #strings = 1;
  #families = 0;
  /** Number of the request under way. */
  #request: number;
  /** Open addressing: string plus one, 0 for an empty place. At most half full. */
  #places: Uint32Array = new Uint32Array(256);
  #hashes: Uint32Array = new Uint32Array(128);
  #view: DataView;
  readonly #familyOf: WeakMap<SeriesMetadata, number> = new WeakMap();
  /** Families by content, for metadata that comes as another object: type, and the strings of help and unit. */
  readonly #familyByContent: Map<string, number> = new Map();
  /** What each series had last, and the family that it is; empty while there is no metadata. */
  #lastOf: (SeriesMetadata | undefined)[] = [];
  #lastFamily: Uint32Array = new Uint32Array(0);

  /** Requests are numbered from `lastRequest` on; `columns` are empty. */
  constructor(
    dictionary: SegmentDictionary,
    columns: SymbolColumns = new HeapSymbolColumns(),
    lastRequest: number = 0,
  ) {
    this.#dictionary = dictionary;
    this.columns = columns;
    this.#request = lastRequest;
    columns.reserveStrings(64);
    this.#view = viewOf(dictionary.columns.labels.bytes);
  }

  /** Where the bytes of all strings stand; not for longer than until the dictionary or the table grows. */
  get labels(): Uint8Array {
    return this.#dictionary.columns.labels.bytes;
  }

  get strings(): number {
    return this.#strings;
  }

  get families(): number {
    return this.#families;
  }

  /**
   * Begins a request, of all slots that the dictionary has by now; returns its number, which no mark has. Up to 27
   * bits, so that marks with a length fit V8's small integers.
   */
  begin(): number {
    this.#takeSlots();
    if (this.#request >= LAST_REQUEST) {
      const { slots, strings, families } = this.columns;
      for (let i = 2; i < slots.length; i += SLOT_WORDS) slots[i] = 0;
      for (let i = 2; i < strings.length; i += STRING_WORDS) strings[i] = 0;
      for (let i = 2; i < families.length; i += FAMILY_WORDS) families[i] = 0;
      this.#request = 0;
    }
    return ++this.#request;
  }

  /** The family of this metadata of `series`, plus one; 0 for none. May add a slot to the dictionary. */
  familyOf(series: number, metadata: SeriesMetadata | undefined): number {
    if (metadata === undefined) return 0;
    if (this.#lastOf[series] === metadata) return this.#lastFamily[series]!;
    let family = this.#familyOf.get(metadata);
    if (family === undefined) {
      family = this.#takeFamily(metadata);
      this.#familyOf.set(metadata, family);
    }
    if (series >= this.#lastFamily.length) {
      const size = Math.max(this.#dictionary.series, series + 1);
      const grown = new Uint32Array(size + (size >>> 2));
      grown.set(this.#lastFamily);
      this.#lastFamily = grown;
      // A dense array from the start: one that grows by holes would become a hash table.
      while (this.#lastOf.length < grown.length) this.#lastOf.push(undefined);
    }
    this.#lastOf[series] = metadata;
    this.#lastFamily[series] = family;
    return family;
  }

  /** The string with these bytes of `[at, at + length)`, or -1. */
  find(bytes: Uint8Array, at: number, length: number): number {
    if (length === 0) return 0;
    murmur3(viewOf(bytes), at, length, seed);
    const place = this.#placeOf(bytes, at, length, digest[0]!);
    return this.#places[place]! - 1;
  }

  #takeFamily(metadata: SeriesMetadata): number {
    const { type, help, unit } = metadata;
    this.#takeSlots();
    const known = this.find(help, 0, help.length);
    const knownUnit = this.find(unit, 0, unit.length);
    let key = `${type} ${known} ${knownUnit}`;
    if (known >= 0 && knownUnit >= 0) {
      const family = this.#familyByContent.get(key);
      if (family !== undefined) return family;
    }
    const slot = this.#dictionary.addSlot(help, unit);
    this.#takeSlots();
    const { columns } = this;
    columns.reserveFamilies(this.#families + 1);
    const at = FAMILY_WORDS * this.#families;
    columns.families[at] = type;
    columns.families[at + 1] = slot;
    columns.families[at + 2] = 0;
    key = `${type} ${columns.slots[SLOT_WORDS * slot]!} ${columns.slots[SLOT_WORDS * slot + 1]!}`;
    this.#familyByContent.set(key, ++this.#families);
    return this.#families;
  }

  /** Takes apart the slots that are new. */
  #takeSlots(): void {
    const { slots, columns: labelColumns } = this.#dictionary;
    if (this.#slots === slots) return;
    const { columns } = this;
    columns.reserveSlots(slots);
    // Where a column stands is known when none grows any more.
    columns.reserveStrings(this.#strings + 2 * (slots - this.#slots));
    const { bytes } = labelColumns.labels;
    const { slotAt } = labelColumns;
    this.#view = viewOf(bytes);
    const records = columns.slots;
    for (let slot = this.#slots; slot < slots; slot++) {
      // 0a <len> 0a <len> name 12 <len> value
      let at = slotAt[slot]! + 1;
      while (bytes[at++]! >= 0x80);
      at++;
      let length = bytes[at]! & 0x7f;
      for (let shift = 7; bytes[at++]! >= 0x80; shift += 7) length |= (bytes[at]! & 0x7f) << shift;
      records[SLOT_WORDS * slot] = this.#stringAt(bytes, at, length);
      at += length + 1;
      while (bytes[at++]! >= 0x80);
      records[SLOT_WORDS * slot + 1] = this.#stringAt(bytes, at, slotAt[slot + 1]! - at);
      records[SLOT_WORDS * slot + 2] = 0;
    }
    this.#slots = slots;
  }

  /** The string that stands at `at` of the labels. */
  #stringAt(bytes: Uint8Array, at: number, length: number): number {
    if (length === 0) return 0;
    murmur3(this.#view, at, length, seed);
    const hash = digest[0]!;
    const place = this.#placeOf(bytes, at, length, hash);
    const known = this.#places[place]!;
    if (known > 0) return known - 1;
    const string = this.#strings++;
    const { strings } = this.columns;
    strings[STRING_WORDS * string] = at;
    strings[STRING_WORDS * string + 1] = length;
    strings[STRING_WORDS * string + 2] = 0;
    if (string >= this.#hashes.length) {
      const grown = new Uint32Array(2 * this.#hashes.length);
      grown.set(this.#hashes);
      this.#hashes = grown;
    }
    this.#hashes[string] = hash;
    this.#places[place] = string + 1;
    if (2 * this.#strings > this.#places.length) this.#widen();
    return string;
  }

  /** Where a string is in `#places`, or the empty place where it would go. */
  #placeOf(bytes: Uint8Array, at: number, length: number, hash: number): number {
    const places = this.#places;
    const { strings } = this.columns;
    const labels = this.#dictionary.columns.labels.bytes;
    const mask = places.length - 1;
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const string = places[place]! - 1;
      if (string < 0) return place;
      if (this.#hashes[string] !== hash || strings[STRING_WORDS * string + 1] !== length) continue;
      const from = strings[STRING_WORDS * string]!;
      let i = 0;
      while (i < length && labels[from + i] === bytes[at + i]) i++;
      if (i === length) return place;
    }
  }

  #widen(): void {
    const places = new Uint32Array(2 * this.#places.length);
    const mask = places.length - 1;
    for (let string = 1; string < this.#strings; string++) {
      let place = this.#hashes[string]! & mask;
      while (places[place] !== 0) place = (place + 1) & mask;
      places[place] = string + 1;
    }
    this.#places = places;
  }
}

/** The highest number of a request; then marks are cleared, and numbers start anew. */
export const LAST_REQUEST: number = 2 ** 27 - 1;

/** Guards the tables of this process against strings that are chosen to collide. */
const seed: number = randomBytes(4).readUInt32LE(0);

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
