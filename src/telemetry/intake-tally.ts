import type { Registry } from 'prom-client';
import { KINDS, kindNames } from '../serialization/rows.ts';
import { durationBuckets, type HistogramReading } from './endpoint-stats.ts';
import { type Labels, registerScraped, registerScrapedHistogram } from './scraped.ts';

const commitBuckets: readonly number[] = [0.0005, 0.001, 0.0025, ...durationBuckets];

/** How many durations fell into which bucket. */
class DurationTally implements HistogramReading {
  readonly counts: number[];
  sum = 0;
  readonly #buckets: readonly number[];

  constructor(buckets: readonly number[]) {
    this.#buckets = buckets;
    this.counts = new Array<number>(buckets.length + 1).fill(0);
  }

  observe(seconds: number): void {
    let bucket = 0;
    while (bucket < this.#buckets.length && seconds > this.#buckets[bucket]!) bucket++;
    this.counts[bucket]!++;
    this.sum += seconds;
  }
}

/**
 * What is counted for every request and every commit: plain numbers that are read at a scrape. prom-client looks a counter
 * up by its labels each time, which shows where requests are small.
 */
export class IntakeTally {
  /** Valid rows that came in, by kind. */
  readonly receivedRows: Float64Array = new Float64Array(KINDS);
  readonly committedRows: Float64Array = new Float64Array(KINDS);
  /** Requests by the status they were answered with. */
  readonly requests: Map<number, number> = new Map();
  readonly requestSeconds: DurationTally = new DurationTally(durationBuckets);
  requestBytes = 0;
  readonly commitSeconds: DurationTally = new DurationTally(commitBuckets);
  committedBytes = 0;

  /** A request of `bytes` was answered, `seconds` after its head had come. */
  answered(status: number, bytes: number, seconds: number): void {
    this.requests.set(status, (this.requests.get(status) ?? 0) + 1);
    this.requestBytes += bytes;
    this.requestSeconds.observe(seconds);
  }

  /** A commit brought so many rows by kind, in `bytes` of a segment. */
  committed(counts: Readonly<Uint32Array>, bytes: number, seconds: number): void {
    for (let kind = 0; kind < KINDS; kind++) this.committedRows[kind]! += counts[kind]!;
    this.committedBytes += bytes;
    this.commitSeconds.observe(seconds);
  }
}

/** Registers what is read of `tally`. */
export function registerIntakeMetrics(registry: Registry, tally: IntakeTally): void {
  const counter = (name: string, help: string, read: () => readonly (readonly [Labels, number])[]): void =>
    registerScraped(registry, 'counter', name, help, read);
  const byKind = (rows: Readonly<Float64Array>) => () =>
    kindNames.map((kind, i) => [{ kind }, rows[i]!] as const);
  counter('spillway_received_requests_total', 'Write requests by the status they were answered with.', () =>
    [...tally.requests].map(([code, requests]) => [{ code: String(code) }, requests] as const),
  );
  counter('spillway_received_bytes_total', 'Bytes of write requests as they came, compressed.', () => [
    [{}, tally.requestBytes],
  ]);
  registerScrapedHistogram(
    registry,
    'spillway_received_request_seconds',
    'Time from the head of a write request to its answer.',
    () => [[{}, tally.requestSeconds]],
  );
  counter(
    'spillway_received_rows_total',
    'Valid rows that came in, by kind; committed unless the commit failed.',
    byKind(tally.receivedRows),
  );
  counter('spillway_committed_rows_total', 'Rows that are on disk, by kind.', byKind(tally.committedRows));
  counter('spillway_committed_bytes_total', 'Bytes written to segments.', () => [[{}, tally.committedBytes]]);
  registerScrapedHistogram(
    registry,
    'spillway_commit_seconds',
    'Time for a group commit: encode, write, fsync.',
    () => [[{}, tally.commitSeconds]],
    commitBuckets,
  );
}
