import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode } from '@msgpack/msgpack';
import {
  decodeEnd,
  decodeHeader,
  encodeEnd,
  encodeHeader,
  parseSegmentName,
  segmentName,
  UnknownFormatError,
} from '../../src/filequeue/segment-file.ts';
import { FrameError } from '../../src/serialization/frame.ts';
import { RECORD_HEAD } from '../../src/serialization/record.ts';

test('names sort as ids do, and are read back', () => {
  const ids = [1, 2, 9, 10, 99, 100, 2 ** 32, Number.MAX_SAFE_INTEGER];
  const names = ids.map((id) => segmentName(id, 'open'));
  assert.deepEqual([...names].sort(), names);
  for (const id of ids) {
    for (const state of ['open', 'committed'] as const) {
      assert.deepEqual(parseSegmentName(segmentName(id, state)), { id, state });
    }
  }
});

test('other names are no segments', () => {
  const zeros = '0'.repeat(19);
  for (const name of [
    'lock',
    'quarantine',
    '1.open',
    `${zeros}1`,
    `${zeros}1.open.duplicate`,
    `${zeros}1.tmp`,
    `${zeros}01.open`,
    ` ${zeros}1.open`,
    `-${zeros}.open`,
    // Not exact as a number.
    '09007199254740993000.open',
  ]) {
    assert.equal(parseSegmentName(name), undefined, name);
  }
});

const header = { segment: 7, codec: 'snappy', createdMs: 1_700_000_000_000 } as const;

test('a header says the same when it is read', () => {
  for (const previous of [
    undefined,
    { segment: 6, bytes: 0, rows: 0 },
    { segment: 5, bytes: 2 ** 40, rows: 2 ** 33 },
  ]) {
    const record = encodeHeader({ ...header, previous }, 1);
    assert.deepEqual(decodeHeader(record.subarray(RECORD_HEAD)), { ...header, previous });
  }
});

test('a header of another version or codec is unknown', () => {
  const known = {
    format: 'spillway-segment',
    version: 1,
    segment: 1,
    codec: 'none',
    created: 0,
    previous: null,
  };
  for (const other of [
    { version: 2 },
    { version: 0 },
    { version: '1' },
    { version: null },
    { format: 'spillway' },
    { codec: 'zstd' },
    { codec: null },
    // A later version may give the rest another shape.
    { version: 2, segment: 'seven', previous: 3 },
  ]) {
    assert.throws(
      () => decodeHeader(encode({ ...known, ...other })),
      UnknownFormatError,
      JSON.stringify(other),
    );
  }
  for (const broken of [
    { segment: -1 },
    { segment: 1.5 },
    { segment: null },
    { created: 'now' },
    { previous: 3 },
    { previous: [] },
    { previous: {} },
    { previous: { segment: 1, bytes: -1, rows: 0 } },
    { previous: { segment: 1, bytes: 1 } },
  ]) {
    assert.throws(() => decodeHeader(encode({ ...known, ...broken })), FrameError, JSON.stringify(broken));
  }
  assert.throws(() => decodeHeader(encode([1, 2])), FrameError);
  assert.throws(() => decodeHeader(encode(null)), FrameError);
});

const end = { rows: 10, counts: [4, 3, 2, 1], frames: 2, firstMs: 1, lastMs: 2 };

test('an end says the same when it is read', () => {
  assert.deepEqual(decodeEnd(encodeEnd(end, { segment: 7, salt: 1 }, 0).subarray(RECORD_HEAD)), end);
});

test('an end of another shape is refused', () => {
  const known = { rows: 1, counts: [1, 0, 0, 0], frames: 1, first: 1, last: 1 };
  decodeEnd(encode(known));
  for (const broken of [
    { rows: -1 },
    { counts: null },
    { counts: ['1'] },
    { counts: [0.5] },
    { frames: 'two' },
    { first: null },
    { last: -1 },
  ]) {
    assert.throws(() => decodeEnd(encode({ ...known, ...broken })), FrameError, JSON.stringify(broken));
  }
});

test('a header and an end fit into what a start reads of a file', () => {
  const most = Number.MAX_SAFE_INTEGER;
  const largest = {
    ...header,
    segment: most,
    createdMs: most,
    previous: { segment: most, bytes: most, rows: most },
  };
  assert.ok(encodeHeader(largest, 1).length <= 4096);
  const counts = [most, most, most, most];
  const summary = { rows: most, counts, frames: most, firstMs: most, lastMs: most };
  assert.ok(encodeEnd(summary, { segment: most, salt: 0xffffffff }, most).length <= 512);
});
