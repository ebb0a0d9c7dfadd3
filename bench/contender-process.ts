/** A contender at work: started, ready, stopped by its pid. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { deathOf, stopChild } from './child.ts';
import type { Contender, Site } from './contenders.ts';

/** A start with a large backlog takes its time. */
const READY_MS = 300_000;
const POLL_MS = 10;
const ANSWER_MS = 5000;

export class ContenderProcess {
  readonly pid: number;
  readonly writeUrl: URL;
  /** Rejects when the contender ends, with the end of what it logged. */
  readonly death: Promise<never>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, writeUrl: URL, death: Promise<never>) {
    this.pid = child.pid!;
    this.writeUrl = writeUrl;
    this.death = death;
    this.#child = child;
  }

  /** Starts `contender` and waits until it is ready; `signal` ends it. */
  static async start(
    contender: Contender,
    place: Omit<Site, 'port'>,
    signal: AbortSignal,
  ): Promise<ContenderProcess> {
    const port = await freePort();
    const [program, ...args] = contender.command({ ...place, port });
    const logPath = join(place.folder, 'log');
    const log = openSync(logPath, 'w');
    const child = spawn(program, args, { cwd: place.folder, stdio: ['ignore', log, log], signal });
    closeSync(log);
    const death = deathOf(child, contender.name).catch((cause: unknown) => {
      const lastLines = readFileSync(logPath, 'utf8').trimEnd().split('\n').slice(-5);
      throw new Error(`${(cause as Error).message}; its last words:\n${lastLines.join('\n')}`, { cause });
    });
    death.catch(() => {}); // expected once it was told to stop
    const origin = `http://127.0.0.1:${port}`;
    const running = new ContenderProcess(child, new URL('/api/v1/write', origin), death);
    let failed = false;
    try {
      await Promise.race([ready(`${origin}/-/ready`, () => failed), death]);
    } catch (error) {
      failed = true;
      await running.stop();
      throw error;
    }
    return running;
  }

  stop(): Promise<void> {
    return stopChild(this.#child);
  }
}

/** Asks until the answer is yes, or `givenUp` tells that nobody will wait for it any more. */
async function ready(url: string, givenUp: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + READY_MS;
  while (!givenUp()) {
    if (performance.now() > deadlineMs) throw new Error(`not ready within ${READY_MS / 1000} s`);
    if (await isReady(url)) return;
    await sleep(POLL_MS);
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false; // nobody listens there yet
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
