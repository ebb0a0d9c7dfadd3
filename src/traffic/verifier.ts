import { type HistogramV1, staleMarkerBits } from '../protocol/schema.ts';
import {
  beganMs,
  bitsOf,
  doubleOf,
  type LoadSeries,
  loadSeries,
  observationsAt,
  traceAt,
  valueAt,
} from './load-shape.ts';

/** What has become of rows of `spillway load`, each counted once, and what is wrong with them. */
export interface LoadVerdict {
  readonly distinct: number;
  readonly duplicates: number;
  /** Came for the first time after a newer one of their series. */
  readonly inversions: number;
  /** Have not come, though newer ones of their series have. */
  readonly missing: number;
  /** Have another value, time or start timestamp than they should. */
  readonly wrong: number;
}

/** What a verifier has found so far. */
export interface Verdict {
  readonly series: number;
  readonly samples: number;
  readonly staleMarkers: number;
  /** Samples of `spillway load`. */
  readonly load: LoadVerdict;
  readonly loadHistograms: LoadVerdict;
  readonly loadExemplars: LoadVerdict;
  /** Of other series: samples that are not newer than the one before. Sent again, or out of order. */
  readonly notNewer: number;
}

type Timed = { readonly timestamp: bigint; readonly startTimestamp?: bigint };
type Valued = Timed & { readonly valueBits: bigint };

/** Rows of one series, by kind, in their order. */
export interface SeriesRows {
  readonly samples: readonly Valued[];
  readonly histograms?: readonly (HistogramV1 & Timed)[];
  readonly exemplars?: readonly (Valued & { readonly labels: Readonly<Record<string, string>> })[];
}

interface LoadState {
  readonly of: LoadSeries;
  readonly samples: Ordinals;
  readonly histograms: Ordinals;
  readonly exemplars: Ordinals;
}

interface OtherState {
  readonly of: undefined;
  newestMs: bigint;
}

/** Of one series and kind. */
interface Ordinals {
  /** The highest ordinal that has come. */
  newest: number;
  /** Ordinals below it that have not. */
  readonly holes: Set<number>;
}

/** More holes of one series are not remembered one by one: what fills them counts as a duplicate then. */
const MOST_HOLES = 100_000;

/** Looks at rows in the order in which they come. Memory goes by the number of series. */
export class TrafficVerifier {
  readonly #series: Map<string, LoadState | OtherState> = new Map();
  readonly #load: Tally = new Tally();
  readonly #loadHistograms: Tally = new Tally();
  readonly #loadExemplars: Tally = new Tally();
  #samples = 0;
  #staleMarkers = 0;
  #notNewer = 0;

  get verdict(): Verdict {
    return {
      series: this.#series.size,
      samples: this.#samples,
      staleMarkers: this.#staleMarkers,
      load: this.#load.verdict,
      loadHistograms: this.#loadHistograms.verdict,
      loadExemplars: this.#loadExemplars.verdict,
      notNewer: this.#notNewer,
    };
  }

  /** Rows of one series, which `key` names, in their order. */
  add(
    key: string,
    labels: Readonly<Record<string, string>>,
    { samples, histograms = [], exemplars = [] }: SeriesRows,
  ): void {
    let state = this.#series.get(key);
    if (state === undefined) {
      const of = loadSeries(labels);
      state = of === undefined ? { of, newestMs: -(2n ** 63n) } : { of, ...ordinalsByKind() };
      this.#series.set(key, state);
    }
    for (const sample of samples) {
      this.#samples++;
      if (BigInt.asUintN(64, sample.valueBits) === staleMarkerBits) this.#staleMarkers++;
      if (state.of !== undefined) {
        const { series } = state.of;
        const isRight = (k: number): boolean => doubleOf(sample.valueBits) === valueAt(series, k);
        this.#load.take(state.samples, ordinalOf(sample, state.of), isRight);
      } else if (sample.timestamp > state.newestMs) state.newestMs = sample.timestamp;
      else this.#notNewer++;
    }
    if (state.of === undefined) return;
    const { of } = state;
    for (const histogram of histograms) {
      this.#loadHistograms.take(state.histograms, ordinalOf(histogram, of), (k) =>
        isHistogramAt(histogram, of.series, k),
      );
    }
    for (const exemplar of exemplars) {
      this.#loadExemplars.take(
        state.exemplars,
        ordinalOf(exemplar, of),
        (k) =>
          doubleOf(exemplar.valueBits) === valueAt(of.series, k) &&
          exemplar.labels.trace_id === traceAt(of.series, k),
      );
    }
  }
}

/** Which row of its series it is; NaN for one that cannot be. A start timestamp may be lost (1.0 has none). */
function ordinalOf({ timestamp, startTimestamp = 0n }: Timed, of: LoadSeries): number {
  if (startTimestamp !== 0n && Number(startTimestamp) !== beganMs(of)) return Number.NaN;
  return (Number(timestamp) - of.startMs) / of.stepMs;
}

function isHistogramAt(
  { countInt, sumBits, schema, positiveSpans, positiveDeltas, negativeDeltas }: HistogramV1,
  series: number,
  k: number,
): boolean {
  const count = observationsAt(series, k);
  const [span] = positiveSpans;
  return (
    countInt === count &&
    BigInt.asUintN(64, sumBits) === bitsOf(Number(count)) &&
    schema === 0 &&
    positiveSpans.length === 1 &&
    span?.offset === 0 &&
    positiveDeltas.length === 1 &&
    positiveDeltas[0] === count &&
    negativeDeltas.length === 0
  );
}

/** The rows of one kind. */
class Tally {
  #distinct = 0;
  #duplicates = 0;
  #inversions = 0;
  #missing = 0;
  #wrong = 0;

  get verdict(): LoadVerdict {
    return {
      distinct: this.#distinct,
      duplicates: this.#duplicates,
      inversions: this.#inversions,
      missing: this.#missing,
      wrong: this.#wrong,
    };
  }

  take(state: Ordinals, k: number, isRight: (k: number) => boolean): void {
    if (!Number.isSafeInteger(k) || k < 0 || !isRight(k)) {
      this.#wrong++;
    } else if (k > state.newest) {
      for (let hole = state.newest + 1; hole < k && state.holes.size < MOST_HOLES; hole++)
        state.holes.add(hole);
      this.#missing += k - state.newest - 1;
      state.newest = k;
      this.#distinct++;
    } else if (state.holes.delete(k)) {
      this.#missing--;
      this.#inversions++;
      this.#distinct++;
    } else this.#duplicates++;
  }
}

function ordinalsByKind(): Record<'samples' | 'histograms' | 'exemplars', Ordinals> {
  const none = (): Ordinals => ({ newest: -1, holes: new Set() });
  return { samples: none(), histograms: none(), exemplars: none() };
}
