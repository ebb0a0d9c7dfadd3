import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MalformedError } from '../../src/protocol/proto-reader.ts';
import { decodeWriteRequestV1, encodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { OddWriter } from '../reference/odd-writer.ts';
import { validRequest } from '../reference/requests.ts';
import { Road } from '../reference/road.ts';
import { assertSameVerdict } from '../reference/same-verdict.ts';
import { writeRequestSpec } from '../reference/wire.ts';
import { problemIn } from '../reference/wire-check.ts';
import { labels } from '../support/messages.ts';
import { Random } from '../support/random.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

/*
 * Malformed messages (WIRE-07): the same verdict as the plain check of wire-check.ts and, but for what is said
 * in same-verdict.ts, as protobufjs; and nothing is kept.
 */

/** A request with every field of every message, written as everybody does. */
const everything = encodeWriteRequestV1({
  timeseries: [
    {
      labels: labels({ __name__: 'up', job: 'a' }),
      samples: [{ valueBits: 1n, timestamp: 1_700_000_000_000n }],
    },
    {
      labels: labels({ __name__: 'up', job: 'b' }),
      samples: [{ valueBits: 1n, timestamp: -1n }],
      exemplars: [{ labels: labels({ trace_id: 'abc' }), valueBits: 1n, timestamp: 300n }],
      histograms: [
        {
          countInt: 300n,
          sumBits: 1n,
          schema: -4,
          zeroThresholdBits: 1n,
          zeroCountFloatBits: 1n,
          negativeSpans: [{ offset: -3, length: 2 }],
          negativeDeltas: [1n, -300n],
          negativeCountsBits: [1n],
          positiveSpans: [{ offset: 1, length: 300 }],
          positiveDeltas: [1n],
          positiveCountsBits: [1n, 2n],
          resetHint: 2,
          timestamp: 300n,
          customValuesBits: [1n],
        },
      ],
    },
  ],
  metadata: [{ type: 1, metricFamilyName: 'up', help: 'h', unit: 'u' }],
});

describe('damage to a request that holds everything, again and again on the same instance', () => {
  const road = new Road();

  it('cut at every length', () => {
    for (let length = 0; length < everything.length; length++)
      assertSameVerdict(everything.subarray(0, length), road);
  });

  it('every bit flipped', () => {
    for (let at = 0; at < everything.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const damaged = Uint8Array.from(everything);
        damaged[at]! ^= 1 << bit;
        assertSameVerdict(damaged, road);
      }
    }
  });

  it('every byte replaced by what is at an edge', () => {
    for (let at = 0; at < everything.length; at++) {
      for (const byte of [0x00, 0x7f, 0x80, 0xff, 0x0a, 0x12, 0x22]) {
        assertSameVerdict(everything.with(at, byte), road);
      }
    }
  });

  it('a byte put in and taken out anywhere', () => {
    for (let at = 0; at < everything.length; at++) {
      assertSameVerdict(Buffer.concat([everything.subarray(0, at), everything.subarray(at + 1)]), road);
      for (const byte of [0x00, 0x80, 0xff]) {
        assertSameVerdict(
          Buffer.concat([everything.subarray(0, at), Uint8Array.of(byte), everything.subarray(at)]),
          road,
        );
      }
    }
  });
});

describe('any message', () => {
  it('odd ones that are mutated', () => {
    const mutation = fc.record({ at: fc.double({ min: 0, max: 0.999, noNaN: true }), byte: fc.nat(255) });
    fc.assert(
      fc.property(
        validRequest,
        fc.nat(),
        fc.array(mutation, { minLength: 1, maxLength: 3 }),
        (message, seed, mutations) => {
          const raw = new OddWriter(new Random(seed)).request(message);
          for (const { at, byte } of mutations) raw[Math.floor(at * raw.length)] = byte;
          assertSameVerdict(raw);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('random bytes', () => {
    const tags = fc.constantFrom(0x0a, 0x12, 0x1a, 0x22, 0x09, 0x10, 0x80, 0x01, 0x0b, 0x02);
    const bytes = fc.array(fc.oneof(tags, fc.nat(255)), { maxLength: 40 });
    fc.assert(
      fc.property(bytes, (raw) => assertSameVerdict(Uint8Array.from(raw))),
      { numRuns: 3000 },
    );
  });
});

describe('what is malformed (WIRE-07)', () => {
  const name = '0a0d 0a08 5f5f6e616d655f5f 1201 78';
  const inSeries = (fields: string) => {
    const bytes = hex(fields);
    return Buffer.concat([Uint8Array.of(0x0a, bytes.length), bytes]).toString('hex');
  };
  const cases: Record<string, string> = {
    'a group': '1b 1c',
    'the end of a group': '1c',
    'wire type 6': '16',
    'wire type 7': '17',
    'field number 0': '00 00',
    'a length past the end': '0a05 00',
    'a length past the end of the enclosing message': '0a04 1203 0000 000000',
    'a length of 2^31': '0a 8080808008',
    'a length of more than five bytes': '0a 808080808000',
    'a tag of more than 32 bits': '8a80808010 00',
    'a tag of more than five bytes': '8a8080808000 00',
    'a varint of more than ten bytes': inSeries(`${name} 120c 10 8080808080808080808001`),
    'a truncated varint': inSeries(`${name} 1202 1080`),
    'a truncated double': inSeries(`${name} 1208 0900000000000000`),
    'a truncated unknown field of four bytes': '7d 000000',
    'packed doubles that are no doubles': inSeries(`${name} 2209 5207 00000000000000`),
    'packed varints that are cut short': inSeries(`${name} 2204 4a02 0180`),
    'a group within a span': inSeries(`${name} 2204 4202 0b0c`),
    'a group within a label': inSeries('0a02 0b0c'),
    'a truncated label behind one that is refused': inSeries('0a02 0a00 0a01 0a'),
    'a truncated label behind refused ones of 500 characters': inSeries(`${'0a030a0161'.repeat(10)} 0a01 0a`),
    'a truncated sample in a series that is refused': inSeries('1201 09'),
    'a truncated exemplar behind one that is refused': inSeries(`${name} 1a00 1a01 11`),
    'a group in metadata': '1a02 0b0c',
  };
  for (const [what, raw] of Object.entries(cases)) {
    it(what, () => {
      const before = inSeries(`${name} 120b 09 0000000000000000 1001`);
      const road = new Road();
      const report = road.take(hex(before));
      assert.equal(report.samples, 1);
      const mark = road.batch.mark();
      assert.throws(() => road.take(hex(before + raw)), MalformedError);
      assert.deepEqual(road.batch.mark(), mark, 'nothing of the request is kept');
      assert.ok(problemIn(hex(before + raw), writeRequestSpec) !== undefined);
    });
  }

  it('labels behind 400 characters of refused ones are still read', () => {
    const long = `0a ca01 0a00 12 c501 ${'61'.repeat(197)}`.repeat(4);
    const fields = hex(`${long} 0a01 0a ${'120b 09 0000000000000000 1001'}`);
    const raw = Buffer.concat([
      hex('0a'),
      Uint8Array.of((fields.length & 0x7f) | 0x80, fields.length >>> 7),
      fields,
    ]);
    assert.throws(() => new Road().take(raw), MalformedError);
  });
});

describe('after a malformed request', () => {
  it('the rows before it and behind it are as if it had not been', () => {
    const good = fc.array(validRequest, { minLength: 2, maxLength: 3 });
    fc.assert(
      fc.property(good, validRequest, fc.nat(), (messages, broken, seed) => {
        const [road, untouched] = [new Road(), new Road()];
        const bad = Buffer.concat([
          new OddWriter(new Random(seed)).request(broken),
          Uint8Array.of(0x0a, 0x7f),
        ]);
        for (const message of messages) {
          const raw = encodeWriteRequestV1(message);
          assert.throws(() => road.take(bad), MalformedError);
          road.take(raw);
          untouched.take(raw);
        }
        assert.deepEqual(road.deliver(), untouched.deliver());
      }),
      { numRuns: 150 },
    );
  });

  it('a request of 1.0 decodes as before', () => {
    assert.ok(decodeWriteRequestV1(everything).timeseries.length === 2);
    assertSameVerdict(everything);
  });
});
