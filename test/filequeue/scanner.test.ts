import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Scanned, SegmentScanner } from '../../src/filequeue/scanner.ts';
import type { ReadableFile } from '../../src/runtime/fs.ts';
import { END, FRAME, HEADER, nextRecord, RECORD_HEAD, recordAt } from '../../src/serialization/record.ts';
import { Random } from '../support/random.ts';
import { chain, mark } from './records.ts';

test('records come in order, with their type and payload', () => {
  const records = [
    [HEADER, bytes(5)],
    [FRAME, bytes(0)],
    [FRAME, bytes(300)],
    [END, bytes(9)],
  ] as const;
  const all = chain(records);
  const scanner = new SegmentScanner(file(all), 0, mark);
  let at = 0;
  for (const [type, payload] of records) {
    const found = scanner.next(all.length);
    assert.ok(found.kind === 'record');
    assert.equal(found.at, at);
    assert.equal(found.type, type);
    assert.deepEqual(Buffer.from(found.payload), Buffer.from(payload));
    at += RECORD_HEAD + payload.length;
    assert.equal(found.end, at);
    assert.equal(scanner.at, at);
  }
  assert.deepEqual(scanner.next(all.length), { kind: 'end', at });
});

test('a reader may begin at any record', () => {
  const head = chain([[HEADER, bytes(50)]]);
  const all = Buffer.concat([head, chain([[FRAME, bytes(70)]], head.length)]);
  const found = new SegmentScanner(file(all), head.length, mark).next(all.length);
  assert.ok(found.kind === 'record' && found.at === head.length && found.end === all.length);
});

test('nothing behind the limit is read, and a higher limit goes on from there', () => {
  const first = chain([[FRAME, bytes(100)]]);
  const second = chain([[FRAME, bytes(200)]], first.length);
  const all = Buffer.concat([first, second]);
  let allowed = 0;
  const scanner = new SegmentScanner(
    file(all, (position, length) => assert.ok(position + length <= allowed)),
    0,
    mark,
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
  const all = chain(sizes.map((size) => [FRAME, bytes(size)]));
  const scanner = new SegmentScanner(file(all), 0, mark);
  for (const size of sizes) {
    const found = scanner.next(all.length);
    assert.ok(found.kind === 'record');
    assert.deepEqual(Buffer.from(found.payload), Buffer.from(bytes(size)));
  }
  assert.equal(scanner.next(all.length).kind, 'end');
});

test('a length that claims more than there is, is damage and not waited for', () => {
  const broken = chain([[FRAME, bytes(100)]]);
  broken[6] = 0xff;
  const all = Buffer.concat([broken, chain([[FRAME, bytes(100)]], broken.length)]);
  const scanner = new SegmentScanner(file(all), 0, mark);
  assert.deepEqual(scanner.next(all.length), { kind: 'damage', at: 0, end: broken.length });
  assert.equal(scanner.next(all.length).kind, 'record');
});

test('what looks like a tail becomes damage when a whole record follows', () => {
  const broken = chain([[FRAME, bytes(100)]]);
  broken[50] = broken[50]! ^ 1;
  const all = Buffer.concat([broken, chain([[FRAME, bytes(100)]], broken.length)]);
  const scanner = new SegmentScanner(file(all), 0, mark);
  assert.deepEqual(scanner.next(broken.length), { kind: 'end', at: 0 });
  assert.deepEqual(scanner.next(all.length), { kind: 'damage', at: 0, end: broken.length });
});

test('a record that a sender hid in a payload is not taken for one, also when the one around it is damaged', () => {
  // Whoever sends it may guess the segment and the offset, but not the salt.
  const hidden = chain([[FRAME, bytes(40)]], 2 * RECORD_HEAD + 5, { ...mark, salt: 2 });
  const payload = Buffer.concat([bytes(5), hidden, bytes(3)]);
  const all = chain([
    [HEADER, bytes(0)],
    [FRAME, payload],
    [END, bytes(2)],
  ]);
  const found = (of: typeof mark) => {
    const scanner = new SegmentScanner(file(all), 0, of);
    return [1, 2, 3].map(() => {
      const one = scanner.next(all.length);
      return one.kind === 'record' ? one.type : one;
    });
  };
  assert.deepEqual(found(mark), [HEADER, FRAME, END]);
  all[RECORD_HEAD + 3]! ^= 0x10;
  const damage = { kind: 'damage', at: RECORD_HEAD, end: all.length - RECORD_HEAD - 2 };
  assert.deepEqual(found(mark), [HEADER, damage, END]);
  assert.equal(found({ ...mark, salt: 2 })[1], FRAME, 'that record is whole but for the salt');
});

test('a record is whole only in its segment, at its offset', () => {
  const one = chain([[FRAME, bytes(40)]]);
  for (const [all, of] of [
    [Buffer.concat([bytes(20), one]), mark],
    [Buffer.concat([one, one]).subarray(one.length - 1), mark],
    [one, { ...mark, segment: 2 }],
    [one, { ...mark, segment: 2 ** 32 + 1 }],
  ] as const) {
    assert.equal(new SegmentScanner(file(all), 0, of).next(all.length).kind, 'end');
  }
  const twice = new SegmentScanner(file(Buffer.concat([one, one])), 0, mark);
  assert.deepEqual(
    [twice.next(2 * one.length).kind, twice.next(2 * one.length)],
    ['record', { kind: 'end', at: one.length }],
  );
});

test('without a salt, that of the first whole record holds for the rest', () => {
  const first = chain([[FRAME, bytes(30)]]);
  const other = chain([[FRAME, bytes(30)]], first.length, { ...mark, salt: 9 });
  const third = chain([[END, bytes(3)]], first.length + other.length);
  const all = Buffer.concat([first, other, third]);
  for (const broken of [all, Buffer.concat([bytes(first.length), other, third])]) {
    const scanner = new SegmentScanner(file(broken), 0, { segment: 1, salt: undefined });
    const kinds = [1, 2, 3, 4].map(() => {
      const found = scanner.next(all.length);
      return found.kind === 'record' ? found.type : found.kind;
    });
    assert.deepEqual(kinds, broken === all ? [FRAME, 'damage', END, 'end'] : ['damage', FRAME, 'end', 'end']);
  }
});

test('a payload full of false heads is passed over without a checksum for each', () => {
  const false_ = Buffer.alloc(16 * 60_000);
  for (let at = 0; at < false_.length; at += 16) {
    false_.write('SPWF', at, 'latin1');
    false_.writeUInt32LE(false_.length - at - 16, at + 4);
    false_.writeUInt32LE(7, at + 8);
  }
  const all = chain([
    [FRAME, false_],
    [END, bytes(1)],
  ]);
  all[12]! ^= 1;
  // 60 000 checksums over half a megabyte each would take longer than any deadline of the runner.
  assert.equal(new SegmentScanner(file(all), 0, mark).next(all.length).kind, 'damage');
});

test('whatever is in a file, the scanner finds what a plain search of all its bytes finds', (t) => {
  const random = Random.of(t);
  for (let round = 0; round < 500; round++) {
    const parts: Uint8Array[] = [];
    let length = 0;
    for (let i = random.int(0, 8); i > 0; i--) {
      const type = random.next() < 0.8 ? FRAME : END;
      const record = chain([[type, bytes(random.int(0, 400))]], length);
      if (random.next() < 0.3) record[random.int(0, record.length)]! ^= 1 << random.int(0, 8);
      const cut = random.next() < 0.2 ? random.int(0, record.length) : record.length;
      parts.push(record.subarray(0, cut));
      // A part of a record moves those behind it, unless they count on it.
      length += random.next() < 0.8 ? cut : record.length;
    }
    const all = Buffer.concat(parts);
    const readAtMost = random.next() < 0.5 ? random.int(1, 50) : all.length;
    const scanner = new SegmentScanner(
      file(all, () => undefined, readAtMost),
      0,
      mark,
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
    const here = recordAt(all, at, mark, 0);
    const next = typeof here === 'object' ? here : nextRecord(all, at, mark, 0);
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

test('a read that fails half-way, once, costs no record', () => {
  const sizes = [100_000, 100_000, 110_000, 130_000, 100_000, 10];
  const all = chain(sizes.map((size) => [FRAME, new Uint8Array(size).fill(size)] as const));
  let bad = false;
  const file: ReadableFile = {
    read(into, length, position) {
      // A sector in the middle of what is asked for: the first read ends before it, the next one fails.
      if (bad && position >= 420_000) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      const end = bad ? 420_000 : all.length;
      const part = all.subarray(position, Math.min(position + length, end));
      into.set(part);
      return part.length;
    },
    size: () => all.length,
    close: () => undefined,
  };
  const scanner = new SegmentScanner(file, 0, mark);
  const found: string[] = [];
  while (found.at(-1) !== 'end') {
    try {
      bad = found.length === 2;
      found.push(scanner.next(all.length).kind);
    } catch {
      found.push('EIO');
    }
  }
  assert.deepEqual(found, ['record', 'record', 'EIO', 'record', 'record', 'record', 'record', 'end']);
});
