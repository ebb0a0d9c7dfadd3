/*
 * Writes a body as snappy elements, as `BodyWriter` in ../body-writer.ts: bytes as they are, and copies of what stands
 * in the message already. Every write is held against the end of the body.
 *
 * The loop over the rows has this state in locals, and hands it over (`resume`) for what is done here.
 */

/** How far back a short copy reaches, and how long bytes further away must be to be worth a long one. */
export const NEAR: u32 = 65535;
export const FAR_MINIMUM: u32 = 8;

/** What a literal with a tag of one byte holds. */
export const LITERAL: u32 = 60;
/** Bytes move sixteen at a time, and may be scribbled over so far behind their end. */
const SLACK: usize = 16;
/** What follows a copy until the next one is bounded, tags and slack included: the fields of a sample and a head. */
export const SAMPLE: usize = 64;
/** Where the next byte of the body goes, and the end of its room. */
export let op: usize = 0;
let end: usize = 0;
/** Where the tag of the open literal stands, and how far it may go; `nowhere` and 0 while there is none. */
export let literal: usize = 0;
export let literalEnd: usize = 0;
export const nowhere: usize = memory.data(1);
/** The copy that has not been written yet, while its length is above 0. */
export let copyOffset: u32 = 0;
export let copyLength: u32 = 0;
/** Where the next byte of the message goes, counted from a base that grows from body to body. */
export let at: u32 = 0;

/** Begins the body of a message of `rawBytes`, whose first byte is at `base`, at `out` and before `outEnd`. */
export function begin(out: usize, outEnd: usize, rawBytes: u32, base: u32): void {
  end = outEnd;
  literal = nowhere;
  literalEnd = 0;
  copyLength = 0;
  at = base;
  bound(out + 5);
  op = putVarint(out, rawBytes);
}

/** Goes on from this state. */
// @ts-ignore: decorator
@inline
export function resume(to: usize, tag: usize, tagEnd: usize, offset: u32, length: u32, here: u32): void {
  op = to;
  literal = tag;
  literalEnd = tagEnd;
  copyOffset = offset;
  copyLength = length;
  at = here;
}

/** Ends the body; returns its end. */
export function finish(): usize {
  flushCopy();
  closeLiteral();
  return op;
}

/** True when the pending copy would go on with the bytes at `from`. */
// @ts-ignore: decorator
@inline
export function extendsCopy(from: u32): bool {
  return copyLength > 0 && at - from == copyOffset;
}

/** Repeats `length` bytes that stand at `from` in this body. */
export function repeat(from: u32, length: u32): void {
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
export function putCopy(start: usize, tag: usize, offset: u32, length: u32): usize {
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
export function closeAt(tag: usize, to: usize): void {
  store<u8>(tag, <u32>(to - tag - 2) << 2);
}

function closeLiteral(): void {
  closeAt(literal, op);
  literal = nowhere;
  literalEnd = 0;
}

/** Makes room in a literal for `length` bytes (at most 60): where they go. */
export function room(length: u32): usize {
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

export function putBytes(from: usize, length: u32): void {
  let rest = length;
  while (rest > 0) {
    const part = min(rest, LITERAL);
    const to = room(part);
    for (let i: u32 = 0; i < part; i += 16) v128.store(to + i, v128.load(from + i));
    from += part;
    rest -= part;
  }
}

export function putVarint(to: usize, value: u32): usize {
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) store<u8>(to++, (rest & 0x7f) | 0x80);
  store<u8>(to++, rest);
  return to;
}

// @ts-ignore: decorator
@inline
export function varintSize(value: u32): u32 {
  return (38 - <u32>clz(value | 1)) / 7;
}

// @ts-ignore: decorator
@inline
export function bound(to: usize): void {
  if (to > end) unreachable();
}
