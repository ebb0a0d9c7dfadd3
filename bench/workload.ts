/**
 * The samples of the workload and the request bodies that carry them.
 *
 * `rounds` scrapes of all series, `stepMs` apart. Series `s` of round `r` has one timestamp and 64 value bits,
 * both functions of (s, r): the load writes them into prebuilt bodies, the sink computes them again and
 * compares every bit. Body `r * chunks + c` is scrape `r` of the `c`-th `perRequest` series.
 */
import { kindOf, MAX_BLOCK_BYTES, mix, podOf, SeriesSet } from './series.ts';
import { SnappyCompressor } from './snappy-compress.ts';

export interface Shape {
  readonly series: number;
  readonly rounds: number;
  readonly perRequest: number;
  /** Time of the first scrape, ms since the epoch. */
  readonly startMs: number;
  readonly stepMs: number;
  /** Each scrape has series of its own: those of the set, with a label more that says which scrape it is. */
  readonly churn?: boolean;
}

/** The label of churn, behind all others: `zone`, and the round in ten digits. */
export const CHURN_NAME = Buffer.from('zone');
const CHURN_DIGITS = 10;
export const CHURN_LABEL_BYTES: number = 2 + 2 + CHURN_NAME.length + 2 + CHURN_DIGITS;

/**
 * Prometheus sends on only what is newer than its own start, and refuses what is ten minutes ahead: all
 * timestamps lie between, however many rounds there are.
 */
const AHEAD_MS = 30_000;
const LONGEST_SPAN_MS = 500_000;
const SCRAPE_INTERVAL_MS = 15_000;

/** Around the labels: the header of the series (3), that of the sample (2), value (9) and timestamp (7). */
const SAMPLE_BYTES = 21;

export class Workload {
  readonly shape: Shape;
  readonly series: SeriesSet;
  readonly chunks: number;
  readonly samples: number;
  /** The bits of the value set last: low word, high word. */
  readonly bits: Uint32Array = new Uint32Array(2);
  readonly #value = new Float64Array(this.bits.buffer);
  readonly #compressor = new SnappyCompressor();
  readonly #message: Buffer;

  constructor(shape: Shape, series: SeriesSet = new SeriesSet(shape.series)) {
    this.shape = shape;
    this.series = series;
    this.chunks = Math.ceil(shape.series / shape.perRequest);
    this.samples = shape.series * shape.rounds;
    this.#message = Buffer.allocUnsafeSlow(
      shape.perRequest * (MAX_BLOCK_BYTES + CHURN_LABEL_BYTES + SAMPLE_BYTES),
    );
  }

  /** A workload for a contender that starts about now. */
  static fresh(options: {
    series: SeriesSet;
    rounds: number;
    perRequest: number;
    churn?: boolean;
  }): Workload {
    const { series, rounds, perRequest, churn = false } = options;
    const stepMs = Math.min(SCRAPE_INTERVAL_MS, Math.floor(LONGEST_SPAN_MS / rounds));
    const startMs = Date.now() + AHEAD_MS;
    return new Workload({ series: series.count, rounds, perRequest, startMs, stepMs, churn }, series);
  }

  /** The targets are scraped one after the other within a step, as Prometheus spreads them. */
  timestampOf(series: number, round: number): number {
    const { startMs, stepMs } = this.shape;
    return startMs + round * stepMs + (mix(podOf(series), 5) % stepMs);
  }

  /**
   * Sets `bits`: counters (a third of them at rest, a sixth at 0), sums of seconds and gauges with full
   * mantissas, page-sized byte counts; one series in a thousand ends with a stale marker.
   */
  setValue(series: number, round: number): void {
    if (round === this.shape.rounds - 1 && series % 997 === 0) {
      this.bits[0] = 2;
      this.bits[1] = 0x7ff00000;
      return;
    }
    const seed = mix(series, 6);
    const noise = mix(series, 7 + round);
    const steps = seed % 6 < 2 ? 0 : round * (seed % 90) + (noise % ((seed % 90) + 1));
    const count = seed % 6 === 0 ? 0 : (seed >>> 12) + steps;
    switch (kindOf(series)) {
      case 'count':
        this.#value[0] = count;
        break;
      case 'seconds':
        this.#value[0] = count * 0.0037;
        break;
      case 'bytes':
        this.#value[0] = ((seed >>> 14) + (noise % 64)) * 4096;
        break;
      case 'gauge':
        this.#value[0] = noise / 2 ** 32;
        break;
    }
  }

  /** How many request bodies there are. */
  get requests(): number {
    return this.chunks * this.shape.rounds;
  }

  /** Request body `index`, snappy-compressed. */
  body(index: number): Buffer {
    const { series, perRequest } = this.shape;
    const round = Math.floor(index / this.chunks);
    const first = (index % this.chunks) * perRequest;
    const length = this.#writeRequest(this.#message, first, Math.min(first + perRequest, series), round);
    return this.#compressor.compress(this.#message.subarray(0, length));
  }

  /** All request bodies. */
  bodies(): Buffer[] {
    return Array.from({ length: this.requests }, (_, index) => this.body(index));
  }

  /** Writes the `WriteRequest` of `round` for the series from `first` to `end`; returns its length. */
  #writeRequest(message: Buffer, first: number, end: number, round: number): number {
    const { bytes, starts } = this.series;
    const churnLength = this.shape.churn ? CHURN_LABEL_BYTES : 0;
    let at = 0;
    for (let series = first; series < end; series++) {
      this.setValue(series, round);
      // Prometheus leaves a value of 0 out of the message, so do we.
      const isZero = this.bits[0] === 0 && this.bits[1] === 0;
      const sampleLength = isZero ? 7 : 16;
      const labelsStart = starts[series]!;
      const labelsLength = starts[series + 1]! - labelsStart;
      message[at++] = 0x0a;
      at = writeVarint(message, at, labelsLength + churnLength + 2 + sampleLength);
      bytes.copy(message, at, labelsStart, labelsStart + labelsLength);
      at += labelsLength;
      if (churnLength > 0) at = writeChurnLabel(message, at, round);
      message[at++] = 0x12;
      message[at++] = sampleLength;
      if (!isZero) {
        message[at++] = 0x09;
        message.writeUInt32LE(this.bits[0]!, at);
        message.writeUInt32LE(this.bits[1]!, at + 4);
        at += 8;
      }
      message[at++] = 0x10;
      at = writeVarint(message, at, this.timestampOf(series, round));
    }
    return at;
  }
}

/** `value` may exceed 32 bits (timestamps do), not 2^53. */
function writeVarint(target: Buffer, at: number, value: number): number {
  let rest = value;
  while (rest >= 0x80) {
    target[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  target[at++] = rest;
  return at;
}

function writeChurnLabel(target: Buffer, start: number, round: number): number {
  let at = start;
  target[at++] = 0x0a;
  target[at++] = CHURN_LABEL_BYTES - 2;
  target[at++] = 0x0a;
  target[at++] = CHURN_NAME.length;
  at += CHURN_NAME.copy(target, at);
  target[at++] = 0x12;
  target[at++] = CHURN_DIGITS;
  for (let i = CHURN_DIGITS - 1, rest = round; i >= 0; i--, rest = Math.floor(rest / 10)) {
    target[at + i] = 0x30 + (rest % 10);
  }
  return at + CHURN_DIGITS;
}
