/**
 * The samples of the workload and the request bodies that carry them.
 *
 * `rounds` scrapes of all series, `stepMs` apart. Series `s` of round `r` has one row: a timestamp and 64 value
 * bits, or a native histogram, all functions of (s, r). The load writes them into prebuilt bodies, the sink
 * computes them again and compares every bit. Body `g * chunks + c` has the `c`-th `perRequest` series, each
 * with the rows of `samplesPerSeries` rounds from `g * samplesPerSeries` on.
 */
import { MAX_HISTOGRAM_BYTES, writeHistogram } from './histogram.ts';
import { kindOf, MAX_BLOCK_BYTES, mix, podOf, SeriesSet } from './series.ts';
import { SnappyCompressor } from './snappy-compress.ts';
import { writeVarint } from './varint.ts';

export type RowKind = 'floats' | 'histograms';

export interface Shape {
  readonly rows: RowKind;
  readonly series: number;
  /** A multiple of `samplesPerSeries`. */
  readonly rounds: number;
  readonly perRequest: number;
  readonly samplesPerSeries: number;
  /** Time of the first scrape, ms since the epoch. */
  readonly startMs: number;
  readonly stepMs: number;
  /**
   * After so many scrapes a pod makes way for its next generation, at a scrape of its own: the same series with
   * a label more, which says which generation it is. 0: they stay, without that label.
   */
  readonly lifetime: number;
}

/** What a workload is made of; `Shape` adds the times. */
export interface WorkloadOptions {
  readonly series: SeriesSet;
  readonly rounds: number;
  readonly perRequest: number;
  /** 1 unless it is said. */
  readonly samplesPerSeries?: number;
  /** 0 unless it is said. */
  readonly lifetime?: number;
  /** Floats unless it is said. */
  readonly rows?: RowKind;
}

/** The label of churn, behind all others: `zone`, and the generation in ten digits. */
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

/** Of a series: tag and length. Of a sample: tag, length, value (9) and timestamp (7). */
const SERIES_HEAD_BYTES = 5;
const SAMPLE_BYTES = 18;

/** The tags of the rows in a series. */
export const SAMPLE_TAG = 0x12;
export const HISTOGRAM_TAG = 0x22;

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
  readonly #rows: Buffer;

  constructor(shape: Shape, series: SeriesSet = new SeriesSet(shape.series)) {
    this.shape = shape;
    this.series = series;
    this.chunks = Math.ceil(shape.series / shape.perRequest);
    this.samples = shape.series * shape.rounds;
    const rowBytes = shape.rows === 'floats' ? SAMPLE_BYTES : MAX_HISTOGRAM_BYTES;
    this.#rows = Buffer.allocUnsafeSlow(shape.samplesPerSeries * rowBytes);
    // A request may see a pod off and its successors in.
    const generations = shape.lifetime > 0 ? Math.ceil(shape.samplesPerSeries / shape.lifetime) + 1 : 1;
    this.#message = Buffer.allocUnsafeSlow(
      Math.min(shape.perRequest, shape.series) *
        (generations * (SERIES_HEAD_BYTES + MAX_BLOCK_BYTES + CHURN_LABEL_BYTES) + this.#rows.length),
    );
  }

  /** A workload for a contender that starts about now. */
  static fresh(options: WorkloadOptions): Workload {
    const { series, rounds, perRequest, samplesPerSeries = 1, lifetime = 0, rows = 'floats' } = options;
    const stepMs = Math.max(1, Math.min(SCRAPE_INTERVAL_MS, Math.floor(LONGEST_SPAN_MS / rounds)));
    const startMs = Date.now() + AHEAD_MS;
    return new Workload(
      { rows, series: series.count, rounds, perRequest, samplesPerSeries, startMs, stepMs, lifetime },
      series,
    );
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
    if (this.#endsStale(series, round)) {
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

  /** Which of the pods that follow one another at the place of `series` is scraped in `round`. */
  generationOf(series: number, round: number): number {
    const { lifetime } = this.shape;
    return lifetime === 0 ? 0 : Math.floor((round + (mix(podOf(series), 8) % lifetime)) / lifetime);
  }

  /** How many request bodies there are. */
  get requests(): number {
    return (this.chunks * this.shape.rounds) / this.shape.samplesPerSeries;
  }

  /** The request body that carries the row of `series` in `round`. */
  bodyOf(series: number, round: number): number {
    const { samplesPerSeries, perRequest } = this.shape;
    return Math.floor(round / samplesPerSeries) * this.chunks + Math.floor(series / perRequest);
  }

  /** Request body `index`, snappy-compressed. */
  body(index: number): Buffer {
    const { series, perRequest, samplesPerSeries } = this.shape;
    const round = Math.floor(index / this.chunks) * samplesPerSeries;
    const first = (index % this.chunks) * perRequest;
    const length = this.#writeRequest(first, Math.min(first + perRequest, series), round);
    return this.#compressor.compress(this.#message.subarray(0, length));
  }

  /** All request bodies. */
  bodies(): Buffer[] {
    return Array.from({ length: this.requests }, (_, index) => this.body(index));
  }

  /** Writes the inside of a `Histogram` field; returns where it ends. */
  writeHistogram(target: Buffer, at: number, series: number, round: number): number {
    const timestamp = this.timestampOf(series, round);
    return writeHistogram(target, at, { series, round, timestamp, stale: this.#endsStale(series, round) });
  }

  #endsStale(series: number, round: number): boolean {
    return round === this.shape.rounds - 1 && series % 997 === 0;
  }

  /** Writes the `WriteRequest` of the series from `first` to `end`, rows from `round` on; returns its length. */
  #writeRequest(first: number, end: number, round: number): number {
    const { bytes, starts } = this.series;
    const { lifetime, samplesPerSeries } = this.shape;
    const message = this.#message;
    let at = 0;
    for (let series = first; series < end; series++) {
      const labelsStart = starts[series]!;
      const labelsLength = starts[series + 1]! - labelsStart;
      const churnLength = lifetime > 0 ? CHURN_LABEL_BYTES : 0;
      // The rows of each generation are a series of their own.
      for (let from = round, to = from; from < round + samplesPerSeries; from = to) {
        const generation = this.generationOf(series, from);
        while (to < round + samplesPerSeries && this.generationOf(series, to) === generation) to++;
        const rowsLength = this.#writeRows(series, from, to);
        message[at++] = 0x0a;
        at = writeVarint(message, at, labelsLength + churnLength + rowsLength);
        at += bytes.copy(message, at, labelsStart, labelsStart + labelsLength);
        if (churnLength > 0) at = writeChurnLabel(message, at, generation);
        at += this.#rows.copy(message, at, 0, rowsLength);
      }
    }
    return at;
  }

  /** Writes the rows of `series` between two rounds into `#rows`; returns their length. */
  #writeRows(series: number, from: number, to: number): number {
    const rows = this.#rows;
    let at = 0;
    for (let round = from; round < to; round++) {
      if (this.shape.rows === 'floats') {
        at = this.#writeSample(at, series, round);
        continue;
      }
      // The length takes two bytes from 128 on; which of the two it is shows when the histogram is there.
      const bodyAt = at + 3;
      const length = this.writeHistogram(rows, bodyAt, series, round) - bodyAt;
      rows[at++] = HISTOGRAM_TAG;
      at = writeVarint(rows, at, length);
      rows.copyWithin(at, bodyAt, bodyAt + length);
      at += length;
    }
    return at;
  }

  #writeSample(start: number, series: number, round: number): number {
    const rows = this.#rows;
    let at = start;
    this.setValue(series, round);
    // Prometheus leaves a value of 0 out of the message, so do we.
    const isZero = this.bits[0] === 0 && this.bits[1] === 0;
    rows[at++] = SAMPLE_TAG;
    rows[at++] = isZero ? 7 : 16;
    if (!isZero) {
      rows[at++] = 0x09;
      rows.writeUInt32LE(this.bits[0]!, at);
      rows.writeUInt32LE(this.bits[1]!, at + 4);
      at += 8;
    }
    rows[at++] = 0x10;
    return writeVarint(rows, at, this.timestampOf(series, round));
  }
}

function writeChurnLabel(target: Buffer, start: number, generation: number): number {
  let at = start;
  target[at++] = 0x0a;
  target[at++] = CHURN_LABEL_BYTES - 2;
  target[at++] = 0x0a;
  target[at++] = CHURN_NAME.length;
  at += CHURN_NAME.copy(target, at);
  target[at++] = 0x12;
  target[at++] = CHURN_DIGITS;
  for (let i = CHURN_DIGITS - 1, rest = generation; i >= 0; i--, rest = Math.floor(rest / 10)) {
    target[at + i] = 0x30 + (rest % 10);
  }
  return at + CHURN_DIGITS;
}
