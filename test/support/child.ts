import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { atEnd, hasFailed } from './cleanup.ts';
import { within } from './deadline.ts';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** None of them outlives this process, however it ends. */
const alive = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/**
 * A program in a process of its own that never outlives the test. Its output is kept, and shown when the test
 * fails. An exit that the test did not ask for fails the test.
 */
export class Child {
  readonly name: string;
  /** Lines of stdout and stderr, in the order in which they came. */
  readonly lines: string[] = [];
  readonly exited: Promise<Exit>;
  readonly #process: ChildProcess;
  readonly #watchers = new Set<(line: string) => void>();
  #exit: Exit | undefined;
  #asked = false;

  private constructor(name: string, process: ChildProcess) {
    this.name = name;
    this.#process = process;
    for (const stream of [process.stdout, process.stderr]) {
      createInterface({ input: stream! }).on('line', (line) => this.#take(line));
    }
    this.exited = new Promise((resolve, reject) => {
      process.once('error', reject);
      process.once('close', (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  static spawn(
    t: TestContext,
    name: string,
    command: string,
    args: readonly string[],
    options: { cwd: string; env?: NodeJS.ProcessEnv },
  ): Child {
    const running = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    const child = new Child(name, running);
    running.once('spawn', () => alive.add(running));
    running.once('close', () => alive.delete(running));
    atEnd(t, async () => {
      const died = child.#exit !== undefined && !child.#asked;
      await child.kill('SIGKILL');
      if (hasFailed(t) || died) t.diagnostic(`${name}:\n${child.tail()}`);
      if (died) throw new Error(`${name} ended by itself: ${JSON.stringify(child.#exit)}`);
    });
    return child;
  }

  /** Undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  /** The first line, past or to come, that matches. Rejects when the process ends without one. */
  async line(pattern: RegExp): Promise<RegExpExecArray> {
    for (const line of this.lines) {
      const match = pattern.exec(line);
      if (match !== null) return match;
    }
    let watcher: ((line: string) => void) | undefined;
    const matched = new Promise<RegExpExecArray>((resolve) => {
      watcher = (line) => {
        const match = pattern.exec(line);
        if (match !== null) resolve(match);
      };
      this.#watchers.add(watcher);
    });
    const ended = this.exited.then((exit): never => {
      throw new Error(`${this.name} ended (${JSON.stringify(exit)}) before ${pattern}:\n${this.tail()}`);
    });
    try {
      return await within(
        () => `no line ${pattern} from ${this.name}:\n${this.tail()}`,
        Promise.race([matched, ended]),
      );
    } finally {
      this.#watchers.delete(watcher!);
    }
  }

  /** Nobody reads its standard output any more, as behind `| head`. */
  stopReading(): void {
    this.#process.stdout!.destroy();
  }

  /** Sends `signal` and waits for the end. A process that has ended already is left alone. */
  async kill(signal: NodeJS.Signals): Promise<Exit> {
    this.#asked = true;
    if (this.running) this.#process.kill(signal);
    return await within(() => `${this.name} still runs after ${signal}:\n${this.tail()}`, this.exited);
  }

  /** The exit of a process that is expected to end by itself. */
  async end(): Promise<Exit> {
    this.#asked = true;
    return await within(() => `${this.name} still runs:\n${this.tail()}`, this.exited);
  }

  /** The last lines of output, for messages. */
  tail(): string {
    return this.lines.slice(-60).join('\n');
  }

  #take(line: string): void {
    this.lines.push(line);
    for (const watcher of this.#watchers) watcher(line);
  }
}
