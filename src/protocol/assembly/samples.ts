import {
  COLUMN_ROWS, LAST_SERIES, LAST_TIME, NEWEST, OUT_ROWS, SAMPLES, SERIES_END, TIME_END, VALUE_COLUMN,
} from './layout';

/** Plain samples, which both versions write alike, and their way into the columns. */

/** Rows that the columns hold. */
export const MOST_ROWS: u32 = COLUMN_ROWS;

/** The time of the sample before, as it was encoded: senders write one time over and over. */
let seenTimeBytes: u64 = 0;
let seenTimeSize: u32 = 0;
let seenTime: i64 = 0;

/** The last word that `plainSample` read the time from, its size in bytes, and the value of the sample. */
let timeAt: usize = 0;
let timeSize: u32 = 0;
let value: u64 = 0;

/**
 * Where the `samples` field at `at` ends, or 0 when it is in neither of the two layouts that senders write:
 *
 *     12 <len> 09 <8 bytes> 10 <varint>
 *     12 <len> 10 <varint>                the value is 0 and left out
 *
 * Leaves the value in `value` and where the time stands in `timeAt` and `timeSize`.
 */
@inline
export function plainSample(at: u32, end: u32): u32 {
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
export function plainSamples(at: u32, end: u32): u32 {
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
export function putRows(at: u32, end: u32, series: u32): void {
  while (at < end) {
    at = plainSample(at, end);
    putRow(series);
  }
}

/** Writes a row of the sample that was read last, in the encoding of `RowBatch`. */
@inline
export function putRow(series: u32): void {
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
