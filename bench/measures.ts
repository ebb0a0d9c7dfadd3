/** The rows of the tables: what each is called, and how it comes from a trial. */
import type { TrialResult } from './stage.ts';
import { lostOf } from './verdict.ts';

export interface Measure {
  readonly label: string;
  readonly digits: number;
  /** Undefined where the course does not have it. */
  of(trial: TrialResult): number | undefined;
  /** Losses are not averaged away. */
  readonly pick?: 'worst';
  /** Shown also where a line is all the room there is: for a trial, for a step of a sweep. */
  readonly brief?: true;
}

export const MEASURES: readonly Measure[] = [
  { label: 'CPU-s per M samples', digits: 2, brief: true, of: (t) => perMillion(t.cpuSeconds, t) },
  { label: 'of it, draining', digits: 2, of: (t) => perMillion(t.drainCpuSeconds, t) },
  { label: 'ingest, samples/s', digits: 0, brief: true, of: (t) => t.load && t.samples / t.load.seconds },
  { label: 'ack p50, ms', digits: 1, of: (t) => quantile(t.load?.ackMs, 0.5) },
  { label: 'ack p99, ms', digits: 1, brief: true, of: (t) => quantile(t.load?.ackMs, 0.99) },
  { label: 'received to delivered p50, ms', digits: 0, of: (t) => quantile(deliveryMs(t), 0.5) },
  { label: 'received to delivered p99, ms', digits: 0, of: (t) => quantile(deliveryMs(t), 0.99) },
  { label: 'ready after, ms', digits: 0, brief: true, of: (t) => medianOf(t.starts?.map((s) => s.readyMs)) },
  {
    label: 'first delivery after, ms',
    digits: 0,
    brief: true,
    of: (t) => medianOf(t.starts?.map((s) => s.firstDeliveryMs)),
  },
  { label: 'CPU-s until then', digits: 2, of: (t) => medianOf(t.starts?.map((s) => s.cpuSeconds)) },
  { label: 'peak RSS, MB', digits: 0, brief: true, of: (t) => megabytes(peakRss(t)) },
  { label: 'backlog, MB', digits: 0, of: (t) => megabytes(t.starts && t.backlogBytes) },
  { label: 'backlog, bytes per sample', digits: 1, of: (t) => per(t.backlogBytes, t.samples) },
  { label: 'written to disk, bytes per sample', digits: 1, of: (t) => per(t.writtenBytes, t.samples) },
  { label: 'wire out, bytes per sample', digits: 1, of: (t) => per(t.sink.bytes, t.sink.rows) },
  { label: 'wire out, samples/request', digits: 0, of: (t) => per(t.sink.rows, t.sink.requests) },
  { label: 'recovery lag, s', digits: 2, brief: true, of: recoveryLag },
  { label: 'drain, samples/s', digits: 0, of: drainRate },
  { label: '503 answers', digits: 0, of: (t) => t.load?.retries, pick: 'worst' },
  { label: 'samples lost', digits: 0, of: lostOf, pick: 'worst' },
  { label: 'samples twice', digits: 0, of: (t) => t.sink.duplicates, pick: 'worst' },
  { label: 'samples out of order', digits: 0, of: (t) => t.sink.inversions, pick: 'worst' },
  { label: 'samples altered', digits: 0, of: (t) => t.sink.wrong, pick: 'worst' },
];

/** The median of the trials, or the worst of them; undefined if none has it. */
export function summaryOf(measure: Measure, trials: readonly TrialResult[]): number | undefined {
  const values = trials.map((trial) => measure.of(trial)).filter((value) => value !== undefined);
  return measure.pick === 'worst' && values.length > 0 ? Math.max(...values) : medianOf(values);
}

/** Of the values that are there; undefined if there is none. */
function medianOf(values: readonly (number | undefined)[] | undefined): number | undefined {
  const sorted = values?.filter((value) => value !== undefined).sort((a, b) => a - b) ?? [];
  const middle = sorted.length >>> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : mean(sorted[middle - 1], sorted[middle]);
}

function mean(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : (a + b) / 2;
}

function quantile(values: Float64Array | undefined, q: number): number | undefined {
  return values?.toSorted()[Math.ceil(q * values.length) - 1];
}

/** By request: from its sending to the arrival of the last of its samples. */
function deliveryMs({ load, sink, returnedMs }: TrialResult): Float64Array | undefined {
  if (returnedMs !== undefined) return undefined;
  return load?.sentAt.map((sentAt, i) => sink.arrivedAt[i]! - sentAt).filter((ms) => ms >= 0);
}

/** From the return of the endpoint to the first delivery. */
function recoveryLag({ sink, returnedMs }: TrialResult): number | undefined {
  if (returnedMs === undefined || sink.firstMs === 0) return undefined;
  return (sink.firstMs - returnedMs) / 1000;
}

function drainRate({ sink, returnedMs }: TrialResult): number | undefined {
  return returnedMs === undefined ? undefined : per(sink.rows, (sink.lastMs - sink.firstMs) / 1000);
}

function peakRss({ peakRssBytes, starts }: TrialResult): number | undefined {
  return starts === undefined ? peakRssBytes : Math.max(...starts.map((start) => start.peakRssBytes));
}

function megabytes(bytes: number | undefined): number | undefined {
  return bytes === undefined ? undefined : bytes / 1e6;
}

function perMillion(seconds: number | undefined, { samples }: TrialResult): number | undefined {
  return per(seconds, samples / 1e6);
}

/** Undefined when there is nothing to divide, or nothing to divide by: nothing was delivered. */
function per(amount: number | undefined, parts: number): number | undefined {
  return amount === undefined || parts === 0 ? undefined : amount / parts;
}
