import type { Label, WriteRequestV1 } from '../../src/protocol/schema.ts';

/** One sample, histogram or exemplar of one series, in a form that compares exactly as a string. */
export interface Row {
  /** `seriesKey` of its labels. */
  readonly series: string;
  readonly kind: 'sample' | 'histogram' | 'exemplar';
  /** Milliseconds since the epoch. */
  readonly at: bigint;
  /** All else that it holds: the bits of the value, the fields of the histogram, the labels of the exemplar. */
  readonly content: string;
}

/** What a metadata entry holds, as one string. */
export type MetadataText = string;

/** The labels in their sorted place: two spellings of one series have one key. */
export function seriesKey(labels: readonly Label[]): string {
  const pairs = labels.map(({ name, value }) => `${name}=${JSON.stringify(value)}`);
  return `{${pairs.sort().join(',')}}`;
}

/** Names the row, and nothing else has that name but its duplicates. */
export function rowKey(row: Row): string {
  return `${row.kind} ${row.at} ${row.content}`;
}

/** For messages. */
export function describeRow(row: Row): string {
  return `${row.series} ${rowKey(row)}`;
}

/** The rows of a request, in the order in which they stand. */
export function rowsOf(request: WriteRequestV1): Row[] {
  const rows: Row[] = [];
  for (const { labels, samples, histograms, exemplars } of request.timeseries) {
    const series = seriesKey(labels);
    for (const { timestamp, valueBits } of samples) {
      rows.push({ series, kind: 'sample', at: timestamp, content: bits(valueBits) });
    }
    for (const { timestamp, ...fields } of histograms) {
      rows.push({ series, kind: 'histogram', at: timestamp, content: exact(fields) });
    }
    for (const { timestamp, valueBits, labels } of exemplars) {
      rows.push({
        series,
        kind: 'exemplar',
        at: timestamp,
        content: `${bits(valueBits)} ${seriesKey(labels)}`,
      });
    }
  }
  return rows;
}

export function metadataOf(request: WriteRequestV1): MetadataText[] {
  return request.metadata.map(exact);
}

function bits(value: bigint): string {
  return value.toString(16).padStart(16, '0');
}

/** JSON with 64-bit integers in full; doubles come as bits, so nothing is rounded. */
function exact(value: object): string {
  return JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}n` : part));
}
