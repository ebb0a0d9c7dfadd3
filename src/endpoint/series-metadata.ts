import type { SeriesMetadata } from '../protocol/emitter-v2.ts';
import type { SegmentDictionary } from '../serialization/segment-dictionary.ts';
import { familyOf } from './family-names.ts';
import { seriesName } from './family-of-row.ts';
import { type MetadataCache, ofTenant } from './metadata-cache.ts';
import type { ToldMetadata } from './told-metadata.ts';

/**
 * The metadata of the series of one segment, by their ids: what came with a series itself, else that of its family,
 * which is looked up by name once, and again after the cache has changed. So a row costs no more than a look into two
 * arrays.
 */
export class SegmentMetadata {
  readonly #dictionary: SegmentDictionary;
  readonly #told: ToldMetadata;
  readonly #cache: MetadataCache;
  /** By name; `null` for a series of which nothing is known. */
  #known: (SeriesMetadata | null | undefined)[] = [];
  #generation = -1;

  constructor(dictionary: SegmentDictionary, told: ToldMetadata, cache: MetadataCache) {
    this.#dictionary = dictionary;
    this.#told = told;
    this.#cache = cache;
  }

  readonly of = (series: number): SeriesMetadata | undefined => {
    const own = this.#told.of(series);
    if (own !== undefined) return own;
    if (this.#generation !== this.#cache.generation) {
      this.#generation = this.#cache.generation;
      this.#known = [];
    }
    const known = this.#known[series];
    if (known !== undefined) return known ?? undefined;
    const found = this.#find(series);
    this.#known[series] = found ?? null;
    return found;
  };

  #find(series: number): SeriesMetadata | undefined {
    const name = seriesName(this.#dictionary, series);
    if (name === undefined) return undefined;
    const tenant = this.#dictionary.tenants.names[this.#dictionary.tenantOf(series)]!;
    return familyOf(name, (family) => this.#cache.get(ofTenant(tenant, family)));
  }
}
