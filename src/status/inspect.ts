/**
 * What a captured remote-write body holds, as lines of JSON for people and `jq`: first the request with its
 * counts, then each series, then each entry of 1.0 metadata, in the order of the wire.
 *
 * Nothing is judged or repaired. Labels are pairs, so that repeated and unsorted names show. Empty lists,
 * unset start timestamps and absent messages are left out. Doubles are texts, since JSON has no NaN
 * (value-text.ts); 64-bit integers are numbers as far as JSON numbers are exact, and texts beyond.
 */

import {
  decodeWriteRequestV1,
  decodeWriteRequestV2,
  type HistogramV1,
  type HistogramV2,
  type Label,
  metricTypes,
  type Sample,
  type SampleV2,
  type WriteRequestV1,
  type WriteRequestV2,
} from '../protocol/schema.ts';
import { Scratch, uncompress } from '../protocol/snappy.ts';
import { countText, valueText } from './value-text.ts';

/** A body that declares more decoded bytes is refused before they are allocated (WIRE-02). */
const maxDecodedBytes = 1024 * 1024 * 1024;

/**
 * The lines of `body`, a snappy block of a request of `version`; none ends in a line break.
 * The iteration throws MalformedMessageError or SnappyError.
 */
export function* inspectWriteRequest(body: Uint8Array, version: '1.0' | '2.0' = '1.0'): Iterable<string> {
  // Not snappyjs, which a hostile file can keep busy without end.
  const scratch = new Scratch();
  const length = uncompress(body, scratch, maxDecodedBytes);
  const raw = scratch.bytes.subarray(0, length);
  const facts = { version, bytes: body.length, decodedBytes: raw.length };
  const lines =
    version === '1.0' ? linesV1(facts, decodeWriteRequestV1(raw)) : linesV2(facts, decodeWriteRequestV2(raw));
  for (const line of lines) yield JSON.stringify(line, integersAsJson);
}

function* linesV1(facts: object, { timeseries, metadata }: WriteRequestV1): Iterable<object> {
  yield { ...facts, ...countRows(timeseries), metadata: metadata.length };
  for (const { labels, samples, histograms, exemplars } of timeseries) {
    yield {
      labels: labelPairs(labels),
      samples: listed(samples, sampleLine),
      histograms: listed(histograms, histogramLine),
      exemplars: listed(exemplars, (each) => ({ ...sampleLine(each), labels: labelPairs(each.labels) })),
    };
  }
  for (const { type, metricFamilyName: family, help, unit } of metadata) {
    yield { family, type: metricTypes[type] ?? type, help, unit };
  }
}

function* linesV2(facts: object, { symbols, timeseries }: WriteRequestV2): Iterable<object> {
  yield { ...facts, ...countRows(timeseries), symbols: symbols.length };
  const symbol = (ref: number) => symbols[ref] ?? `<symbol ${ref} is missing>`; // RW2-R-22
  const pairs = (refs: readonly number[]) =>
    Array.from({ length: Math.ceil(refs.length / 2) }, (_, i) => refs.slice(2 * i, 2 * i + 2).map(symbol));
  for (const { labelsRefs, samples, histograms, exemplars, metadata, createdTimestamp } of timeseries) {
    yield {
      labels: pairs(labelsRefs),
      createdTimestampMs: createdTimestamp || undefined,
      samples: listed(samples, sampleLine),
      histograms: listed(histograms, histogramLine),
      exemplars: listed(exemplars, (each) => ({ ...sampleLine(each), labels: pairs(each.labelsRefs) })),
      ...(metadata !== null && {
        metadata: {
          type: metricTypes[metadata.type] ?? metadata.type,
          help: symbol(metadata.helpRef),
          unit: symbol(metadata.unitRef),
        },
      }),
    };
  }
}

/** What both versions count in their series. */
function countRows(
  timeseries: readonly Record<'samples' | 'histograms' | 'exemplars', readonly unknown[]>[],
): object {
  const counts = { series: timeseries.length, samples: 0, histograms: 0, exemplars: 0 };
  for (const { samples, histograms, exemplars } of timeseries) {
    counts.samples += samples.length;
    counts.histograms += histograms.length;
    counts.exemplars += exemplars.length;
  }
  return counts;
}

function sampleLine(sample: Sample | SampleV2): object {
  return { ...timesOf(sample), value: valueText(sample.valueBits) };
}

export function histogramLine(histogram: HistogramV1 | HistogramV2): object {
  return {
    ...timesOf(histogram),
    flavour: histogram.countFloatBits === undefined ? 'integer' : 'float',
    count: countText(histogram.countInt, histogram.countFloatBits),
    sum: valueText(histogram.sumBits),
    schema: histogram.schema,
    zeroThreshold: valueText(histogram.zeroThresholdBits),
    zeroCount: countText(histogram.zeroCountInt, histogram.zeroCountFloatBits),
    negativeSpans: listed(histogram.negativeSpans),
    negativeDeltas: listed(histogram.negativeDeltas),
    negativeCounts: listed(histogram.negativeCountsBits, valueText),
    positiveSpans: listed(histogram.positiveSpans),
    positiveDeltas: listed(histogram.positiveDeltas),
    positiveCounts: listed(histogram.positiveCountsBits, valueText),
    customValues: listed(histogram.customValuesBits, valueText),
    resetHint: ['unknown', 'yes', 'no', 'gauge'][histogram.resetHint] ?? histogram.resetHint,
  };
}

function timesOf(row: { readonly timestamp: bigint; readonly startTimestamp?: bigint }): object {
  return { timestampMs: row.timestamp, startTimestampMs: row.startTimestamp || undefined };
}

function labelPairs(labels: readonly Label[]): string[][] {
  return labels.map(({ name, value }) => [name, value]);
}

/** The list, each element through `show`; undefined when it is empty, so that JSON leaves it out. */
function listed<T>(list: readonly T[], show: (element: T) => unknown = (element) => element): unknown {
  return list.length > 0 ? list.map((element) => show(element)) : undefined;
}

export function integersAsJson(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}
