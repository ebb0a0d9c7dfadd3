/**
 * The sender: keep-alive connections, one request in flight on each.
 *
 * A chunk of series always takes the same connection, so that no series overtakes itself on the way in and
 * every inversion at the sink is the contender's.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'undici';

export interface LoadOptions {
  /** How many bodies there are, in order of time. */
  readonly requests: number;
  /** Body `i`, with chunk `i % chunks`: made beforehand where time is measured. */
  readonly body: (index: number) => Buffer;
  readonly chunks: number;
  readonly connections: number;
  /** Bodies per second over all connections; as fast as it goes if undefined. */
  readonly bodiesPerSecond: number | undefined;
}

const HEADERS = {
  'content-encoding': 'snappy',
  'content-type': 'application/x-protobuf',
  'user-agent': 'spillway-bench',
  'x-prometheus-remote-write-version': '0.1.0',
};
const RETRY_MS = 100;

export class Load {
  /** Spent in `send`. */
  seconds = 0;
  /** Answers of 503. */
  retries = 0;
  /** By body: from the first attempt to the 2xx. */
  readonly ackMs: Float64Array;
  /** By body: when it was first sent, ms since the epoch. */
  readonly sentAt: Float64Array;
  readonly #options: LoadOptions;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.ackMs = new Float64Array(options.requests);
    this.sentAt = new Float64Array(options.requests);
  }

  /** Sends the bodies from `from` to `end` to `url` until each is acknowledged. Throws on any answer but 2xx and 503. */
  async send(url: URL, from = 0, end = this.ackMs.length): Promise<void> {
    const startMs = performance.now();
    const { connections } = this.#options;
    await Promise.all(
      Array.from({ length: connections }, (_, number) => this.#connection(url, number, from, end)),
    );
    this.seconds += (performance.now() - startMs) / 1000;
  }

  async #connection(url: URL, number: number, from: number, end: number): Promise<void> {
    const { body, chunks, connections, bodiesPerSecond = Number.POSITIVE_INFINITY } = this.#options;
    const client = new Client(url.origin);
    const startMs = performance.now();
    try {
      for (let i = from; i < end; i++) {
        if ((i % chunks) % connections !== number) continue;
        const earlyMs = startMs + ((i - from) / bodiesPerSecond) * 1000 - performance.now();
        if (earlyMs > 0) await sleep(earlyMs);
        const bytes = body(i);
        this.sentAt[i] = Date.now();
        const sentMs = performance.now();
        while (!(await isAccepted(client, url.pathname, bytes))) {
          this.retries++;
          await sleep(RETRY_MS);
        }
        this.ackMs[i] = performance.now() - sentMs;
      }
    } finally {
      await client.destroy();
    }
  }
}

async function isAccepted(client: Client, path: string, body: Buffer): Promise<boolean> {
  const { statusCode, body: answer } = await client.request({ method: 'POST', path, headers: HEADERS, body });
  const text = await answer.text();
  if (statusCode >= 200 && statusCode < 300) return true;
  if (statusCode === 503) return false;
  throw new Error(`the write was answered with ${statusCode}: ${text.slice(0, 500)}`);
}
