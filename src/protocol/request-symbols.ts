import { varintSize } from './body-writer.ts';
import { FAMILY_WORDS, SLOT_WORDS, STRING_WORDS } from './symbol-columns.ts';
import type { SymbolTable } from './symbol-table.ts';

/**
 * The symbols of the request under way, numbered in the order in which they are first used (RW2-S-24).
 *
 * The refs of a slot are kept as the bytes that stand in `labels_refs`: a slot that has been used before costs a
 * look-up and a store of eight bytes, whatever its strings are.
 */
export class RequestSymbols {
  #table: SymbolTable | undefined;
  #arena: Uint8Array = new Uint8Array(0);
  #request = 0;
  /** Symbols so far, "" among them; and bytes of their fields. */
  #count = 1;
  /** Length of the fields of all symbols, in bytes. */
  bytes = 0;
  /** Strings of the symbols behind "", in their order; those of the dictionary, or `EXTRA` plus one of `#extras`. */
  #order: Uint32Array = new Uint32Array(1024);
  /** Strings that are not in the dictionary: those of exemplars. By their bytes, and in their order. */
  readonly #extraRefs: Map<string, number> = new Map();
  readonly #extras: Uint8Array[] = [];
  readonly #code: DataView = new DataView(new ArrayBuffer(32));

  /** Begins a request, of series of the dictionary of this table. Returns the number of the request. */
  begin(table: SymbolTable): number {
    this.#table = table;
    this.#request = table.begin();
    // Not before: slots that are new may take the table, and the memory that it shares with the labels, elsewhere.
    this.#arena = table.labels;
    this.#count = 1;
    this.bytes = 2;
    if (this.#extras.length > 0) {
      this.#extraRefs.clear();
      this.#extras.length = 0;
    }
    return this.#request;
  }

  /** Makes the refs of a slot that is new in this request; returns its mark. */
  useSlot(slot: number): number {
    const { slots } = this.#table!.columns;
    const at = SLOT_WORDS * slot;
    const name = this.#refOf(slots[at]!);
    const value = this.#refOf(slots[at + 1]!);
    const code = this.#code;
    code.setInt32(4, 0);
    const length = putVarint(code, putVarint(code, 0, name), value);
    slots[at + 3] = code.getInt32(0, true);
    slots[at + 4] = code.getInt32(4, true);
    const mark = (this.#request << 4) | length;
    slots[at + 2] = mark;
    return mark;
  }

  /** Makes the field `metadata` of a family, given as number plus one, when it is new here; returns its length. */
  useFamily(family: number): number {
    const { families, slots } = this.#table!.columns;
    const at = FAMILY_WORDS * (family - 1);
    if (families[at + 2] === this.#request) return families[at + 3]!;
    const slot = SLOT_WORDS * families[at + 1]!;
    const help = this.#refOf(slots[slot]!);
    const unit = this.#refOf(slots[slot + 1]!);
    const code = this.#code;
    let end = 2;
    if (families[at]! > 0) {
      code.setUint8(end, 0x08);
      end = putVarint(code, end + 1, families[at]!);
    }
    if (help > 0) {
      code.setUint8(end, 0x18);
      end = putVarint(code, end + 1, help);
    }
    if (unit > 0) {
      code.setUint8(end, 0x20);
      end = putVarint(code, end + 1, unit);
    }
    code.setUint8(0, 0x2a);
    code.setUint8(1, end - 2);
    for (let i = 0; i < 6; i++) families[at + 4 + i] = code.getInt32(4 * i, true);
    const length = end > 2 ? end : 0;
    families[at + 2] = this.#request;
    families[at + 3] = length;
    return length;
  }

  /** The ref of any string. */
  useBytes(bytes: Uint8Array, at: number, length: number): number {
    const known = this.#table!.find(bytes, at, length);
    if (known >= 0) return this.#refOf(known);
    const text = bytes.subarray(at, at + length);
    const key = Buffer.from(text.buffer, text.byteOffset, length).toString('latin1');
    let ref = this.#extraRefs.get(key);
    if (ref === undefined) {
      ref = this.#add(EXTRA + this.#extras.length, length);
      this.#extraRefs.set(key, ref);
      this.#extras.push(text);
    }
    return ref;
  }

  /** Writes the fields of all symbols at `start`; returns their end. */
  write(dst: Uint8Array, start: number): number {
    const { strings } = this.#table!.columns;
    let at = start;
    dst[at++] = 0x22;
    dst[at++] = 0;
    for (let i = 1; i < this.#count; i++) {
      const string = this.#order[i]!;
      const extra = string >= EXTRA ? this.#extras[string - EXTRA]! : undefined;
      const src = extra ?? this.#arena;
      const from = extra === undefined ? strings[STRING_WORDS * string]! : 0;
      const length = extra === undefined ? strings[STRING_WORDS * string + 1]! : extra.length;
      dst[at++] = 0x22;
      let rest = length;
      for (; rest >= 0x80; rest >>>= 7) dst[at++] = (rest & 0x7f) | 0x80;
      dst[at++] = rest;
      if (length > 64) dst.set(src.subarray(from, from + length), at);
      else for (let k = 0; k < length; k++) dst[at + k] = src[from + k]!;
      at += length;
    }
    return at;
  }

  /** The ref of a string of the dictionary. */
  #refOf(string: number): number {
    if (string === 0) return 0;
    const { strings } = this.#table!.columns;
    const at = STRING_WORDS * string;
    if (strings[at + 2] === this.#request) return strings[at + 3]!;
    const ref = this.#add(string, strings[at + 1]!);
    strings[at + 2] = this.#request;
    strings[at + 3] = ref;
    return ref;
  }

  #add(string: number, length: number): number {
    const ref = this.#count++;
    if (ref >= this.#order.length) {
      const grown = new Uint32Array(2 * this.#order.length);
      grown.set(this.#order);
      this.#order = grown;
    }
    this.#order[ref] = string;
    this.bytes += 1 + varintSize(length) + length;
    return ref;
  }
}

const EXTRA = 0x80000000;

/** Writes a number below 2^28, so that two of them fit eight bytes; returns its end. */
function putVarint(to: DataView, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) to.setUint8(at++, (rest & 0x7f) | 0x80);
  to.setUint8(at++, rest);
  return at;
}
