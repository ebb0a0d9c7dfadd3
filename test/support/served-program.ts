import type { TestContext } from 'node:test';
import { Child } from './child.ts';
import { freePort } from './ports.ts';
import { find, type Program } from './programs.ts';

/** What a program is started with the first time. */
export interface Served {
  readonly t: TestContext;
  readonly url: string;
  /** Where its data is. */
  readonly folder: string;
  readonly program: Program;
}

/** A real program that serves HTTP, and can be stopped and started again on the same data and port. */
export abstract class ServedProgram {
  readonly url: string;
  /** Where others write to it. */
  readonly writeUrl: string;
  readonly #served: Served;
  #child: Child | undefined;

  protected constructor(served: Served) {
    this.#served = served;
    this.url = served.url;
    this.writeUrl = `${served.url}/api/v1/write`;
  }

  /** Starts it; returns when it is ready. */
  async start(): Promise<void> {
    const { t, program, folder } = this.#served;
    this.#child = Child.spawn(t, program, find(program)!, this.args(), { cwd: folder });
    await this.ready(this.#child);
  }

  /** Ends it in good order; its data stays. */
  async stop(): Promise<void> {
    await this.#child?.kill('SIGTERM');
  }

  protected abstract args(): string[];

  /** Returns when `child` is ready. */
  protected abstract ready(child: Child): Promise<void>;
}

/** A URL on this machine that nobody else uses. */
export async function freeUrl(scheme: 'http' | 'https' = 'http'): Promise<string> {
  return `${scheme}://127.0.0.1:${await freePort()}`;
}

/** The `scrape_configs` that scrape these pages five times a second: job name -> URL of the page. */
export function scrapeConfigs(pages: Readonly<Record<string, string>>): object[] {
  return Object.entries(pages).map(([job_name, page]) => {
    const { host, pathname } = new URL(page);
    return { job_name, metrics_path: pathname, static_configs: [{ targets: [host] }] };
  });
}
