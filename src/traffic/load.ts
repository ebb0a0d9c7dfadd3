import type { Client } from 'undici';
import { maxRetryAfterMs } from '../network/decisions.ts';
import { retryAfterMs } from '../network/retry-after.ts';
import { type Written, writtenOf, writtenRows } from '../network/written.ts';
import { describeError } from '../runtime/errors.ts';
import { wait } from '../runtime/wait.ts';
import { type LoadForm, loadBody, loadHeaders } from './load-request.ts';

export interface LoadOptions {
  readonly url: string;
  readonly series: number;
  /** Samples a second, over all series; at most 1000 for each. */
  readonly rate: number;
  /** How long, ms; `Infinity` until `signal`. */
  readonly durationMs: number;
  readonly form: LoadForm;
  /** Series in a request, at most. */
  readonly batch?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Connections, each with series of its own. */
  readonly connections?: number;
  /** Name of this load in the label `run`. */
  readonly run: string;
  readonly signal: AbortSignal;
}

/** A request that was answered 2xx, of which not all was written: the counts tell how many rows, not which. */
export interface ShortAnswer extends Written {
  readonly firstSeries: number;
  readonly lastSeries: number;
  readonly timestampMs: number;
}

/** What has become of a load so far, in rows: samples, histograms and exemplars. */
export interface LoadReport {
  readonly sent: number;
  /** Rows in requests that were answered 2xx, less those that the receiver says it has not written. */
  readonly acknowledged: number;
  /** Rows in requests that were refused for good: answered 4xx other than 408 and 429, or 3xx. */
  readonly refused: number;
  /** Rows whose last answer before the end was 408, 429 or 5xx: they would have been sent again. */
  readonly left: number;
  /** Of 2.0: rows in requests that were answered 2xx, of which the answer counts fewer, by kind (RW2-S-11). */
  readonly notWritten: Written;
  /** The first requests whose answer counts fewer rows: what was not written of them. */
  readonly notWrittenOf: readonly ShortAnswer[];
  /** 2xx answers to 2.0 without any count: of a receiver that may know 1.0 alone. Their rows are not written. */
  readonly uncounted: number;
  /** 2xx answers to 2.0 that count more rows than were sent. */
  readonly overcounted: number;
  /** Attempts that were answered with 408, 429 or 5xx, or not at all, and were made again. */
  readonly retries: number;
  /** Rows whose last attempt had no answer before the end: taken, or not. */
  readonly unknown: number;
  /** How late the newest request was, ms. */
  readonly behindMs: number;
  readonly lastError: string | undefined;
}

interface Batch {
  readonly body: Uint8Array;
  readonly first: number;
  readonly last: number;
  readonly timestampMs: number;
  readonly rows: Written;
}

const SERIES_A_REQUEST = 500;
const RETRY_MS = 100;
const MOST_RETRY_MS = 5000;
/** As `remote_timeout` is by default. */
const ANSWER_MS = 30_000;
/** Answers that are under way at the end are waited for so long; what has none then is unknown. */
const END_MS = 1000;
const MOST_SHORT_ANSWERS = 20;

/**
 * Sends series to a remote-write receiver, whose rows are a function of series and time (load-shape.ts). A row is sent
 * until it is answered: series by series in order, never the next one before. A receiver that is slow makes it late,
 * and nothing is left out.
 */
export class TrafficLoad {
  readonly #options: LoadOptions;
  readonly #startMs: number;
  readonly stepMs: number;
  readonly #notWritten = { samples: 0, histograms: 0, exemplars: 0 };
  readonly #shortAnswers: ShortAnswer[] = [];
  /** Cuts off the requests that have no answer a while after the signal. */
  readonly #cut = new AbortController();
  #sent = 0;
  #acknowledged = 0;
  #refused = 0;
  #left = 0;
  #uncounted = 0;
  #overcounted = 0;
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
      left: this.#left,
      notWritten: { ...this.#notWritten },
      notWrittenOf: [...this.#shortAnswers],
      uncounted: this.#uncounted,
      overcounted: this.#overcounted,
      retries: this.#retries,
      unknown: this.#unknown,
      behindMs: this.#behindMs,
      lastError: this.#lastError,
    };
  }

  /** Resolves when it is over: after its time when all is answered, or soon after the signal. */
  async run(): Promise<LoadReport> {
    const { series, connections = 4, batch = SERIES_A_REQUEST, signal } = this.#options;
    const lanes = Math.min(connections, Math.ceil(series / batch) || 1);
    let timer: NodeJS.Timeout | undefined;
    const end = (): void => {
      timer = setTimeout(() => this.#cut.abort(), END_MS);
    };
    signal.addEventListener('abort', end, { once: true });
    try {
      await Promise.all(Array.from({ length: lanes }, (_, lane) => this.#lane(lane, lanes, batch)));
    } finally {
      signal.removeEventListener('abort', end);
      clearTimeout(timer);
    }
    return this.report;
  }

  async #lane(lane: number, lanes: number, batch: number): Promise<void> {
    const { url, durationMs, signal, series } = this.#options;
    const { origin, pathname, search } = new URL(url);
    const { Client } = await import('undici');
    const client = new Client(origin, { headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS });
    try {
      for (let k = 0; k * this.stepMs < durationMs && !signal.aborted; k++) {
        const dueMs = this.#startMs + k * this.stepMs;
        const earlyMs = dueMs - Date.now();
        if (earlyMs > 0) await wait(earlyMs, signal);
        else this.#behindMs = -earlyMs;
        if (signal.aborted) break;
        for (let first = lane * batch; first < series && !signal.aborted; first += lanes * batch) {
          await this.#send(client, pathname + search, this.#batch(first, Math.min(series, first + batch), k));
        }
      }
    } finally {
      await client.destroy();
    }
  }

  async #send(client: Client, path: string, batch: Batch): Promise<void> {
    const { signal, headers, form } = this.#options;
    const rows = writtenRows(batch.rows);
    this.#sent += rows;
    for (let retryMs = RETRY_MS; ; retryMs = Math.min(MOST_RETRY_MS, 2 * retryMs)) {
      let isUnknown = false;
      let askedMs: number | undefined;
      try {
        const answer = await client.request({
          method: 'POST',
          path,
          headers: { ...loadHeaders[form.protocol], ...headers },
          body: batch.body,
          signal: this.#cut.signal,
        });
        const text = (await answer.body.text()).trim().slice(0, 200);
        const { statusCode } = answer;
        if (statusCode >= 200 && statusCode < 300) {
          this.#acknowledged +=
            rows - (form.protocol === '2.0' ? this.#check(batch, writtenOf(answer.headers)) : 0);
          return;
        }
        this.#lastError = `${statusCode} ${text}`.trim();
        if (statusCode < 500 && statusCode !== 429 && statusCode !== 408) {
          this.#refused += rows;
          return;
        }
        const asked = answer.headers['retry-after'];
        askedMs = retryAfterMs(asked?.toString(), Date.now(), maxRetryAfterMs);
      } catch (error) {
        this.#lastError = this.#cut.signal.aborted ? 'no answer' : describeError(error);
        isUnknown = true;
      }
      if (!signal.aborted) {
        this.#retries++;
        await wait(Math.max(retryMs, askedMs ?? 0), signal);
      }
      if (signal.aborted) {
        if (isUnknown) this.#unknown += rows;
        else this.#left += rows;
        return;
      }
    }
  }

  /** Holds what the receiver counts against what it was sent; returns how many rows it has not written. */
  #check({ rows, first, last, timestampMs }: Batch, written: Written | undefined): number {
    if (written === undefined) this.#uncounted++;
    const short = { samples: 0, histograms: 0, exemplars: 0 };
    let isOver = false;
    for (const kind of ['samples', 'histograms', 'exemplars'] as const) {
      const difference = rows[kind] - (written?.[kind] ?? 0);
      if (difference < 0) isOver = true;
      else short[kind] = difference;
      this.#notWritten[kind] += short[kind];
    }
    if (isOver) this.#overcounted++;
    const missing = writtenRows(short);
    if (written !== undefined && missing > 0 && this.#shortAnswers.length < MOST_SHORT_ANSWERS) {
      this.#shortAnswers.push({ firstSeries: first, lastSeries: last - 1, timestampMs, ...short });
    }
    return missing;
  }

  #batch(first: number, last: number, k: number): Batch {
    const { run, form } = this.#options;
    const of = { run, startMs: this.#startMs, stepMs: this.stepMs };
    const samples = last - first;
    return {
      body: loadBody(form, { ...of, first, last, k }),
      first,
      last,
      timestampMs: of.startMs + k * of.stepMs,
      rows: {
        samples,
        histograms: form.histograms ? samples : 0,
        exemplars: form.exemplars ? samples : 0,
      },
    };
  }
}
