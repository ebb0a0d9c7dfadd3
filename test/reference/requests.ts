import fc from 'fast-check';
import {
  type HistogramV1,
  type Label,
  staleMarkerBits,
  type TimeSeriesV1,
  type WriteRequestV1,
} from '../../src/protocol/schema.ts';
import { bitsOf } from '../support/messages.ts';

/** Arbitrary values, series and requests of remote write 1.0, for fast-check. */

/** Bits of doubles that are easily lost: stale marker, NaNs, -0, denormals, infinities. */
export const oddBits: readonly bigint[] = [
  0x7ff0000000000002n,
  0x7ff8000000000001n,
  0x7ff8000000000002n,
  0xfff8000000000000n,
  0xfff00000deadbeefn,
  0x8000000000000000n,
  0x0000000000000001n,
  0x7ff0000000000000n,
  0x3ff0000000000000n,
  0n,
];

export const int64Edges: readonly bigint[] = [
  -(2n ** 63n),
  2n ** 63n - 1n,
  -(2n ** 53n) - 1n,
  2n ** 53n + 1n,
  -(2n ** 32n),
  2n ** 32n - 1n,
  2n ** 31n,
  -(2n ** 31n) - 1n,
  -1n,
  0n,
  1n,
  127n,
  128n,
];

export const bits: fc.Arbitrary<bigint> = fc.oneof(
  fc.constantFrom(...oddBits),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);

export const int64: fc.Arbitrary<bigint> = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom(...int64Edges) },
  { weight: 1, arbitrary: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) },
  { weight: 2, arbitrary: fc.bigInt({ min: 1_700_000_000_000n, max: 1_700_000_000_003n }) },
);

export const uint64: fc.Arbitrary<bigint> = fc.oneof(
  fc.constantFrom(0n, 1n, 127n, 128n, 2n ** 32n, 2n ** 64n - 1n),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);

/** Records as literals make them: fast-check also likes to make some without a prototype. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

/** Few of them, so that series meet again; some sort differently in UTF-16 than in UTF-8 (RW1-S-10). */
const names = ['a', 'ab', 'job', 'instance', 'le', 'é', '\uE000', '\u{10000}', 'n'.repeat(130)];
const texts = ['a', 'b', 'ab', 'up', 'é', '\u{1F4A7}', '\n"\\', 'v'.repeat(60), 'w'.repeat(300)];
const text = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...texts) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1 }) },
);

/** Labels that make a valid series, in any order, some with an empty value. */
export const validLabels: fc.Arbitrary<Label[]> = fc
  .tuple(
    fc.constantFrom('up', 'http_requests_total', 'x'),
    fc.uniqueArray(record({ name: fc.constantFrom(...names), value: fc.oneof(text, fc.constant('')) }), {
      maxLength: 5,
      selector: ({ name }) => name,
    }),
    fc.nat(5),
  )
  .map(([metric, labels, at]) => labels.toSpliced(at, 0, { name: '__name__', value: metric }));

/** Labels that may make no valid series: without a name, with a name twice, with an empty name. */
export const anyLabels: fc.Arbitrary<Label[]> = fc.oneof(
  { weight: 3, arbitrary: validLabels },
  {
    weight: 1,
    arbitrary: fc.array(
      record({
        name: fc.constantFrom('', '__name__', '__name__', 'a', 'b', 'job'),
        value: fc.constantFrom('', 'x', 'y'),
      }),
      { maxLength: 4 },
    ),
  },
);

const sample = record({ valueBits: bits, timestamp: int64 });

const exemplar = record({
  labels: fc.array(
    record({
      name: fc.constantFrom('trace_id', 'trace_id', 'span', ''),
      value: fc.oneof(text, fc.constant('')),
    }),
    { maxLength: 2 },
  ),
  valueBits: bits,
  timestamp: int64,
});

const spans = fc.array(
  record({
    offset: fc.constantFrom(0, 1, -1, 2 ** 31 - 1, -(2 ** 31)),
    length: fc.constantFrom(0, 1, 2 ** 32 - 1),
  }),
  { maxLength: 3 },
);
const deltas = fc.array(int64, { maxLength: 6 });
const counts = fc.array(bits, { maxLength: 6 });
const flavour = (name: string): fc.Arbitrary<object> => {
  return fc.oneof(
    uint64.map((value) => ({ [`${name}Int`]: value })),
    bits.map((value) => ({ [`${name}FloatBits`]: value })),
    fc.constant({}),
  );
};

/** Histograms of every flavour; the wire does not ask whether they make sense. */
export const histogram: fc.Arbitrary<HistogramV1> = fc
  .tuple(
    record({
      sumBits: bits,
      schema: fc.constantFrom(3, -4, 8, -53, 0, 2 ** 31 - 1, -(2 ** 31)),
      zeroThresholdBits: bits,
      negativeSpans: spans,
      negativeDeltas: deltas,
      negativeCountsBits: counts,
      positiveSpans: spans,
      positiveDeltas: deltas,
      positiveCountsBits: counts,
      resetHint: fc.constantFrom(0, 1, 2, 3, 77),
      timestamp: int64,
      customValuesBits: counts,
    }),
    flavour('count'),
    flavour('zeroCount'),
  )
  .map((parts) => Object.assign({}, ...parts) as HistogramV1);

/** Buckets of one side: their spans, and as many counts, each below 2^20. */
const side = fc.array(record({ offset: fc.nat(3), length: fc.nat(3) }), { maxLength: 3 }).chain((list) => {
  const buckets = list.reduce((sum, { length }) => sum + length, 0);
  const count = fc.oneof(fc.constantFrom(0, 1, 2 ** 20), fc.nat(2 ** 20));
  return record({
    spans: fc.constant(list),
    counts: fc.array(count, { minLength: buckets, maxLength: buckets }),
  });
});
const noSide = { spans: [], counts: [] };

/** Histograms that keep the rules of their format (HIST-01 to -07), of every flavour, and stale markers. */
export const validHistogram: fc.Arbitrary<HistogramV1> = fc
  .record({
    schema: fc.constantFrom(-4, 0, 3, 8, 52, -53),
    float: fc.boolean(),
    positive: side,
    negative: side,
    zero: fc.nat(2 ** 33),
    nanSum: fc.boolean(),
    stale: fc.integer({ min: 0, max: 9 }),
    timestamp: int64,
    resetHint: fc.constantFrom(0, 1, 2, 3),
  })
  .map(({ schema, float, positive, negative, zero, nanSum, stale, timestamp, resetHint }) => {
    const custom = schema === -53;
    const other = custom ? noSide : negative;
    const zeroCount = custom ? 0 : zero;
    const reach = positive.spans.reduce((sum, { offset, length }) => sum + offset + length, 0);
    const sum = (counts: readonly number[]) => counts.reduce((a, b) => a + b, 0);
    const total = zeroCount + sum(positive.counts) + sum(other.counts) + (nanSum ? 1 : 0);
    const deltas = (counts: readonly number[]) => counts.map((n, i) => BigInt(n - (counts[i - 1] ?? 0)));
    const bitsOfAll = (counts: readonly number[]) => counts.map(bitsOf);
    return {
      ...(float ? { countFloatBits: bitsOf(total) } : { countInt: BigInt(total) }),
      ...(float ? { zeroCountFloatBits: bitsOf(zeroCount) } : { zeroCountInt: BigInt(zeroCount) }),
      sumBits: stale === 0 ? staleMarkerBits : nanSum ? 0x7ff8000000000001n : bitsOf(1.5),
      // A stale marker passes whatever it holds (RW-STALE-02).
      schema: stale === 0 ? 99 : schema,
      zeroThresholdBits: custom ? 0n : bitsOf(1e-128),
      negativeSpans: other.spans,
      negativeDeltas: float ? [] : deltas(other.counts),
      negativeCountsBits: float ? bitsOfAll(other.counts) : [],
      positiveSpans: positive.spans,
      positiveDeltas: float ? [] : deltas(positive.counts),
      positiveCountsBits: float ? bitsOfAll(positive.counts) : [],
      resetHint,
      timestamp,
      customValuesBits: custom ? Array.from({ length: Math.max(0, reach - 1) }, (_, i) => bitsOf(i - 2)) : [],
    };
  });

function seriesWith(
  labels: fc.Arbitrary<Label[]>,
  histograms: fc.Arbitrary<HistogramV1>,
): fc.Arbitrary<TimeSeriesV1> {
  const one = record({
    labels,
    samples: fc.array(sample, { minLength: 1, maxLength: 1 }),
    exemplars: fc.constant([]),
    histograms: fc.constant([]),
  });
  const mixed = record({
    labels,
    samples: fc.array(sample, { maxLength: 4 }),
    exemplars: fc.array(exemplar, { maxLength: 2 }),
    histograms: fc.array(histograms, { maxLength: 2 }),
  });
  return fc.oneof({ weight: 3, arbitrary: one }, { weight: 1, arbitrary: mixed });
}

const metadata = record({
  type: fc.constantFrom(0, 1, 7, 99, -1),
  metricFamilyName: fc.oneof(fc.constantFrom('up', 'x', ''), text),
  help: fc.oneof(text, fc.constant('')),
  unit: fc.constantFrom('', 'seconds'),
});

/** Requests in which every series is valid. */
export const validRequest: fc.Arbitrary<WriteRequestV1> = record({
  timeseries: fc.array(seriesWith(validLabels, validHistogram), { maxLength: 8 }),
  metadata: fc.array(metadata, { maxLength: 2 }),
});

export const anyHistogram: fc.Arbitrary<HistogramV1> = fc.oneof(validHistogram, histogram);

/** Requests in which some series and some histograms are to be refused. */
export const anyRequest: fc.Arbitrary<WriteRequestV1> = record({
  timeseries: fc.array(seriesWith(anyLabels, anyHistogram), { maxLength: 8 }),
  metadata: fc.array(metadata, { maxLength: 2 }),
});
