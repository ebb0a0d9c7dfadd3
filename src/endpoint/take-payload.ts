import { ProtoReader } from '../protocol/proto-reader.ts';
import { CUSTOM_BUCKETS } from '../serialization/payloads.ts';
import { EXEMPLAR, HISTOGRAM } from '../serialization/rows.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import type { MetadataTaker } from './take-metadata.ts';
import type { WalReader } from './wal-reader.ts';

/** What an endpoint is sent beside samples. */
export interface Sends {
  readonly exemplars: boolean;
  readonly histograms: boolean;
}

/** What rows carry that are no samples, as it leaves: that of the row that was taken last (serialization/payloads.ts). */
export class PayloadTaker {
  bytes: Uint8Array = new Uint8Array(0);
  /** It is `[from, to)` of `bytes`. */
  from = 0;
  to = 0;
  note = 0;
  readonly #sends: Sends;
  readonly #metadata: MetadataTaker;
  /** Without remote write 2.0 there are no histograms with custom buckets. */
  readonly #isV1: boolean;
  readonly #now: () => number;

  constructor(sends: Sends, metadata: MetadataTaker, isV1: boolean, now: () => number) {
    this.#sends = sends;
    this.#metadata = metadata;
    this.#isV1 = isV1;
    this.#now = now;
  }

  /** Takes that of row `i` of its kind in a reader's frame; returns the reason for which nothing is sent, if there is one. */
  take({ rows, context, head }: WalReader, kind: number, i: number): EndpointReason | undefined {
    if (kind === HISTOGRAM) {
      if (!this.#sends.histograms) return 'histograms_off';
      this.#set(rows.histogramBytes, rows.histogramAt[i]!, rows.histogramAt[i + 1]!, 0);
      if (!this.#hasCustomBuckets()) return undefined;
      this.note = CUSTOM_BUCKETS;
      return this.#isV1 ? 'custom_buckets' : undefined;
    }
    if (kind === EXEMPLAR) {
      if (!this.#sends.exemplars) return 'exemplars_off';
      this.#set(rows.exemplarLabels, rows.exemplarAt[i]!, rows.exemplarAt[i + 1]!, 0);
      return undefined;
    }
    const metadata = this.#metadata.take(rows, i, context, { committedMs: head.at, nowMs: this.#now() });
    if (typeof metadata === 'string') return metadata;
    this.#set(metadata.bytes, 0, metadata.bytes.length, metadata.tenant);
    return undefined;
  }

  #set(bytes: Uint8Array, from: number, to: number, note: number): void {
    this.bytes = bytes;
    this.from = from;
    this.to = to;
    this.note = note;
  }

  /** True for a histogram with schema -53 (HIST-10). */
  #hasCustomBuckets(): boolean {
    const reader = new ProtoReader(this.bytes, this.from, this.to);
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
    return schema === CUSTOM_SCHEMA;
  }
}

const CUSTOM_SCHEMA = -53;
