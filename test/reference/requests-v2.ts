import fc from 'fast-check';
import type { HistogramV1, Label, TimeSeriesV2, WriteRequestV2 } from '../../src/protocol/schema.ts';
import { Random } from '../support/random.ts';
import { anyHistogram, anyLabels, bits, int64, validHistogram, validLabels } from './requests.ts';

/** Arbitrary requests of remote write 2.0, for fast-check. */

/** Few help texts, so that metadata is often what it was. */
const texts = ['', '', 'Requests.', 'Seconds that it took.', 'é'];
const units = ['', '', 'seconds', 'bytes'];
const names = ['trace_id', 'trace_id', 'span', ''];
const values = ['', 'a', 'b', '\u{1F4A7}'];

const start = fc.oneof(fc.constant(0n), int64);

const sample = fc.record(
  { valueBits: bits, timestamp: int64, startTimestamp: start },
  { noNullPrototype: true },
);

const exemplar = fc.record(
  {
    labels: fc.array(
      fc.record(
        { name: fc.constantFrom(...names), value: fc.constantFrom(...values) },
        { noNullPrototype: true },
      ),
      { maxLength: 2 },
    ),
    valueBits: bits,
    timestamp: int64,
  },
  { noNullPrototype: true },
);

const metadata = fc.oneof(
  fc.constant(null),
  fc.record(
    {
      type: fc.constantFrom(0, 1, 1, 3, 5, 7, 99, -1),
      help: fc.constantFrom(...texts),
      unit: fc.constantFrom(...units),
    },
    { noNullPrototype: true },
  ),
);

/** A series with texts in place of refs. */
function plainSeries(labels: fc.Arbitrary<Label[]>, histograms: fc.Arbitrary<HistogramV1>) {
  const common = {
    labels,
    metadata,
    createdTimestamp: fc.oneof({ weight: 4, arbitrary: fc.constant(0n) }, { weight: 1, arbitrary: int64 }),
  };
  const one = fc.record(
    {
      ...common,
      samples: fc.array(sample, { minLength: 1, maxLength: 1 }),
      histograms: fc.constant([]),
      exemplars: fc.constant([]),
    },
    { noNullPrototype: true },
  );
  const histogram = fc
    .tuple(histograms, start)
    .map(([shape, startTimestamp]) => ({ ...shape, startTimestamp }));
  const mixed = fc.record(
    {
      ...common,
      samples: fc.array(sample, { maxLength: 3 }),
      histograms: fc.array(histogram, { maxLength: 2 }),
      exemplars: fc.array(exemplar, { maxLength: 2 }),
    },
    { noNullPrototype: true },
  );
  return fc.oneof({ weight: 3, arbitrary: one }, { weight: 1, arbitrary: mixed });
}

type PlainSeries = ReturnType<typeof plainSeries> extends fc.Arbitrary<infer T> ? T : never;

/**
 * The message with these series. Symbols stand in the order of their use or in any; some are there twice, or for
 * nobody. With `broken`, a ref is at times one that it must not be (RW2-R-22, -23, -26).
 */
function build(plain: readonly PlainSeries[], random: Random, broken: boolean): WriteRequestV2 {
  const symbols: string[] = random.next() < 0.9 ? [''] : ['not empty'];
  const known = new Map<string, number>(symbols.map((text, i) => [text, i]));
  const refOf = (text: string): number => {
    let ref = known.get(text);
    if (ref === undefined || random.next() < 0.05) {
      if (random.next() < 0.05) symbols.push('for nobody');
      ref = symbols.push(text) - 1;
      known.set(text, ref);
    }
    return ref;
  };
  const refsOf = (labels: readonly Label[]) =>
    labels.flatMap(({ name, value }) => [refOf(name), refOf(value)]);
  const timeseries: TimeSeriesV2[] = plain.map((series) => ({
    ...series,
    labelsRefs: refsOf(series.labels),
    exemplars: series.exemplars.map((one) => ({ ...one, labelsRefs: refsOf(one.labels) })),
    metadata: series.metadata && {
      type: series.metadata.type,
      helpRef: refOf(series.metadata.help),
      unitRef: refOf(series.metadata.unit),
    },
  }));
  if (!broken) return { symbols, timeseries };
  const outside = () => symbols.length + random.int(0, 3) * 2 ** 20;
  const breakRefs = (refs: number[]): number[] => {
    const chance = random.next();
    if (chance < 0.04) return refs.slice(1);
    return chance < 0.08 ? [...refs, outside(), 0] : refs;
  };
  return {
    symbols,
    timeseries: timeseries.map((series) => ({
      ...series,
      labelsRefs: breakRefs([...series.labelsRefs]),
      exemplars: series.exemplars.map((one) => ({ ...one, labelsRefs: breakRefs([...one.labelsRefs]) })),
      metadata:
        series.metadata && random.next() < 0.05
          ? { ...series.metadata, [random.next() < 0.5 ? 'helpRef' : 'unitRef']: outside() }
          : series.metadata,
    })),
  };
}

function requests(series: fc.Arbitrary<PlainSeries>, broken: boolean): fc.Arbitrary<WriteRequestV2> {
  return fc
    .tuple(fc.array(series, { maxLength: 8 }), fc.nat())
    .map(([plain, seed]) => build(plain, new Random(seed), broken));
}

/** Requests of which nothing is refused, unless a series has neither a sample nor a histogram. */
export const validRequestV2: fc.Arbitrary<WriteRequestV2> = requests(
  plainSeries(validLabels, validHistogram),
  false,
);

/** Requests of which some is to be refused. */
export const anyRequestV2: fc.Arbitrary<WriteRequestV2> = requests(
  plainSeries(anyLabels, anyHistogram),
  true,
);
