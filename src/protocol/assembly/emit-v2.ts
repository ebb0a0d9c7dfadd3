/*
 * Emission of remote write 2.0 bodies of samples, as `PlainEmitterV2` in ../emit-v2.ts does it and tells why; byte for
 * byte the same bodies (test/protocol/emit-v2-wasm.test.ts holds them against each other).
 *
 * An instance serves one dictionary, as in emit.ts. The records of ../symbol-columns.ts stand in its memory beside the
 * labels; ../symbol-table.ts has filled in what they say of the dictionary, and here is noted what they say of a request.
 *
 *     rows of a request, `count` each:
 *     time u64 | value u64 | start time u64 | series u32 | family + 1 u32 | length of its refs u32 | of its TimeSeries u32 |
 *     skip u8 | kind u8                                       (start times are there only when one of them is not 0)
 *
 * No write goes outside of the message, the lengths, the list of symbols and the marks of known records: each is held
 * against its end, and a failure ends in a trap.
 */

import { compressBlock } from './compress';
import { putVarint, varintSize } from './writer';

/** What `measureV2` returns for rows that are not for this module. */
const NOT_HERE: f64 = -1;
/** Messages are shorter. */
const LONGEST: u64 = 0x7fffffff;

const SLOT: usize = 20;
const STRING: usize = 16;
const FAMILY: usize = 40;
/** Refs are below 2^28: two of them fit eight bytes. */
const MOST_SYMBOLS: u32 = 1 << 28;
/** What a head, or the field of a sample, or that of a family takes at most, and how far beyond its end it may scribble. */
const FIELD: usize = 64;

let labels: usize = 0;
let slotRecords: usize = 0;
let strings: usize = 0;
let families: usize = 0;
let seriesSlots: usize = 0;
let seriesAt: usize = 0;
let slotCount: u32 = 0;
let stringCount: u32 = 0;

// The request under way: its number, its symbols ("" among them), the list of their strings, the bytes of their fields.
let request: u32 = 0;
let symbols: u32 = 0;
let order: usize = 0;
let symbolBytes: u64 = 0;

/** Two refs, or a field of metadata, on their way into a record. */
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
): void {
  labels = labelBytes;
  slotRecords = slotRecordsAt;
  strings = stringsAt;
  families = familiesAt;
  seriesSlots = slotsOfSeries;
  seriesAt = seriesStarts;
}

/**
 * The length of the message of these rows, 0 when there is nothing to send; the lengths of each `TimeSeries` are left at
 * its first row, and the strings of the symbols at `orderAt`, which has room for `strings` words. `NOT_HERE` when a row
 * is no sample, or of no series, or when the message is too long.
 */
export function measureV2(
  rows: usize,
  count: u32,
  started: bool,
  seriesCount: u32,
  slotsInAll: u32,
  stringsInAll: u32,
  familyCount: u32,
  number: u32,
  orderAt: usize,
): f64 {
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
  const refLengths = familyOf + ((<usize>count) << 2);
  const groups = refLengths + ((<usize>count) << 2);
  const skips = groups + ((<usize>count) << 2);
  const kinds = skips + count;
  let total: u64 = 0;
  let i: u32 = 0;
  while (i < count) {
    const start = i;
    i++;
    if (load<u8>(skips + start) != 0) continue;
    const id = load<u32>(ids + ((<usize>start) << 2));
    const family = load<u32>(familyOf + ((<usize>start) << 2));
    if (id >= seriesCount || load<u8>(kinds + start) != 0 || family > familyCount) return NOT_HERE;
    let refs: u32 = 0;
    const end = seriesSlots + ((<usize>load<u32>(seriesAt + ((<usize>id) << 2), 4)) << 2);
    for (let k = seriesSlots + ((<usize>load<u32>(seriesAt + ((<usize>id) << 2))) << 2); k < end; k += 4) {
      const slot = load<u32>(k);
      if (slot >= slotCount) unreachable();
      const record = slotRecords + <usize>slot * SLOT;
      let mark = load<u32>(record, 8);
      if (mark >>> 4 != number) mark = useSlot(record);
      refs += mark & 15;
    }
    let size: u64 = 1 + varintSize(refs) + refs + sampleBytes(times, values, starts, started, start);
    while (i < count) {
      if (load<u8>(skips + i) == 0) {
        if (load<u32>(ids + ((<usize>i) << 2)) != id || load<u8>(kinds + i) != 0) break;
        size += sampleBytes(times, values, starts, started, i);
      }
      i++;
    }
    if (family > 0) size += useFamily(families + <usize>(family - 1) * FAMILY);
    if (size >= LONGEST) return NOT_HERE;
    store<u32>(refLengths + ((<usize>start) << 2), refs);
    store<u32>(groups + ((<usize>start) << 2), <u32>size);
    total += 1 + varintSize(<u32>size) + size;
  }
  if (total == 0) return 0;
  total += symbolBytes;
  return total >= LONGEST ? NOT_HERE : <f64>total;
}

/** Writes the message of these rows, which `measureV2` has seen, at `plain`, with `FIELD` bytes of room behind it. */
export function writeV2(rows: usize, count: u32, started: bool, plain: usize, rawBytes: u32): void {
  const times = rows;
  const values = times + ((<usize>count) << 3);
  const starts = values + ((<usize>count) << 3);
  const ids = starts + (started ? (<usize>count) << 3 : 0);
  const familyOf = ids + ((<usize>count) << 2);
  const refLengths = familyOf + ((<usize>count) << 2);
  const groups = refLengths + ((<usize>count) << 2);
  const skips = groups + ((<usize>count) << 2);
  const end = plain + rawBytes;
  let to = writeSymbols(plain, end);
  let stampTime: u64 = 0;
  let stampLength: u32 = 0;
  let i: u32 = 0;
  while (i < count) {
    const start = i;
    i++;
    if (load<u8>(skips + start) != 0) continue;
    const id = load<u32>(ids + ((<usize>start) << 2));
    if (to > end) unreachable();
    store<u8>(to, 0x2a);
    to = putVarint(to + 1, load<u32>(groups + ((<usize>start) << 2)));
    store<u8>(to, 0x0a);
    const refs = load<u32>(refLengths + ((<usize>start) << 2));
    to = putVarint(to + 1, refs);
    if (to + refs > end) unreachable();
    const last = seriesSlots + ((<usize>load<u32>(seriesAt + ((<usize>id) << 2), 4)) << 2);
    for (let k = seriesSlots + ((<usize>load<u32>(seriesAt + ((<usize>id) << 2))) << 2); k < last; k += 4) {
      const record = slotRecords + <usize>load<u32>(k) * SLOT;
      store<u64>(to, load<u64>(record, 12));
      to += load<u32>(record, 8) & 15;
    }
    let row = start;
    for (;;) {
      if (to > end) unreachable();
      const time = load<u64>(times + ((<usize>row) << 3));
      if (time != stampTime || stampLength == 0) {
        stampTime = time;
        stampLength = <u32>(putVarint64(stamp, 0x10, time) - stamp);
      }
      const value = load<u64>(values + ((<usize>row) << 3));
      const head = to;
      store<u8>(to, 0x12);
      to += 2;
      store<u8>(to, 0x09);
      store<u64>(to, value, 1);
      to += value == 0 ? 0 : 9;
      v128.store(to, v128.load(stamp));
      to += stampLength;
      if (started) {
        const since = load<u64>(starts + ((<usize>row) << 3));
        if (since != 0) to = putVarint64(to, 0x18, since);
      }
      store<u8>(head, <u8>(to - head - 2), 1);
      while (i < count && load<u8>(skips + i) != 0) i++;
      if (i >= count || load<u32>(ids + ((<usize>i) << 2)) != id) break;
      row = i;
      i++;
    }
    const family = load<u32>(familyOf + ((<usize>start) << 2));
    if (family > 0) {
      if (to > end) unreachable();
      const record = families + <usize>(family - 1) * FAMILY;
      v128.store(to, v128.load(record, 16));
      store<u64>(to, load<u64>(record, 32), 16);
      to += load<u32>(record, 12);
    }
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

/** Writes the fields of all symbols; returns their end. */
function writeSymbols(plain: usize, end: usize): usize {
  let to = plain;
  if (to + 2 > end) unreachable();
  store<u16>(to, 0x0022);
  to += 2;
  for (let i: u32 = 1; i < symbols; i++) {
    const record = strings + <usize>load<u32>(order + ((<usize>i) << 2)) * STRING;
    const from = labels + load<u32>(record);
    const length = load<u32>(record, 4);
    if (to + 6 + max<u32>(length, 32) > end + FIELD) unreachable();
    store<u8>(to, 0x22);
    to = putVarint(to + 1, length);
    if (length <= 32) {
      v128.store(to, v128.load(from));
      v128.store(to, v128.load(from, 16), 16);
    } else memory.copy(to, from, length);
    to += length;
  }
  return to;
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

/** Bytes of the field of a sample. */
// @ts-ignore: decorator
@inline
function sampleBytes(times: usize, values: usize, starts: usize, started: bool, row: u32): u32 {
  const time = load<u64>(times + ((<usize>row) << 3));
  const zero = load<u64>(values + ((<usize>row) << 3)) == 0;
  let size: u32 = (zero ? 3 : 12) + (70 - <u32>clz(time | 1)) / 7;
  if (started) {
    const since = load<u64>(starts + ((<usize>row) << 3));
    if (since != 0) size += 1 + (70 - <u32>clz(since | 1)) / 7;
  }
  return size;
}
