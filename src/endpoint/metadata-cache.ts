import type { SeriesMetadata } from '../protocol/emitter-v2.ts';

/** The last metadata of a family, as it is kept in the ledger and sent between threads. */
export interface FamilyMetadata extends SeriesMetadata {
  /** The bytes of its key: see `familyKey`. */
  readonly family: Uint8Array;
}

/** Families that are remembered; beyond it the one that was told of the longest ago goes. */
export const MOST_FAMILIES = 50_000;

/** Metadata that is kept to give the same object again when senders do not agree on a family, and take turns. */
const MOST_INTERNED = 10_000;

/**
 * The last metadata of each metric family, from whatever rows bring it: by family, as 1.0 senders send it once a
 * minute, or with a series, as 2.0 senders do. Remote write 2.0 wants it with every series (RW2-S-28, RLY-07).
 *
 * Bounded. What changes is to be saved: a sender repeats 1.0 metadata within a minute, but one of 2.0 need not.
 */
export class MetadataCache {
  /** By `familyKey`. The one told of the longest ago comes first. */
  readonly #families = new Map<string, SeriesMetadata>();
  readonly #unsaved = new Set<string>();
  readonly #interned = new Map<string, SeriesMetadata>();
  readonly #most: number;
  /** Counts the changes: what was looked up before the last one may be another now. */
  generation = 0;

  constructor(known: readonly FamilyMetadata[] = [], most: number = MOST_FAMILIES) {
    this.#most = most;
    for (const { family, type, help, unit } of known) {
      this.#families.set(nameOf(family), { type, help, unit });
      if (this.#families.size >= most) break;
    }
  }

  get size(): number {
    return this.#families.size;
  }

  get(family: string): SeriesMetadata | undefined {
    return this.#families.get(family);
  }

  /** Takes note of what was last said of a family. The same object as before when it is the same. */
  put(family: string, type: number, help: Uint8Array, unit: Uint8Array): SeriesMetadata {
    const before = this.#families.get(family);
    if (before !== undefined) this.#families.delete(family);
    const same =
      before !== undefined && before.type === type && equal(before.help, help) && equal(before.unit, unit);
    const metadata = same ? before : this.#intern(type, help, unit);
    this.#families.set(family, metadata);
    if (same) return metadata;
    this.generation++;
    this.#unsaved.add(family);
    if (this.#families.size > this.#most) {
      const oldest = this.#families.keys().next().value!;
      this.#families.delete(oldest);
      this.#unsaved.delete(oldest);
    }
    return metadata;
  }

  #intern(type: number, help: Uint8Array, unit: Uint8Array): SeriesMetadata {
    const key = `${type} ${unit.length} ${nameOf(unit)}${nameOf(help)}`;
    let metadata = this.#interned.get(key);
    if (metadata === undefined) {
      // Copies: the texts are views of a segment's dictionary, which would stay in memory with them.
      metadata = { type, help: help.slice(), unit: unit.slice() };
      if (this.#interned.size >= MOST_INTERNED) this.#interned.clear();
      this.#interned.set(key, metadata);
    }
    return metadata;
  }

  /** At most `most` families that changed since they were last taken from here. */
  takeChanges(most: number): FamilyMetadata[] {
    const changes: FamilyMetadata[] = [];
    for (const family of this.#unsaved) {
      if (changes.length >= most) break;
      this.#unsaved.delete(family);
      const metadata = this.#families.get(family);
      if (metadata !== undefined) changes.push({ family: Buffer.from(family, 'latin1'), ...metadata });
    }
    return changes;
  }
}

/** What a family of a tenant is known by in the cache; `family` is as `nameOf` has it. No tenant has a 0 in its name. */
export function familyKey(tenant: string, family: string): string {
  if (tenant === '' && !family.includes('\0')) return family;
  return `${Buffer.from(tenant).toString('latin1')}\0${family}`;
}

/** The bytes of a name, each as a character. */
export function nameOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
