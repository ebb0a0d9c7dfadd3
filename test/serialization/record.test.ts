import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import {
  claimedLength,
  END,
  encodeRecord,
  FRAME,
  GAP,
  HEADER,
  MAX_PAYLOAD,
  nextRecord,
  RECORD_HEAD,
  type RecordType,
  recordAt,
  sealRecord,
} from '../../src/serialization/record.ts';

const types = fc.constantFrom(HEADER, FRAME, END, GAP);
const payload = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  // What could be taken for a head.
  fc
    .array(fc.constantFrom(0x53, 0x50, 0x57, 0x46, 0x00), { maxLength: 60 })
    .map((list) => Uint8Array.from(list)),
);
const mark = { segment: 7, salt: 0xdeadbeef };
/** Records at offset 0, of which the tests look at copies at other places of `bytes`. */
const encoded = (type: RecordType, bytes: Uint8Array, at = 0): Uint8Array =>
  encodeRecord(type, bytes, mark, at);
const record = fc.tuple(types, payload);

describe('a record', () => {
  it('is marker, type, length, salt, CRC-32 of place and all but itself, payload', () => {
    const bytes = Buffer.from(
      encodeRecord(FRAME, Buffer.from('abc'), { segment: 7, salt: 0x04030201 }, 2 ** 33 + 5),
    );
    const head = Buffer.from('SPWF\x03\0\0\0\x01\x02\x03\x04', 'latin1');
    const place = Buffer.from('0700000000000000' + '0500000002000000', 'hex');
    const crc = Buffer.alloc(4);
    crc.writeUInt32LE(crc32(Buffer.concat([place, head, Buffer.from('abc')])));
    assert.deepEqual(bytes, Buffer.concat([head, crc, Buffer.from('abc')]));
  });

  it('of a header has no place in its CRC, and is read in whatever segment', () => {
    const bytes = encodeRecord(HEADER, Buffer.from('abc'), mark, 0);
    const found = recordAt(bytes, 0, { segment: 99, salt: undefined }, 0);
    assert.deepEqual(found, { type: HEADER, at: 0, end: bytes.length, salt: mark.salt });
    assert.equal(recordAt(bytes, 0, mark, 1), 'bad');
  });

  it('is sealed in place as it is encoded apart', () => {
    const bytes = new Uint8Array(40);
    bytes.set([1, 2, 3], 5 + RECORD_HEAD);
    sealRecord(bytes, 5, END, 3, mark, 500);
    assert.deepEqual(bytes.slice(5, 8 + RECORD_HEAD), encodeRecord(END, Uint8Array.of(1, 2, 3), mark, 500));
  });

  it('is found where it stands, and behind anything', () => {
    fc.assert(
      fc.property(
        types,
        payload,
        fc.uint8Array({ maxLength: 30 }),
        payload,
        (type, bytes, before, behind) => {
          const whole = Buffer.concat([before, encoded(type, bytes, before.length), behind]);
          const end = before.length + RECORD_HEAD + bytes.length;
          const found = { type, at: before.length, end, salt: mark.salt };
          assert.deepEqual(recordAt(whole, before.length, mark, 0), found);
          assert.deepEqual(nextRecord(whole, before.length, mark, 0), found);
          const part = whole.subarray(before.length);
          assert.deepEqual(recordAt(part, 0, mark, before.length), {
            ...found,
            at: 0,
            end: end - before.length,
          });
          assert.equal(claimedLength(whole, before.length), end - before.length);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('damage', () => {
  it('a record cut at any byte is short', () => {
    const whole = encoded(FRAME, Buffer.from('payload'));
    for (let length = 0; length < whole.length; length++) {
      assert.equal(recordAt(whole.subarray(0, length), 0, mark, 0), 'short', `${length}`);
      assert.equal(nextRecord(whole.subarray(0, length), 0, mark, 0), undefined);
    }
  });

  it('with any byte changed it is bad or short, and the next one is found', () => {
    fc.assert(
      fc.property(record, payload, fc.integer({ min: 1, max: 255 }), ([type, bytes], next, flip) => {
        const first = encoded(type, bytes);
        const second = encoded(FRAME, next, first.length);
        for (let at = 0; at < first.length; at++) {
          const damaged = Buffer.concat([first, second]);
          damaged[at]! ^= flip;
          assert.equal(typeof recordAt(damaged, 0, mark, 0), 'string', `byte ${at}`);
          const found = nextRecord(damaged, 0, mark, 0);
          assert.deepEqual([found?.at, found?.end], [first.length, damaged.length], `byte ${at}`);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('with any bit of the length changed it is bad or short', () => {
    const whole = encoded(FRAME, Buffer.from('payload'));
    for (let bit = 0; bit < 32; bit++) {
      const damaged = Uint8Array.from(whole);
      damaged[4 + (bit >>> 3)]! ^= 1 << (bit & 7);
      assert.equal(typeof recordAt(damaged, 0, mark, 0), 'string', `bit ${bit}`);
    }
  });

  it('of several records, those that are whole are found, in order', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 6 }), fc.infiniteStream(fc.boolean()), (records, whole) => {
        const expected: number[] = [];
        let at = 0;
        const bytes = Buffer.concat(
          records.map(([type, content]) => {
            const one = encoded(type, content, at);
            const kept = whole.next().value as boolean;
            if (kept) expected.push(at);
            at += one.length;
            // The last byte of the CRC.
            return kept ? one : one.with(15, one[15]! ^ 0x10);
          }),
        );
        const found: number[] = [];
        let next = nextRecord(bytes, 0, mark, 0);
        for (; next !== undefined; next = nextRecord(bytes, next.end, mark, 0)) found.push(next.at);
        assert.deepEqual(found, expected);
      }),
      { numRuns: 300 },
    );
  });

  it('a claim over the largest payload is bad, not short', () => {
    const head = encoded(FRAME, new Uint8Array(0));
    const claim = (length: number): Uint8Array => {
      const bytes = Buffer.from(head);
      bytes.writeUInt32LE(length, 4);
      return bytes;
    };
    assert.equal(recordAt(claim(MAX_PAYLOAD), 0, mark, 0), 'short');
    assert.equal(recordAt(claim(MAX_PAYLOAD + 1), 0, mark, 0), 'bad');
    assert.equal(claimedLength(claim(MAX_PAYLOAD), 0), RECORD_HEAD + MAX_PAYLOAD);
    assert.equal(claimedLength(claim(MAX_PAYLOAD + 1), 0), undefined);
  });

  it('an unknown type is bad', () => {
    const whole = encoded(FRAME, new Uint8Array(3));
    for (let type = 0; type < 256; type++) {
      if (type === HEADER || type === FRAME || type === END || type === GAP) continue;
      const bytes = whole.with(3, type);
      sealRecord(bytes, 0, type as typeof FRAME, 3, mark, 0);
      assert.equal(recordAt(bytes, 0, mark, 0), 'bad');
    }
  });
});
