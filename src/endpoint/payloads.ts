import { ProtoReader } from '../protocol/proto-reader.ts';
import { EXEMPLAR, HISTOGRAM, type Payload } from '../serialization/rows.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import type { MetadataTime } from './metadata.ts';
import type { MetadataTaker } from './take-metadata.ts';
import type { WalReader } from './wal-reader.ts';

/** What an endpoint is sent beside samples. */
export interface Sends {
  readonly exemplars: boolean;
  readonly histograms: boolean;
}

/** What rows carry that are no samples, as it leaves. */
export class Payloads {
  readonly #sends: Sends;
  readonly #metadata: MetadataTaker;
  /** Without remote write 2.0 there are no histograms with custom buckets. */
  readonly #isV1: boolean;

  constructor(sends: Sends, metadata: MetadataTaker, isV1: boolean) {
    this.#sends = sends;
    this.#metadata = metadata;
    this.#isV1 = isV1;
  }

  /** What row `i` of its kind in a reader's frame carries, or the reason for which it is not sent. */
  of({ rows, context }: WalReader, kind: number, i: number, time: MetadataTime): Payload | EndpointReason {
    if (kind === HISTOGRAM) {
      if (!this.#sends.histograms) return 'histograms_off';
      const bytes = rows.histogramBytes.slice(rows.histogramAt[i]!, rows.histogramAt[i + 1]!);
      if (!hasCustomBuckets(bytes)) return { bytes };
      return this.#isV1 ? 'custom_buckets' : { bytes, customBuckets: true };
    }
    if (kind === EXEMPLAR) {
      if (!this.#sends.exemplars) return 'exemplars_off';
      return { bytes: rows.exemplarLabels.slice(rows.exemplarAt[i]!, rows.exemplarAt[i + 1]!) };
    }
    return this.#metadata.take(rows, i, context, time);
  }
}

const CUSTOM_BUCKETS = -53;

/** True for a histogram with schema -53 (HIST-10). */
function hasCustomBuckets(histogram: Uint8Array): boolean {
  const reader = new ProtoReader(histogram, 0, histogram.length);
  let schema = 0;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag !== 0x20) {
      reader.skip(tag);
      continue;
    }
    const z = reader.varint64();
    schema = (z >>> 1) ^ -(z & 1);
  }
  return schema === CUSTOM_BUCKETS;
}
