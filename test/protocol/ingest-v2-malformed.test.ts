import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import { LimitError, noLimits } from '../../src/protocol/limits.ts';
import { MalformedError } from '../../src/protocol/proto-reader.ts';
import { encodeWriteRequestV2, type Sparse, type WriteRequestV2 } from '../../src/protocol/schema.ts';
import { OddWriter } from '../reference/odd-writer.ts';
import { validRequestV2 } from '../reference/requests-v2.ts';
import { assertStored, RoadV2 } from '../reference/road-v2.ts';
import { assertSameVerdictV2 } from '../reference/same-verdict-v2.ts';
import { ReferenceV2 } from '../reference/verdicts-v2.ts';
import { writeRequestV2Spec } from '../reference/wire.ts';
import { problemIn } from '../reference/wire-check.ts';
import { bitsOf } from '../support/messages.ts';
import { Random } from '../support/random.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** A request with everything in it that a message can have. */
const message: Sparse<WriteRequestV2> = {
  symbols: ['', '__name__', 'up', 'job', 'a', 'help', 's', 'trace_id', '7'],
  timeseries: [
    {
      labelsRefs: [1, 2, 3, 4],
      samples: [{ valueBits: bitsOf(1), timestamp: 1_700_000_000_000n, startTimestamp: 5n }],
      metadata: { type: 1, helpRef: 5, unitRef: 6 },
      createdTimestamp: 9n,
    },
    {
      labelsRefs: [1, 4],
      samples: [{ valueBits: bitsOf(2), timestamp: 1n }],
      histograms: [
        {
          countInt: 3n,
          sumBits: bitsOf(1),
          schema: 3,
          negativeSpans: [{ offset: 1, length: 2 }],
          negativeDeltas: [1n, 1n],
          timestamp: 3n,
          startTimestamp: 2n,
        },
      ],
      exemplars: [{ labelsRefs: [7, 8], valueBits: bitsOf(1), timestamp: 3n }],
    },
  ],
};
const everything = Buffer.from(encodeWriteRequestV2(message));

describe('WIRE-07: one request, damaged', () => {
  it('cut short anywhere', () => {
    for (let end = 0; end < everything.length; end++) assertSameVerdictV2(everything.subarray(0, end));
  });

  it('every byte replaced by what is at an edge', () => {
    for (let at = 0; at < everything.length; at++) {
      for (const byte of [0x00, 0x7f, 0x80, 0xff, 0x0a, 0x22, 0x2a])
        assertSameVerdictV2(everything.with(at, byte));
    }
  });

  it('a byte put in and taken out anywhere', () => {
    for (let at = 0; at < everything.length; at++) {
      assertSameVerdictV2(Buffer.concat([everything.subarray(0, at), everything.subarray(at + 1)]));
      for (const byte of [0x00, 0x80, 0xff])
        assertSameVerdictV2(
          Buffer.concat([everything.subarray(0, at), Uint8Array.of(byte), everything.subarray(at)]),
        );
    }
  });
});

describe('WIRE-07: any message', () => {
  it('odd ones that are mutated', () => {
    const mutation = fc.record({ at: fc.double({ min: 0, max: 0.999, noNaN: true }), byte: fc.nat(255) });
    const mutations = fc.array(mutation, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(validRequestV2, fc.nat(), mutations, (valid, seed, list) => {
        const raw = new OddWriter(new Random(seed)).requestV2(valid);
        for (const { at, byte } of list) raw[Math.floor(at * raw.length)] = byte;
        assertSameVerdictV2(raw);
      }),
      { numRuns: 300 },
    );
  });

  it('random bytes', () => {
    const tags = fc.constantFrom(0x0a, 0x12, 0x1a, 0x22, 0x2a, 0x09, 0x10, 0x80, 0x01, 0x0b, 0x02);
    const bytes = fc.array(fc.oneof(tags, fc.nat(255)), { maxLength: 40 });
    fc.assert(
      fc.property(bytes, (raw) => assertSameVerdictV2(Uint8Array.from(raw))),
      { numRuns: 1500 },
    );
  });
});

describe('WIRE-07: what is malformed', () => {
  const inSeries = (fields: string) => {
    const bytes = hex(fields);
    return Buffer.concat([Uint8Array.of(0x2a, bytes.length), bytes]).toString('hex');
  };
  const labels = '0a020102';
  const cases: Record<string, string> = {
    'a group': '1b 1c',
    'wire type 7': '17',
    'field number 0': '00 00',
    'a symbol past the end': '2205 00',
    'a series past the end': '2a05 00',
    'a length of more than 32 bits': '22 8080808010',
    'refs that are cut short': inSeries('0a020180 1202 1001'),
    'a ref of more than ten bytes': inSeries('0a0c 808080808080808080808001 1202 1001'),
    'a time of more than ten bytes': inSeries(`${labels} 120c 10 8080808080808080808001`),
    'a truncated start time': inSeries(`${labels} 1204 1001 1880`),
    'a truncated created time': inSeries(`${labels} 1202 1001 3080`),
    'a group in metadata': inSeries(`${labels} 1202 1001 2a02 0b0c`),
    'a truncated help ref': inSeries(`${labels} 1202 1001 2a02 1880`),
    'a truncated sample in a series that is refused': inSeries('0a0101 1201 09'),
    'packed doubles that are no doubles': inSeries(`${labels} 1a09 5207 00000000000000`),
    'a truncated exemplar behind one that is refused': inSeries(`${labels} 1202 1001 2200 2201 11`),
    'refs of an exemplar that are cut short': inSeries(`${labels} 1202 1001 2203 0a0180`),
  };
  for (const [what, raw] of Object.entries(cases)) {
    it(what, () => {
      const before = `2200 2208 5f5f6e616d655f5f 2201 78 ${inSeries(`${labels} 1202 1001 2a02 0801`)}`;
      const road = new RoadV2();
      const mark = road.batch.mark();
      assert.throws(() => road.take(hex(before + raw)), MalformedError);
      assert.deepEqual(road.batch.mark(), mark, 'nothing of the request is kept');
      assert.ok(problemIn(hex(before + raw), writeRequestV2Spec) !== undefined);
      // Also of its metadata, which would be missing in the segment.
      assert.equal(road.take(hex(before)).metadata, 1);
    });
  }
});

test('WIRE-07: the rows before and behind a malformed request are as if it had not been', () => {
  const good = fc.array(validRequestV2, { minLength: 2, maxLength: 3 });
  fc.assert(
    fc.property(good, validRequestV2, (messages, broken) => {
      const [road, reference] = [new RoadV2(), new ReferenceV2()];
      const bad = Buffer.concat([encodeWriteRequestV2(broken), Uint8Array.of(0x2a, 0x7f)]);
      const kept = messages.flatMap((one) => {
        assert.throws(() => road.take(bad), MalformedError);
        road.take(encodeWriteRequestV2(one));
        return reference.take(one).kept;
      });
      const rows = road.rows();
      assert.equal(
        rows.length,
        kept.flatMap(({ metadata, samples, histograms, exemplars }) => [
          ...metadata,
          ...samples,
          ...histograms,
          ...exemplars,
        ]).length,
      );
      assertStored(rows, kept);
    }),
    { numRuns: 60 },
  );
});

describe('RW1-R-10, RW2-R-18: limits of a request', () => {
  const one = { labelsRefs: [1, 2], samples: [{ timestamp: 1n }, { timestamp: 2n }] };
  const raw = encodeWriteRequestV2({ symbols: ['', '__name__', 'up'], timeseries: [one, one, one] });
  const cases = [
    ['series', { ...noLimits, series: 2 }, /too many series, over the limit of 2 .*\{__name__="up"\}/],
    ['rows', { ...noLimits, rows: 5 }, /too many samples, over the limit of 5 .*\{__name__="up"\}/],
  ] as const;
  for (const [what, limits, says] of cases) {
    it(`${what}: the request is refused whole`, () => {
      const road = new RoadV2();
      assert.throws(
        () => road.take(raw, limits),
        (error) => error instanceof LimitError && says.test(error.message),
      );
      assert.equal(road.batch.rows, 0);
      assert.equal(road.take(raw, { ...noLimits, series: 3, rows: 6 }).samples, 6);
    });
  }

  it('unknown fields count as series, symbols do not', () => {
    const road = new RoadV2();
    const unknown = hex('7801 7801');
    assert.equal(road.take(Buffer.concat([raw, unknown]), { ...noLimits, series: 5 }).samples, 6);
    assert.throws(() => road.take(Buffer.concat([raw, unknown]), { ...noLimits, series: 4 }), LimitError);
  });

  it('more symbols than any sender has: refused before memory is taken for them', () => {
    const road = new RoadV2();
    const bomb = Buffer.alloc(2 * 100_001, hex('2200'));
    assert.throws(
      () => road.take(bomb, { ...noLimits, series: 12_500 }),
      (error) =>
        error instanceof LimitError && /too many symbols, over the limit of 100000/.test(error.message),
    );
    assert.equal(road.take(bomb.subarray(2), { ...noLimits, series: 12_500 }).samples, 0);
  });

  it('a long symbol that is used again and again: refused before it makes more work than a long request', () => {
    const road = new RoadV2();
    const symbols = ['', '__name__', 'up', 'a', 'b', 'v'.repeat(1000)];
    // With two names in turn, so that the table of pairs does not help.
    const timeseries = Array.from({ length: 100 }, (_, i) => ({
      labelsRefs: [1, 2, 3 + (i % 2), 5],
      samples: [{ timestamp: 1n }],
    }));
    const bomb = encodeWriteRequestV2({ symbols, timeseries });
    assert.throws(
      () => road.take(bomb, { ...noLimits, decodedBytes: 10_000 }),
      (error) =>
        error instanceof LimitError && /bytes of labels.*over the limit of 80000 /.test(error.message),
    );
    assert.equal(road.batch.rows, 0);
    assert.equal(road.take(bomb, { ...noLimits, decodedBytes: 20_000 }).samples, 100);
  });

  it('a long symbol in many exemplars: refused before memory is taken for them, and what is taken is said', () => {
    const road = new RoadV2();
    const symbols = ['', '__name__', 'up', 'a', 'v'.repeat(1000)];
    const exemplars = Array.from({ length: 20 }, () => ({ labelsRefs: [3, 4], timestamp: 1n }));
    const samples = [{ timestamp: 1n }];
    const bomb = encodeWriteRequestV2({ symbols, timeseries: [{ labelsRefs: [1, 2], samples, exemplars }] });
    assert.throws(
      () => road.take(bomb, { ...noLimits, decodedBytes: 10_000 }),
      (error) =>
        error instanceof LimitError && /labels of exemplars.*over the limit of 10000 /.test(error.message),
    );
    assert.equal(road.batch.rows, 0);
    const report = road.take(bomb, { ...noLimits, decodedBytes: 30_000 });
    assert.deepEqual([report.exemplars, report.expandedBytes], [20, 20 * 1017]);
  });

  it('labels: the series alone is refused, an exemplar alone as well', () => {
    const road = new RoadV2();
    const symbols = ['', '__name__', 'up', 'a', 'b', 'n'.repeat(9), 'c', 'v'.repeat(9)];
    const limits = { ...noLimits, labels: 2, nameBytes: 8, valueBytes: 8 };
    const samples = [{ timestamp: 1n }];
    const report = road.take(
      encodeWriteRequestV2({
        symbols,
        timeseries: [
          { labelsRefs: [1, 2, 3, 4, 4, 4], samples },
          { labelsRefs: [1, 2, 5, 4], samples },
          { labelsRefs: [1, 2, 6, 7], samples },
          { labelsRefs: [1, 2], samples, exemplars: [{ labelsRefs: [3, 4, 4, 4, 6, 4], timestamp: 1n }] },
          { labelsRefs: [1, 2, 3, 4], samples, exemplars: [{ labelsRefs: [3, 4, 4, 4], timestamp: 1n }] },
        ],
      }),
      limits,
    );
    assert.deepEqual(Object.fromEntries(report.refused), {
      too_many_labels: 2,
      label_name_too_long: 1,
      label_value_too_long: 1,
    });
    assert.deepEqual([report.samples, report.exemplars], [2, 1]);
  });

  it('metadata with a text that is longer than a label value may be: it is refused, the samples are not', () => {
    const road = new RoadV2();
    const symbols = ['', '__name__', 'up', 'h'.repeat(9), 'u'.repeat(8)];
    const samples = [{ timestamp: 1n }];
    const message = encodeWriteRequestV2({
      symbols,
      timeseries: [
        { labelsRefs: [1, 2], samples, metadata: { type: 1, helpRef: 3 } },
        { labelsRefs: [1, 2], samples, metadata: { type: 1, unitRef: 3 } },
        { labelsRefs: [1, 2], samples, metadata: { type: 1, helpRef: 4, unitRef: 4 } },
      ],
    });
    const report = road.take(message, { ...noLimits, valueBytes: 8 });
    assert.deepEqual([...report.refused], [['invalid_metadata', 2]]);
    assert.deepEqual([report.samples, report.metadata], [3, 1]);
    // What was too long for one request need not be for the next.
    assert.deepEqual([...road.take(message).refused], []);
  });
});
