import { createRequire } from 'node:module';
import type BetterSqlite3 from 'better-sqlite3';

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

const Database: typeof BetterSqlite3 = createRequire(import.meta.url)(name);
export default Database;
