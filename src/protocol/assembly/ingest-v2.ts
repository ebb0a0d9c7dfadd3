import { hashBlock } from './block-hash';
import {
  AT, CAPACITY, DONE, END, ENTRY_COUNT, ENTRY_LENGTH, ENTRY_NEXT, ENTRY_SERIES, ENTRY_TENANT, FIELD_END, FOUND, FULL,
  HELP, LABEL_REFS, LABEL_TEXTS, LABELS_END, LABELS_START, LAST_ENTRY, METADATA, METADATA_BYTES, METADATA_ROOM,
  MOST_REFS, MOST_TEXT, ODD, OF_REFS, OUT_ROWS, REF_COUNT, REFS, ROOM, ROWS, ROWS_LEFT, SAID, SAMPLES, SAMPLES_END,
  SYMBOL_COUNT, SYMBOL_TEXTS, TENANT, TYPE, UNIT, UNKNOWN,
} from './layout';
import { MOST_ROWS, plainSample, putRow, putRows } from './samples';
import { enterText, field, fieldStart, findText, NO_ENTRY, sizeOf, stringOf } from './symbols';
import { addEntry, entryAt, expectNext, findEntry, hasHash } from './table';

/**
 * The same for remote write 2.0, as `usualSeries` of ../ingest-v2.ts: known series with plain samples, whose metadata
 * is what is stored. ../ingest-wasm-v2.ts drives it.
 *
 * The labels of a series become the entries of their texts, and these as a block are looked up in the table, as label
 * blocks are. So no text is touched again behind its first use in a request, but to be entered. Nothing is entered
 * before the driver has found the series to be valid: what is refused takes no room.
 */

/** What `number` has read. */
let read: u32 = 0;

/** Goes on at `AT`; returns why it stopped. `scan` has been through the fields. */
export function runV2(): i32 {
  const end = load<u32>(END);
  let at = load<u32>(AT);
  let status = DONE;
  while (at < end) {
    const isSeries = load<u8>(at) == 0x2a;
    const stop = field(at, end);
    if (isSeries) {
      status = takeSeries(fieldStart, stop);
      if (status != DONE) break;
    }
    at = stop;
  }
  store<u32>(AT, at);
  return status;
}

/** After `UNKNOWN` or `SAID`: the series has this id. Its samples are taken. */
export function takeV2(series: u32): void {
  putRows(load<u32>(LABELS_END), load<u32>(SAMPLES_END), series);
  store<u32>(AT, load<u32>(FIELD_END));
}

/** After `UNKNOWN`: enters the labels at hand, with this series, into the table, where there is room. */
export function rememberRefs(series: u32): void {
  const count = load<u32>(REF_COUNT);
  for (let i: u32 = 0; i < count; i++) {
    store<u32>(LABEL_TEXTS + (i << 2), enterText(load<u32>(LABEL_REFS + (i << 2))));
  }
  const length = count << 2;
  const space = load<u32>(TENANT) | OF_REFS;
  hashBlock(LABEL_TEXTS, length);
  // It is there when these symbols are others with the texts of a known series.
  const known = findEntry(length, space);
  expectNext(known != 0 ? known : addEntry(length, space, series));
}

/** The text of this symbol is this string of the dictionary; there must be room. */
export function learnText(ref: u32, string: u32): void {
  store<u32>(entryAt(enterText(ref)), string + 1, ENTRY_SERIES);
}

/**
 * Takes the series in `[start, end)`, in this layout and no other:
 *
 *     0a <len> refs
 *     12 <len> sample                                    one or more, as `plainSample` has it
 *     2a <len> 08 <varint> 18 <varint> 20 <varint>       metadata, or none; each of its fields may be left out
 */
@inline
function takeSeries(start: u32, end: u32): i32 {
  store<u32>(LABELS_START, start);
  store<u32>(FIELD_END, end);
  let refs = start + 2;
  let size = <u32>load<u8>(start, 1);
  if (size >= 0x80) {
    const more = <u32>load<u8>(refs++);
    if (more >= 0x80) return ODD;
    size = (size & 0x7f) | (more << 7);
  }
  const refsEnd = refs + size;
  if (load<u8>(start) != 0x0a || refsEnd > end) return ODD;

  let rows: u32 = 1;
  let at = plainSample(refsEnd, end);
  if (at == 0) return ODD;
  let samplesEnd = at;
  while (at < end && load<u8>(at) == 0x12) {
    at = plainSample(at, end);
    if (at == 0) return ODD;
    samplesEnd = at;
    rows++;
  }

  let type: u32 = 0;
  let help: u32 = 0;
  let unit: u32 = 0;
  if (at < end) {
    if (load<u8>(at) != 0x2a || at + 2 + <u32>load<u8>(at, 1) != end) return ODD;
    at += 2;
    if (at < end && load<u8>(at) == 0x08) {
      at = number(at + 1, end);
      type = read;
    }
    if (at < end && load<u8>(at) == 0x18) {
      at = number(at + 1, end);
      help = read;
    }
    if (at < end && load<u8>(at) == 0x20) {
      at = number(at + 1, end);
      unit = read;
    }
    if (at != end) return ODD;
    const symbols = load<u32>(SYMBOL_COUNT);
    if ((help != 0 && help >= symbols) || (unit != 0 && unit >= symbols)) return ODD;
  }
  if (rows > MOST_ROWS || <i32>rows > load<i32>(ROWS_LEFT) - load<i32>(SAMPLES)) return ODD;
  if (load<u32>(OUT_ROWS) + rows > MOST_ROWS) return FULL;

  const count = readRefs(refs, refsEnd);
  if (count < 2) return ODD;
  const entry = allKnown ? lookUp(count) : 0;
  if (entry == 0) {
    if (load<u32>(ENTRY_COUNT) + count + 1 > load<u32>(CAPACITY)) return ROOM;
    hold(refs, refsEnd, samplesEnd, rows, type, help, unit);
    return UNKNOWN;
  }
  expectNext(entry);
  const series = load<u32>(entryAt(entry), ENTRY_SERIES);
  if (!isStored(series, type, help, unit)) {
    hold(refs, refsEnd, samplesEnd, rows, type, help, unit);
    store<u32>(FOUND, series);
    return SAID;
  }
  if (rows == 1) putRow(series);
  else putRows(refsEnd, samplesEnd, series);
  return DONE;
}

/** Of `readRefs`: all texts have an entry. */
let allKnown: bool = false;

/**
 * Writes the entries of the texts that the refs in `[at, end)` stand for. Returns how many there are; 0 when there are
 * too many, an odd number of them, or some that are outside of the symbols.
 */
@inline
function readRefs(at: u32, end: u32): u32 {
  const symbols = load<u32>(SYMBOL_COUNT);
  const most = load<u32>(MOST_REFS);
  const texts = load<u32>(SYMBOL_TEXTS);
  let count: u32 = 0;
  allKnown = true;
  while (at < end) {
    let ref = <u32>load<u8>(at++);
    if (ref >= 0x80) {
      const more = <u32>load<u8>(at++);
      ref = (ref & 0x7f) | ((more & 0x7f) << 7);
      if (more >= 0x80) {
        const last = <u32>load<u8>(at++);
        if (last >= 0x80) return 0;
        ref |= last << 14;
      }
    }
    if (ref >= symbols || count == most) return 0;
    let text = load<u32>(texts + (ref << 2));
    // Both 0 and `NO_ENTRY`: one comparison for all texts that are known.
    if (<i32>text <= 0) {
      if (text != NO_ENTRY) text = findText(ref);
      if (<i32>text <= 0) allKnown = false;
    }
    store<u32>(LABEL_TEXTS + (count << 2), text);
    count++;
  }
  return at != end || (count & 1) != 0 ? 0 : count;
}

/** The entry of the series with these labels, or 0. */
@inline
function lookUp(count: u32): u32 {
  const length = count << 2;
  const space = load<u32>(TENANT) | OF_REFS;
  hashBlock(LABEL_TEXTS, length);
  const expected = load<u32>(entryAt(load<u32>(LAST_ENTRY)), ENTRY_NEXT);
  if (expected != 0) {
    const entry = entryAt(expected);
    if (
      hasHash(entry) &&
      load<u32>(entry, ENTRY_LENGTH) == length &&
      load<u32>(entry, ENTRY_TENANT) == space
    ) {
      return expected;
    }
  }
  return findEntry(length, space);
}

/** True when this is what is stored for the series. */
@inline
function isStored(series: u32, type: u32, help: u32, unit: u32): bool {
  if (series >= load<u32>(METADATA_ROOM)) return false;
  const at = load<u32>(METADATA) + series * METADATA_BYTES;
  return (
    load<u32>(at) == type &&
    (help == 0 || sizeOf(help) <= load<u32>(MOST_TEXT)) &&
    (unit == 0 || sizeOf(unit) <= load<u32>(MOST_TEXT)) &&
    load<i32>(at, 4) == stringOf(help) &&
    load<i32>(at, 8) == stringOf(unit)
  );
}

/** What the driver has to know of the series at hand. The refs have been read once, so they are well-formed. */
function hold(refs: u32, refsEnd: u32, samplesEnd: u32, rows: u32, type: u32, help: u32, unit: u32): void {
  let count: u32 = 0;
  for (let at = refs; at < refsEnd; count++) {
    at = number(at, refsEnd);
    store<u32>(LABEL_REFS + (count << 2), read);
  }
  store<u32>(REF_COUNT, count);
  store<u32>(LABELS_END, refsEnd);
  store<u32>(SAMPLES_END, samplesEnd);
  store<u32>(ROWS, rows);
  store<u32>(TYPE, type);
  store<u32>(HELP, help);
  store<u32>(UNIT, unit);
}

/** Reads the varint at `at` into `read`, and returns where it ends: behind `end` when it has more than five bytes. */
@inline
function number(at: u32, end: u32): u32 {
  read = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = <u32>load<u8>(at++);
    read |= (byte & 0x7f) << shift;
    if (byte < 0x80) return at;
  }
  return end + 1;
}
