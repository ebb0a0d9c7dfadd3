import type { WireVersion } from '../network/version.ts';
import type { FrameRows } from '../serialization/frame.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import { familyName } from './family-names.ts';
import { encodeMetadata, MetadataFilter } from './metadata.ts';
import { type MetadataCache, nameOf, ofTenant } from './metadata-cache.ts';
import type { SegmentContext } from './segment-context.ts';
import { seriesName } from './series-metadata.ts';

/** `metadata_config`. */
export interface MetadataSettings {
  readonly send: boolean;
  readonly sendIntervalMs: number;
  /** Tenants are taken from labels, and metadata by family has none. */
  readonly needsTenant?: boolean;
}

/** What is sent of a metadata row. */
export interface MetadataToSend {
  /** An encoded 1.0 `MetricMetadata` message. */
  readonly bytes: Uint8Array;
  /** The tenant that it leaves under, a number of the dictionary's `tenants`. */
  readonly tenant: number;
}

/** For endpoints that may be sent remote write 2.0. */
export interface MetadataForV2 {
  readonly cache: MetadataCache;
  /** The version that requests have as a rule, now. */
  version(): WireVersion;
}

/**
 * What becomes of metadata rows. To 1.0 they are sent, by family and not more often than `send_interval`; for 2.0 the
 * cache takes them up, and they go with each series.
 */
export class MetadataTaker {
  readonly #settings: MetadataSettings;
  readonly #v2: MetadataForV2 | undefined;
  readonly #filter: MetadataFilter;

  constructor(settings: MetadataSettings, v2: MetadataForV2 | undefined) {
    this.#settings = settings;
    this.#v2 = v2;
    this.#filter = new MetadataFilter(settings.sendIntervalMs);
  }

  /** What is sent of metadata row `i` of a frame that was committed at `atMs`, or the reason for which nothing is. */
  take(rows: FrameRows, i: number, context: SegmentContext, atMs: number): MetadataToSend | EndpointReason {
    if (!this.#settings.send) return 'metadata_off';
    const { dictionary } = context;
    const type = rows.metadataType[i]!;
    const help = dictionary.string(rows.metadataHelp[i]!);
    const unit = dictionary.string(rows.metadataUnit[i]!);
    const series = rows.metadataSeries[i]! - 1;
    const family = dictionary.string(rows.metadataFamily[i]!);
    let name = family === undefined ? undefined : nameOf(family);
    if (series >= 0) {
      if (dictionary.isDropped(series)) return 'dropped_by_relabel';
      if (name === '' && dictionary.has(series))
        name = familyName(seriesName(dictionary, series) ?? '', type);
    }
    if (name === undefined || help === undefined || unit === undefined) return 'damaged';
    const tenant =
      series >= 0 && dictionary.has(series)
        ? dictionary.seriesTenant[series]!
        : dictionary.metadataTenant(rows.metadataTenant[i]!);
    const owner = dictionary.tenants.names[tenant]!;
    // To a receiver of many tenants it would be a request of none, which may be refused again and again.
    if (owner === '' && this.#settings.needsTenant) return 'metadata_no_tenant';
    if (this.#v2 !== undefined) {
      const metadata = this.#v2.cache.put(ofTenant(owner, name), type, help, unit);
      if (series >= 0) context.metadata?.set(series, metadata);
      if (this.#v2.version() === '2.0') return 'metadata_with_series';
    }
    const familyBytes = Buffer.from(name, 'latin1');
    const bytes = encodeMetadata(type, familyBytes, help, unit);
    const passes = this.#filter.passes(familyBytes, bytes, atMs, owner);
    return passes ? { bytes, tenant } : 'metadata_unchanged';
  }
}
