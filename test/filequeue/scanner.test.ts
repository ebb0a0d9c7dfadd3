import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Scanned, SegmentScanner } from '../../src/filequeue/scanner.ts';
import type { ReadableFile } from '../../src/runtime/fs.ts';
import { END, encodeRecord, FRAME, HEADER, nextRecord, recordAt } from '../../src/serialization/record.ts';
import { Random } from '../support/random.ts';

test('records come in order, with their type and payload', () => {
  const records = [
    encodeRecord(HEADER, bytes(5)),
    encodeRecord(FRAME, bytes(0)),
    encodeRecord(FRAME, bytes(300)),
    encodeRecord(END, bytes(9)),
  ];
  const all = Buffer.concat(records);
  const scanner = new SegmentScanner(file(all), 0);
  let at = 0;
  for (const record of records) {
    const found = scanner.next(all.length);
    assert.ok(found.kind === 'record');
    assert.equal(found.at, at);
    assert.equal(found.type, record[3]);
    assert.deepEqual(Buffer.from(found.payload), Buffer.from(record.subarray(12)));
    at += record.length;
    assert.equal(found.end, at);
    assert.equal(scanner.at, at);
  }
  assert.deepEqual(scanner.next(all.length), { kind: 'end', at });
});

test('a reader may begin at any record', () => {
  const head = encodeRecord(HEADER, bytes(50));
  const all = Buffer.concat([head, encodeRecord(FRAME, bytes(70))]);
  const found = new SegmentScanner(file(all), head.length).next(all.length);
  assert.ok(found.kind === 'record' && found.at === head.length && found.end === all.length);
});

test('nothing behind the limit is read, and a higher limit goes on from there', () => {
  const first = encodeRecord(FRAME, bytes(100));
  const second = encodeRecord(FRAME, bytes(200));
  const all = Buffer.concat([first, second]);
  let allowed = 0;
  const scanner = new SegmentScanner(
    file(all, (position, length) => assert.ok(position + length <= allowed)),
    0,
  );
  for (allowed = 0; allowed < first.length; allowed++) {
    assert.deepEqual(scanner.next(allowed), { kind: 'end', at: 0 });
  }
  assert.equal(scanner.next(allowed).kind, 'record');
  for (; allowed < all.length; allowed++) {
    assert.deepEqual(scanner.next(allowed), { kind: 'end', at: first.length });
  }
  assert.equal(scanner.next(allowed).kind, 'record');
});

test('records larger than the window are read whole', () => {
  const sizes = [10, 300_000, 10, 5_000_000, 10, 10, 1_500_000, 0];
  const all = Buffer.concat(sizes.map((size) => encodeRecord(FRAME, bytes(size))));
  const scanner = new SegmentScanner(file(all), 0);
  for (const size of sizes) {
    const found = scanner.next(all.length);
    assert.ok(found.kind === 'record');
    assert.deepEqual(Buffer.from(found.payload), Buffer.from(bytes(size)));
  }
  assert.equal(scanner.next(all.length).kind, 'end');
});

test('a length that claims more than there is, is damage and not waited for', () => {
  const broken = encodeRecord(FRAME, bytes(100));
  broken[6] = 0xff;
  const whole = encodeRecord(FRAME, bytes(100));
  const all = Buffer.concat([broken, whole]);
  const scanner = new SegmentScanner(file(all), 0);
  assert.deepEqual(scanner.next(all.length), { kind: 'damage', at: 0, end: broken.length });
  assert.equal(scanner.next(all.length).kind, 'record');
});

test('what looks like a tail becomes damage when a whole record follows', () => {
  const broken = encodeRecord(FRAME, bytes(100));
  broken[50] = broken[50]! ^ 1;
  const all = Buffer.concat([broken, encodeRecord(FRAME, bytes(100))]);
  const scanner = new SegmentScanner(file(all), 0);
  assert.deepEqual(scanner.next(broken.length), { kind: 'end', at: 0 });
  assert.deepEqual(scanner.next(all.length), { kind: 'damage', at: 0, end: broken.length });
});

test('markers inside of a payload are not taken for records', () => {
  const payload = Buffer.concat([encodeRecord(FRAME, bytes(40)), bytes(3), encodeRecord(END, bytes(2))]);
  const all = encodeRecord(FRAME, payload);
  const scanner = new SegmentScanner(file(all), 0);
  const found = scanner.next(all.length);
  assert.ok(found.kind === 'record' && found.end === all.length);
  assert.equal(scanner.next(all.length).kind, 'end');
});

test('whatever is in a file, the scanner finds what a plain search of all its bytes finds', (t) => {
  const random = Random.of(t);
  for (let round = 0; round < 500; round++) {
    const parts: Uint8Array[] = [];
    for (let i = random.int(0, 8); i > 0; i--) {
      const type = random.next() < 0.8 ? FRAME : END;
      const record = encodeRecord(type, bytes(random.int(0, 400)));
      if (random.next() < 0.3) record[random.int(0, record.length)]! ^= 1 << random.int(0, 8);
      const cut = random.next() < 0.2 ? random.int(0, record.length) : record.length;
      parts.push(record.subarray(0, cut));
    }
    const all = Buffer.concat(parts);
    const readAtMost = random.next() < 0.5 ? random.int(1, 50) : all.length;
    const scanner = new SegmentScanner(
      file(all, () => undefined, readAtMost),
      0,
    );
    const found: string[] = [];
    let one: Scanned;
    do {
      one = scanner.next(all.length);
      found.push(one.kind === 'end' ? `end ${one.at}` : `${one.kind} ${one.at} ${one.end}`);
    } while (one.kind !== 'end');
    assert.deepEqual(found, search(all));
  }
});

/** What stands in `all`, found by looking at every offset. */
function search(all: Uint8Array): string[] {
  const found: string[] = [];
  let at = 0;
  for (;;) {
    const here = recordAt(all, at);
    const next = typeof here === 'object' ? here : nextRecord(all, at);
    if (next === undefined) return [...found, `end ${at}`];
    if (next.at > at) found.push(`damage ${at} ${next.at}`);
    found.push(`record ${next.at} ${next.end}`);
    at = next.end;
  }
}

/** Bytes that hold parts of markers. */
function bytes(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) =>
    i % 7 < 4 ? [0x53, 0x50, 0x57, 0x46][i % 7]! : i & 0xff,
  );
}

/** A file with this content; `watch` sees each read, and none brings more than `most` bytes. */
function file(
  content: Uint8Array,
  watch: (position: number, length: number) => void = () => undefined,
  most = Number.POSITIVE_INFINITY,
): ReadableFile {
  return {
    read: (into, length, position) => {
      watch(position, length);
      const part = content.subarray(position, position + Math.min(length, most));
      into.set(part);
      return part.length;
    },
    size: () => content.length,
    close: () => undefined,
  };
}
