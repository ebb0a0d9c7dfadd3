import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import {
  claimedLength,
  END,
  encodeRecord,
  FRAME,
  HEADER,
  MAX_PAYLOAD,
  nextRecord,
  RECORD_HEAD,
  recordAt,
  sealRecord,
} from '../../src/serialization/record.ts';

const types = fc.constantFrom(HEADER, FRAME, END);
const payload = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  // What could be taken for a head.
  fc
    .array(fc.constantFrom(0x53, 0x50, 0x57, 0x46, 0x00), { maxLength: 60 })
    .map((list) => Uint8Array.from(list)),
);
const record = fc.tuple(types, payload).map(([type, bytes]) => encodeRecord(type, bytes));

describe('a record', () => {
  it('is marker, type, length, CRC-32 of all but itself, payload', () => {
    const bytes = Buffer.from(encodeRecord(FRAME, Buffer.from('abc')));
    const crc = Buffer.alloc(4);
    crc.writeUInt32LE(crc32(Buffer.from('SPWF\x03\0\0\0abc', 'latin1')));
    assert.deepEqual(
      bytes,
      Buffer.concat([Buffer.from('SPWF\x03\0\0\0', 'latin1'), crc, Buffer.from('abc')]),
    );
  });

  it('is sealed in place as it is encoded apart', () => {
    const bytes = new Uint8Array(40);
    bytes.set([1, 2, 3], 5 + RECORD_HEAD);
    sealRecord(bytes, 5, END, 3);
    assert.deepEqual(bytes.slice(5, 20), encodeRecord(END, Uint8Array.of(1, 2, 3)));
  });

  it('is found where it stands, and behind anything', () => {
    fc.assert(
      fc.property(
        types,
        payload,
        fc.uint8Array({ maxLength: 30 }),
        payload,
        (type, bytes, before, behind) => {
          const whole = Buffer.concat([before, encodeRecord(type, bytes), behind]);
          const end = before.length + RECORD_HEAD + bytes.length;
          assert.deepEqual(recordAt(whole, before.length), { type, at: before.length, end });
          assert.deepEqual(nextRecord(whole, before.length), { type, at: before.length, end });
          assert.equal(claimedLength(whole, before.length), end - before.length);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('damage', () => {
  it('a record cut at any byte is short', () => {
    const whole = encodeRecord(FRAME, Buffer.from('payload'));
    for (let length = 0; length < whole.length; length++) {
      assert.equal(recordAt(whole.subarray(0, length), 0), 'short', `${length}`);
      assert.equal(nextRecord(whole.subarray(0, length), 0), undefined);
    }
  });

  it('with any byte changed it is bad or short, and the next one is found', () => {
    fc.assert(
      fc.property(record, record, fc.integer({ min: 1, max: 255 }), (first, second, flip) => {
        for (let at = 0; at < first.length; at++) {
          const damaged = Buffer.concat([first, second]);
          damaged[at]! ^= flip;
          assert.equal(typeof recordAt(damaged, 0), 'string', `byte ${at}`);
          const found = nextRecord(damaged, 0);
          assert.deepEqual([found?.at, found?.end], [first.length, damaged.length], `byte ${at}`);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('with any bit of the length changed it is bad or short', () => {
    const whole = encodeRecord(FRAME, Buffer.from('payload'));
    for (let bit = 0; bit < 32; bit++) {
      const damaged = Uint8Array.from(whole);
      damaged[4 + (bit >>> 3)]! ^= 1 << (bit & 7);
      assert.equal(typeof recordAt(damaged, 0), 'string', `bit ${bit}`);
    }
  });

  it('of several records, those that are whole are found, in order', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 6 }), fc.infiniteStream(fc.boolean()), (records, whole) => {
        const expected: number[] = [];
        let at = 0;
        const bytes = Buffer.concat(
          records.map((one) => {
            const kept = whole.next().value as boolean;
            if (kept) expected.push(at);
            at += one.length;
            // The last byte of the CRC.
            return kept ? one : one.with(11, one[11]! ^ 0x10);
          }),
        );
        const found: number[] = [];
        for (let next = nextRecord(bytes, 0); next !== undefined; next = nextRecord(bytes, next.end)) {
          found.push(next.at);
        }
        assert.deepEqual(found, expected);
      }),
      { numRuns: 300 },
    );
  });

  it('a claim over the largest payload is bad, not short', () => {
    const head = encodeRecord(FRAME, new Uint8Array(0));
    const claim = (length: number): Uint8Array => {
      const bytes = Buffer.from(head);
      bytes.writeUInt32LE(length, 4);
      return bytes;
    };
    assert.equal(recordAt(claim(MAX_PAYLOAD), 0), 'short');
    assert.equal(recordAt(claim(MAX_PAYLOAD + 1), 0), 'bad');
    assert.equal(claimedLength(claim(MAX_PAYLOAD), 0), RECORD_HEAD + MAX_PAYLOAD);
    assert.equal(claimedLength(claim(MAX_PAYLOAD + 1), 0), undefined);
  });

  it('an unknown type is bad', () => {
    const whole = encodeRecord(FRAME, new Uint8Array(3));
    for (let type = 0; type < 256; type++) {
      if (type === HEADER || type === FRAME || type === END) continue;
      const bytes = whole.with(3, type);
      sealRecord(bytes, 0, type as typeof FRAME, 3);
      assert.equal(recordAt(bytes, 0), 'bad');
    }
  });
});
