import { crc32 } from 'node:zlib';

/**
 * A record is how every msgpack value stands in a segment file:
 *
 *     offset  size  what
 *     0       3     53 50 57 ("SPW")
 *     3       1     type: 48 "H" header, 46 "F" frame, 45 "E" end
 *     4       4     length of the payload, u32 little-endian
 *     8       4     CRC-32 (IEEE) of bytes 0-7 and the payload, u32 little-endian
 *     12      ...   the payload: one msgpack value
 *
 * The marker lets a reader find the next whole record behind a damaged one; the CRC covers type and length,
 * so a flipped bit in them is seen too.
 */
export const RECORD_HEAD = 12;
/** No payload is longer: a longer claim is damage, and is not allocated. */
export const MAX_PAYLOAD: number = 256 * 1024 * 1024;

export const HEADER = 0x48;
export const FRAME = 0x46;
export const END = 0x45;
export type RecordType = typeof HEADER | typeof FRAME | typeof END;

const MARKER_0 = 0x53;
const MARKER_1 = 0x50;
const MARKER_2 = 0x57;

/** Writes the head of a record whose `length` bytes of payload already stand at `at + RECORD_HEAD`. */
export function sealRecord(bytes: Uint8Array, at: number, type: RecordType, length: number): void {
  bytes[at] = MARKER_0;
  bytes[at + 1] = MARKER_1;
  bytes[at + 2] = MARKER_2;
  bytes[at + 3] = type;
  putU32(bytes, at + 4, length);
  putU32(bytes, at + 8, checksum(bytes, at, length));
}

/** The record with this payload, as bytes of its own. */
export function encodeRecord(type: RecordType, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(RECORD_HEAD + payload.length);
  bytes.set(payload, RECORD_HEAD);
  sealRecord(bytes, 0, type, payload.length);
  return bytes;
}

/** A whole record found at `at`: its payload is `[at + RECORD_HEAD, end)`. */
export interface FoundRecord {
  readonly type: RecordType;
  readonly at: number;
  readonly end: number;
}

/**
 * What stands at `at` of `bytes`: a whole record, `'short'` when it looks like one that goes on behind the end
 * of `bytes` (more has to be read, or it is a torn tail), or `'bad'`.
 */
export function recordAt(bytes: Uint8Array, at: number): FoundRecord | 'short' | 'bad' {
  if (at + RECORD_HEAD > bytes.length) {
    for (let i = at; i < Math.min(at + 3, bytes.length); i++) {
      if (bytes[i] !== (i === at ? MARKER_0 : i === at + 1 ? MARKER_1 : MARKER_2)) return 'bad';
    }
    return 'short';
  }
  if (bytes[at] !== MARKER_0 || bytes[at + 1] !== MARKER_1 || bytes[at + 2] !== MARKER_2) return 'bad';
  const type = bytes[at + 3];
  if (type !== HEADER && type !== FRAME && type !== END) return 'bad';
  const length = getU32(bytes, at + 4);
  if (length > MAX_PAYLOAD) return 'bad';
  const end = at + RECORD_HEAD + length;
  if (end > bytes.length) return 'short';
  return checksum(bytes, at, length) === getU32(bytes, at + 8) ? { type, at, end } : 'bad';
}

/** The first whole record at or behind `from`, or undefined when there is none in `bytes`. */
export function nextRecord(bytes: Uint8Array, from: number): FoundRecord | undefined {
  for (let at = bytes.indexOf(MARKER_0, from); at >= 0; at = bytes.indexOf(MARKER_0, at + 1)) {
    const found = recordAt(bytes, at);
    if (typeof found === 'object') return found;
  }
  return undefined;
}

/** Bytes that the record at `at` takes by its own word, or undefined when no head stands there. */
export function claimedLength(bytes: Uint8Array, at: number): number | undefined {
  if (at + RECORD_HEAD > bytes.length || bytes[at] !== MARKER_0 || bytes[at + 1] !== MARKER_1)
    return undefined;
  const length = getU32(bytes, at + 4);
  return length > MAX_PAYLOAD ? undefined : RECORD_HEAD + length;
}

function checksum(bytes: Uint8Array, at: number, length: number): number {
  const head = crc32(bytes.subarray(at, at + 8));
  return crc32(bytes.subarray(at + RECORD_HEAD, at + RECORD_HEAD + length), head) >>> 0;
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

function getU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
