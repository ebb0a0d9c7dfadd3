import { compress } from 'snappyjs';
import {
  encodeWriteRequestV1,
  encodeWriteRequestV2,
  type Label,
  type Sparse,
  type TimeSeriesV1,
} from '../protocol/schema.ts';
import {
  beganMs,
  bitsOf,
  histogramAt,
  LOAD_HISTOGRAM,
  LOAD_METRIC,
  type LoadSeries,
  loadLabels,
  loadMetadata,
  traceAt,
  valueAt,
} from './load-shape.ts';

/** How a load is sent. */
export interface LoadForm {
  readonly protocol: '1.0' | '2.0';
  /** A native histogram for each series beside its counter. */
  readonly histograms: boolean;
  /** An exemplar beside each sample. */
  readonly exemplars: boolean;
}

/** Series `first` to `last` (not with it) of a load, at the ordinal `k`. */
export interface LoadSlice extends Omit<LoadSeries, 'series'> {
  readonly first: number;
  readonly last: number;
  readonly k: number;
}

const common = { 'content-encoding': 'snappy', 'user-agent': 'spillway-load' };

/** What goes with each request (RW1-S-02, RW2-S-02 to RW2-S-05). */
export const loadHeaders: Readonly<Record<LoadForm['protocol'], Readonly<Record<string, string>>>> = {
  '1.0': {
    ...common,
    'content-type': 'application/x-protobuf',
    'x-prometheus-remote-write-version': '0.1.0',
  },
  '2.0': {
    ...common,
    'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
    'x-prometheus-remote-write-version': '2.0.0',
  },
};

/** The body of a request, compressed. Of 2.0 each series brings metadata, and each row its start timestamp. */
export function loadBody({ protocol, histograms, exemplars }: LoadForm, slice: LoadSlice): Uint8Array {
  const { first, last, k, ...of } = slice;
  const timestamp = BigInt(of.startMs + k * of.stepMs);
  const timeseries: Sparse<TimeSeriesV1>[] = [];
  for (let series = first; series < last; series++) {
    const valueBits = bitsOf(valueAt(series, k));
    timeseries.push({
      labels: loadLabels({ ...of, series }),
      samples: [{ timestamp, valueBits }],
      ...(exemplars && {
        exemplars: [{ labels: [{ name: 'trace_id', value: traceAt(series, k) }], timestamp, valueBits }],
      }),
    });
    if (histograms) {
      timeseries.push({
        labels: loadLabels({ ...of, series }, LOAD_HISTOGRAM),
        histograms: [{ ...histogramAt(series, k), timestamp }],
      });
    }
  }
  const began = BigInt(beganMs({ ...of, series: first }));
  return compress(protocol === '2.0' ? encodedV2(timeseries, began) : encodeWriteRequestV1({ timeseries }));
}

function encodedV2(timeseries: readonly Sparse<TimeSeriesV1>[], startTimestamp: bigint): Uint8Array {
  const refs = new Map<string, number>([['', 0]]);
  const refOf = (text: string): number => {
    const known = refs.get(text);
    if (known !== undefined) return known;
    refs.set(text, refs.size);
    return refs.size - 1;
  };
  const refsOf = (labels: readonly Sparse<Label>[] = []): number[] =>
    labels.flatMap(({ name = '', value = '' }) => [refOf(name), refOf(value)]);
  const began = <T>(rows: readonly T[] = []): (T & { startTimestamp: bigint })[] =>
    rows.map((row) => ({ ...row, startTimestamp }));
  const series = timeseries.map(({ labels = [], samples, histograms, exemplars = [] }) => {
    const { type, help } = loadMetadata[labels[0]?.value ?? LOAD_METRIC]!;
    return {
      labelsRefs: refsOf(labels),
      samples: began(samples),
      histograms: began(histograms),
      exemplars: exemplars.map(({ labels: own, ...row }) => ({ ...row, labelsRefs: refsOf(own) })),
      metadata: { type, helpRef: refOf(help) },
    };
  });
  return encodeWriteRequestV2({ symbols: [...refs.keys()], timeseries: series });
}
