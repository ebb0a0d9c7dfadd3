/*
 * Writes labels that are new in a body by what they share with labels that were new before them, and payloads of rows by
 * what they share with those before them, as `NewLabels` in ../new-labels.ts does it and tells why.
 */

import { at, extendsCopy, NEAR, putBytes, repeat } from './writer';

const TABLE_BITS: u32 = 11;
const MATCH: u32 = 4;
/** After 2^n words that were not found one more is passed over each time: of payloads, whose ends are often random. */
const PAYLOAD_PATIENCE: u32 = 1;
const LABEL_PATIENCE: u32 = 31;

/** For each hash: where the word stands in the message (0: nowhere) u32 | 0 u32 | its address | end of its label. */
const labelWords: usize = memory.data(16 << TABLE_BITS, 16);
const payloadWords: usize = memory.data(16 << TABLE_BITS, 16);
/** The one at work. */
let table: usize = labelWords;
/** Where in the message the last match stands. */
let matchAt: u32 = 0;

/** Begins a body; `payloads` says that there are some. */
export function forgetWords(payloads: bool): void {
  memory.fill(labelWords, 0, 16 << TABLE_BITS);
  if (payloads) memory.fill(payloadWords, 0, 16 << TABLE_BITS);
}

/** Writes the payload of a row, which stands in `[from, end)`. */
export function putPayload(from: usize, end: usize): void {
  table = payloadWords;
  const match = matchOf(from, end, at);
  if (match > 0) repeat(matchAt, match);
  putRest(from + match, end, end, match > 0 ? from + match : from + 1, PAYLOAD_PATIENCE);
  table = labelWords;
}

/**
 * Writes the label in `[from, end)`. The one above it is `[above, aboveEnd)`, at most `NEAR` back at `aboveAt` in the
 * message; 0 when there is none. At least `shared` bytes at their ends must be the same to be copied: fewer than
 * `MATCH` only where what follows goes on with the copy.
 */
export function putNew(from: usize, end: usize, above: usize, aboveEnd: usize, aboveAt: u32, shared: u32): void {
  let start = from;
  const match = matchOf(from, end, at);
  const matched = matchAt;
  let ends: u32 = 0;
  if (aboveAt == 0) {
    if (match > 0) repeat(matched, match);
    start += match;
  } else {
    const aboveLength = <u32>(aboveEnd - above);
    const most = min(<u32>(end - from), aboveLength);
    const alike = load<u8>(from, 1) == load<u8>(above, 1);
    const same = sameUntil(from, above, 2, most);
    if (alike && same >= 2 + MATCH && same >= match) {
      repeat(aboveAt, same);
      start += same;
    } else if (match > 0) {
      repeat(matched, match);
      start += match;
    } else if (same >= 2 + MATCH) {
      if (extendsCopy(aboveAt)) {
        repeat(aboveAt, 1);
        putBytes(from + 1, 1);
      } else putBytes(from, 2);
      repeat(aboveAt + 2, same - 2);
      start += same;
    }
    // A copy from further away would have another form.
    if (at + <u32>(end - start) - (aboveAt + aboveLength) <= NEAR) {
      // What was copied may be longer than the whole label above: its ends are not looked at then.
      const copied = min(<u32>(start - from), most);
      ends = sameBefore(end, aboveEnd, min(<u32>(end - start), most - copied));
      if (ends < shared) ends = 0;
    }
  }
  putRest(start, end - ends, end, start == from ? from + 1 : start, LABEL_PATIENCE);
  if (ends > 0) repeat(aboveAt + <u32>(aboveEnd - above) - ends, ends);
}

/** Writes `[from, to)` of a label that goes on to `end`; the words before `first` have been looked at. */
function putRest(from: usize, to: usize, end: usize, first: usize, patience: u32): void {
  let literal = from;
  let next = first;
  let misses: u32 = 0;
  while (next + MATCH <= to) {
    const match = min(matchOf(next, end, at + <u32>(next - literal)), <u32>(to - next));
    if (match == 0) next += 1 + (misses++ >>> patience);
    else {
      misses = 0;
      putBytes(literal, <u32>(next - literal));
      repeat(matchAt, match);
      next += match;
      literal = next;
    }
  }
  putBytes(literal, <u32>(to - literal));
}

/**
 * How many of the bytes at `from` stand together elsewhere, at `matchAt`: 0, or at least `MATCH`. Notes that they stand
 * at `here`.
 */
// @ts-ignore: decorator
@inline
function matchOf(from: usize, end: usize, here: u32): u32 {
  if (from + MATCH > end) return 0;
  const word = load<u32>(from);
  const entry = table + (<usize>((word * 0x1e35a7bd) >>> (32 - TABLE_BITS)) << 4);
  const seenAt = load<u32>(entry);
  const seen = <usize>load<u32>(entry, 4);
  const seenEnd = <usize>load<u32>(entry, 8);
  store<u32>(entry, here);
  store<u32>(entry, <u32>from, 4);
  store<u32>(entry, <u32>end, 8);
  if (seenAt == 0 || here - seenAt > NEAR || load<u32>(seen) != word) return 0;
  matchAt = seenAt;
  return sameUntil(from, seen, MATCH, <u32>min(end - from, seenEnd - seen));
}

/**
 * The first index from `start` on where `a` and `b` differ; `most` when there is none below. Reads up to 7 bytes behind
 * it.
 */
function sameUntil(a: usize, b: usize, start: u32, most: u32): u32 {
  for (let i = start; i < most; i += 8) {
    const unlike = load<u64>(a + i) ^ load<u64>(b + i);
    if (unlike != 0) return min(i + (<u32>ctz(unlike) >>> 3), most);
  }
  return most;
}

/** How many bytes before `a` and `b` are the same, of `most`. Reads up to 7 bytes before them. */
function sameBefore(a: usize, b: usize, most: u32): u32 {
  for (let i: u32 = 0; i < most; i += 8) {
    const unlike = load<u64>(a - i - 8) ^ load<u64>(b - i - 8);
    if (unlike != 0) return min(i + (<u32>clz(unlike) >>> 3), most);
  }
  return most;
}
