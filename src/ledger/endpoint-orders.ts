import type BetterSqlite3 from 'better-sqlite3';

export const endpointPauseTable: string = `
  CREATE TABLE endpoint_pause (
    name     TEXT PRIMARY KEY,
    -- When somebody paused it.
    since_ms INTEGER NOT NULL
  ) STRICT;
`;

export const endpointSkipTable: string = `
  CREATE TABLE endpoint_skip (
    name           TEXT PRIMARY KEY,
    -- It is to pass over what is not delivered of the segments before this one.
    before_segment INTEGER NOT NULL
  ) STRICT;
`;

/**
 * What people have ordered of endpoints, so that it outlives threads and processes: to send nothing, or to pass over
 * rows. Methods throw what SQLite throws.
 */
export class EndpointOrders {
  readonly #pausedSince: BetterSqlite3.Statement<[string], { since_ms: number }>;
  readonly #pause: BetterSqlite3.Statement<[string, number]>;
  readonly #resume: BetterSqlite3.Statement<[string]>;
  readonly #skipsTo: BetterSqlite3.Statement<[string], { before_segment: number }>;
  readonly #skip: BetterSqlite3.Statement<[string, number]>;
  readonly #skipped: BetterSqlite3.Statement<[string, number]>;

  /** On a database that has both tables. */
  constructor(database: BetterSqlite3.Database) {
    this.#pausedSince = database.prepare('SELECT since_ms FROM endpoint_pause WHERE name = ?');
    this.#pause = database.prepare(
      'INSERT INTO endpoint_pause (name, since_ms) VALUES (?, ?) ON CONFLICT DO NOTHING',
    );
    this.#resume = database.prepare('DELETE FROM endpoint_pause WHERE name = ?');
    this.#skipsTo = database.prepare('SELECT before_segment FROM endpoint_skip WHERE name = ?');
    this.#skip = database.prepare(
      `INSERT INTO endpoint_skip (name, before_segment) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET before_segment = max(before_segment, excluded.before_segment)`,
    );
    this.#skipped = database.prepare('DELETE FROM endpoint_skip WHERE name = ? AND before_segment <= ?');
  }

  /** When an endpoint was paused, ms; undefined for one that is not. */
  pausedSince(name: string): number | undefined {
    return this.#pausedSince.get(name)?.since_ms;
  }

  /** An endpoint is paused; one that is paused stays so since before. */
  pause(name: string, nowMs: number): void {
    this.#pause.run(name, nowMs);
  }

  /** An endpoint is paused no more. */
  resume(name: string): void {
    this.#resume.run(name);
  }

  /** The segment before which an endpoint has still to pass over its rows; undefined when it has nothing to. */
  skipsTo(name: string): number | undefined {
    return this.#skipsTo.get(name)?.before_segment;
  }

  /** An endpoint is to pass over its rows of the segments before `segment`, or before one further on as ordered before. */
  skip(name: string, segment: number): void {
    this.#skip.run(name, segment);
  }

  /** An endpoint needs nothing before `segment` any more: an order to pass over that is carried out. */
  passed(name: string, segment: number): void {
    this.#skipped.run(name, segment);
  }

  /** It goes elsewhere, so an order to pass over rows does not count any more. */
  dropSkip(name: string): void {
    this.#skipped.run(name, Number.MAX_SAFE_INTEGER);
  }
}
