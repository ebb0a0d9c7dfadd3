/*
 * Emission of remote write 2.0 bodies of samples and histograms, as `PlainEmitterV2` in ../emit-v2.ts does it and tells
 * why; byte for byte the same bodies (test/protocol/emit-v2-wasm.test.ts holds them against each other).
 *
 * An instance serves one dictionary, as in emit.ts. The records of ../symbol-columns.ts stand in its memory beside the
 * labels; ../symbol-table.ts has filled in what they say of the dictionary, and here is noted what they say of a
 * request.
 *
 *     rows of a request, `count` each:
 *     time u64 | value u64 | start time u64 | series u32 | family + 1 u32 | payload u32, its length u32 | skip u8 | kind u8
 *                       (start times are there only when one of them is not 0, payloads where not all rows are samples)
 *
 * Where TypeScript measures first and then writes, all of it is done at once here: a length is written in the one byte
 * that it takes nearly always, and what is behind it moves when it takes more; and the symbols, of which nobody knows
 * how many they are before all rows are written, go before the rows, from behind.
 *
 * No write goes outside of the message, the list of symbols and the marks of known records: each is held against its
 * end, and a failure ends in a trap.
 */

import { compressBlock } from './compress';
import { HISTOGRAM, hasPayloads, payloadOf, payloadSize, takePayloads } from './payloads';
import { putVarint, varintSize } from './writer';

const SLOT: usize = 20;
const STRING: usize = 16;
const FAMILY: usize = 40;
/** Refs are below 2^28: two of them fit eight bytes. */
const MOST_SYMBOLS: u32 = 1 << 28;
/** The field of a sample or of a family, or the head of a TimeSeries with what it moves by, takes less. */
const FIELD: usize = 64;

let labels: usize = 0;
let slotRecords: usize = 0;
let strings: usize = 0;
let families: usize = 0;
let seriesSlots: usize = 0;
let seriesAt: usize = 0;
let seriesBytes: usize = 0;
let slotCount: u32 = 0;
let stringCount: u32 = 0;

// The request under way: its number, its symbols ("" among them), the list of their strings, the bytes of their fields.
let request: u32 = 0;
let symbols: u32 = 0;
let order: usize = 0;
let symbolBytes: u64 = 0;

/** Two refs, or a field of metadata, on their way into a record; the times of a histogram on their way out. */
const code: usize = memory.data(32, 16);
/** The field of the time of the row before. */
const stamp: usize = memory.data(16, 16);

/** Tells where the columns of the dictionary stand, and those of its symbols. */
export function placeV2(
  labelBytes: usize,
  slotRecordsAt: usize,
  stringsAt: usize,
  familiesAt: usize,
  slotsOfSeries: usize,
  seriesStarts: usize,
  seriesLengths: usize,
): void {
  labels = labelBytes;
  slotRecords = slotRecordsAt;
  strings = stringsAt;
  families = familiesAt;
  seriesSlots = slotsOfSeries;
  seriesAt = seriesStarts;
  seriesBytes = seriesLengths;
}

/** At least the bytes of all `TimeSeries` of these rows, and of what is scribbled over behind them. */
export function roomV2(rows: usize, count: u32, started: bool, seriesCount: u32): f64 {
  const ids = rows + ((<usize>count) << 4) + (started ? (<usize>count) << 3 : 0);
  takePayloads(ids + ((<usize>count) << 3), count);
  // Two refs take at most eight bytes, and the label that they stand for at least seven.
  let total: u64 = FIELD;
  for (let i: u32 = 0; i < count; i++) {
    const id = load<u32>(ids + ((<usize>i) << 2));
    if (id < seriesCount) total += (<u64>load<u32>(seriesBytes + ((<usize>id) << 2)) * 8) / 7 + 3 * FIELD;
    if (hasPayloads(HISTOGRAM)) total += payloadSize(i);
  }
  return <f64>total;
}

/**
 * Writes all `TimeSeries` of these rows at `area` and before `areaEnd`, and returns their end; 0 when one is neither
 * sample nor histogram, or of no series. The strings of the symbols are left at `orderAt`, which has room for `strings`
 * words.
 */
export function writeV2(
  rows: usize,
  count: u32,
  started: bool,
  seriesCount: u32,
  slotsInAll: u32,
  stringsInAll: u32,
  familyCount: u32,
  number: u32,
  orderAt: usize,
  area: usize,
  areaEnd: usize,
): usize {
  slotCount = slotsInAll;
  stringCount = stringsInAll;
  request = number;
  order = orderAt;
  symbols = 1;
  symbolBytes = 2;
  const times = rows;
  const values = times + ((<usize>count) << 3);
  const starts = values + ((<usize>count) << 3);
  const ids = starts + (started ? (<usize>count) << 3 : 0);
  const familyOf = ids + ((<usize>count) << 2);
  const skips = takePayloads(familyOf + ((<usize>count) << 2), count);
  const kinds = skips + count;
  let to = area;
  let stampTime: u64 = 0;
  let stampLength: u32 = 0;
  let i: u32 = 0;
  while (i < count) {
    const start = i;
    i++;
    if (load<u8>(skips + start) != 0) continue;
    const id = load<u32>(ids + ((<usize>start) << 2));
    const family = load<u32>(familyOf + ((<usize>start) << 2));
    const kind: u32 = load<u8>(kinds + start);
    const isHistogram = kind == HISTOGRAM && hasPayloads(HISTOGRAM);
    if (id >= seriesCount || (kind != 0 && !isHistogram) || family > familyCount) return 0;
    let k = seriesSlots + ((<usize>load<u32>(seriesAt + ((<usize>id) << 2))) << 2);
    const last = seriesSlots + ((<usize>load<u32>(seriesAt + ((<usize>id) << 2), 4)) << 2);
    if (to + ((last - k) << 1) + FIELD > areaEnd) unreachable();

    // 2a <len> 0a <len> refs
    const head = to;
    store<u8>(to, 0x2a);
    store<u8>(to, 0x0a, 2);
    to += 4;
    for (; k < last; k += 4) {
      const slot = load<u32>(k);
      if (slot >= slotCount) unreachable();
      const record = slotRecords + <usize>slot * SLOT;
      let mark = load<u32>(record, 8);
      if (mark >>> 4 != number) mark = useSlot(record);
      store<u64>(to, load<u64>(record, 12));
      to += mark & 15;
    }
    to = putLength(head + 3, to);

    let row = start;
    for (;;) {
      if (to + FIELD > areaEnd) unreachable();
      const time = load<u64>(times + ((<usize>row) << 3));
      const since: u64 = started ? load<u64>(starts + ((<usize>row) << 3)) : 0;
      if (isHistogram) {
        if (<u64>payloadSize(row) + to + FIELD > areaEnd) unreachable();
        to = putHistogram(to, row, time, since);
        while (i < count && load<u8>(skips + i) != 0) i++;
        if (i >= count || load<u32>(ids + ((<usize>i) << 2)) != id || load<u8>(kinds + i) != kind) break;
        row = i;
        i++;
        continue;
      }
      if (time != stampTime || stampLength == 0) {
        stampTime = time;
        stampLength = <u32>(putVarint64(stamp, 0x10, time) - stamp);
      }
      const value = load<u64>(values + ((<usize>row) << 3));
      const field = to;
      store<u8>(to, 0x12);
      to += 2;
      store<u8>(to, 0x09);
      store<u64>(to, value, 1);
      to += value == 0 ? 0 : 9;
      v128.store(to, v128.load(stamp));
      to += stampLength;
      if (since != 0) to = putVarint64(to, 0x18, since);
      store<u8>(field, <u8>(to - field - 2), 1);
      while (i < count && load<u8>(skips + i) != 0) i++;
      if (i >= count || load<u32>(ids + ((<usize>i) << 2)) != id || load<u8>(kinds + i) != kind) break;
      row = i;
      i++;
    }

    if (family > 0) {
      if (to + FIELD > areaEnd) unreachable();
      const record = families + <usize>(family - 1) * FAMILY;
      const length = useFamily(record);
      v128.store(to, v128.load(record, 16));
      store<u64>(to, load<u64>(record, 32), 16);
      to += length;
    }
    if (to + FIELD > areaEnd) unreachable();
    to = putLength(head + 1, to);
  }
  return to;
}

/** Bytes of the symbols of the rows that `writeV2` has written. */
export function symbolsV2(): f64 {
  return <f64>symbolBytes;
}

/** Writes them at `start`; their end is `end`. */
export function writeSymbolsV2(start: usize, end: usize): void {
  let to = start;
  if (to + 2 > end) unreachable();
  store<u16>(to, 0x0022);
  to += 2;
  for (let i: u32 = 1; i < symbols; i++) {
    const record = strings + <usize>load<u32>(order + ((<usize>i) << 2)) * STRING;
    const from = labels + load<u32>(record);
    const length = load<u32>(record, 4);
    const body = to + 1 + varintSize(length);
    if (body + length > end) unreachable();
    store<u8>(to, 0x22);
    putVarint(to + 1, length);
    to = body + length;
    // Behind the last symbols there are rows, which must not be scribbled over.
    if (length <= 32 && body + 32 <= end) {
      v128.store(body, v128.load(from));
      v128.store(body, v128.load(from, 16), 16);
    } else memory.copy(body, from, length);
  }
  if (to != end) unreachable();
}

/**
 * Compresses the message at `plain`, which has 64 bytes behind it, to `out` and before `outEnd`; returns its end.
 * `table` has room for 64 KiB.
 */
export function compressV2(plain: usize, rawBytes: u32, table: usize, out: usize, outEnd: usize): usize {
  return compressBlock(plain, rawBytes, table, putVarint(out, rawBytes), outEnd);
}

/** Writes the field of a histogram, which there is room for; returns its end. */
function putHistogram(start: usize, row: u32, time: u64, since: u64): usize {
  const from = payloadOf(row);
  const size = payloadSize(row);
  let end = putVarint64(code, 0x78, time);
  if (since != 0) {
    store<u8>(end, 0x88);
    end = putVarint64(end + 1, 0x01, since);
  }
  const behind = <u32>(end - code);
  store<u8>(start, 0x1a);
  const to = putVarint(start + 1, size + behind);
  memory.copy(to, from, size);
  memory.copy(to + size, code, behind);
  return to + size + behind;
}

/** Writes the length of what ends at `end`, in the byte at `at` or, moving the rest, in more; returns its end. */
// @ts-ignore: decorator
@inline
function putLength(at: usize, end: usize): usize {
  const length = <u32>(end - at - 1);
  if (length < 0x80) {
    store<u8>(at, <u8>length);
    return end;
  }
  const more = varintSize(length) - 1;
  memory.copy(at + 1 + more, at + 1, length);
  putVarint(at, length);
  return end + more;
}

/** Makes the refs of a slot that is new in this request; returns its mark. */
function useSlot(record: usize): u32 {
  const name = refOf(load<u32>(record));
  const value = refOf(load<u32>(record, 4));
  const length = <u32>(putVarint(putVarint(code, name), value) - code);
  store<u64>(record, load<u64>(code), 12);
  const mark = (request << 4) | length;
  store<u32>(record, mark, 8);
  return mark;
}

/** Makes the field `metadata` of a family when it is new in this request; returns its length. */
function useFamily(record: usize): u32 {
  if (load<u32>(record, 8) == request) return load<u32>(record, 12);
  const type = load<u32>(record);
  const slot = load<u32>(record, 4);
  if (slot >= slotCount) unreachable();
  const help = refOf(load<u32>(slotRecords + <usize>slot * SLOT));
  const unit = refOf(load<u32>(slotRecords + <usize>slot * SLOT, 4));
  let to = code + 2;
  if (type > 0) {
    store<u8>(to, 0x08);
    to = putVarint(to + 1, type);
  }
  if (help > 0) {
    store<u8>(to, 0x18);
    to = putVarint(to + 1, help);
  }
  if (unit > 0) {
    store<u8>(to, 0x20);
    to = putVarint(to + 1, unit);
  }
  store<u8>(code, 0x2a);
  store<u8>(code, <u8>(to - code - 2), 1);
  memory.copy(record + 16, code, 24);
  const length = to > code + 2 ? <u32>(to - code) : 0;
  store<u32>(record, request, 8);
  store<u32>(record, length, 12);
  return length;
}

/** The ref of a string of the dictionary. */
function refOf(string: u32): u32 {
  if (string == 0) return 0;
  if (string >= stringCount) unreachable();
  const record = strings + <usize>string * STRING;
  if (load<u32>(record, 8) == request) return load<u32>(record, 12);
  // Each string is listed once, and string 0 never: the list has room.
  if (symbols >= min(stringCount, MOST_SYMBOLS)) unreachable();
  const ref = symbols++;
  store<u32>(order + ((<usize>ref) << 2), string);
  store<u32>(record, request, 8);
  store<u32>(record, ref, 12);
  const length = load<u32>(record, 4);
  symbolBytes += 1 + varintSize(length) + length;
  return ref;
}

/** Writes a tag and a varint of 64 bits; returns its end. */
function putVarint64(start: usize, tag: u8, value: u64): usize {
  let to = start;
  store<u8>(to++, tag);
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) store<u8>(to++, (<u32>rest & 0x7f) | 0x80);
  store<u8>(to++, <u32>rest);
  return to;
}
