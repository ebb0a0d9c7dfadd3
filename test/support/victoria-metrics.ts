import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { stringify } from 'yaml';
import type { Child } from './child.ts';
import { poll } from './deadline.ts';
import type { Program } from './programs.ts';
import { seriesKey } from './rows.ts';
import type { Samples, Store } from './samples.ts';
import { freeUrl, type Served, ServedProgram, scrapeConfigs } from './served-program.ts';
import { tempDir } from './temp.ts';

/** A real single-node VictoriaMetrics with a database of its own, that others write to. */
export class VictoriaMetrics extends ServedProgram implements Store {
  /** Returns when it is ready. */
  static async start(
    t: TestContext,
    program: Extract<Program, `victoria-metrics${string}`>,
  ): Promise<VictoriaMetrics> {
    const folder = await tempDir(t, program);
    const store = new VictoriaMetrics({ t, url: await freeUrl(), folder, program });
    await store.start();
    return store;
  }

  protected override args(): string[] {
    return [
      `-httpListenAddr=${new URL(this.url).host}`,
      '-storageDataPath=data',
      '-retentionPeriod=1d',
      '-storage.minFreeDiskSpaceBytes=1MB',
      '-memory.allowedBytes=100MB',
    ];
  }

  protected override ready(child: Child): Promise<void> {
    return healthy(this.url, child);
  }

  /**
   * It keeps rows that came twice, so those are seen once here: delivery is at least once. It rounds values, those of
   * a series together and not always alike, so they come with eleven digits here.
   */
  async samples(selector: string): Promise<Map<string, Samples>> {
    // What came in the last moment is not found before it is flushed.
    await fetch(`${this.url}/internal/force_flush`);
    const query = new URLSearchParams({ 'match[]': selector });
    const response = await fetch(`${this.url}/api/v1/export?${query}`);
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${selector}: ${text}`);
    const lines = text.split('\n').filter((line) => line !== '');
    return new Map(lines.map((line) => oneSeries(parseLine(line))));
  }
}

export interface VmagentConfig {
  readonly program: Extract<Program, `vmagent${string}`>;
  /** What to scrape, five times a second: job name -> URL of the page. */
  readonly scrape?: Record<string, string>;
  /** Where to write all of it: the same to each. */
  readonly remoteWrites: readonly string[];
  /** Of the command line, beside those that it always has. */
  readonly flags?: readonly string[];
}

/** A real vmagent that scrapes, takes what others write to it, and writes. */
export class Vmagent extends ServedProgram {
  readonly #options: readonly string[];

  private constructor(served: Served, options: readonly string[]) {
    super(served);
    this.#options = options;
  }

  /** Returns when it is ready. */
  static async start(t: TestContext, config: VmagentConfig): Promise<Vmagent> {
    const { program, scrape = {}, remoteWrites, flags = [] } = config;
    const folder = await tempDir(t, program);
    const file = {
      global: { scrape_interval: '200ms', scrape_timeout: '200ms' },
      scrape_configs: scrapeConfigs(scrape),
    };
    await writeFile(join(folder, 'scrape.yml'), stringify(file));
    const urls = remoteWrites.map((to) => `-remoteWrite.url=${to}`);
    const vmagent = new Vmagent({ t, url: await freeUrl(), folder, program }, [...urls, ...flags]);
    await vmagent.start();
    return vmagent;
  }

  protected override args(): string[] {
    return [
      `-httpListenAddr=${new URL(this.url).host}`,
      '-promscrape.config=scrape.yml',
      '-remoteWrite.tmpDataPath=queue',
      '-remoteWrite.queues=1',
      '-remoteWrite.flushInterval=100ms',
      ...this.#options,
    ];
  }

  protected override ready(child: Child): Promise<void> {
    return healthy(this.url, child);
  }
}

async function healthy(url: string, child: Child): Promise<void> {
  await poll(
    () => `${child.name} is not ready:\n${child.tail()}`,
    async () => {
      if (!child.running) throw new Error(`${child.name} ended:\n${child.tail()}`);
      const response = await fetch(`${url}/health`).catch(() => undefined);
      await response?.text();
      return response?.status === 200 ? true : undefined;
    },
  );
}

interface Exported {
  readonly metric: Record<string, string>;
  /** Null is not a number, or a stale marker. */
  readonly values: readonly (number | string | null)[];
  readonly timestamps: readonly number[];
}

function rounded(value: number | string | null): string {
  return typeof value === 'number' ? value.toPrecision(11) : `${value}`;
}

/** A line of an export. Versions of 2022 write infinities as JSON does not know them. */
function parseLine(line: string): Exported {
  const at = line.lastIndexOf('"values":');
  const numbers = line.slice(at).replaceAll(/(?<=[[,])[+-]?Inf(?=[,\]])/g, '"$&"');
  return JSON.parse(line.slice(0, at) + numbers) as Exported;
}

function oneSeries({ metric, values, timestamps }: Exported): [string, Samples] {
  const key = seriesKey(Object.entries(metric).map(([name, value]) => ({ name, value })));
  const samples = timestamps.map((at, i) => ({ at: BigInt(at), value: rounded(values[i]!) }));
  return [
    key,
    samples.filter(({ at, value }, i) => at !== samples[i - 1]?.at || value !== samples[i - 1]?.value),
  ];
}
