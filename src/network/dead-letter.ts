import type { EndpointReason } from '../telemetry/reasons.ts';

/**
 * The kind of a letter that is no row: the receiver did not write some rows of a 2.0 request, and does not say which
 * (RLY-12). Its content is a `PartialWrite` (partial-letter.ts), as JSON; it has no labels, and cannot be sent.
 */
export const PARTIAL = 255;

/** A row that a receiver refused for good, as it left: after external labels and all. */
export interface DeadLetter {
  /** Where the row stands in the queue. With the name of the endpoint it is the identity of a letter. */
  readonly segment: number;
  readonly row: number;
  /** As in serialization/rows.ts, or `PARTIAL`. */
  readonly kind: number;
  /** Of the sample, ms since the epoch; 0 for metadata. */
  readonly timeMs: number;
  /** The labels as fields of a 1.0 `TimeSeries`, empty for metadata. */
  readonly labels: Uint8Array;
  /** What stands behind the labels in that `TimeSeries`; for metadata a whole `MetricMetadata`. */
  readonly content: Uint8Array;
  /** Whose it is, where the endpoint is told; empty for none. */
  readonly tenant: string;
}

/** The rows that one answer refused. */
export interface DeadLetters {
  readonly reason: EndpointReason;
  /** Short and stable: the status, for example `400`. */
  readonly cause: string;
  /** The receiver's own words, at most 1024 bytes. */
  readonly words: string;
  /** When the answer came, ms since the epoch. */
  readonly atMs: number;
  readonly letters: readonly DeadLetter[];
}
