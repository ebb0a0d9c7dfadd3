/** The agent of the demo: the real program in a process of its own, with a configuration as anybody would write it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { deathOf, stopChild } from '../bench/child.ts';

const PROGRAM = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const START_MS = 60_000;

/** What an agent says of itself, by its metrics: they go on over restarts. */
export interface Books {
  readonly received: number;
  readonly returned: number;
  readonly delivered: number;
  readonly dropped: number;
  readonly waiting: number;
  readonly walBytes: number;
}

export class DemoAgent {
  /** Without a path. */
  readonly url: string;
  /** Rejects when it ends, whoever ended it. */
  readonly death: Promise<never>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, death: Promise<never>, url: string) {
    this.#child = child;
    this.death = death;
    this.url = url;
  }

  /** Starts an agent on the data in `folder`; `listen` is HOST:PORT, `onLog` is told what it warns of. */
  static async start(
    folder: string,
    listen: string,
    endpoint: URL,
    onLog: (line: string) => void,
  ): Promise<DemoAgent> {
    const config = join(folder, 'spillway.yaml');
    await writeFile(
      config,
      `data_dir: ./data\nremote_write:\n  - name: storage\n    url: ${endpoint.href}\n`,
    );
    const args = [PROGRAM, 'run', '--config', config, '--listen', listen];
    const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    const death = deathOf(child, 'the agent');
    createInterface({ input: child.stderr! }).on('line', (line) => {
      const message = /level=(?:warn|error) msg="([^"]*)"|msg="(the endpoint takes[^"]*)"/.exec(line);
      if (message !== null) onLog(message[1] ?? message[2]!);
    });
    const started = new Promise<string>((resolve) => {
      createInterface({ input: child.stdout! }).on('line', (line) => {
        const [, url] = /listening on (http:\S+)/.exec(line) ?? [];
        if (url !== undefined) resolve(url);
      });
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('the agent does not start')), START_MS);
    });
    try {
      return new DemoAgent(child, death, await Promise.race([started, death, late]));
    } catch (error) {
      await stopChild(child);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async books(): Promise<Books> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const of = (name: string): number => sumOf(text, name);
    return {
      received: of('spillway_endpoint_received_rows_total'),
      returned: of('spillway_endpoint_returned_rows_total'),
      delivered: of('spillway_endpoint_delivered_rows_total'),
      dropped: of('spillway_endpoint_dropped_rows_total'),
      waiting: of('spillway_endpoint_backlog_rows'),
      walBytes: of('spillway_wal_bytes'),
    };
  }

  /** SIGKILL: it can save nothing any more. */
  async kill9(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }

  stop(): Promise<void> {
    return stopChild(this.#child);
  }
}

/** Of all series of a metric in Prometheus text format; 0 without one. */
function sumOf(text: string, name: string): number {
  const values = text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'));
  return [...values].reduce((sum, [, value]) => sum + Number(value), 0);
}
