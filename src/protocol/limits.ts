import { SpillwayError } from '../runtime/errors.ts';

/**
 * The limits of what one request may bring (RW1-R-10). They are looked at before memory is taken for what is over
 * them; each is a key under `receiver:` of the configuration, where its default and the reason for it stand.
 */
export interface IngestLimits {
  /** `max_decoded_bytes`: what a snappy block may declare, in bytes (WIRE-02). */
  readonly decodedBytes: number;
  /** `max_series_per_request`: series, metadata entries and unknown fields of a request, together. */
  readonly series: number;
  /** `max_rows_per_request`: samples, histograms and exemplars of a request, together. */
  readonly rows: number;
  /** `max_labels_per_series`: labels of a series, or of an exemplar. */
  readonly labels: number;
  /** `max_label_name_bytes`. */
  readonly nameBytes: number;
  /** `max_label_value_bytes`. */
  readonly valueBytes: number;
}

/** For what a program appends itself, and for tests: everything that memory can hold. */
export const noLimits: IngestLimits = {
  decodedBytes: Number.POSITIVE_INFINITY,
  series: Number.POSITIVE_INFINITY,
  rows: Number.POSITIVE_INFINITY,
  labels: Number.POSITIVE_INFINITY,
  nameBytes: Number.POSITIVE_INFINITY,
  valueBytes: Number.POSITIVE_INFINITY,
};

/** Keys under `receiver:` by which a request can be refused (the first four) or put off. */
export const requestLimitKeys = [
  'max_request_bytes',
  'max_decoded_bytes',
  'max_series_per_request',
  'max_rows_per_request',
  'max_in_flight_bytes',
  'body_idle_timeout',
  'per_sender.in_flight_bytes',
  'per_sender.samples_per_second',
] as const;

export type RequestLimitKey = (typeof requestLimitKeys)[number];

/** A request is over one of its limits, and is refused whole. The message names the limit and its key. */
export class LimitError extends SpillwayError {
  readonly code = 'OVER_LIMIT';
  readonly key: RequestLimitKey;

  /** `what` goes on from "the request"; `key` is that of the limit; `series` is where it was passed. */
  constructor(what: string, limit: number, key: RequestLimitKey, series?: string) {
    const where = series === undefined ? '' : `, passed by the series ${series}`;
    super(`the request ${what}, over the limit of ${limit} (\`receiver.${key}\`)${where}`, { limit, key });
    this.key = key;
  }
}
