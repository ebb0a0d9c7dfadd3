import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import { readHistogram } from '../../src/protocol/histogram-check.ts';
import {
  encodeHistogramV1,
  encodeWriteRequestV1,
  type HistogramV1,
  type Sparse,
  staleMarkerBits,
} from '../../src/protocol/schema.ts';
import { brokenRule } from '../reference/histogram-rules.ts';
import { OddWriter } from '../reference/odd-writer.ts';
import { bits, histogram, validHistogram } from '../reference/requests.ts';
import { Road } from '../reference/road.ts';
import { histogramSpec } from '../reference/wire.ts';
import { bitsOf, labels } from '../support/messages.ts';
import { Random } from '../support/random.ts';

type Shape = Sparse<HistogramV1>;

const faultOf = (shape: Shape): string | undefined => {
  const raw = encodeHistogramV1(shape);
  return readHistogram(raw, 0, raw.length, false).fault;
};

const nan = 0x7ff8000000000001n;
const infinity = 0x7ff0000000000000n;
const most = 2n ** 63n - 1n;

/** Four observations in three buckets, one of them zero. */
const integer: Shape = {
  countInt: 4n,
  zeroCountInt: 1n,
  zeroThresholdBits: bitsOf(1e-128),
  sumBits: bitsOf(3),
  schema: 3,
  positiveSpans: [
    { offset: -2, length: 1 },
    { offset: 5, length: 1 },
  ],
  positiveDeltas: [2n, -1n],
};
const { countInt: _, zeroCountInt: __, positiveDeltas: ___, ...shared } = integer;
const float: Shape = {
  ...shared,
  countFloatBits: bitsOf(4.5),
  zeroCountFloatBits: bitsOf(0.5),
  positiveCountsBits: [bitsOf(2.5), bitsOf(1.5)],
};
const custom: Shape = {
  countInt: 3n,
  sumBits: bitsOf(3),
  schema: -53,
  positiveSpans: [
    { offset: 0, length: 2 },
    { offset: 1, length: 1 },
  ],
  positiveDeltas: [1n, 0n, 0n],
  customValuesBits: [bitsOf(-1), bitsOf(0), bitsOf(2.5)],
};

describe('valid native histograms', () => {
  const cases: Record<string, Shape> = {
    'an empty one': {},
    'an integer one': integer,
    'a float one': float,
    'custom buckets': custom,
    'custom buckets without bounds': {
      countInt: 1n,
      schema: -53,
      positiveSpans: [{ length: 1 }],
      positiveDeltas: [1n],
    },
    'HIST-01: the least and the greatest schema': { schema: -4 },
    'HIST-01: schemas from 9 to 52 pass as they do in Prometheus': { schema: 52 },
    'HIST-03: the first span of each side may begin below 0': {
      positiveSpans: [{ offset: -9 }],
      negativeSpans: [{ offset: -9 }],
    },
    'HIST-05: a NaN sum and a count that is larger': { ...integer, sumBits: nan, countInt: 5n },
    'HIST-05: counts of 64 bits': {
      countInt: 2n * most,
      positiveSpans: [{ length: 1 }],
      positiveDeltas: [most],
      negativeSpans: [{ length: 1 }],
      negativeDeltas: [most],
    },
    'HIST-05: a float count is not compared': { ...float, countFloatBits: bitsOf(1000) },
    'HIST-06: a -0 zero threshold is none': { ...custom, zeroThresholdBits: 2n ** 63n },
    'HIST-08: empty spans, and spans without a gap': {
      ...integer,
      positiveSpans: [{ length: 0 }, { length: 1 }, { offset: 0, length: 1 }, { length: 0 }],
    },
    'RW-STALE-02: a stale marker, whatever else it holds': {
      sumBits: staleMarkerBits,
      schema: 99,
      countInt: 7n,
      positiveDeltas: [-1n],
      customValuesBits: [nan],
    },
    'buckets of the other flavour are not looked at': { ...integer, positiveCountsBits: [bitsOf(-1)] },
  };
  for (const [what, shape] of Object.entries(cases)) {
    it(what, () => {
      assert.equal(faultOf(shape), undefined);
    });
  }
});

describe('native histograms that break a rule (RW2-R-27)', () => {
  const cases: [what: string, shape: Shape, rule: RegExp][] = [
    ['HIST-01: schema -5', { schema: -5 }, /schema -5 .*HIST-01/],
    ['HIST-01: schema 53', { schema: 53 }, /schema 53 .*HIST-01/],
    ['HIST-01: schema -54', { schema: -54 }, /HIST-01/],
    [
      'HIST-02: fewer buckets than the spans say',
      { ...integer, positiveDeltas: [4n] },
      /2 buckets long, and 1 .*HIST-02/,
    ],
    ['HIST-02: more buckets than the spans say', { negativeDeltas: [0n] }, /negative .*HIST-02/],
    [
      'HIST-02: deltas in a float histogram',
      { ...float, positiveCountsBits: [], positiveDeltas: [1n, 1n] },
      /HIST-02/,
    ],
    [
      'HIST-02: a span of 2^32 - 1 buckets',
      { positiveSpans: [{ length: 2 ** 32 - 1 }] },
      /4294967295.*HIST-02/,
    ],
    [
      'HIST-03: a later span begins before the one before it ends',
      {
        ...integer,
        positiveSpans: [{ length: 1 }, { offset: -1, length: 1 }],
      },
      /positive .*HIST-03/,
    ],
    ['HIST-03: the same on the negative side', { negativeSpans: [{}, { offset: -1 }] }, /negative .*HIST-03/],
    [
      'HIST-03: custom buckets before the first',
      { ...custom, positiveSpans: [{ offset: -1, length: 3 }] },
      /HIST-03/,
    ],
    [
      'HIST-04: a delta leads below 0',
      { ...integer, countInt: 1n, positiveDeltas: [1n, -2n] },
      /positive .*HIST-04/,
    ],
    ['HIST-04: a sum of deltas wraps', { ...integer, positiveDeltas: [most, 1n] }, /HIST-04/],
    [
      'HIST-04: a float bucket below 0',
      { ...float, positiveCountsBits: [bitsOf(1), bitsOf(-0.5)] },
      /HIST-04/,
    ],
    [
      'HIST-04: a float count below 0',
      { ...float, countFloatBits: bitsOf(-1) },
      /count is negative.*HIST-04/,
    ],
    [
      'HIST-04: a float zero count below 0',
      { ...float, zeroCountFloatBits: bitsOf(-1) },
      /zero count .*HIST-04/,
    ],
    ['HIST-05: a count that is too small', { ...integer, countInt: 3n }, /not the sum.*HIST-05/],
    ['HIST-05: a count that is too large', { ...integer, countInt: 5n }, /not the sum.*HIST-05/],
    [
      'HIST-05: a count that differs in the high half alone',
      { ...integer, countInt: 4n + 2n ** 32n },
      /HIST-05/,
    ],
    [
      'HIST-05: a NaN sum, and a count that is too small',
      { ...integer, sumBits: nan, countInt: 3n },
      /less than.*HIST-05/,
    ],
    [
      'HIST-06: bounds that do not increase',
      { ...custom, customValuesBits: [bitsOf(0), bitsOf(0), bitsOf(1)] },
      /increase.*HIST-06/,
    ],
    ['HIST-06: a NaN bound', { ...custom, customValuesBits: [bitsOf(0), nan, bitsOf(1)] }, /HIST-06/],
    [
      'HIST-06: the last bound is +Inf',
      { ...custom, customValuesBits: [bitsOf(0), bitsOf(1), infinity] },
      /\+Inf.*HIST-06/,
    ],
    [
      'HIST-06: spans beyond the bounds',
      { ...custom, customValuesBits: [bitsOf(0), bitsOf(1)] },
      /2 bounds.*HIST-06/,
    ],
    ['HIST-06: a zero count', { ...custom, countInt: 4n, zeroCountInt: 1n }, /zero count.*HIST-06/],
    ['HIST-06: a zero threshold', { ...custom, zeroThresholdBits: 1n }, /threshold.*HIST-06/],
    ['HIST-06: a negative span', { ...custom, negativeSpans: [{}] }, /negative.*HIST-06/],
    ['HIST-06: a negative bucket', { ...custom, negativeDeltas: [0n] }, /negative.*HIST-06/],
    [
      'HIST-07: bounds beside an exponential schema',
      { ...integer, customValuesBits: [bitsOf(1)] },
      /HIST-07/,
    ],
  ];
  for (const [what, shape, says] of cases) {
    it(what, () => {
      assert.match(faultOf(shape) ?? '', says);
    });
  }
});

test('HIST-01 to HIST-07: the same verdict as the plain rules, however it is encoded', () => {
  const near = fc
    .tuple(
      validHistogram,
      fc.constantFrom('countInt', 'schema', 'positiveSpans', 'positiveDeltas', 'customValuesBits', 'sumBits'),
      histogram,
      bits,
    )
    .map(
      ([valid, key, other, odd]) =>
        ({ ...valid, [key]: key === 'sumBits' ? odd : other[key as keyof HistogramV1] }) as HistogramV1,
    );
  fc.assert(
    fc.property(fc.oneof(validHistogram, near, histogram), fc.nat(), (shape, seed) => {
      const float = shape.countFloatBits !== undefined && shape.countInt !== undefined;
      fc.pre(!float);
      const broken = brokenRule(shape);
      for (const raw of [
        encodeHistogramV1(shape),
        new OddWriter(new Random(seed)).message(shape as unknown as Record<string, unknown>, histogramSpec),
      ]) {
        const fault = readHistogram(raw, 0, raw.length, false).fault;
        assert.equal(fault === undefined, broken === undefined, `${fault} against ${broken}`);
      }
    }),
    { numRuns: 1500 },
  );
});

describe('a histogram that is scattered over many fields', () => {
  // In turn a schema and a field that no version has.
  const scattered = (count: number) => Array.from({ length: count }, () => [0x20, 0, 0xf8, 0x06, 0]).flat();
  const unpacked = [0x48, 0];
  const read = (...bytes: number[]) => readHistogram(Uint8Array.from(bytes), 0, bytes.length, false);

  it('takes no more room than is allowed, also with a number that is not packed', () => {
    const { parts } = read();
    assert.throws(() => read(...scattered(3000)), /scattered over too many fields/);
    assert.ok(parts.length <= 2000, `${parts.length} numbers`);
    assert.equal(read(...unpacked, ...scattered(3000)).unpacked, true);
    assert.ok(parts.length <= 2000, `${parts.length} numbers`);
    assert.throws(() => read(...unpacked, ...scattered(3000), 0x4c), /wire type 4/);
    assert.ok(parts.length <= 2000, `${parts.length} numbers`);
  });
});

test('RW2-R-27: an invalid histogram is refused alone, and named with its time and its fault', () => {
  const road = new Road();
  const report = road.take(
    encodeWriteRequestV1({
      timeseries: [
        {
          labels: labels({ __name__: 'x' }),
          histograms: [
            { ...integer, timestamp: 1n },
            { ...integer, countInt: 3n, timestamp: 1_700_000_000_000n },
            { ...float, timestamp: 3n },
          ],
        },
      ],
    }),
  );
  assert.equal(report.histograms, 2);
  assert.deepEqual([...report.refused], [['invalid_histogram', 1]]);
  assert.deepEqual(report.firstRefused, {
    reason: 'invalid_histogram',
    what: '{__name__="x"}, the histogram at 1700000000000 ms: its count is not the sum of its buckets (HIST-05)',
  });
  assert.deepEqual(
    road.deliver().timeseries.flatMap(({ histograms }) => histograms.map(({ timestamp }) => timestamp)),
    [1n, 3n],
  );
});
