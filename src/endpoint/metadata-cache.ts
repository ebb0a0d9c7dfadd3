import type { SeriesMetadata } from '../protocol/emitter-v2.ts';
import { type FamilyMetadata, MOST_FAMILIES, MOST_METADATA_BYTES } from '../protocol/family-metadata.ts';

/** Metadata that is kept to give the same object again when senders do not agree on a family, and take turns. */
const MOST_INTERNED = 10_000;

/**
 * The last metadata of each metric family, from whatever rows bring it: by family, as 1.0 senders send it once a
 * minute, or with a series, as 2.0 senders do. Remote write 2.0 wants it with every series (RW2-S-28, RLY-07).
 *
 * Bounded. What changes is to be saved: a sender repeats 1.0 metadata within a minute, but one of 2.0 need not.
 */
export class MetadataCache {
  /** By `ofTenant` of the bytes of the name, as latin1. The one told of the longest ago comes first. */
  readonly #families = new Map<string, SeriesMetadata>();
  readonly #unsaved = new Set<string>();
  readonly #interned = new Map<string, SeriesMetadata>();
  readonly #most: number;
  readonly #mostBytes: number;
  #bytes = 0;
  #internedBytes = 0;
  /** Counts the changes: what was looked up before the last one may be another now. */
  generation = 0;

  /** `known` starts with the family told of the longest ago. */
  constructor(
    known: readonly FamilyMetadata[] = [],
    most: number = MOST_FAMILIES,
    mostBytes: number = MOST_METADATA_BYTES,
  ) {
    this.#most = most;
    this.#mostBytes = mostBytes;
    for (const { family, type, help, unit } of known) this.#set(nameOf(family), { type, help, unit });
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
    const same =
      before !== undefined && before.type === type && equal(before.help, help) && equal(before.unit, unit);
    const metadata = same ? before : this.#intern(type, help, unit);
    this.#set(family, metadata);
    if (same) return metadata;
    this.generation++;
    this.#unsaved.add(family);
    return metadata;
  }

  /** Puts the family last, and forgets first ones while there is too much. */
  #set(family: string, metadata: SeriesMetadata): void {
    this.#delete(family);
    this.#families.set(family, metadata);
    this.#bytes += sizeOf(family, metadata);
    for (const oldest of this.#families.keys()) {
      if (this.#families.size <= this.#most && this.#bytes <= this.#mostBytes) break;
      this.#delete(oldest);
      this.#unsaved.delete(oldest);
    }
  }

  #delete(family: string): void {
    const metadata = this.#families.get(family);
    if (metadata === undefined) return;
    this.#families.delete(family);
    this.#bytes -= sizeOf(family, metadata);
  }

  #intern(type: number, help: Uint8Array, unit: Uint8Array): SeriesMetadata {
    const key = `${type} ${unit.length} ${nameOf(unit)}${nameOf(help)}`;
    let metadata = this.#interned.get(key);
    if (metadata === undefined) {
      // Copies: the texts are views of a segment's dictionary, which would stay in memory with them.
      metadata = { type, help: help.slice(), unit: unit.slice() };
      this.#internedBytes += sizeOf(key, metadata);
      if (this.#interned.size >= MOST_INTERNED || this.#internedBytes > this.#mostBytes) {
        this.#interned.clear();
        this.#internedBytes = sizeOf(key, metadata);
      }
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

function sizeOf(key: string, { help, unit }: SeriesMetadata): number {
  return key.length + help.length + unit.length;
}

/** What a family of a tenant is known by in the cache, so that none is told of the families of another. */
export function ofTenant(tenant: string, family: string): string {
  // No name of a tenant has a line end; a family may.
  return tenant === '' && !family.startsWith('\n') ? family : `\n${tenant}\n${family}`;
}

/** The bytes of a text, each as a character. */
export function nameOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
