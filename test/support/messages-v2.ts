import { compress } from 'snappyjs';
import {
  encodeWriteRequestV2,
  type HistogramV2,
  type Label,
  type SampleV2,
  type Sparse,
  type WriteRequestV1,
  type WriteRequestV2,
} from '../../src/protocol/schema.ts';

/** The headers of a remote write 2.0 request (RW2-S-05, RW2-S-07). */
export const v2Headers: Record<string, string> = {
  'content-encoding': 'snappy',
  'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
  'user-agent': 'spillway-test/1',
  'x-prometheus-remote-write-version': '2.0.0',
};

/** A series with texts where the message has refs. */
export interface SeriesV2 {
  readonly labels: Readonly<Record<string, string>> | readonly (readonly [name: string, value: string])[];
  readonly samples?: readonly Sparse<SampleV2>[];
  readonly histograms?: readonly Sparse<HistogramV2>[];
  readonly exemplars?: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly valueBits?: bigint;
    readonly timestamp: bigint;
  }[];
  readonly metadata?: { readonly type: number; readonly help?: string; readonly unit?: string };
  readonly createdTimestamp?: bigint;
}

/** The 2.0 request of these series, its symbols in the order of their use. */
export function requestV2(...series: SeriesV2[]): Sparse<WriteRequestV2> {
  const symbols = [''];
  const refOf = (text: string): number => {
    const known = symbols.indexOf(text);
    return known >= 0 ? known : symbols.push(text) - 1;
  };
  const refsOf = (labels: SeriesV2['labels']): number[] =>
    (Array.isArray(labels) ? labels : Object.entries(labels)).flat().map(refOf);
  const timeseries = series.map(({ labels, exemplars = [], metadata, ...rest }) => ({
    ...rest,
    labelsRefs: refsOf(labels),
    exemplars: exemplars.map(({ labels: own, ...other }) => ({ ...other, labelsRefs: refsOf(own) })),
    ...(metadata && {
      metadata: {
        type: metadata.type,
        helpRef: refOf(metadata.help ?? ''),
        unitRef: refOf(metadata.unit ?? ''),
      },
    }),
  }));
  return { symbols, timeseries };
}

/** The series of a 1.0 request as a 2.0 one. */
export function inV2({ timeseries }: WriteRequestV1): Sparse<WriteRequestV2> {
  return requestV2(
    ...timeseries.map(({ labels, exemplars, ...rows }) => ({
      ...rows,
      labels: labels.map(({ name, value }) => [name, value] as const),
      exemplars: exemplars.map(({ labels: own, ...exemplar }) => ({
        ...exemplar,
        labels: Object.fromEntries(own.map(({ name, value }) => [name, value])),
      })),
    })),
  );
}

/** The series of a 2.0 request as a 1.0 one, without start times. */
export function inV1({ symbols, timeseries }: WriteRequestV2): WriteRequestV1 {
  const labelsOf = (refs: readonly number[]): Label[] =>
    refs.flatMap((ref, i) => (i % 2 === 0 ? [{ name: symbols[ref]!, value: symbols[refs[i + 1]!]! }] : []));
  return {
    timeseries: timeseries.map(({ labelsRefs, samples, histograms, exemplars }) => ({
      labels: labelsOf(labelsRefs),
      samples,
      histograms: histograms.map(({ startTimestamp: _, ...histogram }) => histogram),
      exemplars: exemplars.map(({ labelsRefs: refs, ...exemplar }) => ({
        ...exemplar,
        labels: labelsOf(refs),
      })),
    })),
    metadata: [],
  };
}

/** The body of a 2.0 request. */
export function encodeBodyV2(request: Sparse<WriteRequestV2>): Uint8Array {
  return compress(encodeWriteRequestV2(request));
}
