import * as fs from 'node:fs';
import * as path from 'node:path';
import type BetterSqlite3 from 'better-sqlite3';
import { SpillwayError } from '../runtime/errors.ts';
import Database from '../runtime/sqlite.ts';
import type { Position } from '../serialization/position.ts';

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
];

/**
 * `state.db`: what is small and must survive. Positions for now; dead letters and lifetime counts join them.
 *
 * SQLite in WAL mode with `synchronous = NORMAL`: a kill loses nothing, a power cut at most what was saved since
 * the last checkpoint, and what that costs is duplicates. One writer, the main thread, about once a second; no
 * sample ever passes through it. A file that cannot be read is set aside, not deleted, and an empty one made.
 */
export class Ledger {
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

  private constructor(database: BetterSqlite3.Database) {
    this.#database = database;
    this.#block = database.prepare('SELECT block FROM endpoint WHERE name = ?');
    this.#names = database.prepare('SELECT name FROM endpoint ORDER BY name');
    this.#next = database.prepare(
      'SELECT max(n) AS next FROM (SELECT next_segment AS n FROM queue UNION ALL SELECT segment + 1 FROM endpoint)',
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
    this.#save = database.transaction((name, block, low, nextSegment, nowMs) => {
      endpoint.run(name, block, low.segment, low.row, nowMs);
      queue.run(nextSegment);
    });
  }

  /**
   * Opens `<dataDir>/state.db`, brought up to date. A damaged file is renamed; `onDamage` is told its new name
   * and what was wrong. Throws `LedgerVersionError`.
   */
  static open(dataDir: string, nowMs: number, onDamage: (aside: string, cause: unknown) => void): Ledger {
    const file = path.join(dataDir, 'state.db');
    try {
      return new Ledger(openDatabase(file));
    } catch (cause) {
      const code = cause instanceof Database.SqliteError ? cause.code : '';
      if (!/^SQLITE_(CORRUPT|NOTADB)/.test(code)) throw cause;
      const aside = `${file}.damaged-${nowMs}`;
      for (const suffix of ['-wal', '-shm']) fs.rmSync(file + suffix, { force: true });
      fs.renameSync(file, aside);
      onDamage(aside, cause);
      return new Ledger(openDatabase(file));
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
  const database = new Database(file);
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
    const found = database.pragma('quick_check(1)', { simple: true }) as string;
    if (found !== 'ok') throw new Database.SqliteError(found, 'SQLITE_CORRUPT');
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
