import * as fs from 'node:fs';
import * as path from 'node:path';
import type BetterSqlite3 from 'better-sqlite3';
import { MOST_FAMILIES } from '../protocol/family-metadata.ts';
import { SpillwayError } from '../runtime/errors.ts';
import { isSqliteError, openSqlite, sqliteError } from '../runtime/sqlite.ts';
import type { Position } from '../serialization/position.ts';
import { deadLetterTables } from './dead-letter-tables.ts';
import { DeadLetterStore, type LetterLimits } from './dead-letters.ts';
import { EndpointOrders, endpointPauseTable, endpointSkipTable } from './endpoint-orders.ts';
import { MetadataStore } from './metadata-store.ts';
import { metadataTables } from './metadata-tables.ts';
import { VersionHints } from './version-hints.ts';

/** The ledger was written by a newer version, whose tables this one does not know. */
export class LedgerVersionError extends SpillwayError {
  readonly code = 'LEDGER_VERSION';
}

/** The steps from an empty file to the present tables; `user_version` counts those taken. Append only. */
const migrations: readonly string[] = [
  `CREATE TABLE endpoint (
     name    TEXT PRIMARY KEY,
     -- Where the endpoint stands: a progress block (network/progress.ts).
     block   BLOB NOT NULL,
     -- The position before which it needs nothing any more, for people who look.
     segment INTEGER NOT NULL,
     row     INTEGER NOT NULL,
     saved_ms INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE queue (
     id           INTEGER PRIMARY KEY CHECK (id = 1),
     -- No segment has had this id yet, nor a higher one.
     next_segment INTEGER NOT NULL
   ) STRICT;`,
  deadLetterTables,
  `CREATE TABLE endpoint_absent (
     name     TEXT PRIMARY KEY,
     -- The first start without it.
     since_ms INTEGER NOT NULL
   ) STRICT;`,
  `ALTER TABLE dead_letter_series ADD COLUMN tenant TEXT NOT NULL DEFAULT ''`,
  metadataTables,
  `DROP TABLE endpoint_absent;
   CREATE TABLE endpoint_absence (
     name         TEXT NOT NULL,
     since_ms     INTEGER NOT NULL,
     -- The first segment that came while it was not configured.
     from_segment INTEGER NOT NULL,
     -- The first one that it gets again; NULL while it is away.
     to_segment   INTEGER,
     PRIMARY KEY (name, from_segment)
   ) STRICT;`,
  endpointPauseTable,
  endpointSkipTable,
];

/** A time during which an endpoint was not configured: what came then is not for it. */
export interface Absence {
  readonly sinceMs: number;
  /** The first segment that is not for it. */
  readonly from: number;
  /** The first one that is again; undefined while it is away. */
  readonly to: number | undefined;
}

/** What could be kept of a damaged ledger: `positions` when only dead letters are damaged. */
export type LedgerRemains = 'positions' | 'nothing';

const unlimited: LetterLimits = { maxRows: Number.POSITIVE_INFINITY, maxAgeMs: Number.POSITIVE_INFINITY };

/**
 * Up to this size the whole file is checked when it is opened: a few tenths of a second, and some hundred thousand
 * letters. Of a larger one only the positions are; its dead letters are looked at when a query has come upon damage
 * (`markSuspect`). So neither their number nor their size ever holds up a start.
 */
const CHECK_BYTES = 64 * 1024 * 1024;

/** The `application_id` of a file in which damage was found while it was in use: "spw?". */
const SUSPECT = 0x7370773f;

/**
 * `state.db`: what is small and must survive: positions, what people ordered, and the dead letters.
 *
 * SQLite in WAL mode with `synchronous = NORMAL`: a kill loses nothing, a power cut at most what was saved since
 * the last checkpoint, and what that costs is duplicates. One writer, the main thread, about once a second; no
 * sample that can be delivered ever passes through it. A file that cannot be read is set aside, not deleted, and an
 * empty one made, with the positions of the old one if they are whole. Dead letters are synced one batch at a time.
 */
export class Ledger {
  /** Rows that were refused for good. */
  readonly deadLetters: DeadLetterStore;
  /** What is known of metric families. */
  readonly metadata: MetadataStore;
  /** Which endpoints did not take remote write 2.0. */
  readonly versions: VersionHints;
  /** What people have ordered of endpoints. */
  readonly orders: EndpointOrders;
  readonly #database: BetterSqlite3.Database;
  readonly #save: (
    name: string,
    block: Uint8Array,
    low: Position,
    nextSegment: number,
    nowMs: number,
  ) => void;
  readonly #block: BetterSqlite3.Statement<[string], { block: Uint8Array }>;
  readonly #next: BetterSqlite3.Statement<[], { next: number | null }>;
  readonly #names: BetterSqlite3.Statement<[], { name: string }>;

  readonly #absences: BetterSqlite3.Statement<
    [string],
    { since_ms: number; from_segment: number; to_segment: number | null }
  >;
  readonly #leave: BetterSqlite3.Statement<[string, number, number]>;
  readonly #comeBack: BetterSqlite3.Statement<[number, string]>;
  readonly #forget: (name: string) => void;

  private constructor(database: BetterSqlite3.Database, letters: LetterLimits) {
    this.#database = database;
    this.deadLetters = new DeadLetterStore(database, letters, () => markSuspect(database));
    this.metadata = new MetadataStore(database, MOST_FAMILIES);
    this.versions = new VersionHints(database);
    this.orders = new EndpointOrders(database);
    this.#block = database.prepare('SELECT block FROM endpoint WHERE name = ?');
    this.#names = database.prepare('SELECT name FROM endpoint ORDER BY name');
    this.#next = database.prepare(
      `SELECT max(n) AS next FROM (SELECT next_segment AS n FROM queue UNION ALL SELECT segment + 1 FROM endpoint
         UNION ALL SELECT max(from_segment, ifnull(to_segment, 0)) FROM endpoint_absence
         UNION ALL SELECT before_segment FROM endpoint_skip)`,
    );
    const endpoint = database.prepare(
      `INSERT INTO endpoint (name, block, segment, row, saved_ms) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET block = excluded.block, segment = excluded.segment, row = excluded.row,
         saved_ms = excluded.saved_ms`,
    );
    const queue = database.prepare(
      `INSERT INTO queue (id, next_segment) VALUES (1, ?)
       ON CONFLICT (id) DO UPDATE SET next_segment = max(next_segment, excluded.next_segment)`,
    );
    this.#absences = database.prepare(
      'SELECT since_ms, from_segment, to_segment FROM endpoint_absence WHERE name = ? ORDER BY from_segment',
    );
    this.#leave = database.prepare(
      'INSERT INTO endpoint_absence (name, since_ms, from_segment) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET to_segment = NULL',
    );
    this.#comeBack = database.prepare(
      'UPDATE endpoint_absence SET to_segment = ? WHERE name = ? AND to_segment IS NULL',
    );
    const passed = database.prepare('DELETE FROM endpoint_absence WHERE name = ? AND to_segment <= ?');
    const forgetting = ['endpoint', 'endpoint_absence', 'endpoint_pause', 'endpoint_skip'].map((table) =>
      database.prepare<[string]>(`DELETE FROM ${table} WHERE name = ?`),
    );
    this.#forget = database.transaction((name: string) => {
      for (const statement of forgetting) statement.run(name);
    });
    this.#save = database.transaction((name, block, low, nextSegment, nowMs) => {
      endpoint.run(name, block, low.segment, low.row, nowMs);
      queue.run(nextSegment);
      passed.run(name, low.segment);
      this.orders.passed(name, low.segment);
    });
  }

  /**
   * Opens `<dataDir>/state.db`, brought up to date. A damaged file is renamed; `onDamage` is told its new name,
   * what was wrong, and what of it is in the new file. Throws `LedgerVersionError`. Without `letters` dead letters
   * have no limits.
   */
  static open(
    dataDir: string,
    nowMs: number,
    onDamage: (aside: string, cause: unknown, remains: LedgerRemains) => void,
    letters: LetterLimits = unlimited,
  ): Ledger {
    const file = path.join(dataDir, 'state.db');
    try {
      return new Ledger(openDatabase(file), letters);
    } catch (cause) {
      if (!isDamage(cause)) throw cause;
      const aside = `${file}.damaged-${nowMs}`;
      for (const suffix of ['-wal', '-shm']) fs.rmSync(file + suffix, { force: true });
      fs.renameSync(file, aside);
      const database = openDatabase(file);
      const remains = carryPositions(aside, database) ? 'positions' : 'nothing';
      onDamage(aside, cause, remains);
      return new Ledger(database, letters);
    }
  }

  /** The progress block of an endpoint, or undefined when it is new. */
  progress(name: string): Uint8Array | undefined {
    return this.#block.get(name)?.block;
  }

  /** Names of all endpoints that have ever been saved. */
  endpoints(): string[] {
    return this.#names.all().map((row) => row.name);
  }

  /** When an endpoint was not configured, in their order, as far as it has not passed that; the last may still last. */
  absences(name: string): Absence[] {
    return this.#absences
      .all(name)
      .map((row) => ({ sinceMs: row.since_ms, from: row.from_segment, to: row.to_segment ?? undefined }));
  }

  /** From segment `from` on nothing is for this endpoint, until it comes back. */
  leave(name: string, from: number, nowMs: number): void {
    this.#leave.run(name, nowMs, from);
  }

  /** From segment `to` on everything is for this endpoint again. */
  comeBack(name: string, to: number): void {
    this.#comeBack.run(to, name);
  }

  /** Forgets where an endpoint stood. Its dead letters stay. */
  forget(name: string): void {
    this.#forget(name);
  }

  /** The lowest id that a new segment may have, so that no saved position names it. */
  get minNextSegment(): number {
    return this.#next.get()?.next ?? 1;
  }

  /** Saves where an endpoint stands, in one transaction. */
  saveProgress(name: string, block: Uint8Array, low: Position, nextSegment: number, nowMs: number): void {
    this.#save(name, block, low, nextSegment, nowMs);
  }

  /** Idempotent. */
  close(): void {
    this.#database.close();
  }
}

function openDatabase(file: string): BetterSqlite3.Database {
  const database = openSqlite(file);
  try {
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = NORMAL');
    // A save is a few pages; the file beside the database must not grow to megabytes of old versions of them.
    database.pragma('wal_autocheckpoint = 64');
    const version = database.pragma('user_version', { simple: true }) as number;
    if (version > migrations.length) {
      throw new LedgerVersionError(`${file} was written by a newer Spillway (version ${version})`, {
        file,
        version,
      });
    }
    // What is damaged behind the first page would only be seen by the query that comes upon it.
    const whole = fs.statSync(file).size <= CHECK_BYTES || applicationId(database) === SUSPECT;
    check(database, whole ? ['1'] : positionTables(database));
    database.transaction(() => {
      for (const step of migrations.slice(version)) database.exec(step);
      database.pragma(`user_version = ${migrations.length}`);
    })();
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function isDamage(error: unknown): boolean {
  return isSqliteError(error) && /^SQLITE_(CORRUPT|NOTADB)/.test(error.code);
}

/** Throws an error of `SQLITE_CORRUPT` when one of these tables, or with `1` anything at all, is damaged. */
function check(database: BetterSqlite3.Database, what: readonly string[]): void {
  for (const part of what) {
    const found = database.pragma(`quick_check(${part})`, { simple: true }) as string;
    if (found !== 'ok') throw sqliteError(found, 'SQLITE_CORRUPT');
  }
}

/** All tables but those of the dead letters, and of metadata, which senders tell again. */
function positionTables(database: BetterSqlite3.Database, schema = 'main'): string[] {
  const tables = database
    .prepare<[], { name: string }>(
      `SELECT name FROM ${schema}.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
         AND name NOT LIKE 'dead\\_letter%' ESCAPE '\\' AND name <> 'metric_metadata'`,
    )
    .all();
  return tables.map(({ name }) => name);
}

/** Copies all but the dead letters from `aside` when that is whole and of this version; returns whether it did. */
function carryPositions(aside: string, into: BetterSqlite3.Database): boolean {
  try {
    const from = openSqlite(aside);
    try {
      if (from.pragma('user_version', { simple: true }) !== migrations.length) return false;
      check(from, positionTables(from));
    } finally {
      from.close();
    }
    into.prepare('ATTACH ? AS damaged').run(aside);
    try {
      into.transaction(() => {
        for (const table of positionTables(into, 'damaged')) {
          into.exec(`INSERT OR REPLACE INTO main."${table}" SELECT * FROM damaged."${table}"`);
        }
      })();
    } finally {
      into.exec('DETACH damaged');
    }
    return true;
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
}

function applicationId(database: BetterSqlite3.Database): number {
  return database.pragma('application_id', { simple: true }) as number;
}

/** Has the next `open` check all of the file, however large it is. */
function markSuspect(database: BetterSqlite3.Database): void {
  database.pragma(`application_id = ${SUSPECT}`);
}
