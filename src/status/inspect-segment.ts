import { decode } from '@msgpack/msgpack';
import { END, FRAME, HEADER, nextRecord, RECORD_HEAD } from '../serialization/record.ts';

const typeNames = new Map<number, string>([
  [HEADER, 'header'],
  [FRAME, 'frame'],
  [END, 'end'],
]);

/** A segment file as lines of JSON, a record each: offset, type, and its fields; bytes are given by their length. */
export function* inspectSegment(file: Uint8Array): Iterable<string> {
  // Not as a Buffer, whose parts would be written out byte by byte.
  const bytes = new Uint8Array(file.buffer, file.byteOffset, file.length);
  let at = 0;
  for (let found = nextRecord(bytes, 0); found !== undefined; found = nextRecord(bytes, at)) {
    if (found.at > at) yield JSON.stringify({ offset: at, type: 'damage', bytes: found.at - at });
    const payload = decode(bytes.subarray(found.at + RECORD_HEAD, found.end));
    yield JSON.stringify(
      { offset: found.at, type: typeNames.get(found.type), ...(payload as object) },
      (_key, value: unknown) => (value instanceof Uint8Array ? `${value.length} bytes` : value),
    );
    at = found.end;
  }
  if (at < bytes.length) yield JSON.stringify({ offset: at, type: 'tail', bytes: bytes.length - at });
}
