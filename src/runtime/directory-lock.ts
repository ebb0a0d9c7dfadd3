import { accessSync, constants } from 'node:fs';
import * as path from 'node:path';
import type BetterSqlite3 from 'better-sqlite3';
import { SpillwayError } from './errors.ts';
import { openSqlite, SqliteUnavailableError } from './sqlite.ts';

/** Another process holds the directory. */
export class DirectoryLockedError extends SpillwayError {
  readonly code = 'DIRECTORY_LOCKED';
}

/** The directory cannot be made or written: it is read-only, belongs to somebody else, or is damaged. */
export class DirectoryUnusableError extends SpillwayError {
  readonly code = 'DIRECTORY_UNUSABLE';
}

/** A database that nobody refers to is closed by the garbage collector, and its lock is gone. */
const held = new Set<BetterSqlite3.Database>();

/**
 * Keeps a second process out of `dir` until `release`, or until this process ends in whatever way.
 *
 * Node has no flock; an exclusive SQLite transaction on an empty database holds the same kind of kernel lock,
 * which, unlike a file with a process id in it, is gone the moment the process is. Throws
 * `DirectoryLockedError`, `DirectoryUnusableError` when the file cannot be opened or is no database, and
 * `SqliteUnavailableError`.
 */
export function lockDirectory(dir: string): { release(): void } {
  const file = path.join(dir, 'lock');
  let database: BetterSqlite3.Database;
  try {
    // SQLite is content to lock a file that it cannot write.
    accessSync(dir, constants.R_OK | constants.W_OK | constants.X_OK);
    database = openSqlite(file, { timeout: 0 });
  } catch (cause) {
    if (cause instanceof SqliteUnavailableError) throw cause;
    if (cause instanceof Error && !isOfDirectory(cause)) throw new SqliteUnavailableError(cause);
    throw unusable(dir, cause);
  }
  try {
    database.pragma('journal_mode = MEMORY');
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if ((cause as { code?: string }).code !== 'SQLITE_BUSY') throw unusable(dir, cause);
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

/** Of the file system, or of SQLite; not so when its compiled part is missing, or made for another Node. */
function isOfDirectory(error: Error & { readonly code?: unknown }): boolean {
  return 'syscall' in error || (typeof error.code === 'string' && error.code.startsWith('SQLITE_'));
}

function unusable(dir: string, cause: unknown): DirectoryUnusableError {
  return new DirectoryUnusableError(
    `the directory ${dir} cannot be used: nothing can be written to it. Is it read-only, or does it belong to another user?`,
    { dir },
    cause,
  );
}
