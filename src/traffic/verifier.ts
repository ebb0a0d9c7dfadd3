import { staleMarkerBits } from '../protocol/schema.ts';
import { type LoadSeries, loadSeries, valueAt } from './load-shape.ts';

/** What a verifier has found so far. */
export interface Verdict {
  readonly series: number;
  readonly samples: number;
  readonly staleMarkers: number;
  /** Samples of `spillway load`, each counted once, and what is wrong with them. */
  readonly load: {
    readonly distinct: number;
    readonly duplicates: number;
    /** Came for the first time after a newer one of their series. */
    readonly inversions: number;
    /** Have not come, though newer ones of their series have. */
    readonly missing: number;
    /** Have another value or time than they should. */
    readonly wrong: number;
  };
  /** Of other series: samples that are not newer than the one before. Sent again, or out of order. */
  readonly notNewer: number;
}

interface LoadState {
  readonly of: LoadSeries;
  /** The highest ordinal that has come. */
  newest: number;
  /** Ordinals below it that have not. */
  readonly holes: Set<number>;
}

interface OtherState {
  readonly of: undefined;
  newestMs: bigint;
}

/** More holes of one series are not remembered one by one: what fills them counts as a duplicate then. */
const MOST_HOLES = 100_000;

/** Looks at samples in the order in which they come. Memory goes by the number of series. */
export class TrafficVerifier {
  readonly #series: Map<string, LoadState | OtherState> = new Map();
  #samples = 0;
  #staleMarkers = 0;
  #distinct = 0;
  #duplicates = 0;
  #inversions = 0;
  #missing = 0;
  #wrong = 0;
  #notNewer = 0;

  get verdict(): Verdict {
    return {
      series: this.#series.size,
      samples: this.#samples,
      staleMarkers: this.#staleMarkers,
      load: {
        distinct: this.#distinct,
        duplicates: this.#duplicates,
        inversions: this.#inversions,
        missing: this.#missing,
        wrong: this.#wrong,
      },
      notNewer: this.#notNewer,
    };
  }

  /** Samples of one series, which `key` names, in their order. */
  add(
    key: string,
    labels: Readonly<Record<string, string>>,
    samples: readonly { readonly timestamp: bigint; readonly valueBits: bigint }[],
  ): void {
    let state = this.#series.get(key);
    if (state === undefined) {
      const of = loadSeries(labels);
      state = of === undefined ? { of, newestMs: -(2n ** 63n) } : { of, newest: -1, holes: new Set() };
      this.#series.set(key, state);
    }
    for (const { timestamp, valueBits } of samples) {
      this.#samples++;
      if (BigInt.asUintN(64, valueBits) === staleMarkerBits) this.#staleMarkers++;
      if (state.of === undefined) {
        if (timestamp > state.newestMs) state.newestMs = timestamp;
        else this.#notNewer++;
      } else this.#addLoad(state, Number(timestamp), valueBits);
    }
  }

  #addLoad(state: LoadState, timeMs: number, valueBits: bigint): void {
    const { series, startMs, stepMs } = state.of;
    const k = (timeMs - startMs) / stepMs;
    if (!Number.isSafeInteger(k) || k < 0 || doubleOf(valueBits) !== valueAt(series, k)) {
      this.#wrong++;
      return;
    }
    if (k > state.newest) {
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

const scratch = new DataView(new ArrayBuffer(8));

function doubleOf(bits: bigint): number {
  scratch.setBigUint64(0, bits);
  return scratch.getFloat64(0);
}
