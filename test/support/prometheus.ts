import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { stringify } from 'yaml';
import type { Label } from '../../src/protocol/schema.ts';
import type { Child } from './child.ts';
import { poll } from './deadline.ts';
import { ask, tlsClient, tlsFile } from './https.ts';
import type { Program } from './programs.ts';
import { seriesKey } from './rows.ts';
import type { Samples } from './samples.ts';
import { freeUrl, type Served, ServedProgram, scrapeConfigs } from './served-program.ts';
import { tempDir } from './temp.ts';

export interface PrometheusConfig {
  /** Which of those that are there; Debian's by default. */
  readonly program?: Extract<Program, `prometheus${string}`>;
  /** What to scrape, five times a second: job name -> URL of the page. */
  readonly scrape?: Record<string, string>;
  /** Where to write. */
  readonly remoteWrite?: string;
  /** More keys of the entry that writes there, such as `basic_auth`. */
  readonly remoteWriteWith?: object;
  /** More entries, with the same quick queue. */
  readonly moreRemoteWrites?: readonly { readonly url: string; readonly [key: string]: unknown }[];
  readonly externalLabels?: Record<string, string>;
  /** Of the command line, beside those that it always has. */
  readonly flags?: readonly string[];
  /** Whether it listens with TLS, by the certificate `server` of the test authority. */
  readonly tls?: boolean;
}

/** A real Prometheus with a database of its own: it can scrape, write, receive, and be asked. */
export class Prometheus extends ServedProgram {
  readonly #flags: readonly string[];

  private constructor(served: Served, flags: readonly string[]) {
    super(served);
    this.#flags = flags;
  }

  /** Returns when Prometheus is ready. */
  static async start(t: TestContext, config: PrometheusConfig = {}): Promise<Prometheus> {
    const folder = await tempDir(t, 'prometheus');
    await writeFile(join(folder, 'prometheus.yml'), stringify(configFile(config)));
    await writeFile(join(folder, 'web.yml'), stringify(config.tls ? webConfig : {}));
    const { program = 'prometheus', flags = [] } = config;
    const url = await freeUrl(config.tls ? 'https' : 'http');
    const prometheus = new Prometheus({ t, url, folder, program }, flags);
    await prometheus.start();
    return prometheus;
  }

  protected override args(): string[] {
    return [
      '--config.file=prometheus.yml',
      '--web.config.file=web.yml',
      '--storage.tsdb.path=data',
      `--web.listen-address=${new URL(this.url).host}`,
      '--web.enable-remote-write-receiver',
      ...this.#flags,
    ];
  }

  protected override async ready(child: Child): Promise<void> {
    await child.line(/Server is ready to receive web requests/);
  }

  /** What `expression` is now: the value of each series. */
  async values(expression: string): Promise<number[]> {
    const result = await this.#query<{ value: [number, string] }>(expression);
    return result.map(({ value }) => (value[1] === '+Inf' ? Number.POSITIVE_INFINITY : Number(value[1])));
  }

  /** Waits until `expression` is as `reached` wants it. */
  async eventually(expression: string, reached: (values: number[]) => boolean): Promise<number[]> {
    let last: number[] = [];
    return await poll(
      () => `${expression} is ${last.join(' ')}`,
      async () => {
        last = await this.values(expression);
        return reached(last) ? last : undefined;
      },
    );
  }

  /** Everything stored for `selector` in the last hour, by series; each series is named with `more` labels. */
  async samples(selector: string, more: Record<string, string> = {}): Promise<Map<string, Samples>> {
    const result = await this.#query<{ metric: Record<string, string>; values: [number, string][] }>(
      `${selector}[1h]`,
    );
    return new Map(
      result.map(({ metric, values }) => [
        seriesKey(labelsOf({ ...metric, ...more })),
        values.map(([seconds, value]) => ({ at: msOf(seconds), value })),
      ]),
    );
  }

  /** The native histograms stored for `selector` in the last hour, by series. */
  async histograms(selector: string): Promise<Map<string, StoredHistogram[]>> {
    type Told = Omit<StoredHistogram, 'at'>;
    const result = await this.#query<{
      metric: Record<string, string>;
      histograms?: [number, Told][];
    }>(`${selector}[1h]`);
    return new Map(
      result
        .filter(({ histograms = [] }) => histograms.length > 0)
        .map(({ metric, histograms }) => [
          seriesKey(labelsOf(metric)),
          histograms!.map(([seconds, told]) => ({ at: msOf(seconds), ...told })),
        ]),
    );
  }

  /** The exemplars stored for `selector` in the last hour, by series. */
  async exemplars(selector: string): Promise<Map<string, StoredExemplar[]>> {
    const now = Date.now() / 1000;
    const result = await this.#get<
      {
        seriesLabels: Record<string, string>;
        exemplars: { labels: Record<string, string>; value: string; timestamp: number }[];
      }[]
    >('query_exemplars', { query: selector, start: String(now - 3600), end: String(now + 60) });
    return new Map(
      result.map(({ seriesLabels, exemplars }) => [
        seriesKey(labelsOf(seriesLabels)),
        exemplars.map(({ labels, value, timestamp }) => ({
          at: msOf(timestamp),
          labels: seriesKey(labelsOf(labels)),
          value,
        })),
      ]),
    );
  }

  async #query<T>(query: string): Promise<T[]> {
    return (await this.#get<{ result: T[] }>('query', { query })).result;
  }

  async #get<T>(path: string, parameters: Record<string, string>): Promise<T> {
    const { body } = await ask(`${this.url}/api/v1/${path}?${new URLSearchParams(parameters)}`, tlsClient());
    const answer = JSON.parse(body) as Answer<T>;
    if (answer.status !== 'success') throw new Error(`${parameters.query}: ${answer.error}`);
    return answer.data;
  }
}

/** As the query API has it: numbers as text. */
export interface StoredHistogram {
  /** Milliseconds since the epoch. */
  readonly at: bigint;
  readonly count: string;
  readonly sum: string;
  /** Those that are not empty, from the least values on. */
  readonly buckets?: readonly (readonly [
    /** 0: without its lower bound, 1: without its upper one, 2: without both, 3: with both. */
    bounds: number,
    from: string,
    to: string,
    count: string,
  ])[];
}

export interface StoredExemplar {
  /** Milliseconds since the epoch. */
  readonly at: bigint;
  /** `seriesKey` of them. */
  readonly labels: string;
  readonly value: string;
}

type Answer<T> = { status: 'success'; data: T } | { status: 'error'; error: string };

function msOf(seconds: number): bigint {
  return BigInt(Math.round(seconds * 1000));
}

/** As Prometheus has it: HTTP/2 is agreed on where the client wants it. */
const webConfig = {
  tls_server_config: { cert_file: tlsFile('server.crt'), key_file: tlsFile('server.key') },
};

function labelsOf(metric: Record<string, string>): Label[] {
  return Object.entries(metric).map(([name, value]) => ({ name, value }));
}

function configFile({
  scrape = {},
  remoteWrite,
  remoteWriteWith,
  moreRemoteWrites = [],
  externalLabels = {},
}: PrometheusConfig): object {
  const first = remoteWrite === undefined ? [] : [{ url: remoteWrite, ...remoteWriteWith }];
  return {
    global: { scrape_interval: '200ms', scrape_timeout: '200ms', external_labels: externalLabels },
    scrape_configs: scrapeConfigs(scrape),
    remote_write: [...first, ...moreRemoteWrites].map((entry) => ({
      send_exemplars: true,
      queue_config: { batch_send_deadline: '50ms' },
      ...entry,
    })),
  };
}
