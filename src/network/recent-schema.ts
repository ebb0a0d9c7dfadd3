import type BetterSqlite3 from 'better-sqlite3';
import type { Label } from '../protocol/schema.ts';
import { SpillwayError } from '../runtime/errors.ts';

/**
 * The format of the recent file, version 1: SQLite, with this number in `user_version`.
 *
 * - A label set is the JSON text of its pairs, sorted by name: equal sets are equal texts.
 * - A value is the 64 bits of its double as a signed integer. A REAL would turn every NaN into NULL
 *   (RW-STALE-03).
 * - A native histogram is a `prometheus.Histogram` message (`proto/remote_write_v1.proto`) instead of value
 *   bits.
 * - Timestamps are ms since the epoch, int64 as on the wire (WIRE-10).
 * - A series goes with its last sample, its exemplar with it.
 */
export const recentVersion = 1;

export const recentTables: string = `
  CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,                     -- the value of __name__, '' without one
    labels TEXT NOT NULL UNIQUE
  ) STRICT;
  CREATE INDEX series_by_name ON series (name);

  CREATE TABLE samples (
    series_id INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    value_bits INTEGER,
    histogram BLOB,
    PRIMARY KEY (series_id, timestamp_ms),
    CHECK ((value_bits IS NULL) <> (histogram IS NULL))
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX samples_by_age ON samples (timestamp_ms);

  CREATE TABLE exemplars (                  -- the latest of a series
    series_id INTEGER PRIMARY KEY REFERENCES series (id) ON DELETE CASCADE,
    timestamp_ms INTEGER NOT NULL,
    value_bits INTEGER NOT NULL,
    labels TEXT NOT NULL
  ) STRICT;

  CREATE TABLE metadata (                   -- the latest of a metric family
    family TEXT PRIMARY KEY,
    type INTEGER NOT NULL,                  -- number on the wire
    help TEXT NOT NULL,
    unit TEXT NOT NULL,
    received_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TRIGGER series_goes_with_its_last_sample AFTER DELETE ON samples
  WHEN NOT EXISTS (SELECT 1 FROM samples WHERE series_id = OLD.series_id)
  BEGIN
    DELETE FROM series WHERE id = OLD.series_id;
  END;
`;

/** The file was written by another version of Spillway. It is left as it is. */
export class RecentVersionError extends SpillwayError {
  readonly code = 'RECENT_VERSION';

  constructor(file: string, found: number) {
    super(`${file} has format version ${found}, this Spillway knows ${recentVersion}: move the file away`, {
      file,
      found,
      known: recentVersion,
    });
  }
}

/** Whether `database` has the tables; false when it is still empty. Throws RecentVersionError. */
export function hasRecentTables(database: BetterSqlite3.Database): boolean {
  const found = database.pragma('user_version', { simple: true }) as number;
  if (found !== 0 && found !== recentVersion) throw new RecentVersionError(database.name, found);
  return found === recentVersion;
}

/** The text under which a label set is stored. */
export function labelsToText(labels: readonly Label[]): string {
  const sorted = labels.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return JSON.stringify(sorted.map(({ name, value }) => [name, value]));
}

/** Safe for every name, `__proto__` too. */
export function textToLabels(text: string): Record<string, string> {
  return Object.fromEntries(JSON.parse(text) as [string, string][]);
}
