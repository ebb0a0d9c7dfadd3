import type BetterSqlite3 from 'better-sqlite3';
import { type FamilyMetadata, MOST_METADATA_BYTES } from '../protocol/family-metadata.ts';

/** The last metadata of each metric family, as any endpoint has told it: what remote write 2.0 goes on with after a restart. */
export class MetadataStore {
  readonly #save: (families: readonly FamilyMetadata[], nowMs: number) => void;
  readonly #all: BetterSqlite3.Statement<[number], FamilyMetadata>;

  readonly #mostBytes: number;

  /** On a database that has `metadataTables`; keeps `most` families, those told of last, and gives `mostBytes` of them. */
  constructor(database: BetterSqlite3.Database, most: number, mostBytes: number = MOST_METADATA_BYTES) {
    this.#mostBytes = mostBytes;
    // Endpoints tell the same: what is known already is not written again.
    const put = database.prepare(
      `INSERT INTO metric_metadata (family, type, help, unit, told_ms) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (family) DO UPDATE SET type = excluded.type, help = excluded.help, unit = excluded.unit,
         told_ms = excluded.told_ms
       WHERE type <> excluded.type OR help <> excluded.help OR unit <> excluded.unit`,
    );
    const trim = database.prepare<[number]>(
      `DELETE FROM metric_metadata WHERE family IN (
         SELECT family FROM metric_metadata ORDER BY told_ms
         LIMIT max(0, (SELECT count(*) FROM metric_metadata) - ?))`,
    );
    this.#save = database.transaction((families: readonly FamilyMetadata[], nowMs: number) => {
      for (const { family, type, help, unit } of families) put.run(family, type, help, unit, nowMs);
      trim.run(most);
    });
    this.#all = database.prepare<[number], FamilyMetadata>(
      `SELECT family, type, help, unit FROM (
         SELECT *, sum(length(family) + length(help) + length(unit))
           OVER (ORDER BY told_ms DESC, family ROWS UNBOUNDED PRECEDING) AS bytes
         FROM metric_metadata)
       WHERE bytes <= ? ORDER BY told_ms`,
    );
  }

  /** Keeps what was last said of these families. Throws what SQLite throws. */
  save(families: readonly FamilyMetadata[], nowMs: number): void {
    this.#save(families, nowMs);
  }

  /** All families that an endpoint has room for, the one told of the longest ago first. */
  all(): FamilyMetadata[] {
    return this.#all.all(this.#mostBytes);
  }
}
