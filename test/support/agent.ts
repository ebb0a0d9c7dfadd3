import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { stringify } from 'yaml';
import { Child } from './child.ts';
import { poll } from './deadline.ts';
import { readMetric } from './metrics.ts';
import { projectDir, spillway } from './paths.ts';
import { freePort } from './ports.ts';
import { tempDir } from './temp.ts';

/** The keys of the configuration file that tests set. `listen` and `data_dir` are the helper's. */
export interface AgentConfig {
  readonly external_labels?: Record<string, string>;
  readonly shutdown_grace?: string;
  readonly wal?: {
    readonly segment_age?: string;
    readonly segment_series?: number;
    readonly segment_bytes?: string;
    readonly codec?: 'snappy' | 'none';
    readonly max_bytes?: string;
    readonly max_age?: string;
    readonly min_free_bytes?: string;
    readonly when_full?: 'reject' | 'drop_oldest';
  };
  readonly remote_write: readonly Remote[];
}

export interface Remote {
  readonly name?: string;
  readonly url: string;
  readonly remote_timeout?: string;
  readonly ttl?: string;
  readonly max_backlog_bytes?: string;
  readonly max_backlog_age?: string;
  readonly when_full?: 'reject' | 'drop_oldest';
  readonly queue_config?: {
    readonly capacity?: number;
    readonly min_shards?: number;
    readonly max_shards?: number;
    readonly max_samples_per_send?: number;
    readonly batch_send_deadline?: string;
    readonly min_backoff?: string;
    readonly max_backoff?: string;
  };
  readonly metadata_config?: { readonly send?: boolean; readonly send_interval?: string };
}

/** A `remote_write` entry for `url` that sends and retries at once, so that tests don't wait for defaults. */
export function remote(url: string, more: Omit<Remote, 'url'> = {}): Remote {
  const { queue_config, ...rest } = more;
  return {
    url,
    ...rest,
    queue_config: { batch_send_deadline: '20ms', min_backoff: '10ms', max_backoff: '100ms', ...queue_config },
  };
}

/** The real agent, in a process of its own, that can be ended and started again on the same data and port. */
export class Agent {
  readonly url: string;
  readonly dataDir: string;
  readonly #t: TestContext;
  readonly #configFile: string;
  readonly #through: readonly string[];
  #child: Child | undefined;

  private constructor(
    t: TestContext,
    url: string,
    dataDir: string,
    configFile: string,
    through: readonly string[],
  ) {
    this.#through = through;
    this.#t = t;
    this.url = url;
    this.dataDir = dataDir;
    this.#configFile = configFile;
  }

  /**
   * Returns when the agent is ready. Its data is in `place`, or beside its configuration; `through` is a command that
   * runs the command behind it.
   */
  static async start(
    t: TestContext,
    config: AgentConfig,
    place?: string,
    through: readonly string[] = [],
  ): Promise<Agent> {
    const folder = await tempDir(t, 'agent');
    const listen = `127.0.0.1:${await freePort()}`;
    const dataDir = place ?? join(folder, 'data');
    const configFile = join(folder, 'spillway.yaml');
    await writeFile(configFile, stringify({ listen, data_dir: dataDir, ...config }));
    const agent = new Agent(t, `http://${listen}`, dataDir, configFile, through);
    await agent.start();
    return agent;
  }

  /** Starts the agent again after its end. Returns when it is ready. */
  async start(): Promise<void> {
    if (this.#child?.running === true) throw new Error('the agent runs already');
    const child = this.startAnother();
    this.#child = child;
    await child.line(/listening on http:\/\/127\.0\.0\.1:\d+/);
    await poll(
      () => `the agent is not ready:\n${child.tail()}`,
      async () => ((await fetch(`${this.url}/-/ready`)).status === 200 ? true : undefined),
    );
  }

  /** A process on the same file, with `options` of the command line; it is the caller's, and not waited for. */
  startAnother(...options: string[]): Child {
    const command = [...this.#through, process.execPath, spillway, 'run', '--config', this.#configFile];
    return Child.spawn(this.#t, 'agent', command[0]!, [...command.slice(1), ...options], { cwd: projectDir });
  }

  /** Status and text of the readiness page. */
  async readiness(): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(`${this.url}/-/ready`);
    return { status: response.status, text: await response.text() };
  }

  /** Waits until the metric is as `reached` wants it. */
  async metricUntil(
    name: string,
    labels: Record<string, string>,
    reached: (value: number) => boolean,
  ): Promise<number> {
    let last: number | undefined;
    return await poll(
      () => `${name} ${JSON.stringify(labels)} is ${last}`,
      async () => {
        last = await this.metric(name, labels);
        return last !== undefined && reached(last) ? last : undefined;
      },
    );
  }

  /** SIGKILL: nothing of the process runs any more, what it wrote stays in the page cache. */
  async kill9(): Promise<void> {
    await this.#running.kill('SIGKILL');
  }

  /** SIGTERM, and the exit code. */
  async terminate(): Promise<number | null> {
    return (await this.#running.kill('SIGTERM')).code;
  }

  /** Lines that the present process has logged. */
  get lines(): readonly string[] {
    return this.#running.lines;
  }

  /** The first line of the present process that matches, past or to come. */
  line(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#running.line(pattern);
  }

  /** The sum of the metric's series that carry `labels`; undefined when there is none. */
  async metric(name: string, labels: Record<string, string> = {}): Promise<number | undefined> {
    const response = await fetch(`${this.url}/metrics`);
    return readMetric(await response.text(), name, labels);
  }

  get #running(): Child {
    if (this.#child === undefined) throw new Error('the agent was not started');
    return this.#child;
  }
}
