import type { StoredLetter } from '../ledger/dead-letters.ts';
import { PARTIAL } from '../network/dead-letter.ts';
import { lettersMessage } from '../network/letters-message.ts';
import { partialWriteOf } from '../network/partial-letter.ts';
import { seriesText } from '../promql/series-text.ts';
import {
  decodeWriteRequestV1,
  metricTypes,
  type TimeSeriesV1,
  type WriteRequestV1,
} from '../protocol/schema.ts';
import { SAMPLE } from '../serialization/rows.ts';
import { histogramLine } from './inspect.ts';
import { histogramText, valueText } from './value-text.ts';

/** The labels of a letter by name, from the fields of its `TimeSeries`. */
export function letterLabels(labels: Uint8Array): Record<string, string> {
  const noContent = new Uint8Array();
  const { timeseries } = decodeWriteRequestV1(lettersMessage([{ kind: SAMPLE, labels, content: noContent }]));
  return labelsOf(timeseries[0]!);
}

/**
 * All of a letter, for `JSON.stringify` with `integersAsJson`: values as Prometheus prints them (value-text.ts) and by
 * their 64 bits in hexadecimal, since two NaNs can be two values.
 */
export function letterObject(letter: StoredLetter): object {
  const { id, endpoint, atMs, reason, cause, words, segment, row, tenant } = letter;
  const whose = tenant === '' ? {} : { tenant };
  const at = new Date(atMs).toISOString();
  const facts = { id, endpoint, ...whose, at, reason, cause, words, segment, row };
  if (letter.kind === PARTIAL) return { ...facts, kind: 'partial_write', ...partialWriteOf(letter) };
  return { ...facts, ...contentOf(decode(letter)) };
}

/** A letter for people: what was refused, without what was said about it. */
export function letterText(letter: StoredLetter): string {
  const { tenant } = letter;
  return tenant === '' ? rowText(letter) : `${rowText(letter)} of tenant ${tenant}`;
}

function rowText(letter: StoredLetter): string {
  if (letter.kind === PARTIAL) {
    const { sent, notWritten } = partialWriteOf(letter);
    const lost = Object.entries(notWritten).map(([kind, rows]) => `${rows} of ${sent[kind]} ${kind}`);
    return `${lost.join(', ')} of a request were not written, it is not known which`;
  }
  const { timeseries, metadata } = decode(letter);
  const [family] = metadata;
  if (family !== undefined) return `metadata of ${family.metricFamilyName}`;
  const one = timeseries[0]!;
  const series = seriesText(labelsOf(one));
  const [sample] = one.samples;
  if (sample !== undefined) return `${series} ${valueText(sample.valueBits)} @ ${timeText(sample.timestamp)}`;
  const [histogram] = one.histograms;
  if (histogram !== undefined) {
    return `${series} ${histogramText(histogram)} @ ${timeText(histogram.timestamp)}`;
  }
  const [exemplar] = one.exemplars;
  return exemplar === undefined
    ? series
    : `${series} exemplar ${valueText(exemplar.valueBits)} @ ${timeText(exemplar.timestamp)}`;
}

function decode(letter: StoredLetter): WriteRequestV1 {
  return decodeWriteRequestV1(lettersMessage([letter]));
}

function contentOf({ timeseries, metadata }: WriteRequestV1): object {
  const [family] = metadata;
  if (family !== undefined) {
    const { type, metricFamilyName, help, unit } = family;
    return { kind: 'metadata', family: metricFamilyName, type: metricTypes[type] ?? type, help, unit };
  }
  const one = timeseries[0]!;
  const labels = labelsOf(one);
  const [sample] = one.samples;
  if (sample !== undefined) {
    return { kind: 'sample', labels, timestampMs: sample.timestamp, ...value(sample.valueBits) };
  }
  const [histogram] = one.histograms;
  if (histogram !== undefined) {
    return {
      kind: 'histogram',
      labels,
      timestampMs: histogram.timestamp,
      histogram: { ...histogramLine(histogram), sumBits: hex(histogram.sumBits) },
    };
  }
  const [exemplar] = one.exemplars;
  return {
    kind: 'exemplar',
    labels,
    ...(exemplar && {
      timestampMs: exemplar.timestamp,
      ...value(exemplar.valueBits),
      exemplarLabels: labelsOf(exemplar),
    }),
  };
}

/** Safe for every name, `__proto__` too. */
function labelsOf({ labels }: Pick<TimeSeriesV1, 'labels'>): Record<string, string> {
  return Object.fromEntries(labels.map(({ name, value }) => [name, value]));
}

function value(bits: bigint): { value: string; valueBits: string } {
  return { value: valueText(bits), valueBits: hex(bits) };
}

function hex(bits: bigint): string {
  return bits.toString(16).padStart(16, '0');
}

/** As ISO 8601, or as ms where that has no word for it. */
function timeText(timestamp: bigint): string {
  const date = new Date(Number(timestamp));
  return Number.isNaN(date.getTime()) ? `${timestamp} ms` : date.toISOString();
}
