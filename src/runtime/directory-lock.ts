import * as path from 'node:path';
import type BetterSqlite3 from 'better-sqlite3';
import { SpillwayError } from './errors.ts';
import Database from './sqlite.ts';

/** Another process holds the directory. */
export class DirectoryLockedError extends SpillwayError {
  readonly code = 'DIRECTORY_LOCKED';
}

/** A database that nobody refers to is closed by the garbage collector, and its lock is gone. */
const held = new Set<BetterSqlite3.Database>();

/**
 * Keeps a second process out of `dir` until `release`, or until this process ends in whatever way.
 *
 * Node has no flock; an exclusive SQLite transaction on an empty database holds the same kind of kernel lock,
 * which, unlike a file with a process id in it, is gone the moment the process is. Throws
 * `DirectoryLockedError`, and what SQLite throws when the file cannot be opened or is no database.
 */
export function lockDirectory(dir: string): { release(): void } {
  const file = path.join(dir, 'lock');
  const database = new Database(file, { timeout: 0 });
  try {
    database.pragma('journal_mode = MEMORY');
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if ((cause as { code?: string }).code !== 'SQLITE_BUSY') throw cause;
    throw new DirectoryLockedError(`${dir} is in use by another Spillway process`, { dir }, cause);
  }
  held.add(database);
  return {
    release: () => {
      held.delete(database);
      database.close();
    },
  };
}
