import { existsSync } from 'node:fs';
import type BetterSqlite3 from 'better-sqlite3';
import { hasRecentTables, textToLabels } from '../network/recent-schema.ts';
import { matches, type Selector } from '../promql/selector.ts';
import { decodeHistogramV1, metricTypes } from '../protocol/schema.ts';
import { openSqlite } from '../runtime/sqlite.ts';
import { histogramText, valueText } from './value-text.ts';
import { withinTime } from './within-time.ts';

/** All of it is JSON as it stands. Timestamps are ms since the epoch, rounded beyond 2^53. */
export interface RecentLookupResult {
  /** Ordered by metric name; those of one name in a fixed order. */
  readonly series: readonly RecentSeries[];
  /** How many series match; more than `series` holds when `limitSeries` cut it. */
  readonly totalSeries: number;
}

export interface RecentSeries {
  readonly labels: Readonly<Record<string, string>>;
  /** The latest of them, in the order of time. */
  readonly samples: readonly RecentSample[];
  /** The latest one, if any came. */
  readonly exemplar?: {
    readonly labels: Readonly<Record<string, string>>;
    timestampMs: number;
    value: string;
  };
  /** Of the metric family that has the very name of the series, if any came. */
  readonly metadata?: RecentMetadata;
}

export interface RecentSample {
  readonly timestampMs: number;
  /** As Prometheus prints it; a stale marker is `stale`, a histogram its count and sum (value-text.ts). */
  readonly value: string;
  readonly kind: 'float' | 'histogram';
}

export interface RecentExemplar {
  readonly labels: Readonly<Record<string, string>>;
  readonly timestampMs: number;
  readonly value: string;
}

export interface RecentMetadata {
  /** One of `metricTypes`, or the number of an unknown one. */
  readonly type: string;
  readonly help: string;
  readonly unit: string;
}

export interface RecentLookupLimits {
  readonly limitSeries: number;
  /** Of each series. */
  readonly limitSamples: number;
}

export interface RecentSummary {
  readonly seriesCount: number;
  readonly sampleCount: number;
  /** Undefined while there are no samples. */
  readonly newestTimestampMs: number | undefined;
}

/** Time for matching all label sets. It runs on the thread that also receives, so it must not last. */
const matchTimeoutMs = 500;

/** A reader of `file`, which a RecentDestination writes, maybe later, maybe in another thread. */
export function openRecent(file: string): RecentLookup {
  return new RecentLookup(file);
}

/**
 * Read-only view of a recent file (network/recent-schema.ts). The file is opened when it is first needed;
 * until it exists, nothing is found. Each call reads one state of the file. Methods throw RecentVersionError,
 * and errors of SQLite.
 */
export class RecentLookup {
  readonly #file: string;
  #reader: Reader | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  /** Throws SelectorTimeoutError. */
  lookup(selector: Selector, { limitSeries, limitSamples }: RecentLookupLimits): RecentLookupResult {
    return this.#read({ series: [], totalSeries: 0 }, (reader) => {
      const name = selector.find(({ label, operator }) => label === '__name__' && operator === '=')?.value;
      const rows = name === undefined ? reader.allSeries.all() : reader.seriesOfName.all(name);
      const candidates = rows.map((row) => ({ ...row, labels: textToLabels(row.labels) }));
      const found = withinTime(matchTimeoutMs, () =>
        candidates.filter(({ labels }) => matches(selector, labels)),
      );
      const series = found.slice(0, limitSeries).map(({ id, name, labels }) => ({
        labels,
        samples: reader.latestSamples.all(id, limitSamples).map(sampleOf).reverse(),
        ...exemplarOf(reader.exemplar.get(id)),
        ...metadataOf(reader.metadata.get(name)),
      }));
      return { series, totalSeries: found.length };
    });
  }

  summary(): RecentSummary {
    return this.#read({ seriesCount: 0, sampleCount: 0, newestTimestampMs: undefined }, (reader) => {
      const { seriesCount, sampleCount, newestMs } = reader.summary.get()!;
      return {
        seriesCount: Number(seriesCount),
        sampleCount: Number(sampleCount),
        newestTimestampMs: newestMs === null ? undefined : Number(newestMs),
      };
    });
  }

  /** Idempotent. A later call opens the file again. */
  close(): void {
    this.#reader?.database.close();
    this.#reader = undefined;
  }

  /** What `action` reads in one transaction; `nothing` while there is no file, or no tables in it yet. */
  #read<T>(nothing: T, action: (reader: Reader) => T): T {
    this.#reader ??= openReader(this.#file);
    const reader = this.#reader;
    return reader === undefined ? nothing : reader.database.transaction(() => action(reader))();
  }
}

type Reader = NonNullable<ReturnType<typeof openReader>>;

function openReader(file: string) {
  if (!existsSync(file)) return undefined;
  const database = openSqlite(file, { readonly: true });
  try {
    if (hasRecentTables(database)) return prepare(database);
  } catch (error) {
    database.close();
    throw error;
  }
  database.close();
  return undefined;
}

interface SeriesRow {
  readonly id: bigint;
  readonly name: string;
  readonly labels: string;
}

interface SampleRow {
  readonly timestampMs: bigint;
  readonly valueBits: bigint | null;
  readonly histogram: Uint8Array | null;
}

interface ExemplarRow {
  readonly timestampMs: bigint;
  readonly valueBits: bigint;
  readonly labels: string;
}

interface MetadataRow {
  readonly type: bigint;
  readonly help: string;
  readonly unit: string;
}

interface SummaryRow {
  readonly seriesCount: bigint;
  readonly sampleCount: bigint;
  readonly newestMs: bigint | null;
}

function prepare(database: BetterSqlite3.Database) {
  database.defaultSafeIntegers(true); // value bits and timestamps come as bigints
  const selectSeries = 'SELECT id, name, labels FROM series';
  return {
    database,
    allSeries: database.prepare<[], SeriesRow>(`${selectSeries} ORDER BY name, labels`),
    seriesOfName: database.prepare<[name: string], SeriesRow>(
      `${selectSeries} WHERE name = ? ORDER BY labels`,
    ),
    latestSamples: database.prepare<[id: bigint, limit: number], SampleRow>(
      `SELECT timestamp_ms AS timestampMs, value_bits AS valueBits, histogram FROM samples
       WHERE series_id = ? ORDER BY timestamp_ms DESC LIMIT ?`,
    ),
    exemplar: database.prepare<[id: bigint], ExemplarRow>(
      `SELECT timestamp_ms AS timestampMs, value_bits AS valueBits, labels FROM exemplars
       WHERE series_id = ?`,
    ),
    metadata: database.prepare<[family: string], MetadataRow>(
      'SELECT type, help, unit FROM metadata WHERE family = ?',
    ),
    summary: database.prepare<[], SummaryRow>(
      `SELECT (SELECT count(*) FROM series) AS seriesCount, (SELECT count(*) FROM samples) AS sampleCount,
         (SELECT max(timestamp_ms) FROM samples) AS newestMs`,
    ),
  };
}

function sampleOf({ timestampMs, valueBits, histogram }: SampleRow): RecentSample {
  return valueBits === null
    ? {
        timestampMs: Number(timestampMs),
        value: histogramText(decodeHistogramV1(histogram!)),
        kind: 'histogram',
      }
    : { timestampMs: Number(timestampMs), value: valueText(valueBits), kind: 'float' };
}

function exemplarOf(row: ExemplarRow | undefined): { exemplar?: RecentExemplar } {
  if (row === undefined) return {};
  const labels = textToLabels(row.labels);
  return { exemplar: { labels, timestampMs: Number(row.timestampMs), value: valueText(row.valueBits) } };
}

function metadataOf(row: MetadataRow | undefined): { metadata?: RecentMetadata } {
  if (row === undefined) return {};
  const { type, help, unit } = row;
  return { metadata: { type: metricTypes[Number(type)] ?? String(type), help, unit } };
}
