import { hashBlock } from './block-hash';
import {
  ENTRY_SERIES, LONGEST_SYMBOL, OF_TEXT, SERIES_AT, SYMBOL_COUNT, SYMBOL_ENDS, SYMBOL_ROOM, SYMBOL_TEXTS, SYMBOLS,
} from './layout';
import { addEntry, entryAt, findEntry } from './table';

/**
 * The symbols of a 2.0 request: where each stands, and which entry of the table its text has. A text is looked up when
 * it is first used, once a request, whether it is found or not: it may be long, and used a hundred thousand times. From
 * then on a label is two numbers.
 */

/**
 * In place of the entry of a text: it was looked up in this request, and has none. 0 stands for one that was not looked
 * up.
 */
export const NO_ENTRY: u32 = 0xffffffff;

/** Of `field`: where the field begins behind its length, and where it ends. */
export let fieldStart: u32 = 0;

/** Where the field at `at` ends, with a tag of one byte and a length of up to four; 0 unless that is within `end`. */
@inline
export function field(at: u32, end: u32): u32 {
  let start = at + 1;
  let size = <u32>load<u8>(start++);
  if (size >= 0x80) {
    let more = <u32>load<u8>(start++);
    size = (size & 0x7f) | ((more & 0x7f) << 7);
    if (more >= 0x80) {
      more = <u32>load<u8>(start++);
      size |= (more & 0x7f) << 14;
      if (more >= 0x80) {
        more = <u32>load<u8>(start++);
        size |= more << 21;
        if (more >= 0x80) return 0;
      }
    }
  }
  fieldStart = start;
  return start > end || size > end - start ? 0 : start + size;
}

/**
 * Finds the symbols and the first series among the outermost fields in `[at, end)`. Returns 1 when there are only
 * symbols and series, no more of them than these, and 0 else. More symbols than there is room for are only counted.
 */
export function scan(at: u32, end: u32, mostSymbols: u32, mostSeries: u32): i32 {
  const begins = load<u32>(SYMBOLS);
  const ends = load<u32>(SYMBOL_ENDS);
  const room = load<u32>(SYMBOL_ROOM);
  let symbols: u32 = 0;
  let series: u32 = 0;
  let longest: u32 = 0;
  store<u32>(SERIES_AT, end);
  while (at < end) {
    const tag = load<u8>(at);
    const stop = field(at, end);
    if (stop == 0) return 0;
    if (tag == 0x22) {
      if (symbols < room) {
        store<u32>(begins + (symbols << 2), fieldStart);
        store<u32>(ends + (symbols << 2), stop);
      }
      symbols++;
      longest = max(longest, stop - fieldStart);
    } else if (tag == 0x2a) {
      if (series++ == 0) store<u32>(SERIES_AT, at);
    } else return 0;
    at = stop;
  }
  store<u32>(SYMBOL_COUNT, symbols);
  store<u32>(LONGEST_SYMBOL, longest);
  if (symbols > mostSymbols || series > mostSeries) return 0;
  if (symbols <= room) forgetTexts();
  return 1;
}

/** The entries of texts are no longer what they were. */
export function forgetTexts(): void {
  memory.fill(load<u32>(SYMBOL_TEXTS), 0, min(load<u32>(SYMBOL_COUNT), load<u32>(SYMBOL_ROOM)) << 2);
}

/** The entry of the text of this symbol, or 0 when it has none. */
export function textOf(ref: u32): u32 {
  const text = load<u32>(load<u32>(SYMBOL_TEXTS) + (ref << 2));
  if (text == NO_ENTRY) return 0;
  return text != 0 ? text : findText(ref);
}

/** The entry of the text of this symbol; it gets one when it has none. There must be room. */
export function enterText(ref: u32): u32 {
  let text = textOf(ref);
  if (text != 0) return text;
  // Another symbol may have the same text, and may have been entered since this one was looked up.
  text = findText(ref);
  if (text != 0) return text;
  // `findText` has hashed it.
  text = addEntry(sizeOf(ref), OF_TEXT, 0);
  store<u32>(load<u32>(SYMBOL_TEXTS) + (ref << 2), text);
  return text;
}

/** The string of this symbol in the dictionary, or -1 when that is not known. Ref 0 is no text. */
@inline
export function stringOf(ref: u32): i32 {
  if (ref == 0) return 0;
  const text = textOf(ref);
  return text == 0 ? -1 : load<i32>(entryAt(text), ENTRY_SERIES) - 1;
}

/** Bytes of this symbol. */
@inline
export function sizeOf(ref: u32): u32 {
  return load<u32>(load<u32>(SYMBOL_ENDS) + (ref << 2)) - load<u32>(load<u32>(SYMBOLS) + (ref << 2));
}

/** As `textOf`, for who has seen that it was not looked up in this request; or was, and may have come since. */
export function findText(ref: u32): u32 {
  hashBlock(load<u32>(load<u32>(SYMBOLS) + (ref << 2)), sizeOf(ref));
  const text = findEntry(sizeOf(ref), OF_TEXT);
  store<u32>(load<u32>(SYMBOL_TEXTS) + (ref << 2), text != 0 ? text : NO_ENTRY);
  return text;
}
