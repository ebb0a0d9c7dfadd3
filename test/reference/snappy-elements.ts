/** Snappy blocks put together by hand, element by element, from the description of the format. */

/** A block that declares `length` decoded bytes. */
export function block(length: number, ...elements: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([varint(length), ...elements]);
}

export function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Uint8Array.of(...bytes, rest);
}

/** A literal whose length is in the tag (0) or in so many bytes behind it. */
export function literal(bytes: Uint8Array, lengthBytes: 0 | 1 | 2 | 3 | 4 = 0): Uint8Array {
  const n = bytes.length - 1;
  if (lengthBytes === 0) return Buffer.concat([Uint8Array.of(n << 2), bytes]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(n);
  return Buffer.concat([Uint8Array.of((59 + lengthBytes) << 2), length.subarray(0, lengthBytes), bytes]);
}

/** 4 to 11 bytes from up to 2047 bytes back. */
export function copy1(offset: number, length: number): Uint8Array {
  return Uint8Array.of(((offset >>> 8) << 5) | ((length - 4) << 2) | 1, offset & 0xff);
}

/** 1 to 64 bytes from up to 65535 bytes back. */
export function copy2(offset: number, length: number): Uint8Array {
  return Uint8Array.of(((length - 1) << 2) | 2, offset & 0xff, offset >>> 8);
}

/** 1 to 64 bytes from anywhere back. */
export function copy4(offset: number, length: number): Uint8Array {
  const bytes = Buffer.alloc(5);
  bytes[0] = ((length - 1) << 2) | 3;
  bytes.writeUInt32LE(offset, 1);
  return bytes;
}
