import { createRequire } from 'node:module';
import type BetterSqlite3 from 'better-sqlite3';
import { describeError, SpillwayError } from './errors.ts';

/**
 * better-sqlite3, in the major that this Node can run.
 *
 * Version 13 is built on Node-API 10, which no Node 20 has (it crashes there). Version 12 has to be compiled for
 * each Node, and compiled against the headers of 24.19 and later it aborts the process at some idle garbage
 * collection (nodejs/node#65446). Both are optional dependencies: npm leaves 13 out on Node 20, and where 12 cannot
 * be compiled on a newer Node nothing is missing.
 */
const NODE_API = 10;
const name = Number(process.versions.napi) >= NODE_API ? 'better-sqlite3-napi' : 'better-sqlite3';

/** It is not there, was not compiled, or was compiled for another Node; the compiled part is first asked for by a lock. */
export class SqliteUnavailableError extends SpillwayError {
  readonly code = 'SQLITE_UNAVAILABLE';

  constructor(cause: unknown) {
    // What was tried, path by path, helps nobody.
    const [said] = describeError(cause).split('\n');
    super(
      `${name} cannot be loaded by Node ${process.version} (${said}). Run \`npm rebuild ${name}\`, with a C++ toolchain ` +
        'where there is no prebuilt binary for it, and see that npm may run its install script',
    );
  }
}

type SqliteError = InstanceType<typeof BetterSqlite3.SqliteError>;

let loaded: typeof BetterSqlite3 | undefined;

/** When it is first used: most commands never do, nor do most threads. */
function load(): typeof BetterSqlite3 {
  try {
    loaded ??= createRequire(import.meta.url)(name) as typeof BetterSqlite3;
    return loaded;
  } catch (cause) {
    throw new SqliteUnavailableError(cause);
  }
}

/** Throws `SqliteUnavailableError`, and errors of SQLite and fs. */
export function openSqlite(file: string, options?: BetterSqlite3.Options): BetterSqlite3.Database {
  return new (load())(file, options);
}

/** An error as SQLite throws it. */
export function sqliteError(message: string, code: string): SqliteError {
  return new (load().SqliteError)(message, code);
}

export function isSqliteError(error: unknown): error is SqliteError {
  return loaded !== undefined && error instanceof loaded.SqliteError;
}
