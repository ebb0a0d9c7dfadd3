/*
 * The general compressor, byte for byte as `SnappyCompressor` in ../snappy.ts: for bodies of `wire_compression: small`.
 */

const HASH_SHIFT: u32 = 32 - 14;
/** Bytes of the table: where a word with this hash last stood, u32. */
const TABLE: usize = 4 << 14;
const MAX_OFFSET: u32 = 65535;
const MAX_MISSES: u32 = 2048;
/** Bytes that writes overshoot, and those of the longest tag. */
const SLACK: usize = 24;

/**
 * Writes the elements of `[src, src + length)` at `start`, nothing at or behind `end`, and returns where they end.
 * Reads up to 16 bytes behind the source. `table` has room for `TABLE` bytes.
 */
export function compressBlock(src: usize, length: u32, table: usize, start: usize, end: usize): usize {
  memory.fill(table, 0, TABLE);
  let op = start;
  let literal: u32 = 0;
  let ip: u32 = 1;
  const lastMatch = <i32>length - 15;
  let misses: u32 = 32;
  while (<i32>ip < lastMatch) {
    const word = load<u32>(src + ip);
    const entry = table + (<usize>((word * 0x1e35a7bd) >>> HASH_SHIFT) << 2);
    const candidate = load<u32>(entry);
    store<u32>(entry, ip);
    if (load<u32>(src + candidate) != word || ip - candidate > MAX_OFFSET) {
      ip += min(misses++, MAX_MISSES) >>> 5;
      continue;
    }
    misses = 32;
    if (ip > literal) op = putLiteral(src + literal, ip - literal, op, end);
    const match = sameLength(src + ip, src + candidate, length - ip);
    op = putCopy(op, ip - candidate, match, end);
    ip += match;
    literal = ip;
    if (<i32>ip < lastMatch) {
      const before = load<u32>(src + ip - 1);
      store<u32>(table + (<usize>((before * 0x1e35a7bd) >>> HASH_SHIFT) << 2), ip - 1);
    }
  }
  return literal < length ? putLiteral(src + literal, length - literal, op, end) : op;
}

/** How many bytes are the same at both, of `most`. */
function sameLength(a: usize, b: usize, most: u32): u32 {
  let i: u32 = 4;
  for (; i + 8 <= most; i += 8) {
    const unlike = load<u64>(a + i) ^ load<u64>(b + i);
    if (unlike != 0) return i + (<u32>ctz(unlike) >>> 3);
  }
  while (i < most && load<u8>(a + i) == load<u8>(b + i)) i++;
  return i;
}

/** Writes a literal of `length` bytes from `from`; returns its end. */
export function putLiteral(from: usize, length: u32, start: usize, end: usize): usize {
  if (start + length + SLACK > end) unreachable();
  let op = start;
  const n = length - 1;
  if (n < 60) store<u8>(op++, n << 2);
  else {
    const bytes: u32 = n < 0x100 ? 1 : n < 0x10000 ? 2 : n < 0x1000000 ? 3 : 4;
    store<u8>(op, (59 + bytes) << 2);
    store<u32>(op, n, 1);
    op += 1 + bytes;
  }
  if (length <= 16) v128.store(op, v128.load(from));
  else memory.copy(op, from, length);
  return op + length;
}

/** Writes copies of `length` bytes in all from `offset` bytes back; returns their end. */
export function putCopy(start: usize, offset: u32, length: u32, end: usize): usize {
  if (start + 3 * ((<usize>length >>> 6) + 2) + SLACK > end) unreachable();
  let op = start;
  let rest = length;
  for (; rest >= 68; rest -= 64, op += 3) store<u32>(op, (offset << 8) | (63 << 2) | 2);
  if (rest > 64) {
    store<u32>(op, (offset << 8) | (59 << 2) | 2);
    op += 3;
    rest -= 60;
  }
  if (rest <= 11 && offset < 2048) {
    store<u16>(op, (offset << 8) | ((offset >>> 8) << 5) | ((rest - 4) << 2) | 1);
    return op + 2;
  }
  store<u32>(op, (offset << 8) | ((rest - 1) << 2) | 2);
  return op + 3;
}
