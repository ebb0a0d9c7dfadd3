import type BetterSqlite3 from 'better-sqlite3';

/** Which endpoints did not take remote write 2.0, and since when: a hint for the next process (network/version.ts). */
export class VersionHints {
  readonly #get: BetterSqlite3.Statement<[string, string], { ms: number }>;
  readonly #put: BetterSqlite3.Statement<[string, string, number]>;
  readonly #remove: BetterSqlite3.Statement<[string]>;

  /** On a database that has `metadataTables`. */
  constructor(database: BetterSqlite3.Database) {
    this.#get = database.prepare(
      'SELECT fell_back_ms AS ms FROM endpoint_version WHERE name = ? AND url = ?',
    );
    this.#put = database.prepare(
      `INSERT INTO endpoint_version (name, url, fell_back_ms) VALUES (?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET url = excluded.url, fell_back_ms = excluded.fell_back_ms`,
    );
    this.#remove = database.prepare('DELETE FROM endpoint_version WHERE name = ?');
  }

  /** When the endpoint at `url` fell back to 1.0, ms since the epoch; undefined when it did not. */
  fellBackMs(name: string, url: string): number | undefined {
    return this.#get.get(name, url)?.ms;
  }

  /** Notes that it fell back, or, without a time, that it takes 2.0. Throws what SQLite throws. */
  note(name: string, url: string, fellBackMs: number | undefined): void {
    if (fellBackMs === undefined) this.#remove.run(name);
    else this.#put.run(name, url, Math.floor(fellBackMs));
  }
}
