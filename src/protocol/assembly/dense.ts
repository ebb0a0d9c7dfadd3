/*
 * The compressor for short rows of binary fields, byte for byte as `DenseCompressor` in ../snappy-dense.ts, which tells
 * how it works: for bodies of 2.0 with `wire_compression: small`.
 */

import { putCopy, putLiteral } from './compress';
import { putVarint } from './writer';

const HASH_SHIFT: u32 = 32 - 14;
const MAX_OFFSET: u32 = 65535;
const LONGEST: u32 = 64;
const LONG: u32 = 8;
const SHORT: u32 = 11;
const SHORT_REACH: u32 = 2048;
const BLOCK: u32 = 1 << 13;
const ALWAYS: u32 = 0x80;

/** Where a word with this hash last stood, plus one; in the room that the caller gives, and behind it: */
const TABLE: usize = 4 << 14;
/** of each position of a block its cost behind a literal u32 | behind a copy u32; */
const COSTS: usize = TABLE;
/** the offset of its match u16 | the length of its match u8 | what is chosen u8. */
const MATCHES: usize = COSTS + ((BLOCK + LONGEST) << 3);

/**
 * Writes `[src, src + length)` as a snappy block at `out`, nothing at or behind `outEnd`, and returns its end. Reads up
 * to 16 bytes behind the source. `room` has `DENSE_ROOM` bytes (../wasm-emit-v2.ts).
 */
export function compressDense(src: usize, length: u32, room: usize, out: usize, outEnd: usize): usize {
  memory.fill(room, 0, TABLE);
  const matches = room + MATCHES;
  let op = putVarint(out, length);
  let literal: u32 = 0;
  for (let start: u32 = 0; start < length; start += BLOCK) {
    const end = min(length, start + BLOCK);
    findMatches(src, start, end, length, room);
    choose(end - start, room);
    let ip = start;
    while (ip < end) {
      const match = matches + ((<usize>(ip - start)) << 2);
      const chosen = <u32>load<u8>(match, 3);
      const copy = chosen & ~ALWAYS;
      if (copy == 0 || (literal < ip && chosen < ALWAYS)) ip++;
      else {
        if (literal < ip) op = putLiteral(src + literal, ip - literal, op, outEnd);
        op = putCopy(op, load<u16>(match), copy, outEnd);
        ip += copy;
        literal = ip;
      }
    }
  }
  return literal < length ? putLiteral(src + literal, length - literal, op, outEnd) : op;
}

function findMatches(src: usize, start: u32, end: u32, length: u32, room: usize): void {
  let lastOffset: u32 = 0;
  let last: u32 = 0;
  let to = room + MATCHES;
  for (let ip = start; ip < end; ip++, to += 4) {
    let match: u32 = 0;
    if (ip + 4 <= length) {
      const word = load<u32>(src + ip);
      const entry = room + ((<usize>((word * 0x1e35a7bd) >>> HASH_SHIFT)) << 2);
      const candidate = load<u32>(entry) - 1;
      store<u32>(entry, ip + 1);
      const offset = ip - candidate;
      if (last > LONG) {
        match = last - 1;
        store<u16>(to, <u16>lastOffset);
      } else if (
        // Of an empty entry it is above all positions.
        candidate < ip && offset <= MAX_OFFSET && load<u32>(src + candidate) == word) {
        const most = min(LONGEST, end - ip);
        match = sameLength(src + ip, src + candidate, offset == lastOffset && last > 4 ? last - 1 : 4, most);
        if (match > most) match = 0;
        lastOffset = offset;
        store<u16>(to, <u16>offset);
      }
    }
    last = match;
    store<u8>(to, <u8>match, 2);
  }
}

/** How many bytes are the same at both, of `most`; the first `known` are. Reads up to 7 bytes behind them. */
// @ts-ignore: decorator
@inline
function sameLength(a: usize, b: usize, known: u32, most: u32): u32 {
  let i = known;
  for (; i < most; i += 8) {
    const unlike = load<u64>(a + i) ^ load<u64>(b + i);
    if (unlike != 0) return min(i + (<u32>ctz(unlike) >>> 3), most);
  }
  return max(known, min(i, most));
}

function choose(count: u32, room: usize): void {
  const costs = room + COSTS;
  const matches = room + MATCHES;
  store<u64>(costs + ((<usize>count) << 3), 0);
  let literal: u32 = 0;
  for (let i: i32 = <i32>count - 1; i >= 0; i--) {
    const at = costs + ((<usize>i) << 3);
    const match = matches + ((<usize>i) << 2);
    literal = load<u32>(at, 8) + 1;
    const length = <u32>load<u8>(match, 2);
    if (length == 0) {
      store<u32>(at, literal);
      store<u32>(at, literal + 1, 4);
      store<u8>(match, 0, 3);
      continue;
    }
    let best = length;
    let copy = load<u32>(at + ((<usize>length) << 3), 4) + 3;
    if (<u32>load<u16>(match) < SHORT_REACH) {
      const short = min(length, SHORT);
      const cheaper = load<u32>(at + ((<usize>short) << 3), 4) + 2;
      if (cheaper < copy) {
        copy = cheaper;
        best = short;
      }
    }
    if (copy <= literal) {
      store<u32>(at, copy);
      store<u32>(at, copy, 4);
      store<u8>(match, <u8>(best | ALWAYS), 3);
    } else {
      store<u32>(at, literal);
      store<u32>(at, min(literal + 1, copy), 4);
      store<u8>(match, <u8>(copy <= literal + 1 ? best : 0), 3);
    }
  }
}
