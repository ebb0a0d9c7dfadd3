import { KINDS } from '../serialization/rows.ts';
import { type EndpointReason, endpointReasonNames } from './reasons.ts';

/** Upper bounds of the histogram buckets, in seconds: those that Prometheus uses for sent batches. */
export const durationBuckets: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300,
];

/** Single numbers of an endpoint, in the order in which they stand in the shared memory. Append only. */
const scalars = [
  'shards',
  'shardsDesired',
  'pendingRows',
  'highestSentMs',
  'oldestWaitingMs',
  'segment',
  'bytesSent',
  'metadataBytesSent',
  'requests',
  'retries',
  'holds',
  'failingLoops',
  'holdingLoops',
  'resentRows',
  'splits',
  'throttles',
  'returnedRows',
  'startsDropped',
  'messageVersion',
  'metadataRepeated',
  'metadataRepeatsFailed',
] as const;

export type EndpointScalar = (typeof scalars)[number];

const scalarAt: Readonly<Record<EndpointScalar, number>> = Object.fromEntries(
  scalars.map((name, i) => [name, i]),
) as Record<EndpointScalar, number>;
const reasonAt: Readonly<Record<EndpointReason, number>> = Object.fromEntries(
  endpointReasonNames.map((name, i) => [name, i]),
) as Record<EndpointReason, number>;

const RETRIED_AT = scalars.length;
const DELIVERED_AT = RETRIED_AT + KINDS;
const LOST_AT = DELIVERED_AT + KINDS;
const REQUEST_SECONDS_AT = LOST_AT + endpointReasonNames.length * KINDS;
const HISTOGRAM_SIZE = durationBuckets.length + 2;
const DELAY_SECONDS_AT = REQUEST_SECONDS_AT + HISTOGRAM_SIZE;
const SIZE = DELAY_SECONDS_AT + HISTOGRAM_SIZE;

/** A histogram as it stands in the shared memory: a count a bucket (the last is +Inf), and the sum. */
export interface HistogramReading {
  readonly counts: readonly number[];
  readonly sum: number;
}

/**
 * The numbers of one endpoint, in memory that its worker thread writes and the main thread reads.
 *
 * One writer, no locks: a reader may see one number a moment earlier than another, never a torn one (aligned
 * eight-byte stores). So a scrape costs the worker nothing and never waits for it, however stuck it is.
 */
export class EndpointStats {
  readonly buffer: SharedArrayBuffer;
  /** Rows that are settled: by kind delivered, then by kind for each reason. They are saved, and go on after a restart. */
  readonly counts: Float64Array;
  readonly #numbers: Float64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(8 * SIZE)) {
    this.buffer = buffer;
    this.#numbers = new Float64Array(buffer);
    this.counts = this.#numbers.subarray(DELIVERED_AT, REQUEST_SECONDS_AT);
  }

  /** The numbers of this moment, which do not change any more. */
  snapshot(): EndpointStats {
    const copy = new EndpointStats();
    new Float64Array(copy.buffer).set(this.#numbers);
    return copy;
  }

  get(name: EndpointScalar): number {
    return this.#numbers[scalarAt[name]]!;
  }

  set(name: EndpointScalar, value: number): void {
    this.#numbers[scalarAt[name]] = value;
  }

  add(name: EndpointScalar, value: number): void {
    this.#numbers[scalarAt[name]]! += value;
  }

  /** Rows of a kind that the endpoint has taken. */
  delivered(kind: number): number {
    return this.#numbers[DELIVERED_AT + kind]!;
  }

  /** Rows of all kinds that the endpoint has taken. */
  get deliveredRows(): number {
    let rows = 0;
    for (let kind = 0; kind < KINDS; kind++) rows += this.delivered(kind);
    return rows;
  }

  addDelivered(kind: number, rows: number): void {
    this.#numbers[DELIVERED_AT + kind]! += rows;
  }

  /** Rows of a kind in requests that were sent again. */
  retried(kind: number): number {
    return this.#numbers[RETRIED_AT + kind]!;
  }

  addRetried(kind: number, rows: number): void {
    this.#numbers[RETRIED_AT + kind]! += rows;
  }

  /** Rows of a kind that will not be delivered, by reason. */
  lost(reason: EndpointReason, kind: number): number {
    return this.#numbers[LOST_AT + reasonAt[reason] * KINDS + kind]!;
  }

  /** Rows of all kinds that will not be delivered, by each reason for which there are some. */
  lostByReason(): Map<EndpointReason, number> {
    const lost = new Map<EndpointReason, number>();
    for (const reason of endpointReasonNames) {
      let rows = 0;
      for (let kind = 0; kind < KINDS; kind++) rows += this.lost(reason, kind);
      if (rows > 0) lost.set(reason, rows);
    }
    return lost;
  }

  /** Rows of all kinds that will not be delivered, for whatever reason. */
  get lostRows(): number {
    let rows = 0;
    for (const reason of endpointReasonNames) {
      for (let kind = 0; kind < KINDS; kind++) rows += this.lost(reason, kind);
    }
    return rows;
  }

  /** Goes on from saved counts; reasons that they do not have yet begin at 0. */
  load(counts: Float64Array, returnedRows: number): void {
    this.counts.set(counts.subarray(0, this.counts.length));
    this.set('returnedRows', returnedRows);
  }

  /** Rows that are settled, in whatever way. */
  get settledRows(): number {
    let rows = 0;
    for (const count of this.counts) rows += count;
    return rows;
  }

  addLost(reason: EndpointReason, kind: number, rows: number): void {
    this.#numbers[LOST_AT + reasonAt[reason] * KINDS + kind]! += rows;
  }

  observeRequest(seconds: number): void {
    this.#observe(REQUEST_SECONDS_AT, seconds, 1);
  }

  get requestSeconds(): HistogramReading {
    return this.#reading(REQUEST_SECONDS_AT);
  }

  /** Time from commit to delivery of `rows` rows. */
  observeDelay(seconds: number, rows: number): void {
    this.#observe(DELAY_SECONDS_AT, seconds, rows);
  }

  get delaySeconds(): HistogramReading {
    return this.#reading(DELAY_SECONDS_AT);
  }

  #observe(at: number, value: number, times: number): void {
    let bucket = 0;
    while (bucket < durationBuckets.length && value > durationBuckets[bucket]!) bucket++;
    this.#numbers[at + bucket]! += times;
    this.#numbers[at + HISTOGRAM_SIZE - 1]! += value * times;
  }

  #reading(at: number): HistogramReading {
    return {
      counts: Array.from(this.#numbers.subarray(at, at + HISTOGRAM_SIZE - 1)),
      sum: this.#numbers[at + HISTOGRAM_SIZE - 1]!,
    };
  }
}
