import type { SeriesMetadata } from '../protocol/emitter-v2.ts';
import type { SegmentDictionary } from '../serialization/segment-dictionary.ts';
import { familyOf } from './family-names.ts';
import { familyKey, type MetadataCache, nameOf } from './metadata-cache.ts';

const metricName = Buffer.from('__name__');

/**
 * The metadata of the series of one segment, by their ids: looked up by name once, and again after the cache has
 * changed, so that a row costs no more than a look into an array.
 */
export class SegmentMetadata {
  readonly #dictionary: SegmentDictionary;
  readonly #cache: MetadataCache;
  /** What came with a series itself. */
  readonly #own = new Map<number, SeriesMetadata>();
  /** `null` for a series of which nothing is known. */
  #known: (SeriesMetadata | null | undefined)[] = [];
  #generation = -1;

  constructor(dictionary: SegmentDictionary, cache: MetadataCache) {
    this.#dictionary = dictionary;
    this.#cache = cache;
  }

  /** The metadata came with this series. */
  set(series: number, metadata: SeriesMetadata): void {
    this.#own.set(series, metadata);
    this.#known[series] = metadata;
  }

  readonly of = (series: number): SeriesMetadata | undefined => {
    if (this.#generation !== this.#cache.generation) {
      this.#generation = this.#cache.generation;
      this.#known = [];
    }
    const known = this.#known[series];
    if (known !== undefined) return known ?? undefined;
    const found = this.#own.get(series) ?? this.#find(series);
    this.#known[series] = found ?? null;
    return found;
  };

  #find(series: number): SeriesMetadata | undefined {
    const { tenants, seriesTenant } = this.#dictionary;
    const name = seriesName(this.#dictionary, series);
    if (name === undefined) return undefined;
    const tenant = tenants.names[seriesTenant[series]!]!;
    const own = familyOf(name, (family) => this.#cache.get(familyKey(tenant, family)));
    // What came in without a tenant is nobody's in particular.
    return (
      own ?? (tenant === '' ? undefined : familyOf(name, (family) => this.#cache.get(familyKey('', family))))
    );
  }
}

/** The metric name of a series as it leaves, its bytes as latin1; undefined when it has none. */
export function seriesName(dictionary: SegmentDictionary, series: number): string | undefined {
  const { seriesAt, seriesSlots } = dictionary.columns;
  for (let at = seriesAt[series]!; at < seriesAt[series + 1]!; at++) {
    const slot = seriesSlots[at]!;
    if (Buffer.compare(dictionary.slotName(slot), metricName) === 0)
      return nameOf(dictionary.slotValue(slot));
  }
  return undefined;
}
