import {
  decodeHistogramV1,
  decodeWriteRequestV1,
  type ExemplarV1,
  type HistogramV1,
  type Label,
} from '../../src/protocol/schema.ts';
import { type Column, readDeltas, readDeltas64, readVarints } from '../../src/serialization/columns.ts';
import type { Dictionary } from '../../src/serialization/dictionary.ts';
import { EXEMPLAR, HISTOGRAM, KINDS, METADATA, type RowBatch, SAMPLE } from '../../src/serialization/rows.ts';
import { varint } from './snappy-elements.ts';
import type { MetadataRow, SampleRow } from './verdicts-v2.ts';

/** A row as it waits for its commit. */
export type BatchRow =
  | { readonly kind: 'sample'; readonly labels: readonly Label[]; readonly row: SampleRow }
  | {
      readonly kind: 'histogram';
      readonly labels: readonly Label[];
      readonly row: HistogramV1 & { readonly startTimestamp: bigint };
    }
  | { readonly kind: 'exemplar'; readonly labels: readonly Label[]; readonly row: ExemplarV1 }
  /** Of a family alone, it has no labels. */
  | { readonly kind: 'metadata'; readonly labels: readonly Label[] | undefined; readonly row: MetadataRow };

/** The rows of a batch in their order, decoded in the plainest way; the batch is at its end then. */
export function batchRows(batch: RowBatch, dictionary: Dictionary): BatchRow[] {
  batch.finishOrder();
  const [samples, histograms, exemplars, metadata] = [SAMPLE, HISTOGRAM, EXEMPLAR, METADATA].map(
    (kind) => batch.counts[kind]!,
  ) as [number, number, number, number];
  const series = {
    sample: deltas(batch.sampleSeries, samples),
    histogram: deltas(batch.histogramSeries, histograms),
    exemplar: deltas(batch.exemplarSeries, exemplars),
    metadata: deltas(batch.metadataSeries, metadata),
  };
  const sampleTime = times(batch.sampleTime, samples);
  const sampleStart = starts(batch.sampleStart, samples);
  const sampleValue = words(batch.sampleValue);
  const histogramTime = times(batch.histogramTime, histograms);
  const histogramStart = starts(batch.histogramStart, histograms);
  const histogramBytes = pieces(batch.histogramBytes, batch.histogramLength, histograms);
  const exemplarTime = times(batch.exemplarTime, exemplars);
  const exemplarValue = words(batch.exemplarValue);
  const exemplarLabels = pieces(batch.exemplarLabels, batch.exemplarLength, exemplars);
  const types = varints(batch.metadataType, metadata);
  const [families, helps, units] = [batch.metadataFamily, batch.metadataHelp, batch.metadataUnit].map(
    (column) => deltas(column, metadata).map((id) => textOf(dictionary, id)),
  ) as [string[], string[], string[]];

  const rowAt = (kind: number, i: number): BatchRow => {
    if (kind === SAMPLE) {
      const row = { valueBits: sampleValue(i), timestamp: sampleTime[i]!, startTimestamp: sampleStart[i]! };
      return { kind: 'sample', labels: labelsOf(dictionary, series.sample[i]!), row };
    }
    if (kind === HISTOGRAM) {
      const row = {
        ...decodeHistogramV1(histogramBytes[i]!),
        timestamp: histogramTime[i]!,
        startTimestamp: histogramStart[i]!,
      };
      return { kind: 'histogram', labels: labelsOf(dictionary, series.histogram[i]!), row };
    }
    if (kind === EXEMPLAR) {
      const inner = exemplarLabels[i]!;
      const message = Buffer.concat([Uint8Array.of(0x0a), varint(inner.length), inner]);
      const labels = decodeWriteRequestV1(message).timeseries[0]!.labels;
      const row = { labels, valueBits: exemplarValue(i), timestamp: exemplarTime[i]! };
      return { kind: 'exemplar', labels: labelsOf(dictionary, series.exemplar[i]!), row };
    }
    const plusOne = series.metadata[i]!;
    return {
      kind: 'metadata',
      labels: plusOne === 0 ? undefined : labelsOf(dictionary, plusOne - 1),
      row: { type: types[i]!, family: families[i]!, help: helps[i]!, unit: units[i]! },
    };
  };

  const rows: BatchRow[] = [];
  const next = new Array<number>(KINDS).fill(0);
  const numbers = batch.order.used.filter((byte) => byte < 0x80).length;
  const order = varints(batch.order, numbers);
  for (let i = 0; i < order.length; i += 2) {
    for (let n = order[i + 1]!; n > 0; n--) rows.push(rowAt(order[i]!, next[order[i]!]!++));
  }
  return rows;
}

function labelsOf(dictionary: Dictionary, series: number): Label[] {
  const { seriesAt, seriesPairs, pairName, pairValue } = dictionary;
  return [...seriesPairs.subarray(seriesAt[series]!, seriesAt[series + 1]!)].map((pair) => ({
    name: textOf(dictionary, pairName[pair]!),
    value: textOf(dictionary, pairValue[pair]!),
  }));
}

function textOf({ text, stringAt }: Dictionary, id: number): string {
  return Buffer.from(text.bytes.subarray(stringAt[id]!, stringAt[id + 1]!)).toString();
}

function varints(column: Column, count: number): number[] {
  const out = new Uint32Array(count);
  readVarints(column.used, count, out);
  return [...out];
}

function deltas(column: Column, count: number): number[] {
  const out = new Uint32Array(count);
  readDeltas(column.used, count, out);
  return [...out];
}

function times(column: Column, count: number): bigint[] {
  const out = new Int32Array(2 * count);
  readDeltas64(column.used, count, out);
  return Array.from({ length: count }, (_, i) => {
    return BigInt.asIntN(64, (BigInt(out[2 * i + 1]!) << 32n) + BigInt(out[2 * i]! >>> 0));
  });
}

/** A column that is left out says 0. */
function starts(column: Column, count: number): bigint[] {
  return column.length === 0 ? new Array<bigint>(count).fill(0n) : times(column, count);
}

function words({ bytes }: Column): (i: number) => bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return (i) => view.getBigUint64(8 * i, true);
}

function pieces(bytes: Column, lengths: Column, count: number): Uint8Array[] {
  let at = 0;
  return varints(lengths, count).map((length) => {
    at += length;
    return bytes.bytes.slice(at - length, at);
  });
}
