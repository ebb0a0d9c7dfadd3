import type { WireVersion } from '../network/version.ts';
import type { SeriesMetadata } from '../protocol/emitter-v2.ts';
import type { FrameRows } from '../serialization/frame.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import { familyOfRow } from './family-of-row.ts';
import { encodeMetadata, type MetadataEntry, MetadataFilter, type MetadataTime } from './metadata.ts';
import { type MetadataCache, nameOf, ofTenant } from './metadata-cache.ts';
import type { SegmentContext } from './segment-context.ts';

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

/** What is to be sent of a family once more. */
export interface OutgoingMetadata extends MetadataEntry {
  /** When it was found to be due. */
  readonly time: MetadataTime;
}

/**
 * What becomes of metadata. Rows of it are sent to 1.0, by family and not more often than `send_interval`; for 2.0 the
 * cache takes them up, and they go with each series.
 *
 * A 1.0 sender says all of it once a minute, so there are rows each time. A 2.0 sender says it with every sample, of
 * which a segment keeps the first: what has come with series is sent to 1.0 again, once in `send_interval`, as long as
 * they come (INT-10).
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

  /** What is sent of metadata row `i` of a frame, or the reason for which nothing is. */
  take(
    rows: FrameRows,
    i: number,
    context: SegmentContext,
    time: MetadataTime,
  ): MetadataToSend | EndpointReason {
    if (!this.#settings.send) return 'metadata_off';
    const { dictionary } = context;
    const type = rows.metadataType[i]!;
    const help = dictionary.string(rows.metadataHelp[i]!);
    const unit = dictionary.string(rows.metadataUnit[i]!);
    const series = rows.metadataSeries[i]! - 1;
    if (series >= 0 && dictionary.isDropped(series)) return 'dropped_by_relabel';
    const family = familyOfRow(rows, i, dictionary);
    if (family === undefined || help === undefined || unit === undefined) return 'damaged';
    const tenant =
      series >= 0 && dictionary.has(series)
        ? dictionary.tenantOf(series)
        : dictionary.metadataTenant(rows.metadataTenant[i]!);
    const owner = dictionary.tenants.names[tenant]!;
    // To a receiver of many tenants it would be a request of none, which may be refused again and again.
    if (owner === '' && this.#settings.needsTenant) return 'metadata_no_tenant';
    if (this.#v2 !== undefined) {
      // A series that takes its metadata back says nothing of others of the family.
      if (series < 0 || !isNothing({ type, help, unit }))
        this.#v2.cache.put(ofTenant(owner, family), type, help, unit);
      if (this.#v2.version() === '2.0') return 'metadata_with_series';
    }
    const message = encodeMetadata(type, Buffer.from(family, 'latin1'), help, unit);
    const passes = this.#filter.passes({ family, tenant: owner, message }, time);
    return passes ? { bytes: message, tenant } : 'metadata_unchanged';
  }

  /** Whether what came with series is to be sent again, now: to 1.0. */
  get repeats(): boolean {
    return this.#settings.send && this.#v2?.version() !== '2.0';
  }

  /**
   * What is to be sent once more of the metadata that came with series of this segment: of families of which rows were
   * seen since this was last asked, and that were not sent for a while. To be asked once in `send_interval`. Tenant by
   * tenant, and made as it is taken: the texts of all families together may be long. What arrives is told to `arrived`;
   * the rest is due again when rows of it come.
   */
  *again({ told, dictionary }: SegmentContext, time: MetadataTime): Iterable<OutgoingMetadata> {
    const { names } = dictionary.tenants;
    for (const said of told?.takeSeen() ?? []) {
      const tenant = names[said.tenant]!;
      if (isNothing(said) || !this.repeats || (tenant === '' && this.#settings.needsTenant)) continue;
      const message = encodeMetadata(said.type, said.family, said.help, said.unit);
      const entry = { family: nameOf(said.family), tenant, message };
      if (this.#filter.isDue(entry, time)) yield { ...entry, time };
    }
  }

  /** These of `again` were taken. */
  arrived(entries: readonly OutgoingMetadata[]): void {
    for (const entry of entries) this.#filter.arrived(entry, entry.time);
  }
}

/** What a series says that has no metadata any more. */
function isNothing({ type, help, unit }: SeriesMetadata): boolean {
  return type === 0 && help.length === 0 && unit.length === 0;
}
