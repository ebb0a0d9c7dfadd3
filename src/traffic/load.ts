import { compress } from 'snappyjs';
import { Client } from 'undici';
import { encodeWriteRequestV1 } from '../protocol/schema.ts';
import { describeError } from '../runtime/errors.ts';
import { wait } from '../runtime/wait.ts';
import { loadLabels, valueAt } from './load-shape.ts';

export interface LoadOptions {
  readonly url: string;
  readonly series: number;
  /** Samples a second, over all series; at most 1000 for each. */
  readonly rate: number;
  /** How long, ms; `Infinity` until `signal`. */
  readonly durationMs: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Connections, each with series of its own. */
  readonly connections?: number;
  /** Name of this load in the label `run`. */
  readonly run: string;
  readonly signal: AbortSignal;
}

/** What has become of a load so far. */
export interface LoadReport {
  readonly sent: number;
  /** Samples in requests that were answered 2xx. */
  readonly acknowledged: number;
  /** Samples in requests that were refused for good. */
  readonly refused: number;
  /** Attempts that were answered with 429 or 5xx, or not at all, and were made again. */
  readonly retries: number;
  /** Samples whose last attempt had no answer before the end: taken, or not. */
  readonly unknown: number;
  /** How late the newest request was, ms. */
  readonly behindMs: number;
  readonly lastError: string | undefined;
}

const SERIES_A_REQUEST = 500;
const RETRY_MS = 100;
const MOST_RETRY_MS = 5000;
const HEADERS = {
  'content-encoding': 'snappy',
  'content-type': 'application/x-protobuf',
  'user-agent': 'spillway-load',
  'x-prometheus-remote-write-version': '0.1.0',
};

/**
 * Sends series to a remote-write 1.0 receiver, whose samples are a function of series and time (load-shape.ts). A
 * sample is sent until it is answered: series by series in order, never the next one before. A receiver that is slow
 * makes it late, and nothing is left out.
 */
export class TrafficLoad {
  readonly #options: LoadOptions;
  readonly #startMs: number;
  readonly stepMs: number;
  #sent = 0;
  #acknowledged = 0;
  #refused = 0;
  #retries = 0;
  #unknown = 0;
  #behindMs = 0;
  #lastError: string | undefined;

  constructor(options: LoadOptions, nowMs: number = Date.now()) {
    this.#options = options;
    this.stepMs = Math.max(1, Math.round((1000 * options.series) / options.rate));
    this.#startMs = nowMs;
  }

  get report(): LoadReport {
    return {
      sent: this.#sent,
      acknowledged: this.#acknowledged,
      refused: this.#refused,
      retries: this.#retries,
      unknown: this.#unknown,
      behindMs: this.#behindMs,
      lastError: this.#lastError,
    };
  }

  /** Resolves when it is over: after its time, or after the signal. */
  async run(): Promise<LoadReport> {
    const { series, connections = 4 } = this.#options;
    const lanes = Math.min(connections, Math.ceil(series / SERIES_A_REQUEST) || 1);
    await Promise.all(Array.from({ length: lanes }, (_, lane) => this.#lane(lane, lanes)));
    return this.report;
  }

  async #lane(lane: number, lanes: number): Promise<void> {
    const { url, durationMs, signal, series } = this.#options;
    const { origin, pathname, search } = new URL(url);
    const client = new Client(origin);
    try {
      for (let k = 0; k * this.stepMs < durationMs && !signal.aborted; k++) {
        const dueMs = this.#startMs + k * this.stepMs;
        const earlyMs = dueMs - Date.now();
        if (earlyMs > 0) await wait(earlyMs, signal);
        else this.#behindMs = -earlyMs;
        if (signal.aborted) break;
        for (let first = lane * SERIES_A_REQUEST; first < series; first += lanes * SERIES_A_REQUEST) {
          const last = Math.min(series, first + SERIES_A_REQUEST);
          await this.#send(client, pathname + search, this.#body(first, last, k), last - first);
        }
      }
    } finally {
      await client.destroy();
    }
  }

  async #send(client: Client, path: string, body: Uint8Array, samples: number): Promise<void> {
    const { signal, headers } = this.#options;
    this.#sent += samples;
    for (let retryMs = RETRY_MS; ; retryMs = Math.min(MOST_RETRY_MS, 2 * retryMs)) {
      let isUnknown = false;
      try {
        const answer = await client.request({
          method: 'POST',
          path,
          headers: { ...HEADERS, ...headers },
          body,
        });
        const text = (await answer.body.text()).trim().slice(0, 200);
        const { statusCode } = answer;
        if (statusCode >= 200 && statusCode < 300) {
          this.#acknowledged += samples;
          return;
        }
        this.#lastError = `${statusCode} ${text}`.trim();
        if (statusCode < 500 && statusCode !== 429 && statusCode !== 408) {
          this.#refused += samples;
          return;
        }
      } catch (error) {
        this.#lastError = describeError(error);
        isUnknown = true;
      }
      if (signal.aborted) {
        if (isUnknown) this.#unknown += samples;
        else this.#refused += samples;
        return;
      }
      this.#retries++;
      await wait(retryMs, signal);
    }
  }

  #body(first: number, last: number, k: number): Uint8Array {
    const { run } = this.#options;
    const timestamp = BigInt(this.#startMs + k * this.stepMs);
    const timeseries = Array.from({ length: last - first }, (_, i) => ({
      labels: loadLabels({ run, series: first + i, startMs: this.#startMs, stepMs: this.stepMs }),
      samples: [{ timestamp, valueBits: bitsOf(valueAt(first + i, k)) }],
    }));
    return compress(encodeWriteRequestV1({ timeseries }));
  }
}

const scratch = new DataView(new ArrayBuffer(8));

function bitsOf(value: number): bigint {
  scratch.setFloat64(0, value);
  return scratch.getBigUint64(0);
}
