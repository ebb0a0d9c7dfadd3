/** The table: a row per measure, a column per contender, medians of the trials and ratios to vmagent. */
import type { Name } from './contenders.ts';
import type { TrialResult } from './trial.ts';

/** The trials of one contender. */
export interface Entry {
  readonly name: Name;
  readonly trials: readonly TrialResult[];
  readonly failures: number;
}

interface Row {
  readonly label: string;
  readonly digits: number;
  /** Undefined where the scenario does not have it. */
  of(trial: TrialResult): number | undefined;
  /** Losses are not averaged away. */
  readonly pick?: 'worst';
}

const BASELINE: Name = 'vmagent';

const ROWS: readonly Row[] = [
  { label: 'CPU-s per M samples', digits: 2, of: (t) => perMillion(t.cpuSeconds, t) },
  { label: '  of it, draining', digits: 2, of: (t) => perMillion(t.drainCpuSeconds, t) },
  { label: 'ingest, samples/s', digits: 0, of: (t) => t.samples / t.load.seconds },
  { label: 'ack p50, ms', digits: 1, of: (t) => quantile(t.load.ackMs, 0.5) },
  { label: 'ack p99, ms', digits: 1, of: (t) => quantile(t.load.ackMs, 0.99) },
  { label: 'sent to delivered p50, ms', digits: 0, of: (t) => quantile(deliveryMs(t), 0.5) },
  { label: 'sent to delivered p99, ms', digits: 0, of: (t) => quantile(deliveryMs(t), 0.99) },
  { label: 'peak RSS, MB', digits: 0, of: (t) => t.peakRssBytes / 1e6 },
  { label: 'disk, bytes per sample', digits: 1, of: (t) => t.diskBytes && t.diskBytes / t.samples },
  { label: 'wire out, bytes per sample', digits: 1, of: (t) => per(t.sink.bytes, t.sink.rows) },
  { label: 'wire out, samples/request', digits: 0, of: (t) => per(t.sink.rows, t.sink.requests) },
  { label: 'recovery lag, s', digits: 1, of: recoveryLag },
  { label: 'drain, samples/s', digits: 0, of: drainRate },
  { label: '503 answers', digits: 0, of: (t) => t.load.retries, pick: 'worst' },
  { label: 'samples lost', digits: 0, of: (t) => t.samples - t.sink.delivered, pick: 'worst' },
  { label: 'samples twice', digits: 0, of: (t) => t.sink.duplicates, pick: 'worst' },
  { label: 'samples out of order', digits: 0, of: (t) => t.sink.inversions, pick: 'worst' },
  { label: 'samples altered', digits: 0, of: (t) => t.sink.wrong, pick: 'worst' },
];

const LABEL_WIDTH = 28;
const VALUE_WIDTH = 12;
const RATIO_WIDTH = 8;

/** The table as text, without a line end. */
export function formatTable(entries: readonly Entry[]): string {
  const baseline = entries.find(({ name }) => name === BASELINE);
  const lines = ROWS.map((row) => {
    const base = baseline && cellOf(row, baseline);
    const cells = entries.map((entry) => {
      const value = cellOf(row, entry);
      const ratio = row.pick || !value || !base ? '' : `${(value / base).toFixed(2)}x`;
      return formatNumber(value, row.digits).padStart(VALUE_WIDTH) + ratio.padStart(RATIO_WIDTH);
    });
    return row.label.padEnd(LABEL_WIDTH) + cells.join('');
  });
  const cell = (text: string): string => text.padStart(VALUE_WIDTH).padEnd(VALUE_WIDTH + RATIO_WIDTH);
  const header = ''.padEnd(LABEL_WIDTH) + entries.map(({ name }) => cell(name)).join('');
  const verdicts = entries.map(({ failures }) => cell(failures > 0 ? 'FAILED' : 'yes'));
  return [header, ...lines, 'verified'.padEnd(LABEL_WIDTH) + verdicts.join('')]
    .map((l) => l.trimEnd())
    .join('\n');
}

/** One trial on one line, for whoever watches, and to show the spread. */
export function formatTrial(trial: TrialResult): string {
  return ROWS.slice(0, 5)
    .filter((row) => row.of(trial) !== undefined)
    .map((row) => `${row.label.trim()} ${formatNumber(row.of(trial), row.digits)}`)
    .join('; ');
}

function cellOf(row: Row, { trials }: Entry): number | undefined {
  const values = trials.map((trial) => row.of(trial)).filter((value) => value !== undefined);
  if (values.length === 0) return undefined;
  values.sort((a, b) => a - b);
  return row.pick === 'worst' ? values.at(-1) : median(values);
}

function median(sorted: readonly number[]): number {
  const middle = sorted.length >>> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function quantile(values: Float64Array | undefined, q: number): number | undefined {
  return values?.toSorted()[Math.ceil(q * values.length) - 1];
}

/** By request: from its sending to the arrival of the last of its samples. */
function deliveryMs({ load, sink, returnedMs }: TrialResult): Float64Array | undefined {
  if (returnedMs !== undefined) return undefined;
  return load.sentAt.map((sentAt, i) => sink.arrivedAt[i]! - sentAt).filter((ms) => ms >= 0);
}

/** From the return of the endpoint to the first delivery. */
function recoveryLag({ sink, returnedMs }: TrialResult): number | undefined {
  if (returnedMs === undefined || sink.requests === 0) return undefined;
  return (sink.firstMs - returnedMs) / 1000;
}

function drainRate({ sink, returnedMs }: TrialResult): number | undefined {
  return returnedMs === undefined ? undefined : per(sink.rows, (sink.lastMs - sink.firstMs) / 1000);
}

function perMillion(seconds: number | undefined, { samples }: TrialResult): number | undefined {
  return seconds === undefined ? undefined : seconds / (samples / 1e6);
}

/** Undefined when there is nothing to divide by: nothing was delivered. */
function per(amount: number, parts: number): number | undefined {
  return parts === 0 ? undefined : amount / parts;
}

function formatNumber(value: number | undefined, digits: number): string {
  if (value === undefined) return 'N/A';
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
