import { createHash } from 'node:crypto';
import type BetterSqlite3 from 'better-sqlite3';
import type { DeadLetter, DeadLetters } from '../network/dead-letter.ts';
import { SpillwayError } from '../runtime/errors.ts';
import { isSqliteError } from '../runtime/sqlite.ts';

/** The tables of the dead letters are damaged. The next start sets the file aside, and keeps the positions. */
export class DeadLettersDamagedError extends SpillwayError {
  readonly code = 'DEAD_LETTERS_DAMAGED';
}

/** A letter as it is kept, with what was said about it. */
export interface StoredLetter extends DeadLetter {
  /** Grows with each letter that comes, and is never used again. */
  readonly id: number;
  readonly endpoint: string;
  readonly reason: string;
  readonly cause: string;
  readonly words: string;
  /** When it was refused, last; ms since the epoch. */
  readonly atMs: number;
  /** Letters with the same labels and the same tenant have the same number here. */
  readonly series: number;
}

/** Which letters. What is left out lets all of them through. */
export interface LetterFilter {
  readonly endpoint?: string | undefined;
  readonly reason?: string | undefined;
  /** What was answered: a status, for example. */
  readonly cause?: string | undefined;
  /** Refused at this time or later, ms since the epoch. */
  readonly sinceMs?: number | undefined;
  /** Refused before this time, ms since the epoch. */
  readonly beforeMs?: number | undefined;
}

/** A place between letters: behind the letter with this id, in the order of ids or of the times of samples. */
export interface LetterCursor {
  readonly timeMs: number;
  readonly id: number;
}

/** `arrival`: as they came. `newest`: the other way round. `time`: of one endpoint, by the time of the sample; what to send again in. */
export type LetterOrder = 'arrival' | 'newest' | 'time';

export interface LetterLimits {
  /** Most letters that are kept; beyond, the ones that were refused first go. */
  readonly maxRows: number;
  /** Letters that were refused longer ago go, ms. */
  readonly maxAgeMs: number;
}

/** Letters that were pushed out, by the cap that did it. */
export interface LettersDropped {
  readonly maxRows: number;
  readonly maxAge: number;
}

/** The books of one endpoint. All but `letters` count since the ledger began; `failed` since the start. */
export interface LetterTotals {
  readonly endpoint: string;
  readonly letters: number;
  readonly resent: number;
  readonly purged: number;
  readonly maxRows: number;
  readonly maxAge: number;
  /** Rows that should have become letters and could not be written. */
  readonly failed: number;
}

/** Letters of one endpoint that were refused alike. */
export interface LetterCount {
  readonly endpoint: string;
  readonly reason: string;
  readonly cause: string;
  readonly letters: number;
  readonly oldestAtMs: number;
  readonly newestAtMs: number;
}

/** Why letters leave on purpose. */
export type LetterRemoval = 'resent' | 'purged';

/** Letters that one `trim` pushes out at most: a lowered cap must not stop the thread for as long as all take. */
const TRIM_ROWS = 5000;

/** Where SQLite's integers and JavaScript's are the same. The column only orders; the exact time is in the content. */
const clampTime = (timeMs: number): number =>
  Math.min(Math.max(timeMs, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);

/**
 * The dead letters of all endpoints, in the ledger: rows that a receiver refused for good, with its words.
 *
 * A row is known by its place in the queue, so one that is refused again after a crash replaces its letter. Capped
 * by number and age; the letters whose refusal is the longest ago go first, and are counted. All calls are
 * synchronous, in one transaction each, and throw what SQLite throws, or `DeadLettersDamagedError`. Whoever reads
 * everything reads pages.
 */
export class DeadLetterStore {
  limits: LetterLimits;
  readonly #onDamage: () => void;
  readonly #keep: (endpoint: string, batch: DeadLetters) => LettersDropped;
  readonly #trim: (nowMs: number, most: number) => LettersDropped;
  readonly #remove: (ids: readonly number[], why: LetterRemoval) => number;
  readonly #refuse: (ids: readonly number[], answer: Omit<DeadLetters, 'letters'>) => number;
  readonly #byArrival: BetterSqlite3.Statement<unknown[], StoredLetter>;
  readonly #newestFirst: BetterSqlite3.Statement<unknown[], StoredLetter>;
  readonly #byTime: BetterSqlite3.Statement<unknown[], StoredLetter>;
  readonly #totals: BetterSqlite3.Statement<[], Omit<LetterTotals, 'failed'>>;
  readonly #counts: BetterSqlite3.Statement<[], LetterCount>;
  readonly #database: BetterSqlite3.Database;
  readonly #failed = new Map<string, number>();

  /** On a database that has `deadLetterTables`. `onDamage` is called when a query finds them damaged. */
  constructor(database: BetterSqlite3.Database, limits: LetterLimits, onDamage: () => void) {
    this.limits = limits;
    this.#database = database;
    this.#onDamage = onDamage;
    const write = writing(database);
    this.#trim = database.transaction((nowMs: number, most: number) => {
      const maxAge = write.drop('max_age', write.older(nowMs - this.limits.maxAgeMs, most));
      const over = write.letters() - this.limits.maxRows;
      return { maxAge, maxRows: over > 0 ? write.drop('max_rows', write.oldest(Math.min(over, most))) : 0 };
    });
    this.#keep = database.transaction((endpoint: string, batch: DeadLetters) => {
      if (batch.letters.length === 0) return { maxRows: 0, maxAge: 0 };
      const to = write.endpoint(endpoint);
      const answer = write.answer(batch);
      for (const letter of batch.letters) {
        const { segment, row, kind, timeMs, labels, content, tenant } = letter;
        write.letter.run(
          to,
          segment,
          row,
          kind,
          clampTime(timeMs),
          batch.atMs,
          write.series(labels, tenant),
          answer,
          content,
        );
      }
      return this.#trim(batch.atMs, batch.letters.length + TRIM_ROWS);
    });
    this.#remove = database.transaction((ids: readonly number[], why: LetterRemoval) => write.drop(why, ids));
    this.#refuse = database.transaction((ids: readonly number[], said: Omit<DeadLetters, 'letters'>) => {
      // An answer that no letter refers to would stay for good.
      const there = ids.filter((id) => write.exists.get(id) !== undefined);
      if (there.length === 0) return 0;
      const answer = write.answer(said);
      for (const id of there) write.refuse.run(answer, said.atMs, id);
      return there.length;
    });
    const byId = (behind: string, order: string) =>
      database.prepare<unknown[], StoredLetter>(
        `${selectLetter} WHERE l.id ${behind} :id AND (:endpoint IS NULL OR e.name = :endpoint) AND ${others}
         ORDER BY l.id ${order} LIMIT :limit`,
      );
    this.#byArrival = byId('>', 'ASC');
    this.#newestFirst = byId('<', 'DESC');
    this.#byTime = database.prepare<unknown[], StoredLetter>(
      `${selectLetter} WHERE l.endpoint = (SELECT id FROM dead_letter_endpoint WHERE name = :endpoint)
         AND (l.time_ms, l.id) > (:timeMs, :id) AND ${others}
       ORDER BY l.time_ms, l.id LIMIT :limit`,
    );
    this.#totals = database.prepare<[], Omit<LetterTotals, 'failed'>>(
      `SELECT name AS endpoint, letters, resent, purged, max_rows AS maxRows, max_age AS maxAge
       FROM dead_letter_endpoint ORDER BY name`,
    );
    this.#counts = database.prepare<[], LetterCount>(
      `SELECT e.name AS endpoint, a.reason, a.cause, sum(n.letters) AS letters,
         min(n.oldest) AS oldestAtMs, max(n.newest) AS newestAtMs
       FROM (SELECT endpoint, answer, count(*) AS letters, min(at_ms) AS oldest, max(at_ms) AS newest
             FROM dead_letter GROUP BY endpoint, answer) n
         JOIN dead_letter_endpoint e ON e.id = n.endpoint JOIN dead_letter_answer a ON a.id = n.answer
       GROUP BY e.name, a.reason, a.cause ORDER BY e.name, letters DESC`,
    );
  }

  /**
   * Keeps what one answer refused. On return it outlives a power cut. Throws what
   * SQLite throws: then nothing is kept, and who gives the rows up nevertheless says so by `lost`.
   */
  keep(endpoint: string, batch: DeadLetters): LettersDropped {
    return this.#guard(() => {
      // The endpoint syncs the position behind these rows by itself: they must not be lost where that is not.
      this.#database.pragma('synchronous = FULL');
      try {
        return this.#keep(endpoint, batch);
      } finally {
        this.#database.pragma('synchronous = NORMAL');
      }
    });
  }

  /** Counts rows that could not be kept. */
  lost(endpoint: string, rows: number): void {
    this.#failed.set(endpoint, (this.#failed.get(endpoint) ?? 0) + rows);
  }

  /**
   * Pushes out what is over the caps, some thousands at most: `keep` does it as well, this is for the letters that
   * age while none come, and for caps that were lowered.
   */
  trim(nowMs: number): LettersDropped {
    return this.#guard(() => this.#trim(nowMs, TRIM_ROWS));
  }

  /** At most `limit` letters behind `after`. With `time`, of `filter.endpoint` alone: without it there are none. */
  page(
    filter: LetterFilter,
    order: LetterOrder,
    after: LetterCursor | undefined,
    limit: number,
  ): StoredLetter[] {
    const { endpoint = null, reason = null, cause = null, sinceMs = null, beforeMs = null } = filter;
    const named = { endpoint, reason, cause, sinceMs, beforeMs, limit };
    return this.#guard(() => {
      switch (order) {
        case 'arrival':
          return this.#byArrival.all({ ...named, id: after?.id ?? 0 });
        case 'newest':
          return this.#newestFirst.all({ ...named, id: after?.id ?? Number.MAX_SAFE_INTEGER });
        case 'time':
          return this.#byTime.all({ ...named, id: 0, timeMs: Number.MIN_SAFE_INTEGER, ...cursorOf(after) });
        default:
          return order satisfies never;
      }
    });
  }

  /** Removes letters, and counts them; returns how many of them were still there. */
  remove(ids: readonly number[], why: LetterRemoval): number {
    return this.#guard(() => this.#remove(ids, why));
  }

  /** These letters were sent again and refused again: notes the new answer. Returns how many were still there. */
  refusedAgain(ids: readonly number[], answer: Omit<DeadLetters, 'letters'>): number {
    return this.#guard(() => this.#refuse(ids, answer));
  }

  /** The books, by endpoint: a handful of rows, whatever there is. */
  totals(): LetterTotals[] {
    const known = this.#guard(() => this.#totals.all()).map((row) => ({
      ...row,
      failed: this.#failed.get(row.endpoint) ?? 0,
    }));
    const rest = [...this.#failed].filter(([name]) => !known.some(({ endpoint }) => endpoint === name));
    const none = { letters: 0, resent: 0, purged: 0, maxRows: 0, maxAge: 0 };
    return [...known, ...rest.map(([endpoint, failed]) => ({ endpoint, ...none, failed }))];
  }

  /** Counted by endpoint and answer; goes through all of them once. */
  counts(): LetterCount[] {
    return this.#guard(() => this.#counts.all());
  }

  #guard<T>(action: () => T): T {
    try {
      return action();
    } catch (cause) {
      if (!isSqliteError(cause) || !cause.code.startsWith('SQLITE_CORRUPT')) throw cause;
      this.#onDamage();
      throw new DeadLettersDamagedError('the dead letters in the ledger are damaged', {}, cause);
    }
  }
}

/** What is given may be a whole letter. */
function cursorOf(after: LetterCursor | undefined): LetterCursor | undefined {
  return after && { timeMs: after.timeMs, id: after.id };
}

// CROSS JOIN keeps SQLite from starting at one of the small tables, and so the order of the pages from being sorted.
const selectLetter = `
  SELECT l.id, e.name AS endpoint, l.segment, l.row, l.kind, l.time_ms AS timeMs, l.at_ms AS atMs, l.series,
    a.reason, a.cause, a.words, s.labels, s.tenant, l.content
  FROM dead_letter l CROSS JOIN dead_letter_endpoint e ON e.id = l.endpoint
    CROSS JOIN dead_letter_answer a ON a.id = l.answer CROSS JOIN dead_letter_series s ON s.id = l.series`;

const others = `(:reason IS NULL OR a.reason = :reason) AND (:cause IS NULL OR a.cause = :cause) AND (:sinceMs IS NULL OR l.at_ms >= :sinceMs)
  AND (:beforeMs IS NULL OR l.at_ms < :beforeMs)`;

/** The statements that write, for use within a transaction. */
function writing(database: BetterSqlite3.Database) {
  const findEndpoint = database.prepare<[string], { id: number }>(
    'SELECT id FROM dead_letter_endpoint WHERE name = ?',
  );
  const addEndpoint = database.prepare<[string]>('INSERT INTO dead_letter_endpoint (name) VALUES (?)');
  const findSeries = database.prepare<[Buffer], { id: number }>(
    'SELECT id FROM dead_letter_series WHERE digest = ?',
  );
  const addSeries = database.prepare(
    'INSERT INTO dead_letter_series (digest, labels, tenant) VALUES (?, ?, ?)',
  );
  const findAnswer = database.prepare<[Buffer], { id: number }>(
    'SELECT id FROM dead_letter_answer WHERE digest = ?',
  );
  const addAnswer = database.prepare(
    'INSERT INTO dead_letter_answer (digest, reason, cause, words) VALUES (?, ?, ?, ?)',
  );
  const remove = database.prepare<[number], { endpoint: number }>(
    'DELETE FROM dead_letter WHERE id = ? RETURNING endpoint',
  );
  const older = database.prepare<[number, number], { id: number }>(
    'SELECT id FROM dead_letter WHERE at_ms < ? ORDER BY at_ms, id LIMIT ?',
  );
  const oldest = database.prepare<[number], { id: number }>(
    'SELECT id FROM dead_letter ORDER BY at_ms, id LIMIT ?',
  );
  const sum = database.prepare<[], { letters: number }>(
    'SELECT coalesce(sum(letters), 0) AS letters FROM dead_letter_endpoint',
  );
  const count = (column: string) =>
    database.prepare<[number, number]>(
      `UPDATE dead_letter_endpoint SET ${column} = ${column} + ? WHERE id = ?`,
    );
  const counters = {
    resent: count('resent'),
    purged: count('purged'),
    max_rows: count('max_rows'),
    max_age: count('max_age'),
  };
  return {
    letter: database.prepare(
      `INSERT INTO dead_letter (endpoint, segment, row, kind, time_ms, at_ms, series, answer, content)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (endpoint, segment, row) DO UPDATE SET kind = excluded.kind, time_ms = excluded.time_ms,
         at_ms = excluded.at_ms, series = excluded.series, answer = excluded.answer, content = excluded.content`,
    ),
    exists: database.prepare<[number], { id: number }>('SELECT id FROM dead_letter WHERE id = ?'),
    refuse: database.prepare('UPDATE dead_letter SET answer = ?, at_ms = ? WHERE id = ?'),
    letters: (): number => sum.get()!.letters,
    older: (atMs: number, limit: number): number[] => older.all(atMs, limit).map(({ id }) => id),
    oldest: (limit: number): number[] => oldest.all(limit).map(({ id }) => id),
    endpoint: (name: string): number =>
      findEndpoint.get(name)?.id ?? Number(addEndpoint.run(name).lastInsertRowid),
    series: (labels: Uint8Array, tenant: string): number => {
      const digest = digestOf(tenant === '' ? labels : Buffer.concat([Buffer.from(`${tenant}\n`), labels]));
      return findSeries.get(digest)?.id ?? Number(addSeries.run(digest, labels, tenant).lastInsertRowid);
    },
    answer: ({ reason, cause, words }: Omit<DeadLetters, 'letters'>): number => {
      const digest = digestOf(JSON.stringify([reason, cause, words]));
      return (
        findAnswer.get(digest)?.id ?? Number(addAnswer.run(digest, reason, cause, words).lastInsertRowid)
      );
    },
    /** Deletes letters, and counts those that were there under `why`, by endpoint. */
    drop: (why: keyof typeof counters, ids: readonly number[]): number => {
      const byEndpoint = new Map<number, number>();
      for (const id of ids) {
        const gone = remove.get(id);
        if (gone !== undefined) byEndpoint.set(gone.endpoint, (byEndpoint.get(gone.endpoint) ?? 0) + 1);
      }
      let sum = 0;
      for (const [endpoint, letters] of byEndpoint) {
        counters[why].run(letters, endpoint);
        sum += letters;
      }
      return sum;
    },
  };
}

/** 128 bits are enough for two of a hundred thousand texts never to meet. */
function digestOf(content: Uint8Array | string): Buffer {
  return createHash('sha256').update(content).digest().subarray(0, 16);
}
