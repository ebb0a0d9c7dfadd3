import { dirname } from 'node:path';
import type BetterSqlite3 from 'better-sqlite3';
import { encodeHistogramV1, type TimeSeriesV1, type WriteRequestV1 } from '../protocol/schema.ts';
import { makeDirectory } from '../runtime/make-directory.ts';
import { openSqlite } from '../runtime/sqlite.ts';
import { hasRecentTables, labelsToText, recentTables, recentVersion } from './recent-schema.ts';

export interface RecentLimits {
  /** Samples that are older than this go; ms before the present. */
  readonly keepMs: number;
  /** Of more samples than this the oldest go. */
  readonly keepSamples: number;
}

/** The limits are enforced at most this often, as long as one step is enough. */
const trimEveryMs = 2_000;
/** A step deletes at most this many samples more than the write that it precedes will add. */
const trimRows = 10_000;
/** Free pages given back to the file system in a step: 4 MiB at 4 KiB a page. */
const vacuumPages = 1_000;
/** What SQLite may keep of the write-ahead log after a checkpoint. */
const maxIdleWalBytes = 8 * 1024 * 1024;
/** The last timestamp there is. */
const endOfTime = 2n ** 63n - 1n;

/**
 * The writer of a recent file (recent-schema.ts): the one connection that changes it.
 *
 * A write is one transaction, synced when it returns. The same sample again replaces itself, so a request may
 * be written twice. Before a write the limits are enforced, in steps; while a step was not enough, each write
 * makes another, which deletes more than the write adds: the file does not outgrow what one interval brings.
 */
export class RecentStore {
  readonly #limits: RecentLimits;
  readonly #database: BetterSqlite3.Database;
  readonly #statements: ReturnType<typeof prepare>;
  #trimmedMs = 0;

  /** Makes the file and its directory if need be. Throws RecentVersionError, errors of SQLite and fs. */
  constructor(file: string, limits: RecentLimits) {
    makeDirectory(dirname(file));
    this.#limits = limits;
    this.#database = openSqlite(file);
    try {
      const isNew = !hasRecentTables(this.#database); // first: another version's file is not touched
      this.#database.pragma('auto_vacuum = INCREMENTAL'); // before the first table, or it has no effect
      this.#database.pragma('journal_mode = WAL');
      this.#database.pragma('synchronous = FULL'); // the default would lose commits to a power cut
      this.#database.pragma(`journal_size_limit = ${maxIdleWalBytes}`);
      if (isNew) this.#create();
      this.#statements = prepare(this.#database);
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** Keeps all that `request` holds. On an error nothing of it is kept. Throws errors of SQLite. */
  write(request: WriteRequestV1, nowMs: number): void {
    const rows = request.timeseries.reduce(
      (sum, each) => sum + each.samples.length + each.histograms.length,
      0,
    );
    this.#trim(nowMs, trimRows + rows);
    this.#transaction(() => this.#insert(request, nowMs));
  }

  close(): void {
    this.#database.close();
  }

  #create(): void {
    this.#transaction(() => {
      this.#database.exec(recentTables);
      this.#database.pragma(`user_version = ${recentVersion}`);
    });
  }

  #insert(request: WriteRequestV1, nowMs: number): void {
    const { putSample, putExemplar, putMetadata } = this.#statements;
    for (const series of request.timeseries) {
      const id = this.#seriesId(series);
      if (id === undefined) continue;
      for (const { timestamp, valueBits } of series.samples) {
        putSample.run(id, timestamp, BigInt.asIntN(64, valueBits), null);
      }
      for (const histogram of series.histograms) {
        putSample.run(id, histogram.timestamp, null, encodeHistogramV1(histogram));
      }
      for (const { timestamp, valueBits, labels } of series.exemplars) {
        putExemplar.run(id, timestamp, BigInt.asIntN(64, valueBits), labelsToText(labels));
      }
    }
    for (const { metricFamilyName, type, help, unit } of request.metadata) {
      putMetadata.run(metricFamilyName, type, help, unit, nowMs);
    }
  }

  /** The id of the series, new if it has samples: for exemplars alone none is kept (INT-11). */
  #seriesId({ labels, samples, histograms }: TimeSeriesV1): number | bigint | undefined {
    const text = labelsToText(labels);
    const known = this.#statements.findSeries.get(text);
    if (known !== undefined) return known.id;
    if (samples.length + histograms.length === 0) return undefined;
    const name = labels.find((label) => label.name === '__name__')?.value ?? '';
    return this.#statements.addSeries.run(name, text).lastInsertRowid;
  }

  /** One step towards the limits, of at most `maxRows`, if it is due. */
  #trim(nowMs: number, maxRows: number): void {
    if (Math.abs(nowMs - this.#trimmedMs) < trimEveryMs) return;
    const { deleteOldest, countSamples, deleteMetadata } = this.#statements;
    const { keepMs, keepSamples } = this.#limits;
    const deleted = this.#transaction(() => {
      deleteMetadata.run(nowMs - keepMs);
      const expired = deleteOldest.run(BigInt(nowMs - keepMs - 1), maxRows).changes;
      const tooMany = Math.max(0, countSamples.get()!.samples - keepSamples);
      return expired + deleteOldest.run(endOfTime, Math.min(tooMany, maxRows - expired)).changes;
    });
    this.#database.pragma(`incremental_vacuum(${vacuumPages})`);
    if (deleted < maxRows) this.#trimmedMs = nowMs;
  }

  #transaction<T>(action: () => T): T {
    return this.#database.transaction(action).immediate();
  }
}

function prepare(database: BetterSqlite3.Database) {
  return {
    findSeries: database.prepare<[labels: string], { id: number }>('SELECT id FROM series WHERE labels = ?'),
    addSeries: database.prepare<[name: string, labels: string]>(
      'INSERT INTO series (name, labels) VALUES (?, ?)',
    ),
    putSample: database.prepare<[number | bigint, bigint, bigint | null, Uint8Array | null]>(
      `INSERT INTO samples (series_id, timestamp_ms, value_bits, histogram) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET value_bits = excluded.value_bits, histogram = excluded.histogram`,
    ),
    putExemplar: database.prepare<[number | bigint, bigint, bigint, labels: string]>(
      `INSERT INTO exemplars (series_id, timestamp_ms, value_bits, labels) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE
       SET timestamp_ms = excluded.timestamp_ms, value_bits = excluded.value_bits, labels = excluded.labels
       WHERE excluded.timestamp_ms >= timestamp_ms`,
    ),
    putMetadata: database.prepare<[family: string, type: number, help: string, unit: string, nowMs: number]>(
      `INSERT INTO metadata (family, type, help, unit, received_ms) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE
       SET type = excluded.type, help = excluded.help, unit = excluded.unit,
         received_ms = excluded.received_ms`,
    ),
    countSamples: database.prepare<[], { samples: number }>('SELECT count(*) AS samples FROM samples'),
    deleteOldest: database.prepare<[until: bigint, limit: number]>(
      `DELETE FROM samples WHERE (series_id, timestamp_ms) IN (
         SELECT series_id, timestamp_ms FROM samples WHERE timestamp_ms <= ? ORDER BY timestamp_ms LIMIT ?
       )`,
    ),
    deleteMetadata: database.prepare<[before: number]>('DELETE FROM metadata WHERE received_ms < ?'),
  };
}
