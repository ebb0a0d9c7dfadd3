import { hash0, hash1, hashBlock } from './block-hash';
import {
  AT, COLUMN_ROWS, DONE, END, ENTRIES, ENTRY_BYTES, ENTRY_COUNT, ENTRY_LENGTH, ENTRY_NEXT, ENTRY_SERIES, ENTRY_TENANT,
  FIELD_END,
  FIELDS_LEFT, FOUND, FULL, LABELS_END, LABELS_START, LAST_ENTRY, LAST_SERIES, LAST_TIME, NEWEST, ODD, OUT_ROWS, ROWS,
  ROWS_LEFT, SAMPLES, SERIES_END, SLOT_MASK, SLOTS, TENANT, TIME_END, UNKNOWN, VALUE_COLUMN,
} from './layout';
import { uncompressBlock } from './snappy';

/** For tests. */
export { hash0, hash1, hashBlock };

/**
 * The inner loop on the way in, as `ingestV1` of ../ingest-v1.ts: from the bytes of a `WriteRequest` to columns of
 * samples. It takes known series with plain samples; whatever else there is, errors among it, is handed back to the
 * TypeScript, one field at a time, so the order of rows and the words of errors have one source.
 *
 * ../ingest-wasm.ts drives it, and layout.ts says where things stand. Nothing here trusts a length: each is held
 * against the end of what it is part of, which is within the memory.
 */

const MOST_ROWS: u32 = COLUMN_ROWS;

/** The time of the sample before, as it was encoded: senders write one time over and over. */
let seenTimeBytes: u64 = 0;
let seenTimeSize: u32 = 0;
let seenTime: i64 = 0;

/** The last word that `plainSample` read the time from, its size in bytes, and the value of the sample. */
let timeAt: usize = 0;
let timeSize: u32 = 0;
let value: u64 = 0;

export function uncompress(source: usize, end: usize, target: usize, total: u32): i32 {
  return uncompressBlock(source, end, target, total) ? 1 : 0;
}

/** Goes on at `AT`; returns why it stopped. */
export function run(): i32 {
  const end = load<u32>(END);
  let at = load<u32>(AT);
  let fieldsLeft = load<u32>(FIELDS_LEFT);
  let status = DONE;
  while (at < end) {
    // `AT` is behind the last field that was taken, whatever ends the loop.
    store<u32>(LABELS_END, 0);
    store<i32>(FOUND, -1);
    if (fieldsLeft == 0 || load<u8>(at) != 0x0a) {
      status = ODD;
      break;
    }
    let start = at + 1;
    let size = <u32>load<u8>(start++);
    if (size >= 0x80) {
      let more = <u32>load<u8>(start++);
      size = (size & 0x7f) | ((more & 0x7f) << 7);
      if (more >= 0x80) {
        more = <u32>load<u8>(start++);
        size |= (more & 0x7f) << 14;
        if (more >= 0x80) {
          status = ODD;
          break;
        }
      }
    }
    if (start > end || size > end - start) {
      status = ODD;
      break;
    }
    const fieldEnd = start + size;

    const entry = lookUp(start, fieldEnd);
    if (entry < 0) {
      status = ODD;
      break;
    }
    const labelsEnd = load<u32>(LABELS_END);
    const series = entry == 0 ? -1 : load<i32>(entryAt(entry), ENTRY_SERIES);

    let rows: u32 = 1;
    const plain = plainSample(labelsEnd, fieldEnd);
    if (plain != fieldEnd) rows = plain == 0 ? 0 : plainSamples(plain, fieldEnd);
    if (rows == 0 || rows > MOST_ROWS || <i32>rows > load<i32>(ROWS_LEFT) - load<i32>(SAMPLES)) {
      if (entry != 0) expectNext(entry);
      store<i32>(FOUND, series);
      store<u32>(FIELD_END, fieldEnd);
      status = ODD;
      break;
    }
    if (load<u32>(OUT_ROWS) + rows > MOST_ROWS) {
      status = FULL;
      break;
    }
    if (entry == 0) {
      store<u32>(FIELD_END, fieldEnd);
      store<u32>(ROWS, rows);
      status = UNKNOWN;
      break;
    }
    expectNext(entry);
    if (rows == 1) putRow(series);
    else putRows(labelsEnd, fieldEnd, series);
    fieldsLeft--;
    at = fieldEnd;
  }
  store<u32>(AT, at);
  store<u32>(FIELDS_LEFT, fieldsLeft);
  return status;
}

/** After `UNKNOWN`: the series has this id. Its samples are taken; there must be room in the table. */
export function take(series: u32): void {
  remember(series);
  const fieldEnd = load<u32>(FIELD_END);
  putRows(load<u32>(LABELS_END), fieldEnd, series);
  pass();
}

/** After `UNKNOWN`, or `ODD` when the driver has read the field: on behind the series at hand. */
export function pass(): void {
  store<u32>(AT, load<u32>(FIELD_END));
  store<u32>(FIELDS_LEFT, load<u32>(FIELDS_LEFT) - 1);
}

/** Enters the labels at hand, which `run` found unknown, into the table; there must be room. */
export function remember(series: u32): void {
  const start = load<u32>(LABELS_START);
  const length = load<u32>(LABELS_END) - start;
  hashBlock(start, length);
  const index = load<u32>(ENTRY_COUNT);
  store<u32>(ENTRY_COUNT, index + 1);
  const entry = entryAt(index);
  store<u64>(entry, hash0);
  store<u64>(entry, hash1, 8);
  store<u32>(entry, length, ENTRY_LENGTH);
  store<u32>(entry, series, ENTRY_SERIES);
  store<u32>(entry, 0, ENTRY_NEXT);
  const tenant = load<u32>(TENANT);
  store<u32>(entry, tenant, ENTRY_TENANT);
  place(index, hash0, tenant);
  expectNext(index);
}

/** Fills the slots from the entries; they must be zero. */
export function fillSlots(): void {
  const count = load<u32>(ENTRY_COUNT);
  for (let index: u32 = 1; index < count; index++) {
    const entry = entryAt(index);
    place(index, load<u64>(entry), load<u32>(entry, ENTRY_TENANT));
  }
}

/**
 * The entry of the labels at the start of `[start, fieldEnd)`, which end at `LABELS_END` then: 0 when there is none,
 * -1 when there are no labels, or such as no sender writes.
 */
@inline
function lookUp(start: u32, fieldEnd: u32): i32 {
  // What came behind the series before, the last time: the hash of as many bytes says whether it is that again. No
  // label needs to be looked at then, but for one that might follow.
  const last = load<u32>(LAST_ENTRY);
  const expected = load<u32>(entryAt(last), ENTRY_NEXT);
  const tenant = load<u32>(TENANT);
  let hashed: u32 = 0;
  store<u32>(LABELS_START, start);
  if (expected != 0) {
    const entry = entryAt(expected);
    hashed = load<u32>(entry, ENTRY_LENGTH);
    if (hashed <= fieldEnd - start && load<u32>(entry, ENTRY_TENANT) == tenant) {
      hashBlock(start, hashed);
      const stop = start + hashed;
      if (
        load<u64>(entry) == hash0 &&
        load<u64>(entry, 8) == hash1 &&
        (stop == fieldEnd || load<u8>(stop) != 0x0a)
      ) {
        store<u32>(LABELS_END, stop);
        return <i32>expected;
      }
    } else hashed = 0;
  }
  let at = start;
  while (at < fieldEnd && load<u8>(at) == 0x0a) {
    let size = <u32>load<u8>(at, 1);
    at += 2;
    if (size >= 0x80) {
      const more = <u32>load<u8>(at++);
      if (more >= 0x80) return -1;
      size = (size & 0x7f) | (more << 7);
    }
    at += size;
  }
  if (at > fieldEnd || at == start) return -1;
  store<u32>(LABELS_END, at);
  const length = at - start;
  if (length != hashed) hashBlock(start, length);
  const mask = load<u32>(SLOT_MASK);
  const slots = load<u32>(SLOTS);
  let slot = slotOf(hash0, tenant) & mask;
  while (true) {
    const index = load<u32>(slots + (slot << 2));
    if (index == 0) return 0;
    const entry = entryAt(index);
    if (
      load<u64>(entry) == hash0 &&
      load<u64>(entry, 8) == hash1 &&
      load<u32>(entry, ENTRY_LENGTH) == length &&
      load<u32>(entry, ENTRY_TENANT) == tenant
    ) {
      return <i32>index;
    }
    slot = (slot + 1) & mask;
  }
}

@inline
function entryAt(index: u32): usize {
  return load<u32>(ENTRIES) + index * ENTRY_BYTES;
}

@inline
function expectNext(index: u32): void {
  store<u32>(entryAt(load<u32>(LAST_ENTRY)), index, ENTRY_NEXT);
  store<u32>(LAST_ENTRY, index);
}

/** Where the search begins: apart for the tenants, whose labels are often the same. */
@inline
function slotOf(hash: u64, tenant: u32): u32 {
  return <u32>hash ^ (tenant * 0x9e3779b1);
}

function place(index: u32, hash: u64, tenant: u32): void {
  const mask = load<u32>(SLOT_MASK);
  const slots = load<u32>(SLOTS);
  let slot = slotOf(hash, tenant) & mask;
  while (load<u32>(slots + (slot << 2)) != 0) slot = (slot + 1) & mask;
  store<u32>(slots + (slot << 2), index);
}

/**
 * Where the `samples` field at `at` ends, or 0 when it is in neither of the two layouts that senders write:
 *
 *     12 <len> 09 <8 bytes> 10 <varint>
 *     12 <len> 10 <varint>                the value is 0 and left out
 *
 * Leaves the value in `value` and where the time stands in `timeAt` and `timeSize`.
 */
@inline
function plainSample(at: u32, end: u32): u32 {
  if (end - at < 4 || load<u8>(at) != 0x12) return 0;
  const size = <u32>load<u8>(at, 1);
  const stop = at + 2 + size;
  if (size < 2 || size > 20 || stop > end) return 0;
  if (load<u8>(at, 2) == 0x09) {
    if (size < 11 || load<u8>(at, 11) != 0x10) return 0;
    value = load<u64>(at, 3);
    timeAt = at + 12;
  } else {
    if (size > 11 || load<u8>(at, 2) != 0x10) return 0;
    value = 0;
    timeAt = at + 3;
  }
  timeSize = stop - <u32>timeAt;
  return readTime() ? stop : 0;
}

/** How many more plain samples fill `[at, end)`, with one for the sample before; 0 when there is something else. */
function plainSamples(at: u32, end: u32): u32 {
  let rows: u32 = 1;
  while (at < end) {
    at = plainSample(at, end);
    if (at == 0) return 0;
    rows++;
  }
  return rows;
}

/** Reads the varint at `timeAt` into `seenTime`; false unless it has `timeSize` bytes. */
@inline
function readTime(): bool {
  const size = timeSize;
  if (size <= 8) {
    const bytes = load<u64>(timeAt) & (<u64>-1 >> ((8 - size) << 3));
    if (bytes == seenTimeBytes && size == seenTimeSize) return true;
    const high = (<u64>0x8080808080808080 >> ((8 - size) << 3)) ^ (<u64>0x80 << ((size - 1) << 3));
    if ((bytes & 0x8080808080808080) != high) return false;
    seenTimeBytes = bytes;
    seenTimeSize = size;
    let bits = bytes & 0x7f7f7f7f7f7f7f7f;
    bits = (bits & 0x007f007f007f007f) | ((bits & 0x7f007f007f007f00) >> 1);
    bits = (bits & 0x00003fff00003fff) | ((bits & 0x3fff00003fff0000) >> 2);
    seenTime = <i64>((bits & 0x000000000fffffff) | ((bits & 0x0fffffff00000000) >> 4));
    return true;
  }
  return readLongTime(size);
}

function readLongTime(size: u32): bool {
  let bits: u64 = 0;
  for (let i: u32 = 0; i < size; i++) {
    const byte = <u64>load<u8>(timeAt + i);
    if ((byte >= 0x80) != (i + 1 < size)) return false;
    // Of the tenth byte one bit counts: the others are shifted out.
    bits |= (byte & 0x7f) << (7 * i);
  }
  seenTimeSize = 0;
  seenTime = <i64>bits;
  return true;
}

/** Writes the rows of the plain samples in `[at, end)`. */
function putRows(at: u32, end: u32, series: u32): void {
  while (at < end) {
    at = plainSample(at, end);
    putRow(series);
  }
}

/** Writes a row of the sample that was read last, in the encoding of `RowBatch`. */
@inline
function putRow(series: u32): void {
  const row = load<u32>(OUT_ROWS);
  store<u64>(VALUE_COLUMN + (row << 3), value);
  store<u32>(OUT_ROWS, row + 1);
  store<u32>(SAMPLES, load<u32>(SAMPLES) + 1);

  const step = <i32>series - load<i32>(LAST_SERIES);
  store<u32>(LAST_SERIES, series);
  const seriesEnd = load<u32>(SERIES_END);
  store<u32>(SERIES_END, putVarint(seriesEnd, <u64><u32>((step << 1) ^ (step >> 31))));

  const time = seenTime;
  const timeEnd = load<u32>(TIME_END);
  const change = time - load<i64>(LAST_TIME);
  if (change == 0) {
    store<u8>(timeEnd, 0);
    store<u32>(TIME_END, timeEnd + 1);
  } else {
    store<i64>(LAST_TIME, time);
    store<u32>(TIME_END, putVarint(timeEnd, <u64>((change << 1) ^ (change >> 63))));
  }
  // Looked at even when the time is that of the row before, which may be one of another request.
  if (time > load<i64>(NEWEST)) store<i64>(NEWEST, time);
}

@inline
function putVarint(at: u32, number: u64): u32 {
  while (number >= 0x80) {
    store<u8>(at++, <u8>number | 0x80);
    number >>= 7;
  }
  store<u8>(at, <u8>number);
  return at + 1;
}
