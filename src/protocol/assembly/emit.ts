/*
 * Emission of remote write 1.0 bodies, as `EmitterV1` in ../emit-v1.ts does it and tells why; byte for byte
 * the same bodies (test/protocol/emit-wasm.test.ts holds them against each other).
 *
 * An instance serves one dictionary at a time, whose columns it has in its memory (../emit-wasm.ts lays it out):
 *
 *     static data | columns of the dictionary, as blocks | rows | payloads | body   (the last three anew for each body)
 *
 *     rows of a request, `count` each:
 *     time u64 | value u64 | series u32 | length of its TimeSeries u32 | payload u32, its length u32 | skip u8 | kind u8
 *                                                         (payloads only where not all rows are samples: ./payloads.ts)
 *
 * No write goes outside of the body, the lengths, the positions of known slots and the static data: each is held
 * against its end, and a failure ends in a trap.
 */

import { compressBlock } from './compress';
import { forgetWords, putNew, putPayload } from './new-labels';
import { EXEMPLAR, HISTOGRAM, hasPayloads, payloadOf, payloadSize, takePayloads } from './payloads';
import { uncompressBlock } from './snappy';
import {
  at,
  begin,
  bound,
  closeAt,
  copyLength,
  copyOffset,
  FAR_MINIMUM,
  finish,
  LITERAL,
  literal,
  literalEnd,
  NEAR,
  nowhere,
  op,
  putBytes,
  putCopy,
  putVarint,
  repeat,
  resume,
  room,
  SAMPLE,
  varintSize,
} from './writer';

export { compressDense } from './dense';
export { placePayloads } from './payloads';
export { placeSeries, placeSeriesColumns } from './series';
export { compressV2, placeV2, roomV2, symbolsV2, writeSymbolsV2, writeV2 } from './emit-v2';

/** Series with more labels are not compared with the one before as a whole. */
const COMPARED: u32 = 64;

/** A small table of the last values by hash: their bits, and where their fields stood. */
const VALUES: u32 = 256;
const valueBits: usize = memory.data(VALUES << 3, 16);
const valueAt: usize = memory.data(VALUES << 2, 16);
/** The time field of the row before: tag and varint. */
const stamp: usize = memory.data(32, 16);
/** The same of a histogram or an exemplar, on its way out. */
const tail: usize = memory.data(32, 16);
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
 * one is metadata, or of no series, or when the message is too long.
 */
export function measure(rows: usize, count: u32, seriesCount: u32): f64 {
  const times = rows;
  const values = times + ((<usize>count) << 3);
  const ids = values + ((<usize>count) << 3);
  const groups = ids + ((<usize>count) << 2);
  const skips = takePayloads(groups + ((<usize>count) << 2), count);
  const kinds = skips + count;
  let total: u64 = 0;
  let i: u32 = 0;
  while (i < count) {
    const start = i;
    i++;
    if (load<u8>(skips + start) != 0) continue;
    const id = load<u32>(ids + ((<usize>start) << 2));
    const kind: u32 = load<u8>(kinds + start);
    if (id >= seriesCount || (kind != 0 && !hasPayloads(kind))) return NOT_HERE;
    let size: u64 = load<u32>(seriesBytes + ((<usize>id) << 2));
    if (kind != 0) {
      const inner = rowBytes(times, start, kind);
      if (inner >= LONGEST) return NOT_HERE;
      size += 1 + varintSize(<u32>inner) + inner;
    } else size += sampleBytes(times, values, start);
    while (kind == 0 && i < count) {
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
  slots = slotCount;
  series = seriesCount;
  memory.fill(valueAt, 0, VALUES << 2);
  forgetWords(hasPayloads(HISTOGRAM));
  begin(out, outEnd, rawBytes, base);
  write(rows, count, base);
  return finish();
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
  const skips = takePayloads(groups + ((<usize>count) << 2), count);
  const kinds = skips + count;
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
  let tailAt: u32 = 0;
  // The field of the last sample that is not zero: where it stood, its length, its value.
  let fieldAt: u32 = 0;
  let fieldSize: u32 = 0;
  let fieldValue: u64 = 0;
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
      resume(to, tag, tagEnd, offset, length, here);
      for (let k: u32 = 0; k < labelCount; k++) putLabel(first, k, labelCount, above, aboveCount, base, labelsAt);
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
          resume(to, tag, tagEnd, offset, length, here);
          putLabel(first, next, labelCount, above, aboveCount, base, labelsAt);
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

    const kind: u32 = load<u8>(kinds + start);
    if (kind != 0) {
      resume(to, tag, tagEnd, offset, length, here);
      putRow(times, values, start, kind);
      to = op;
      tag = literal;
      tagEnd = literalEnd;
      offset = copyOffset;
      length = copyLength;
      here = at;
      continue;
    }
    let row = start;
    for (;;) {
      const time = load<u64>(times + ((<usize>row) << 3));
      let same = time == stampTime && stampLength > 0;
      if (!same) {
        stampLength = putTime(stamp, 0x10, time);
        stampTime = time;
        stampSince = here;
      }
      // A copy of less than four bytes would take more room than there is for it.
      same = same && stampLength >= 4;
      bound(to + SAMPLE);
      const value = load<u64>(values + ((<usize>row) << 3));
      const size = 9 + stampLength;
      const hash = ((<u32>(value >>> 32)) ^ ((<u32>value) >>> 7)) * 0x9e3779b1;
      const memo: usize = hash >>> 24;
      const seen = load<u32>(valueAt + (memo << 2));
      const known =
        seen >= base && here - seen <= NEAR && load<u64>(valueBits + (memo << 3)) == value;
      store<u32>(valueAt + (memo << 2), here);
      store<u64>(valueBits + (memo << 3), value);
      const field = here;
      if (known && same && seen >= stampSince) {
        const part = (value == 0 ? 2 : 11) + stampLength;
        const back = here - seen;
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
      } else {
        // Bytes of the value, from its end, that stand before the time too.
        let high: u32 = 0;
        if (value == 0) {
          // proto3 leaves a zero out, and so do all senders; -0 has a bit set.
          if (length > 0) {
            to = putCopy(to, tag, offset, length);
            length = 0;
            tag = nowhere;
            tagEnd = 0;
          }
          if (to + 2 > tagEnd) {
            closeAt(tag, to);
            tag = to++;
            tagEnd = to + LITERAL;
          }
          store<u16>(to, (stampLength << 8) | 0x12);
          to += 2;
          here += 2;
        } else {
          let low: u32 = 0;
          const back = here - fieldAt;
          const like = size == fieldSize && back <= NEAR;
          if (like && !known) {
            const unlike = value ^ fieldValue;
            // 0 for no bit at all.
            low = (<u32>ctz(unlike) >>> 3) & 7;
            high = same && tailAt == fieldAt + 11 ? (<u32>clz(unlike) >>> 3) & 7 : 0;
          }
          if (like && length > 0 && back == offset) length += 3 + low;
          else {
            if (length > 0) {
              to = putCopy(to, tag, offset, length);
              length = 0;
              tag = nowhere;
              tagEnd = 0;
            }
            if (low > 0) {
              offset = back;
              length = 3 + low;
            } else {
              if (to + 3 > tagEnd) {
                closeAt(tag, to);
                tag = to++;
                tagEnd = to + LITERAL;
              }
              store<u32>(to, (size << 8) | 0x090012);
              to += 3;
            }
          }
          here += 3;
          if (known) {
            const back = field - seen;
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
            if (length > 0) {
              to = putCopy(to, tag, offset, length);
              length = 0;
              tag = nowhere;
              tagEnd = 0;
            }
            const part = 8 - low - high;
            if (to + part > tagEnd) {
              closeAt(tag, to);
              tag = to++;
              tagEnd = to + LITERAL;
            }
            store<u64>(to, value >>> (low << 3));
            to += part;
          }
          here += 8;
        }
        const back = here - tailAt;
        if (same && back <= NEAR) {
          if (length > 0 && back == offset) length += stampLength;
          else {
            if (length > 0) {
              to = putCopy(to, tag, offset, length);
              tag = nowhere;
              tagEnd = 0;
            }
            offset = back;
            length = high + stampLength;
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
        here += stampLength;
      }
      tailAt = here - stampLength;
      if (value != 0) {
        fieldAt = field;
        fieldSize = size;
        fieldValue = value;
      }
      // The next row of the same series goes into the same TimeSeries; `measure` counted it.
      while (i < count && load<u8>(skips + i) != 0) i++;
      if (i >= count || load<u32>(ids + ((<usize>i) << 2)) != id || load<u8>(kinds + i) != 0) break;
      row = i;
      i++;
    }
  }
  resume(to, tag, tagEnd, offset, length, here);
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

/**
 * Writes label `k` of the series whose `count` slots stand at `first`, and whose labels begin at `labelsAt`; `above` is
 * the series before.
 */
function putLabel(
  first: usize,
  k: u32,
  count: u32,
  above: usize,
  aboveCount: u32,
  base: u32,
  labelsAt: u32,
): void {
  const slot = load<u32>(first + ((<usize>k) << 2));
  if (slot >= slots) unreachable();
  const from = load<u32>(slotAt + ((<usize>slot) << 2));
  const to = load<u32>(slotAt + ((<usize>slot) << 2), 4);
  const seen = load<u32>(slotSeen + ((<usize>slot) << 2));
  if (seen >= base && (at - seen <= NEAR || to - from >= FAR_MINIMUM)) {
    store<u32>(slotSeen + ((<usize>slot) << 2), at);
    repeat(seen, to - from);
    return;
  }
  const before = k < aboveCount ? load<u32>(above + ((<usize>k) << 2)) : slot;
  if (before >= slots) unreachable();
  const beforeAt = load<u32>(slotSeen + ((<usize>before) << 2));
  store<u32>(slotSeen + ((<usize>slot) << 2), at);
  // From far away its few bytes would take more room than there is for it.
  const near = before != slot && beforeAt >= base && at - beforeAt <= NEAR;
  // Behind the label above there stands what stands behind this one: a copy goes on, however short.
  const goesOn =
    beforeAt < labelsAt &&
    k + 1 < count &&
    k + 1 < aboveCount &&
    load<u32>(first + ((<usize>k) << 2), 4) == load<u32>(above + ((<usize>k) << 2), 4);
  const like = load<u32>(slotAt + ((<usize>before) << 2));
  const likeEnd = load<u32>(slotAt + ((<usize>before) << 2), 4);
  putNew(labels + from, labels + to, labels + like, labels + likeEnd, near ? beforeAt : 0, goesOn ? 1 : 4);
}

/** Writes the field of a histogram or an exemplar. */
function putRow(times: usize, values: usize, row: u32, kind: u32): void {
  const time = load<u64>(times + ((<usize>row) << 3));
  const inner = <u32>rowBytes(times, row, kind);
  const head = room(1 + varintSize(inner));
  store<u8>(head, kind == HISTOGRAM ? 0x22 : 0x1a);
  putVarint(head + 1, inner);
  const from = payloadOf(row);
  putPayload(from, from + payloadSize(row));
  if (kind == EXEMPLAR) {
    store<u8>(room(1), 0x11);
    store<u64>(room(8), load<u64>(values + ((<usize>row) << 3)));
  }
  putBytes(tail, putTime(tail, kind == HISTOGRAM ? 0x78 : 0x18, time));
}

/** Bytes inside of it. */
function rowBytes(times: usize, row: u32, kind: u32): u64 {
  const time = load<u64>(times + ((<usize>row) << 3));
  const size: u64 = payloadSize(row);
  return size + (kind == HISTOGRAM ? 0 : 9) + 1 + (70 - <u64>clz(time | 1)) / 7;
}

/** Writes the field of a time at `start`; returns its length. */
function putTime(start: usize, tag: u8, time: u64): u32 {
  let to = start;
  store<u8>(to++, tag);
  let rest = time;
  for (; rest >= 0x80; rest >>>= 7) store<u8>(to++, (<u32>rest & 0x7f) | 0x80);
  store<u8>(to++, <u32>rest);
  return <u32>(to - start);
}

/** Bytes of the field of a sample. */
// @ts-ignore: decorator
@inline
function sampleBytes(times: usize, values: usize, row: u32): u32 {
  const time = load<u64>(times + ((<usize>row) << 3));
  const zero = load<u64>(values + ((<usize>row) << 3)) == 0;
  return (zero ? 3 : 12) + (70 - <u32>clz(time | 1)) / 7;
}
