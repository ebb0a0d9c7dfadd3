/** The parent's hand on the sink (sink.ts). */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { deathOf, stopChild } from './child.ts';
import type { Command, SinkOptions, SinkReport } from './sink.ts';

export class SinkProcess {
  readonly writeUrl: URL;
  /** Rejects when the sink ends. */
  readonly death: Promise<never>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, death: Promise<never>, port: number) {
    this.#child = child;
    this.death = death;
    this.writeUrl = new URL(`http://127.0.0.1:${port}/api/v1/write`);
  }

  /** Starts a sink that is up; `signal` ends it. */
  static async start(options: SinkOptions, signal: AbortSignal): Promise<SinkProcess> {
    const program = fileURLToPath(new URL('./sink.js', import.meta.url));
    const child = fork(program, [JSON.stringify(options)], { serialization: 'advanced', signal });
    const death = deathOf(child, 'sink');
    const { port } = await Promise.race([tell(child, 'up'), death]);
    return new SinkProcess(child, death, port);
  }

  /** One at a time. */
  tell(command: Command): Promise<SinkReport> {
    return tell(this.#child, command);
  }

  stop(): Promise<void> {
    return stopChild(this.#child);
  }
}

async function tell(child: ChildProcess, command: Command): Promise<SinkReport> {
  child.send(command);
  const [report] = await once(child, 'message');
  return report as SinkReport;
}
