import type { HistogramV1, Sparse } from '../protocol/schema.ts';

/**
 * What `spillway load` sends, as a function of series and time, so that whoever receives it can tell what is wrong,
 * late, missing or there twice without having seen the sender.
 *
 *     spillway_load{run="lx3k", series="17", start="1700000000000", step="1000"}
 *
 * has a sample at `start + k * step` (ms) for k = 0, 1, 2, ... Its value is `valueAt(series, k)`. When asked for, an
 * exemplar stands beside each sample, and `spillway_load_seconds` has the same series with native histograms.
 */
export interface LoadSeries {
  readonly run: string;
  readonly series: number;
  readonly startMs: number;
  readonly stepMs: number;
}

export const LOAD_METRIC = 'spillway_load';
export const LOAD_HISTOGRAM = 'spillway_load_seconds';

/** What a 2.0 request says of each: a number of `metricTypes`, and the help. */
export const loadMetadata: Readonly<Record<string, { readonly type: number; readonly help: string }>> = {
  [LOAD_METRIC]: { type: 1, help: 'A counter of spillway load.' },
  [LOAD_HISTOGRAM]: { type: 3, help: 'A native histogram of spillway load.' },
};

/** The labels of a series, sorted. */
export function loadLabels(
  { run, series, startMs, stepMs }: LoadSeries,
  metric: string = LOAD_METRIC,
): { name: string; value: string }[] {
  return [
    { name: '__name__', value: metric },
    { name: 'run', value: run },
    { name: 'series', value: String(series) },
    { name: 'start', value: String(startMs) },
    { name: 'step', value: String(stepMs) },
  ];
}

/** Which series of a load these labels are; undefined when they are of something else. Others may have been added. */
export function loadSeries(labels: Readonly<Record<string, string>>): LoadSeries | undefined {
  if (labels.__name__ !== LOAD_METRIC && labels.__name__ !== LOAD_HISTOGRAM) return undefined;
  const { run = '', series, start, step } = labels;
  const [number, startMs, stepMs] = [Number(series), Number(start), Number(step)];
  const sound = Number.isSafeInteger(number) && Number.isSafeInteger(startMs) && Number.isSafeInteger(stepMs);
  return sound && stepMs > 0 ? { run, series: number, startMs, stepMs } : undefined;
}

/** When the counters began (start timestamps of 2.0, ms): a step before their first sample. */
export function beganMs({ startMs, stepMs }: LoadSeries): number {
  return startMs - stepMs;
}

/** A counter that grows by a step of its own for each series; exact in a double. */
export function valueAt(series: number, k: number): number {
  return (1 + (series % 7)) * k + series / 1024;
}

/** How many observations a histogram of a series has; each was 1, so that this is its sum as well. */
export function observationsAt(series: number, k: number): bigint {
  return BigInt((1 + (series % 7)) * (k + 1));
}

/** An integer histogram of schema 0: all observations are in the bucket (0.5, 1]. */
export function histogramAt(series: number, k: number): Sparse<HistogramV1> {
  const count = observationsAt(series, k);
  return {
    countInt: count,
    sumBits: bitsOf(Number(count)),
    schema: 0,
    zeroThresholdBits: bitsOf(2 ** -128),
    zeroCountInt: 0n,
    positiveSpans: [{ offset: 0, length: 1 }],
    positiveDeltas: [count],
  };
}

/** The label `trace_id` of an exemplar. */
export function traceAt(series: number, k: number): string {
  return `${series}-${k}`;
}

const scratch = new DataView(new ArrayBuffer(8));

/** A double as its 64 bits. */
export function bitsOf(value: number): bigint {
  scratch.setFloat64(0, value);
  return scratch.getBigUint64(0);
}

export function doubleOf(bits: bigint): number {
  scratch.setBigUint64(0, bits);
  return scratch.getFloat64(0);
}
