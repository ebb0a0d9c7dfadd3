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

import { compressBlock } from './compress';
import { uncompressBlock } from './snappy';

/** How far back a short copy reaches, and how long bytes further away must be to be worth a long one. */
const NEAR: u32 = 65535;
const FAR_MINIMUM: u32 = 8;

/** What a literal with a tag of one byte holds. */
const LITERAL: u32 = 60;
/** Bytes move sixteen at a time, and may be scribbled over so far behind their end. */
const SLACK: usize = 16;
/** What follows a copy until the next one is bounded, tags and slack included: the fields of a sample and a head. */
const SAMPLE: usize = 64;
/** Series with more labels are not compared with the one before as a whole. */
const COMPARED: u32 = 64;

/** A small table of the last values by hash: their bits, and where they stood. */
const VALUES: u32 = 256;
const valueBits: usize = memory.data(VALUES << 3, 16);
const valueAt: usize = memory.data(VALUES << 2, 16);
/** The time field of the row before: tag and varint. */
const stamp: usize = memory.data(32, 16);
/** Where each label of the series before began, and where the last one ended, counted from the first. */
const placeOf: usize = memory.data((COMPARED + 8) << 2, 16);

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
/** Where the tag of the open literal stands, and how far it may go; `nowhere` and 0 while there is none. */
let literal: usize = 0;
let literalEnd: usize = 0;
const nowhere: usize = memory.data(1);
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
  literal = nowhere;
  literalEnd = 0;
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

/**
 * Makes the body that `emit` left in `[body, bodyEnd)` anew, by the general compressor, at `out` and before `outEnd`;
 * returns its end. `plain` has room for the message and 64 bytes, `table` for 64 KiB.
 */
export function shrink(
  body: usize,
  bodyEnd: usize,
  rawBytes: u32,
  plain: usize,
  table: usize,
  out: usize,
  outEnd: usize,
): usize {
  if (!uncompressBlock(body + varintSize(rawBytes), bodyEnd, plain, rawBytes)) unreachable();
  return compressBlock(plain, rawBytes, table, putVarint(out, rawBytes), outEnd);
}

/**
 * Writes the rows.
 *
 * The state of the writer is in locals here, and goes back to the globals for the few labels that take more than a
 * copy: through globals each step would wait for the memory of the one before.
 */
function write(rows: usize, count: u32, base: u32): void {
  const times = rows;
  const values = times + ((<usize>count) << 3);
  const ids = values + ((<usize>count) << 3);
  const groups = ids + ((<usize>count) << 2);
  const skips = groups + ((<usize>count) << 2);
  let to = op;
  let tag = literal;
  let tagEnd = literalEnd;
  let offset: u32 = 0;
  let length: u32 = 0;
  let here = at;
  let stampTime: u64 = 0;
  let stampLength: u32 = 0;
  let stampSince: u32 = 0;
  // Where the same bytes stood in the row before.
  let headAt: u32 = 0;
  let headSize: u32 = 0;
  let prefixAt: u32 = 0;
  let lastPrefixSize: u32 = 0;
  let tailAt: u32 = 0;
  // The slots of the series before, how many, and where its labels began; `placeOf` is about these, if `compared`.
  let above: usize = 0;
  let aboveCount: u32 = 0;
  let aboveAt: u32 = 0;
  let compared: bool = false;
  let i: u32 = 0;
  while (i < count) {
    const start = i;
    i++;
    if (load<u8>(skips + start) != 0) continue;
    const id = load<u32>(ids + ((<usize>start) << 2));
    const size = load<u32>(groups + ((<usize>start) << 2));
    if (id >= series) unreachable();
    bound(to + SAMPLE);

    // Behind a copied time the copy may go on through the head of this series, or through its tag alone.
    const sizeLength = varintSize(size);
    if (length > 0 && here - headAt == offset) {
      if (size == headSize) length += 1 + sizeLength;
      else {
        to = putCopy(to, tag, offset, length + 1);
        length = 0;
        tag = to;
        to = putVarint(to + 1, size);
        tagEnd = tag + 1 + LITERAL;
      }
    } else {
      if (length > 0) {
        to = putCopy(to, tag, offset, length);
        length = 0;
        tag = nowhere;
        tagEnd = 0;
      }
      if (to + 1 + sizeLength > tagEnd) {
        closeAt(tag, to);
        tag = to++;
        tagEnd = to + LITERAL;
      }
      store<u8>(to, 0x0a);
      to = putVarint(to + 1, size);
    }
    headAt = here;
    headSize = size;
    here += 1 + sizeLength;

    const first = seriesSlots + ((<usize>load<u32>(seriesAt + ((<usize>id) << 2))) << 2);
    const labelCount = (load<u32>(seriesAt + ((<usize>id) << 2), 4) - load<u32>(seriesAt + ((<usize>id) << 2)));
    const labelsAt = here;
    // A set bit is a label that does not stand in its place in the series before.
    let unlike: u64 = ~0;
    const comparable = labelCount <= COMPARED;
    if (compared) {
      if (comparable && here - aboveAt <= NEAR) unlike = unlikeLabels(first, labelCount, above, aboveCount);
      // Until now, where these stood was known by the series before.
      rememberLabels(above, aboveCount, aboveAt, unlike, labelCount);
    }
    if (!comparable) {
      // All of them are unlike, and where they stand is known by their slots alone.
      op = to;
      literal = tag;
      literalEnd = tagEnd;
      copyOffset = offset;
      copyLength = length;
      at = here;
      for (let k: u32 = 0; k < labelCount; k++) putLabel(first, k, above, aboveCount, base);
      to = op;
      tag = literal;
      tagEnd = literalEnd;
      offset = copyOffset;
      length = copyLength;
      here = at;
    } else {
      if (labelCount < 64) unlike &= ((<u64>1) << labelCount) - 1;
      // How much further than in the series before its labels begin.
      let shift: u32 = 0;
      let k: u32 = 0;
      for (;;) {
        const next = unlike == 0 ? labelCount : <u32>ctz(unlike);
        if (next > k) {
          const from = load<u32>(placeOf + ((<usize>k) << 2));
          const part = load<u32>(placeOf + ((<usize>next) << 2)) - from;
          const back = here - (aboveAt + from - shift);
          if (length > 0 && back == offset) length += part;
          else {
            if (length > 0) {
              to = putCopy(to, tag, offset, length);
              tag = nowhere;
              tagEnd = 0;
            }
            offset = back;
            length = part;
          }
          here += part;
        }
        if (next == labelCount) break;
        k = next + 1;
        unlike &= unlike - 1;
        const slot = load<u32>(first + ((<usize>next) << 2));
        if (slot >= slots) unreachable();
        const size = load<u32>(slotAt + ((<usize>slot) << 2), 4) - load<u32>(slotAt + ((<usize>slot) << 2));
        const seen = load<u32>(slotSeen + ((<usize>slot) << 2));
        const back = here - seen;
        if (seen >= base && (back <= NEAR || size >= FAR_MINIMUM)) {
          store<u32>(slotSeen + ((<usize>slot) << 2), here);
          if (length > 0 && back == offset) length += size;
          else {
            if (length > 0) {
              to = putCopy(to, tag, offset, length);
              tag = nowhere;
              tagEnd = 0;
            }
            offset = back;
            length = size;
          }
          here += size;
        } else {
          op = to;
          literal = tag;
          literalEnd = tagEnd;
          copyOffset = offset;
          copyLength = length;
          at = here;
          putLabel(first, next, above, aboveCount, base);
          to = op;
          tag = literal;
          tagEnd = literalEnd;
          offset = copyOffset;
          length = copyLength;
          here = at;
        }
        const ends = here - labelsAt;
        if (next >= aboveCount || !compared) {
          store<u32>(placeOf + ((<usize>next) << 2), ends - size);
          store<u32>(placeOf + ((<usize>next) << 2), ends, 4);
        } else {
          const further = ends - load<u32>(placeOf + ((<usize>next) << 2), 4);
          if (further != 0) {
            shift += further;
            const more = i32x4.splat(further);
            for (let p = placeOf + ((<usize>next) << 2) + 4, last = placeOf + ((<usize>aboveCount) << 2); p <= last; p += 16)
              v128.store(p, i32x4.add(v128.load(p), more));
          }
        }
      }
    }
    compared = comparable;
    above = first;
    aboveCount = labelCount;
    aboveAt = labelsAt;

    let row = start;
    for (;;) {
      const time = load<u64>(times + ((<usize>row) << 3));
      const same = time == stampTime && stampLength > 0;
      if (!same) {
        stampLength = putStamp(time);
        stampTime = time;
        stampSince = here;
      }
      bound(to + SAMPLE);
      const value = load<u64>(values + ((<usize>row) << 3));
      const prefixSize = 9 + stampLength;
      if (value != 0 && prefixSize == lastPrefixSize && length > 0 && here - prefixAt == offset) length += 3;
      else {
        if (length > 0) {
          to = putCopy(to, tag, offset, length);
          length = 0;
          tag = nowhere;
          tagEnd = 0;
        }
        // proto3 leaves a zero out, and so do all senders; -0 has a bit set.
        const width: usize = value == 0 ? 2 : 3;
        if (to + width > tagEnd) {
          closeAt(tag, to);
          tag = to++;
          tagEnd = to + LITERAL;
        }
        store<u8>(to, 0x12);
        store<u8>(to, value == 0 ? stampLength : prefixSize, 1);
        store<u8>(to, 0x09, 2);
        to += width;
      }
      if (value == 0) here += 2;
      else {
        prefixAt = here;
        lastPrefixSize = prefixSize;
        here += 3;
        const hash = ((<u32>(value >>> 32)) ^ ((<u32>value) >>> 7)) * 0x9e3779b1;
        const memo: usize = hash >>> 24;
        const seen = load<u32>(valueAt + (memo << 2));
        const back = here - seen;
        store<u32>(valueAt + (memo << 2), here);
        if (seen >= base && back <= NEAR && load<u64>(valueBits + (memo << 3)) == value) {
          // Where the value stood, its time followed: go on from there if it was this one.
          if (same && seen > stampSince) tailAt = seen + 8;
          if (length > 0 && back == offset) length += 8;
          else {
            if (length > 0) {
              to = putCopy(to, tag, offset, length);
              tag = nowhere;
              tagEnd = 0;
            }
            offset = back;
            length = 8;
          }
        } else {
          store<u64>(valueBits + (memo << 3), value);
          if (length > 0) {
            to = putCopy(to, tag, offset, length);
            length = 0;
            tag = nowhere;
            tagEnd = 0;
          }
          if (to + 8 > tagEnd) {
            closeAt(tag, to);
            tag = to++;
            tagEnd = to + LITERAL;
          }
          store<u64>(to, value);
          to += 8;
        }
        here += 8;
      }
      // A copy of less than four bytes would take more room than there is for it.
      const back = here - tailAt;
      if (same && stampLength >= 4 && back <= NEAR) {
        if (length > 0 && back == offset) length += stampLength;
        else {
          if (length > 0) {
            to = putCopy(to, tag, offset, length);
            tag = nowhere;
            tagEnd = 0;
          }
          offset = back;
          length = stampLength;
        }
      } else {
        if (length > 0) {
          to = putCopy(to, tag, offset, length);
          length = 0;
          tag = nowhere;
          tagEnd = 0;
        }
        if (to + stampLength > tagEnd) {
          closeAt(tag, to);
          tag = to++;
          tagEnd = to + LITERAL;
        }
        v128.store(to, v128.load(stamp));
        to += stampLength;
      }
      tailAt = here;
      here += stampLength;
      // The next row of the same series goes into the same TimeSeries; `measure` counted it.
      while (i < count && load<u8>(skips + i) != 0) i++;
      if (i >= count || load<u32>(ids + ((<usize>i) << 2)) != id) break;
      row = i;
      i++;
    }
  }
  op = to;
  literal = tag;
  literalEnd = tagEnd;
  copyOffset = offset;
  copyLength = length;
  at = here;
}

/** A bit for each of the first labels that is not the same as in the series before, in its place; others are set. */
// @ts-ignore: decorator
@inline
function unlikeLabels(first: usize, count: u32, above: usize, aboveCount: u32): u64 {
  const both = min(count, aboveCount);
  let unlike: u64 = 0;
  for (let k: u32 = 0; k < both; k += 4) {
    const other = i32x4.ne(v128.load(first + ((<usize>k) << 2)), v128.load(above + ((<usize>k) << 2)));
    unlike |= (<u64>i32x4.bitmask(other)) << k;
  }
  return both < 64 ? unlike | (~(<u64>0) << both) : unlike;
}

/** Notes for their slots where labels of the series before stood, those that are `unlike` and those behind `count`. */
// @ts-ignore: decorator
@inline
function rememberLabels(above: usize, aboveCount: u32, aboveAt: u32, unlike: u64, count: u32): void {
  if (count < 64) unlike |= ~(<u64>0) << count;
  if (aboveCount < 64) unlike &= ((<u64>1) << aboveCount) - 1;
  for (; unlike != 0; unlike &= unlike - 1) {
    const k = <usize>ctz(unlike) << 2;
    store<u32>(slotSeen + ((<usize>load<u32>(above + k)) << 2), aboveAt + load<u32>(placeOf + k));
  }
}

/** Writes label `k` of the series whose slots stand at `first`; `above` is the series before. */
function putLabel(first: usize, k: u32, above: usize, aboveCount: u32, base: u32): void {
  const slot = load<u32>(first + ((<usize>k) << 2));
  if (slot >= slots) unreachable();
  const from = load<u32>(slotAt + ((<usize>slot) << 2));
  const length = load<u32>(slotAt + ((<usize>slot) << 2), 4) - from;
  const seen = load<u32>(slotSeen + ((<usize>slot) << 2));
  if (seen >= base && (at - seen <= NEAR || length >= FAR_MINIMUM)) {
    store<u32>(slotSeen + ((<usize>slot) << 2), at);
    repeat(seen, length);
    return;
  }
  const before = k < aboveCount ? load<u32>(above + ((<usize>k) << 2)) : slot;
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
  if (copyLength == 0) return;
  op = putCopy(op, literal, copyOffset, copyLength);
  copyLength = 0;
  literal = nowhere;
  literalEnd = 0;
}

/** Ends the literal whose tag is at `tag` and writes copies of `length` bytes in all at `start`; returns their end. */
function putCopy(start: usize, tag: usize, offset: u32, length: u32): usize {
  closeAt(tag, start);
  if (offset > NEAR) return putFarCopy(start, offset, length);
  let to = start;
  let rest = length;
  bound(to + 3 * ((<usize>rest >>> 6) + 2) + SAMPLE);
  // As the original does: never leave a rest below 4, which would need a longer form.
  if (rest >= 68) {
    const copies = (rest - 4) >>> 6;
    const five = i8x16.swizzle(
      i32x4.splat((offset << 8) | (63 << 2) | 2),
      i8x16(0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0),
    );
    v128.store(to, five);
    for (let written: u32 = 5; written < copies; written += 5) v128.store(to + 3 * written, five);
    to += 3 * copies;
    rest -= copies << 6;
  }
  // From here on without branches: which way they would go is anyone's guess.
  store<u32>(to, (offset << 8) | (59 << 2) | 2);
  const over = rest > 64;
  to += select(3, 0, over);
  rest -= select(60, 0, over);
  const short = <u32>(rest - 4 <= 7) & <u32>(offset < 2048);
  const copy1 = ((offset << 8) & 0xff00) | ((offset >>> 8) << 5) | ((rest - 4) << 2) | 1;
  store<u32>(to, select(copy1, (offset << 8) | ((rest - 1) << 2) | 2, short));
  return to + 3 - short;
}

function putFarCopy(start: usize, offset: u32, length: u32): usize {
  bound(start + 5 * ((<usize>length >>> 6) + 1) + SAMPLE);
  let to = start;
  for (let rest = length; ; rest -= 64) {
    store<u8>(to, ((min<u32>(rest, 64) - 1) << 2) | 3);
    store<u32>(to, offset, 1);
    to += 5;
    if (rest <= 64) break;
  }
  return to;
}

/** Writes the tag of a literal that stands at `tag` and ends at `to`; the room at `nowhere` takes what is none. */
// @ts-ignore: decorator
@inline
function closeAt(tag: usize, to: usize): void {
  store<u8>(tag, <u32>(to - tag - 2) << 2);
}

function closeLiteral(): void {
  closeAt(literal, op);
  literal = nowhere;
  literalEnd = 0;
}

/** Makes room in a literal for `length` bytes (at most 60): where they go. */
function room(length: u32): usize {
  flushCopy();
  bound(op + 1 + length + SLACK);
  if (op + length > literalEnd) {
    closeAt(literal, op);
    literal = op++;
    literalEnd = op + LITERAL;
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
