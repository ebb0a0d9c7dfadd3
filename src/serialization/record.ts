import { crc32 } from 'node:zlib';

/**
 * A record is how every msgpack value stands in a segment file:
 *
 *     offset  size  what
 *     0       3     53 50 57 ("SPW")
 *     3       1     type: 48 "H" header, 46 "F" frame, 45 "E" end, 47 "G" gap
 *     4       4     length of the payload, u32 little-endian
 *     8       4     salt of the file, u32 little-endian
 *     12      4     CRC-32 (IEEE) of the place, bytes 0-11 and the payload, u32 little-endian
 *     16      ...   the payload: one msgpack value
 *
 * The marker lets a reader find the next whole record behind a damaged one. What lies there is bytes that senders
 * chose, so a record that one of them hid in a label must not be taken for ours: the salt is drawn for each file,
 * and nobody outside knows it. The place (id of the segment and offset of the record, eight bytes each) is in the
 * CRC, so that a record is whole only where it was written: not in another segment, nor elsewhere in its own. The
 * place of a header counts as zeros, since it is read to learn whose file this is.
 */
export const RECORD_HEAD = 16;
/** No payload is longer: a longer claim is damage, and is not allocated. */
export const MAX_PAYLOAD: number = 256 * 1024 * 1024;

export const HEADER = 0x48;
export const FRAME = 0x46;
export const END = 0x45;
/** Stands where repair took damaged bytes out. */
export const GAP = 0x47;
export type RecordType = typeof HEADER | typeof FRAME | typeof END | typeof GAP;

/** What ties records to their file. */
export interface FileMark {
  readonly segment: number;
  /** u32 */
  readonly salt: number;
}

/** The mark that a record is looked for under; without a salt any will do. */
export type WantedMark = Omit<FileMark, 'salt'> & { readonly salt: number | undefined };

const MARKER_0 = 0x53;
const MARKER_1 = 0x50;
const MARKER_2 = 0x57;
const SALT_AT = 8;
const CRC_AT = 12;

/** Writes the head of a record whose `length` bytes of payload stand at `at + RECORD_HEAD`; `offset` is its place in the file. */
export function sealRecord(
  bytes: Uint8Array,
  at: number,
  type: RecordType,
  length: number,
  mark: FileMark,
  offset: number,
): void {
  bytes[at] = MARKER_0;
  bytes[at + 1] = MARKER_1;
  bytes[at + 2] = MARKER_2;
  bytes[at + 3] = type;
  putU32(bytes, at + 4, length);
  putU32(bytes, at + SALT_AT, mark.salt);
  putU32(bytes, at + CRC_AT, checksum(bytes, at, length, type === HEADER ? 0 : mark.segment, offset));
}

/** The record with this payload, as bytes of its own, for `offset` of the file. */
export function encodeRecord(
  type: RecordType,
  payload: Uint8Array,
  mark: FileMark,
  offset: number,
): Uint8Array {
  const bytes = new Uint8Array(RECORD_HEAD + payload.length);
  bytes.set(payload, RECORD_HEAD);
  sealRecord(bytes, 0, type, payload.length, mark, offset);
  return bytes;
}

/** A whole record found at `at`: its payload is `[at + RECORD_HEAD, end)`. */
export interface FoundRecord {
  readonly type: RecordType;
  readonly at: number;
  readonly end: number;
  readonly salt: number;
}

/**
 * What stands at `at` of `bytes`, which begin at offset `base` of the file: a whole record, `'short'` when it looks
 * like one that goes on behind the end of `bytes` (more has to be read, or it is a torn tail), or `'bad'`.
 */
export function recordAt(
  bytes: Uint8Array,
  at: number,
  mark: WantedMark,
  base: number,
): FoundRecord | 'short' | 'bad' {
  if (at + RECORD_HEAD > bytes.length) {
    for (let i = at; i < Math.min(at + 3, bytes.length); i++) {
      if (bytes[i] !== (i === at ? MARKER_0 : i === at + 1 ? MARKER_1 : MARKER_2)) return 'bad';
    }
    return 'short';
  }
  if (bytes[at] !== MARKER_0 || bytes[at + 1] !== MARKER_1 || bytes[at + 2] !== MARKER_2) return 'bad';
  const type = bytes[at + 3];
  if (type !== HEADER && type !== FRAME && type !== END && type !== GAP) return 'bad';
  const length = getU32(bytes, at + 4);
  if (length > MAX_PAYLOAD) return 'bad';
  const salt = getU32(bytes, at + SALT_AT);
  // Before any checksum: a payload full of false heads must not cost one for each of them.
  if (mark.salt !== undefined && salt !== mark.salt) return 'bad';
  const end = at + RECORD_HEAD + length;
  if (end > bytes.length) return 'short';
  const crc = checksum(bytes, at, length, type === HEADER ? 0 : mark.segment, base + at);
  return crc === getU32(bytes, at + CRC_AT) ? { type, at, end, salt } : 'bad';
}

/** The first whole record at or behind `from`, or undefined when there is none in `bytes`. */
export function nextRecord(
  bytes: Uint8Array,
  from: number,
  mark: WantedMark,
  base: number,
): FoundRecord | undefined {
  for (let at = bytes.indexOf(MARKER_0, from); at >= 0; at = bytes.indexOf(MARKER_0, at + 1)) {
    const found = recordAt(bytes, at, mark, base);
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

const place = new Uint8Array(16);
const placeView = new DataView(place.buffer);

function checksum(bytes: Uint8Array, at: number, length: number, segment: number, offset: number): number {
  placeView.setUint32(0, segment, true);
  placeView.setUint32(4, segment / 2 ** 32, true);
  placeView.setUint32(8, offset, true);
  placeView.setUint32(12, offset / 2 ** 32, true);
  const head = crc32(bytes.subarray(at, at + CRC_AT), crc32(place));
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
