/**
 * What `spillway load` sends, as a function of series and time, so that whoever receives it can tell what is wrong,
 * late, missing or there twice without having seen the sender.
 *
 *     spillway_load{run="lx3k", series="17", start="1700000000000", step="1000"}
 *
 * has a sample at `start + k * step` (ms) for k = 0, 1, 2, ... Its value is `valueAt(series, k)`.
 */
export interface LoadSeries {
  readonly run: string;
  readonly series: number;
  readonly startMs: number;
  readonly stepMs: number;
}

export const LOAD_METRIC = 'spillway_load';

/** The labels of a series, sorted. */
export function loadLabels({ run, series, startMs, stepMs }: LoadSeries): { name: string; value: string }[] {
  return [
    { name: '__name__', value: LOAD_METRIC },
    { name: 'run', value: run },
    { name: 'series', value: String(series) },
    { name: 'start', value: String(startMs) },
    { name: 'step', value: String(stepMs) },
  ];
}

/** Which series of a load these labels are; undefined when they are of something else. Others may have been added. */
export function loadSeries(labels: Readonly<Record<string, string>>): LoadSeries | undefined {
  if (labels.__name__ !== LOAD_METRIC) return undefined;
  const { run = '', series, start, step } = labels;
  const [number, startMs, stepMs] = [Number(series), Number(start), Number(step)];
  const sound = Number.isSafeInteger(number) && Number.isSafeInteger(startMs) && Number.isSafeInteger(stepMs);
  return sound && stepMs > 0 ? { run, series: number, startMs, stepMs } : undefined;
}

/** A counter that grows by a step of its own for each series; exact in a double. */
export function valueAt(series: number, k: number): number {
  return (1 + (series % 7)) * k + series / 1024;
}
