import { decode } from '@msgpack/msgpack';
import { END, FRAME, GAP, HEADER, nextRecord, RECORD_HEAD, recordAt } from '../serialization/record.ts';

const typeNames = new Map<number, string>([
  [HEADER, 'header'],
  [FRAME, 'frame'],
  [END, 'end'],
  [GAP, 'gap'],
]);

/**
 * A segment file as lines of JSON, a record each: offset, type, and its fields; bytes are given by their length.
 * Which segment it is says its header; `id` is for when that is damaged.
 */
export function* inspectSegment(file: Uint8Array, id = 0): Iterable<string> {
  // Not as a Buffer, whose parts would be written out byte by byte.
  const bytes = new Uint8Array(file.buffer, file.byteOffset, file.length);
  const first = recordAt(bytes, 0, { segment: 0, salt: undefined }, 0);
  let segment = id;
  let salt: number | undefined;
  if (typeof first === 'object') {
    ({ salt } = first);
    const header = decode(bytes.subarray(RECORD_HEAD, first.end)) as { segment?: unknown };
    if (typeof header.segment === 'number') ({ segment } = header as { segment: number });
  }
  let at = 0;
  for (;;) {
    const found = nextRecord(bytes, at, { segment, salt }, 0);
    if (found === undefined) break;
    ({ salt } = found);
    if (found.at > at) yield JSON.stringify({ offset: at, type: 'damage', bytes: found.at - at });
    const payload = bytes.subarray(found.at + RECORD_HEAD, found.end);
    const fields = found.type === GAP ? { bytes: found.end - found.at } : (decode(payload) as object);
    yield JSON.stringify(
      { offset: found.at, type: typeNames.get(found.type), ...fields },
      (_key, value: unknown) => (value instanceof Uint8Array ? `${value.length} bytes` : value),
    );
    at = found.end;
  }
  if (at < bytes.length) yield JSON.stringify({ offset: at, type: 'tail', bytes: bytes.length - at });
}
