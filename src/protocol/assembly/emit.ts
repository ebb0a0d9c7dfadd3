/*
 * Emission of remote write 1.0 bodies of samples, as `EmitterV1` in ../emit-v1.ts does it and tells why; byte for byte
 * the same bodies (test/protocol/emit-wasm.test.ts holds them against each other).
 *
 * An instance serves one dictionary, whose columns it has in its memory (../emit-wasm.ts lays it out):
 *
 *     static data | columns of the dictionary, as blocks | rows | body          (the last two anew for each body)
 *
 *     rows of a request, `count` each:
 *     time u64 | value u64 | series u32 | length of its TimeSeries u32 | skip u8 | kind u8
 *
 * No write goes outside of the body, the lengths, the positions of known slots and the static data: each is held
 * against its end, and a failure ends in a trap.
 */

/** How far back a short copy reaches, and how long bytes further away must be to be worth a long one. */
const NEAR: u32 = 65535;
const FAR_MINIMUM: u32 = 8;

/** What a literal with a tag of one byte holds. */
const LITERAL: u32 = 60;
/** Bytes move sixteen at a time, and may be scribbled over so far behind their end. */
const SLACK: usize = 16;

/** A small table of the last values by hash: their bits, and where they stood. */
const VALUES: u32 = 256;
const valueBits: usize = memory.data(VALUES << 3, 16);
const valueAt: usize = memory.data(VALUES << 2, 16);
/** The time field of the row before: tag and varint. */
const stamp: usize = memory.data(32, 16);

/** What `measure` returns for rows that are not for this module. */
const NOT_HERE: f64 = -1;
/** Messages are shorter. */
const LONGEST: u64 = 0x7fffffff;

// Columns of the dictionary.
let labels: usize = 0;
let slotAt: usize = 0;
let slotSeen: usize = 0;
let seriesSlots: usize = 0;
let seriesAt: usize = 0;
let seriesBytes: usize = 0;
let slots: u32 = 0;
let series: u32 = 0;

/** Where the next byte of the body goes, and the end of its room. */
let op: usize = 0;
let end: usize = 0;
/** Where the tag of the open literal stands, or 0. */
let literal: usize = 0;
/** The copy that has not been written yet, while its length is above 0. */
let copyOffset: u32 = 0;
let copyLength: u32 = 0;
/** Where the next byte of the message goes, counted from a base that grows from body to body. */
let at: u32 = 0;

/** The first address that the dictionary may use. */
export function heapBase(): usize {
  return __heap_base;
}

/** Tells where the columns of the dictionary stand; `slotSeen` is the position of each slot, 0 for a new one. */
export function place(
  labelBytes: usize,
  slotStarts: usize,
  slotPositions: usize,
  slotsOfSeries: usize,
  seriesStarts: usize,
  seriesLengths: usize,
): void {
  labels = labelBytes;
  slotAt = slotStarts;
  slotSeen = slotPositions;
  seriesSlots = slotsOfSeries;
  seriesAt = seriesStarts;
  seriesBytes = seriesLengths;
}

/** Forgets where the slots stood: for when positions start anew. */
export function forget(slotCount: u32): void {
  memory.fill(slotSeen, 0, (<usize>slotCount) << 2);
}

/**
 * The length of the message of these rows; the length of each `TimeSeries` is left at its first row. `NOT_HERE` when
 * one is no sample, or of no series, or when the message is too long.
 */
export function measure(rows: usize, count: u32, seriesCount: u32): f64 {
  const times = rows;
  const values = times + ((<usize>count) << 3);
  const ids = values + ((<usize>count) << 3);
  const groups = ids + ((<usize>count) << 2);
  const skips = groups + ((<usize>count) << 2);
  const kinds = skips + count;
  let total: u64 = 0;
  let i: u32 = 0;
  while (i < count) {
    const start = i;
    i++;
    if (load<u8>(skips + start) != 0) continue;
    const id = load<u32>(ids + ((<usize>start) << 2));
    if (id >= seriesCount || load<u8>(kinds + start) != 0) return NOT_HERE;
    let size: u64 = load<u32>(seriesBytes + ((<usize>id) << 2));
    size += sampleBytes(times, values, start);
    while (i < count) {
      if (load<u8>(skips + i) == 0) {
        if (load<u32>(ids + ((<usize>i) << 2)) != id || load<u8>(kinds + i) != 0) break;
        size += sampleBytes(times, values, i);
      }
      i++;
    }
    if (size >= LONGEST) return NOT_HERE;
    store<u32>(groups + ((<usize>start) << 2), <u32>size);
    total += 1 + varintSize(<u32>size) + size;
  }
  return total >= LONGEST ? NOT_HERE : <f64>total;
}

/**
 * Writes the body of these rows, which `measure` has seen, at `out`, and nothing behind `outEnd`; returns its end.
 * `base` is above every position of the bodies before.
 */
export function emit(
  rows: usize,
  count: u32,
  rawBytes: u32,
  base: u32,
  slotCount: u32,
  seriesCount: u32,
  out: usize,
  outEnd: usize,
): usize {
  op = out;
  end = outEnd;
  literal = 0;
  copyLength = 0;
  at = base;
  slots = slotCount;
  series = seriesCount;
  memory.fill(valueAt, 0, VALUES << 2);
  bound(op + 5);
  op = putVarint(op, rawBytes);
  write(rows, count, base);
  flushCopy();
  closeLiteral();
  return op;
}

function write(rows: usize, count: u32, base: u32): void {
  const times = rows;
  const values = times + ((<usize>count) << 3);
  const ids = values + ((<usize>count) << 3);
  const groups = ids + ((<usize>count) << 2);
  const skips = groups + ((<usize>count) << 2);
  let stampTime: u64 = 0;
  let stampLength: u32 = 0;
  let stampSince: u32 = 0;
  // Where the same bytes stood in the row before.
  let headAt: u32 = 0;
  let headSize: u32 = 0;
  let prefixAt: u32 = 0;
  let lastPrefixSize: u32 = 0;
  let tailAt: u32 = 0;
  // The slots of the series before.
  let above: usize = 0;
  let aboveEnd: usize = 0;
  let i: u32 = 0;
  while (i < count) {
    const start = i;
    i++;
    if (load<u8>(skips + start) != 0) continue;
    const id = load<u32>(ids + ((<usize>start) << 2));
    const size = load<u32>(groups + ((<usize>start) << 2));
    if (id >= series) unreachable();

    // Behind a copied time the copy may go on through the head of this series, or through its tag alone.
    const headLength = 1 + varintSize(size);
    if (!extendsCopy(headAt)) putHead(0x0a, size);
    else if (size == headSize) repeat(headAt, headLength);
    else {
      repeat(headAt, 1);
      putLength(size);
    }
    headAt = at - headLength;
    headSize = size;

    const first = seriesSlots + ((<usize>load<u32>(seriesAt + ((<usize>id) << 2))) << 2);
    const last = seriesSlots + ((<usize>load<u32>(seriesAt + ((<usize>id) << 2), 4)) << 2);
    // The most frequent steps by far: nearly all labels have stood there. So the copy is kept in locals.
    let here = at;
    let offset = copyOffset;
    let length = copyLength;
    for (let k = first; k < last; k += 4) {
      const slot = load<u32>(k);
      if (slot >= slots) unreachable();
      const from = load<u32>(slotAt + ((<usize>slot) << 2));
      const size = load<u32>(slotAt + ((<usize>slot) << 2), 4) - from;
      const seenAt = slotSeen + ((<usize>slot) << 2);
      const seen = load<u32>(seenAt);
      const back = here - seen;
      if (seen >= base && (back <= NEAR || size >= FAR_MINIMUM)) {
        store<u32>(seenAt, here);
        here += size;
        if (back == offset && length > 0) length += size;
        else {
          copyLength = length;
          flushCopy();
          copyOffset = offset = back;
          length = size;
        }
        continue;
      }
      at = here;
      copyLength = length;
      const before = above + (k - first);
      putLabel(slot, from, size, before < aboveEnd ? load<u32>(before) : slot, base);
      here = at;
      offset = copyOffset;
      length = copyLength;
    }
    at = here;
    copyLength = length;
    above = first;
    aboveEnd = last;

    let row = start;
    for (;;) {
      const time = load<u64>(times + ((<usize>row) << 3));
      const same = time == stampTime && stampLength > 0;
      if (!same) {
        stampLength = putStamp(time);
        stampTime = time;
        stampSince = at;
      }
      const value = load<u64>(values + ((<usize>row) << 3));
      if (value == 0) {
        // proto3 leaves a zero out, and so do all senders; -0 has a bit set.
        putHead(0x12, stampLength);
      } else {
        const prefixSize = 9 + stampLength;
        if (prefixSize == lastPrefixSize && extendsCopy(prefixAt)) repeat(prefixAt, 3);
        else putPrefix(prefixSize);
        prefixAt = at - 3;
        lastPrefixSize = prefixSize;
        const hash = ((<u32>(value >>> 32)) ^ ((<u32>value) >>> 7)) * 0x9e3779b1;
        const memo: usize = hash >>> 24;
        const known = load<u32>(valueAt + (memo << 2));
        store<u32>(valueAt + (memo << 2), at);
        if (known >= base && at - known <= NEAR && load<u64>(valueBits + (memo << 3)) == value) {
          // Where the value stood, its time followed: go on from there if it was this one.
          if (same && known > stampSince) tailAt = known + 8;
          repeat(known, 8);
        } else {
          store<u64>(valueBits + (memo << 3), value);
          putWord64(value);
        }
      }
      // A copy of less than four bytes would take more room than there is for it.
      if (same && stampLength >= 4 && at - tailAt <= NEAR) repeat(tailAt, stampLength);
      else putBytes(stamp, stampLength);
      tailAt = at - stampLength;
      // The next row of the same series goes into the same TimeSeries; `measure` counted it.
      while (i < count && load<u8>(skips + i) != 0) i++;
      if (i >= count || load<u32>(ids + ((<usize>i) << 2)) != id) break;
      row = i;
      i++;
    }
  }
}

/** Writes a label that has not stood near in this body; `before` is the slot that stood in its place. */
function putLabel(slot: u32, from: u32, length: u32, before: u32, base: u32): void {
  if (before >= slots) unreachable();
  const beforeAt = load<u32>(slotSeen + ((<usize>before) << 2));
  store<u32>(slotSeen + ((<usize>slot) << 2), at);
  // From far away its few bytes would take more room than there is for it.
  if (before == slot || beforeAt < base || at - beforeAt > NEAR) {
    putBytes(labels + from, length);
    return;
  }
  const like = load<u32>(slotAt + ((<usize>before) << 2));
  const likeEnd = load<u32>(slotAt + ((<usize>before) << 2), 4);
  putLike(labels + from, length, labels + like, likeEnd - like, beforeAt);
}

/**
 * Writes the pair at `from`, which has not stood in this body, by what it shares with the pair that stood in its place
 * in the series before: that at `like`, which is at `likeAt` in the message. Usually it is its name, and the start of
 * its value.
 *
 *     0a <len> | 0a <len> name 12 | <len> | start of the value | rest
 *     literal    copy               literal copy                 literal
 */
function putLike(from: usize, length: u32, like: usize, likeLength: u32, likeAt: u32): void {
  const most = min(length, likeLength);
  const i = sameUntil(from, like, 2, most);
  if (i < 2 + 4) {
    putBytes(from, length);
    return;
  }
  if (load<u8>(from, 1) == load<u8>(like, 1)) repeat(likeAt, i);
  else {
    if (extendsCopy(likeAt)) {
      repeat(likeAt, 1);
      putBytes(from + 1, 1);
    } else putBytes(from, 2);
    repeat(likeAt + 2, i - 2);
  }
  const start = i + 1;
  const j = sameUntil(from, like, start, most);
  if (j < start + 4) {
    putBytes(from + i, length - i);
    return;
  }
  putBytes(from + i, 1);
  repeat(likeAt + start, j - start);
  putBytes(from + j, length - j);
}

/** The first index from `start` on where `a` and `b` differ; `most` when there is none below. */
function sameUntil(a: usize, b: usize, start: u32, most: u32): u32 {
  let i = start;
  for (; i + 8 <= most; i += 8) {
    const unlike = load<u64>(a + i) ^ load<u64>(b + i);
    if (unlike != 0) return i + (<u32>ctz(unlike) >>> 3);
  }
  while (i < most && load<u8>(a + i) == load<u8>(b + i)) i++;
  return i;
}

/** True when the pending copy would go on with the bytes at `from`. */
// @ts-ignore: decorator
@inline
function extendsCopy(from: u32): bool {
  return copyLength > 0 && at - from == copyOffset;
}

/** Repeats `length` bytes that stand at `from` in this body. */
function repeat(from: u32, length: u32): void {
  const offset = at - from;
  if (copyLength > 0 && offset == copyOffset) copyLength += length;
  else {
    flushCopy();
    copyOffset = offset;
    copyLength = length;
  }
  at += length;
}

function flushCopy(): void {
  let rest = copyLength;
  if (rest == 0) return;
  closeLiteral();
  copyLength = 0;
  const offset = copyOffset;
  if (offset > NEAR) {
    putFarCopy(offset, rest);
    return;
  }
  let to = op;
  bound(to + 3 * ((<usize>rest >>> 6) + 2));
  // As the original does: never leave a rest below 4, which would need a longer form.
  while (rest >= 68) {
    store<u8>(to, (63 << 2) | 2);
    store<u16>(to, offset, 1);
    to += 3;
    rest -= 64;
  }
  if (rest > 64) {
    store<u8>(to, (59 << 2) | 2);
    store<u16>(to, offset, 1);
    to += 3;
    rest -= 60;
  }
  if (rest >= 4 && rest <= 11 && offset < 2048) {
    store<u8>(to, ((offset >>> 8) << 5) | ((rest - 4) << 2) | 1);
    store<u8>(to, offset, 1);
    op = to + 2;
  } else {
    store<u8>(to, ((rest - 1) << 2) | 2);
    store<u16>(to, offset, 1);
    op = to + 3;
  }
}

function putFarCopy(offset: u32, length: u32): void {
  bound(op + 5 * ((<usize>length >>> 6) + 1));
  for (let rest = length; ; rest -= 64) {
    store<u8>(op, ((min<u32>(rest, 64) - 1) << 2) | 3);
    store<u32>(op, offset, 1);
    op += 5;
    if (rest <= 64) break;
  }
}

// @ts-ignore: decorator
@inline
function closeLiteral(): void {
  if (literal == 0) return;
  store<u8>(literal, (op - literal - 2) << 2);
  literal = 0;
}

/** Makes room in a literal for `length` bytes (at most 60): where they go. */
function room(length: u32): usize {
  if (copyLength > 0) flushCopy();
  bound(op + 1 + length + SLACK);
  if (literal == 0) literal = op++;
  else if (op - literal - 1 + length > LITERAL) {
    closeLiteral();
    literal = op++;
  }
  const to = op;
  op += length;
  at += length;
  return to;
}

function putBytes(from: usize, length: u32): void {
  let rest = length;
  while (rest > 0) {
    const part = min(rest, LITERAL);
    const to = room(part);
    for (let i: u32 = 0; i < part; i += 16) v128.store(to + i, v128.load(from + i));
    from += part;
    rest -= part;
  }
}

function putHead(tag: u32, length: u32): void {
  const to = room(1 + varintSize(length));
  store<u8>(to, tag);
  putVarint(to + 1, length);
}

function putLength(length: u32): void {
  putVarint(room(varintSize(length)), length);
}

function putPrefix(length: u32): void {
  const to = room(3);
  store<u8>(to, 0x12);
  store<u8>(to, length, 1);
  store<u8>(to, 0x09, 2);
}

function putWord64(word: u64): void {
  store<u64>(room(8), word);
}

/** Makes the field of a time in `stamp`; returns its length. */
function putStamp(time: u64): u32 {
  let to = stamp;
  store<u8>(to++, 0x10);
  let rest = time;
  for (; rest >= 0x80; rest >>>= 7) store<u8>(to++, (<u32>rest & 0x7f) | 0x80);
  store<u8>(to++, <u32>rest);
  return <u32>(to - stamp);
}

function putVarint(to: usize, value: u32): usize {
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) store<u8>(to++, (rest & 0x7f) | 0x80);
  store<u8>(to++, rest);
  return to;
}

// @ts-ignore: decorator
@inline
function varintSize(value: u32): u32 {
  return (38 - <u32>clz(value | 1)) / 7;
}

/** Bytes of the field of a sample. */
// @ts-ignore: decorator
@inline
function sampleBytes(times: usize, values: usize, row: u32): u32 {
  const time = load<u64>(times + ((<usize>row) << 3));
  const zero = load<u64>(values + ((<usize>row) << 3)) == 0;
  return (zero ? 3 : 12) + (70 - <u32>clz(time | 1)) / 7;
}

// @ts-ignore: decorator
@inline
function bound(to: usize): void {
  if (to > end) unreachable();
}
