/**
 * Decodes the elements of the snappy block in `[source, end)` to `[target, target + total)`. True when they are
 * well-formed and make exactly `total` bytes. The rules are those of `uncompress` in ../snappy.ts, which finds
 * the words when this says false.
 *
 * Reads up to 64 bytes behind `end`, and writes up to 64 behind `target + total`; nothing else.
 */
export function uncompressBlock(source: usize, end: usize, target: usize, total: u32): bool {
  let ip = source;
  let op = target;
  const stop = target + <usize>total;
  while (ip < end) {
    const tag = <u32>load<u8>(ip++);
    let length: u32;
    let offset: u32;
    if ((tag & 3) == 0) {
      length = (tag >> 2) + 1;
      if (length > 60) {
        const extra = length - 60;
        if (extra > <u32>(end - ip)) return false;
        // Bytes of the length beyond those that count are shifted out.
        length = load<u32>(ip) & (0xffffffff >> (32 - 8 * extra));
        if (length == 0xffffffff) return false;
        length += 1;
        ip += extra;
      }
      if (length > <u32>(end - ip) || length > <u32>(stop - op)) return false;
      if (length > 64) memory.copy(op, ip, length);
      else {
        v128.store(op, v128.load(ip));
        if (length > 16) {
          v128.store(op, v128.load(ip, 16), 16);
          if (length > 32) {
            v128.store(op, v128.load(ip, 32), 32);
            v128.store(op, v128.load(ip, 48), 48);
          }
        }
      }
      ip += length;
      op += length;
      continue;
    }
    if ((tag & 3) == 1) {
      if (end - ip < 1) return false;
      length = ((tag >> 2) & 7) + 4;
      offset = ((tag & 0xe0) << 3) | <u32>load<u8>(ip);
      ip += 1;
    } else if ((tag & 3) == 2) {
      if (end - ip < 2) return false;
      length = (tag >> 2) + 1;
      offset = <u32>load<u16>(ip);
      ip += 2;
    } else {
      if (end - ip < 4) return false;
      length = (tag >> 2) + 1;
      offset = load<u32>(ip);
      ip += 4;
    }
    if (offset == 0 || offset > <u32>(op - target) || length > <u32>(stop - op)) return false;
    const next = op + length;
    let from = op - offset;
    if (offset >= 16) {
      do {
        v128.store(op, v128.load(from));
        op += 16;
        from += 16;
      } while (op < next);
    } else {
      // What repeats within a word: each step doubles what stands behind it, until whole words may be copied.
      while (op - from < 8 && op < next) {
        store<u64>(op, load<u64>(from));
        op += op - from;
      }
      while (op < next) {
        store<u64>(op, load<u64>(from));
        op += 8;
        from += 8;
      }
    }
    op = next;
  }
  return op == stop;
}
