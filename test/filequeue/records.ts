import { decode, encode } from '@msgpack/msgpack';
import {
  encodeRecord,
  type FileMark,
  HEADER,
  nextRecord,
  RECORD_HEAD,
  type RecordType,
  type WantedMark,
} from '../../src/serialization/record.ts';

/** The mark of the first segment of a queue whose seeds are all 1, as openQueue makes them. */
export const mark: FileMark = { segment: 1, salt: 1 };

/** Records one behind the other, from offset `at` of a file on. */
export function chain(
  parts: readonly (readonly [type: RecordType, payload: Uint8Array])[],
  at = 0,
  of: FileMark = mark,
): Buffer {
  const records: Uint8Array[] = [];
  let offset = at;
  for (const [type, payload] of parts) {
    const record = encodeRecord(type, payload, of, offset);
    records.push(record);
    offset += record.length;
  }
  return Buffer.concat(records);
}

/** A record of a file that was read. */
export interface PlainRecord {
  readonly type: RecordType;
  readonly at: number;
  readonly payload: Uint8Array;
}

/** All whole records of a file, with or without damage between them. */
export function recordsOf(file: Uint8Array, of: WantedMark = mark): PlainRecord[] {
  const records: PlainRecord[] = [];
  let found = nextRecord(file, 0, of, 0);
  for (; found !== undefined; found = nextRecord(file, found.end, of, 0)) {
    records.push({ type: found.type, at: found.at, payload: file.slice(found.at + RECORD_HEAD, found.end) });
  }
  return records;
}

/** The whole records of segment `of` as a writer of segment `to` would have put them down. */
export function rebound(file: Uint8Array, to: number, of: WantedMark = mark): Buffer {
  const parts = recordsOf(file, of).map(({ type, payload }) => {
    if (type !== HEADER) return [type, payload] as const;
    return [type, encode({ ...(decode(payload) as object), segment: to })] as const;
  });
  return chain(parts, 0, { segment: to, salt: of.salt ?? 1 });
}
