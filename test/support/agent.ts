import { readFile, writeFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { stringify } from 'yaml';
import type { StatusDocument } from '../../src/status/document.ts';
import { Child } from './child.ts';
import { poll } from './deadline.ts';
import { ask } from './https.ts';
import { readMetric } from './metrics.ts';
import { projectDir, spillway } from './paths.ts';
import { freePort } from './ports.ts';
import { tempDir } from './temp.ts';

/** The keys of the configuration file that tests set. `listen` and `data_dir` are the helper's. */
export interface AgentConfig {
  /** With TLS and credentials: give `Access` too. */
  readonly web_config_file?: string;
  readonly log_level?: string;
  readonly listen?: string;
  readonly external_labels?: Record<string, string>;
  readonly kernel?: 'wasm' | 'typescript';
  readonly relabel_configs?: readonly object[];
  readonly shutdown_grace?: string;
  readonly wal?: {
    readonly segment_age?: string;
    readonly segment_series?: number;
    readonly segment_bytes?: string;
    readonly codec?: 'snappy' | 'brotli' | 'none';
    readonly max_bytes?: string;
    readonly max_age?: string;
    readonly min_free_bytes?: string;
    readonly when_full?: 'reject' | 'drop_oldest';
  };
  readonly receiver?: Record<string, string | number | Record<string, string | number>>;
  readonly remote_write: readonly Remote[];
}

export interface Remote {
  readonly name?: string;
  readonly url: string;
  readonly wire_compression?: 'fast' | 'small';
  readonly protobuf_message?: 'prometheus.WriteRequest' | 'io.prometheus.write.v2.Request' | 'auto';
  readonly send_exemplars?: boolean;
  readonly send_native_histograms?: boolean;
  readonly remote_timeout?: string;
  readonly headers?: Record<string, string>;
  readonly start_at?: 'oldest' | 'now';
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
  readonly basic_auth?: { readonly username: string; readonly password: string };
  readonly oauth2?: {
    readonly client_id: string;
    readonly client_secret: string;
    readonly token_url: string;
  };
  readonly tls_config?: { readonly ca_file: string; readonly cert_file?: string; readonly key_file?: string };
  readonly enable_http2?: boolean;
  readonly round_robin_dns?: boolean;
  readonly rate_limit?: { readonly samples?: number; readonly bytes?: string };
  readonly write_relabel_configs?: readonly object[];
  readonly tenant?: {
    readonly header?: string;
    readonly from_labels?: readonly string[];
    readonly keep_label?: boolean;
    readonly default?: string;
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

/** How the helper itself comes in at the doors of the agent. */
export interface Access {
  /** With it the agent listens with TLS. */
  readonly client?: RequestOptions;
  readonly authorization: string;
}

export interface StartOptions {
  readonly access?: Access;
  /** Where its data is; beside its configuration by default. */
  readonly place?: string;
  /** A command that runs the command behind it. */
  readonly through?: readonly string[];
}

/** The real agent, in a process of its own, that can be ended and started again on the same data and port. */
export class Agent {
  readonly url: string;
  readonly dataDir: string;
  readonly #t: TestContext;
  readonly #configFile: string;
  readonly #listen: string;
  readonly #access: Access | undefined;
  readonly #through: readonly string[];
  #child: Child | undefined;

  private constructor(
    t: TestContext,
    listen: string,
    folder: string,
    { access, place, through = [] }: StartOptions,
  ) {
    this.#through = through;
    this.#t = t;
    this.#listen = listen;
    this.url = `${access?.client === undefined ? 'http' : 'https'}://${listen}`;
    this.dataDir = place ?? join(folder, 'data');
    this.#configFile = join(folder, 'spillway.yaml');
    this.#access = access;
  }

  /** Returns when the agent is ready. */
  static async start(t: TestContext, config: AgentConfig, options: StartOptions = {}): Promise<Agent> {
    const listen = `127.0.0.1:${await freePort()}`;
    const agent = new Agent(t, listen, await tempDir(t, 'agent'), options);
    await agent.configure(config);
    await agent.start();
    return agent;
  }

  /** What the next start finds in the configuration file. */
  async configure(config: AgentConfig): Promise<void> {
    const place = { listen: this.#listen, data_dir: this.dataDir };
    await writeFile(this.#configFile, stringify({ ...place, ...config }));
  }

  /** Starts the agent again after its end. Returns when it is ready. */
  async start(): Promise<void> {
    const child = this.launch();
    await child.line(/listening on https?:\/\/127\.0\.0\.1:\d+/);
    await poll(
      () => `the agent is not ready:\n${child.tail()}`,
      async () => ((await this.#get('/-/ready')).status === 200 ? true : undefined),
    );
  }

  /** Starts the agent again after its end, and returns at once: for those who don't let it come so far. */
  launch(): Child {
    if (this.#child?.running === true) throw new Error('the agent runs already');
    this.#child = this.startAnother();
    return this.#child;
  }

  /** A process on the same file, with `options` of the command line; it is the caller's, and not waited for. */
  startAnother(...options: string[]): Child {
    const command = [...this.#through, process.execPath, spillway, 'run', '--config', this.#configFile];
    return Child.spawn(this.#t, 'agent', command[0]!, [...command.slice(1), ...options], { cwd: projectDir });
  }

  /** `POST /-/reload`: the status and what it says. */
  async reload(): Promise<{ readonly status: number; readonly outcome: Record<string, unknown> }> {
    const response = await fetch(`${this.url}/-/reload`, { method: 'POST' });
    return { status: response.status, outcome: (await response.json()) as Record<string, unknown> };
  }

  /** SIGHUP, `times` times. */
  hangUp(times = 1): void {
    for (let i = 0; i < times; i++) process.kill(this.#running.pid!, 'SIGHUP');
  }

  /** Status and text of the readiness page. */
  async readiness(): Promise<{ readonly status: number; readonly text: string }> {
    const { status, body } = await this.#get('/-/ready');
    return { status, text: body };
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

  /** Waits until what `GET /api/v1/status` says is as `reached` wants it. */
  async statusUntil(reached: (status: StatusDocument) => boolean): Promise<StatusDocument> {
    let last: StatusDocument | undefined;
    return await poll(
      () => `the status is ${JSON.stringify(last)}`,
      async () => {
        last = JSON.parse((await this.#get('/api/v1/status')).body) as StatusDocument;
        return reached(last) ? last : undefined;
      },
    );
  }

  /**
   * SIGKILL: nothing of the process runs any more, what it wrote stays in the page cache. False when the process
   * had ended before.
   */
  async kill9(): Promise<boolean> {
    return (await this.#running.kill('SIGKILL')).signal === 'SIGKILL';
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

  /** The most memory that the present process has had resident so far, in bytes. */
  async peakMemory(): Promise<number> {
    const status = await readFile(`/proc/${this.#running.pid}/status`, 'utf8');
    return 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]);
  }

  /** The sum of the metric's series that carry `labels`; undefined when there is none. */
  async metric(name: string, labels: Record<string, string> = {}): Promise<number | undefined> {
    return readMetric((await this.#get('/metrics')).body, name, labels);
  }

  async #get(path: string): Promise<{ readonly status: number; readonly body: string }> {
    const access = this.#access;
    if (access === undefined) {
      const response = await fetch(`${this.url}${path}`);
      return { status: response.status, body: await response.text() };
    }
    const { client, authorization } = access;
    return ask(`${this.url}${path}`, { ...client, headers: { authorization } });
  }

  get #running(): Child {
    if (this.#child === undefined) throw new Error('the agent was not started');
    return this.#child;
  }
}
