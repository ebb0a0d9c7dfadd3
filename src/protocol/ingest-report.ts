import type { DoorDrop, DoorReason } from '../telemetry/reasons.ts';

/** What became of one request: rows taken, rows refused by reason, and words about the first refused series. */
export interface IngestReport {
  samples: number;
  histograms: number;
  exemplars: number;
  metadata: number;
  /** Rows by reason (a refused series without rows counts as one). Empty when all of it was taken. */
  readonly refused: Map<DoorReason, number>;
  /** Rows that were dropped on purpose (a series without rows counts as one): taken, and not stored. */
  dropped: number;
  /** How many of them were histograms and exemplars; known of 2.0 requests, where their sender is told. */
  droppedHistograms: number;
  droppedExemplars: number;
  /** Bytes of the labels of exemplars, for which a 2.0 body has symbols: what its rows take beyond the body. */
  expandedBytes: number;
  /** The first refused series or entry, as text, with its reason; undefined when there is none. */
  firstRefused: { readonly reason: DoorReason; readonly what: string } | undefined;
  /** Newest sample or histogram time among the rows taken, in ms; -Infinity when there is none. */
  newestMs: number;
}

/** The report on a request of which nothing has been read. */
export function emptyReport(): IngestReport {
  return {
    samples: 0,
    histograms: 0,
    exemplars: 0,
    metadata: 0,
    refused: new Map(),
    dropped: 0,
    droppedHistograms: 0,
    droppedExemplars: 0,
    expandedBytes: 0,
    firstRefused: undefined,
    newestMs: Number.NEGATIVE_INFINITY,
  };
}

/** Counts refused or dropped rows. `describe` is called for the first one alone: a request may bring a great many. */
export function refuse(
  report: IngestReport,
  reason: DoorReason | DoorDrop,
  rows: number,
  describe: () => string,
): void {
  if (reason === 'dropped_by_relabel_configs') {
    report.dropped += rows;
    return;
  }
  report.refused.set(reason, (report.refused.get(reason) ?? 0) + rows);
  report.firstRefused ??= { reason, what: describe() };
}

/** A string of the message as JSON, cut at 100 bytes. */
export function quote(raw: Uint8Array, from: number, to: number): string {
  return JSON.stringify(new TextDecoder().decode(raw.subarray(from, Math.min(to, from + 100))));
}
