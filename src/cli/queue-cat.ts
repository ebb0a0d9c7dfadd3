import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { SegmentDirectory } from '../filequeue/segment-directory.ts';
import { matches, type Selector } from '../promql/selector.ts';
import { seriesText } from '../promql/series-text.ts';
import { decodeWriteRequestV1, metricTypes } from '../protocol/schema.ts';
import type { FileSystem } from '../runtime/fs.ts';
import { type EXEMPLAR, HISTOGRAM, METADATA, SAMPLE } from '../serialization/rows.ts';
import { histogramLine, integersAsJson } from '../status/inspect.ts';
import { valueText } from '../status/value-text.ts';
import type { ProgressBar } from './progress-bar.ts';
import { readSegmentRows, type WalPlace, type WalRow } from './wal-rows.ts';

export type CatFormat = 'openmetrics' | 'ndjson';

export interface CatOptions {
  readonly files: FileSystem;
  readonly dir: string;
  /** Segments from this id on, and up to and with this one. */
  readonly from: number;
  readonly to: number;
  /** Series that match; all by default. */
  readonly match: Selector | undefined;
  readonly format: CatFormat;
}

/** What was written, and what was not. */
export interface CatSummary {
  readonly rows: number;
  /** Rows that the format cannot carry. */
  readonly leftOut: number;
  readonly segments: number;
  /** In words; parts that cannot be read. */
  readonly damage: readonly string[];
}

/** Text is gathered up to this many characters, so that a line is no system call. */
const CHUNK = 64 * 1024;

/**
 * Writes the rows of a queue in their order, and waits for whoever reads. It changes nothing, and may run beside an
 * agent. Stops where `output` is closed (`| head`).
 */
export async function catQueue(
  { files, dir, from, to, match, format }: CatOptions,
  output: Writable,
  bar: ProgressBar,
): Promise<CatSummary> {
  const { segments, skipped } = await SegmentDirectory.open(files, dir);
  const chosen = segments.filter(({ id }) => id >= from && id <= to);
  const damage = skipped
    .filter(({ id }) => id >= from && id <= to)
    .map(({ id, cause }) => `segment ${id}: ${cause}`);
  const lineOf = format === 'ndjson' ? jsonLine : openMetricsLine;
  let closed = false;
  output.once('close', () => {
    closed = true;
  });
  let rows = 0;
  let leftOut = 0;
  let text = '';
  const flush = async (): Promise<void> => {
    if (text === '' || closed) return;
    const room = output.write(text);
    text = '';
    if (!room && !closed) await drained(output);
  };
  bar.start(chosen.reduce((sum, info) => sum + info.rows, 0));
  for (const { id, rows: inSegment } of chosen) {
    // A segment is read at once, and is small: its lines are gathered, and written behind it.
    const parts: string[] = [];
    try {
      readSegmentRows(files, dir, id, {
        wanted: ({ labels }) => match === undefined || matches(match, labels),
        onRow: (row, place) => {
          if (row.kind === METADATA && match !== undefined && !matches(match, { __name__: row.family }))
            return true;
          const line = lineOf(row, place);
          if (line === undefined) leftOut++;
          else {
            rows++;
            text += line;
            if (text.length >= CHUNK) {
              parts.push(text);
              text = '';
            }
          }
          return true;
        },
        onDamage: (message) => damage.push(message),
      });
    } catch (error) {
      // Deleted since: whoever owns the queue is done with it.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    parts.push(text);
    for (const part of parts) {
      text = part;
      await flush();
    }
    bar.advance(inSegment);
    if (closed) break;
  }
  if (format === 'openmetrics') text += '# EOF\n';
  await flush();
  bar.end();
  return { rows, leftOut, segments: chosen.length, damage };
}

/**
 * Resolves when `output` takes more, or nobody reads it any more (`EPIPE`). What is not waited for any more is not
 * listened to. Rejects with what else goes wrong.
 */
async function drained(output: Writable): Promise<void> {
  const done = new AbortController();
  const heard = ['drain', 'close'].map((event) => once(output, event, { signal: done.signal }));
  try {
    await Promise.race(heard);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  } finally {
    done.abort();
    await Promise.allSettled(heard);
  }
}

/** A new file for `queue export`. Throws what the file system throws, `EEXIST` when it is there. */
export async function newFile(file: string): Promise<Writable> {
  const stream = createWriteStream(file, { flags: 'wx' });
  await once(stream, 'open');
  return stream;
}

function jsonLine(row: WalRow, { segment, row: ordinal, committedMs }: WalPlace): string {
  const place = { segment, row: ordinal, committedMs };
  return `${JSON.stringify({ ...contentOf(row), ...place }, integersAsJson)}\n`;
}

function contentOf(row: WalRow): object {
  if (row.kind === METADATA) {
    const { tenant, family, type, help, unit } = row;
    return { kind: 'metadata', ...whose(tenant), family, type: metricTypes[type] ?? type, help, unit };
  }
  const { labels, tenant } = row.series;
  const facts = {
    labels,
    ...whose(tenant),
    timestampMs: row.timestampMs,
    ...(row.startMs === 0n ? {} : { startTimestampMs: row.startMs }),
  };
  if (row.kind === SAMPLE) return { kind: 'sample', ...facts, ...bothOf(row.valueBits) };
  const [series] = decodeWriteRequestV1(row.message).timeseries;
  if (row.kind === HISTOGRAM) {
    const [histogram] = series!.histograms;
    return { kind: 'histogram', ...facts, histogram: histogram && histogramLine(histogram) };
  }
  row.kind satisfies typeof EXEMPLAR;
  const [exemplar] = series!.exemplars;
  return {
    kind: 'exemplar',
    ...facts,
    ...(exemplar && {
      ...bothOf(exemplar.valueBits),
      exemplarLabels: Object.fromEntries(exemplar.labels.map(({ name, value }) => [name, value])),
    }),
  };
}

function whose(tenant: string): { tenant?: string } {
  return tenant === '' ? {} : { tenant };
}

/** By its 64 bits as well: two NaNs can be two values. */
function bothOf(bits: bigint): { value: string; valueBits: string } {
  return { value: valueText(bits), valueBits: BigInt.asUintN(64, bits).toString(16).padStart(16, '0') };
}

/** Samples and stale markers as OpenMetrics has them; undefined for what it has no line for by itself. */
function openMetricsLine(row: WalRow): string | undefined {
  if (row.kind !== SAMPLE) return undefined;
  const value = valueText(row.valueBits);
  return `${seriesText(row.series.labels)} ${value === 'stale' ? 'NaN' : value} ${secondsText(row.timestampMs)}\n`;
}

/** Milliseconds as seconds with three digits. */
function secondsText(ms: bigint): string {
  const digits = (ms < 0n ? -ms : ms).toString().padStart(4, '0');
  return `${ms < 0n ? '-' : ''}${digits.slice(0, -3)}.${digits.slice(-3)}`;
}
