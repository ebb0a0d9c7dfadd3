import { Worker } from 'node:worker_threads';
import { describeError } from '../runtime/errors.ts';
import { programFile } from '../runtime/program-files.ts';
import { YOUNG_GENERATION_MB } from '../runtime/young-heap.ts';
import { type Logger, Repetition } from '../telemetry/log.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';

/** What a thread says beside how it fares itself. */
export type ThreadMessage = Exclude<FromWorker, { type: 'ready' | 'stopped' }>;

export interface ThreadOptions {
  /** Of the endpoint. */
  readonly name: string;
  readonly logger: Logger;
  readonly now: () => number;
  /** Asked at each start: what the thread is started with, and what it is told first. What it throws fails the start. */
  readonly begin: () => { readonly workerData: WorkerStart; readonly orders: readonly ToWorker[] };
  readonly onMessage: (message: ThreadMessage) => void;
  /** It has ended, on purpose or not. */
  readonly onExit: () => void;
}

/** After the thread of an endpoint died, it is started again after this time. */
const RESTART_MS = 1000;
/** Beyond the grace that it was given, a thread gets this long to stop by itself. */
const STOP_MARGIN_MS = 5000;

/**
 * The life of an endpoint's thread.
 *
 *     starting --> running --> stopped       by `pause`, until `resume`; by `stop`, for good
 *                   |   ^
 *              dies v   |
 *                restarting                  a second later, and again until it reads or somebody stops it
 */
export class EndpointThread {
  readonly #options: ThreadOptions;
  readonly #repetition: Repetition;
  #worker: Worker | undefined;
  #exited: Promise<void> = Promise.resolve();
  /** The thread reads. */
  #reading = false;
  /** The thread before died, and the next one does not read yet. */
  #died = false;
  #restartTimer: NodeJS.Timeout | undefined;
  #stopping = false;
  /** It does not start again. */
  #ended = false;

  constructor(options: ThreadOptions) {
    this.#options = options;
    this.#repetition = new Repetition(options.now);
  }

  /** What it does: it died and is started again, where it is `restarting`. */
  get state(): 'starting' | 'running' | 'restarting' | 'stopped' {
    if (this.#reading) return 'running';
    if (this.#stopping) return 'stopped';
    return this.#died ? 'restarting' : 'starting';
  }

  /** It was told to come to an end, or has. */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** It was told to stop for good. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Resolves when it reads, or has failed for the first time. Throws what keeps it from being started at all. */
  start(): Promise<void> {
    const { name, begin, onMessage, onExit } = this.#options;
    const { workerData, orders } = begin();
    const worker = new Worker(programFile('endpoint/worker.js'), {
      workerData,
      name: `endpoint ${name}`,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    this.#worker = worker;
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'ready') {
        this.#reading = true;
        this.#died = false;
      } else if (message.type !== 'stopped') onMessage(message);
    });
    const ready = new Promise<void>((resolve) => {
      worker.once('message', () => resolve());
    });
    this.#exited = new Promise((resolve) => {
      worker.on('error', (error) => this.#tellDeath(error));
      worker.on('exit', () => {
        this.#worker = undefined;
        this.#reading = false;
        onExit();
        resolve();
        if (this.#stopping) return;
        this.#died = true;
        this.#startLater();
      });
    });
    for (const order of orders) this.post(order);
    return Promise.race([ready, this.#exited]);
  }

  /** Nobody hears it while there is no thread. */
  post(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  /** Has it deliver for at most `graceMs`, and ends it for good. Idempotent. */
  stop(graceMs: number): Promise<void> {
    this.#ended = true;
    return this.#rest(graceMs, 'all');
  }

  /** Has it deliver what it has read, for at most `graceMs`, and ends it. `resume` starts another one. */
  pause(graceMs: number): Promise<void> {
    return this.#rest(graceMs, 'read');
  }

  /** After `pause`. Resolves as `start` does; one that cannot be started is tried again. */
  async resume(): Promise<void> {
    if (this.#ended) return;
    this.#stopping = false;
    try {
      await this.start();
    } catch (error) {
      this.#cannotStart(error);
    }
  }

  async #rest(graceMs: number, deliver: 'all' | 'read'): Promise<void> {
    clearTimeout(this.#restartTimer);
    this.#stopping = true;
    this.post({ type: 'stop', graceMs, deliver });
    const worker = this.#worker;
    if (worker === undefined) return;
    const timer = setTimeout(() => {
      this.#options.logger.log('warn', 'the endpoint thread did not stop in time and is ended', {
        endpoint: this.#options.name,
      });
      void worker.terminate();
    }, graceMs + STOP_MARGIN_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  #startLater(): void {
    this.#restartTimer = setTimeout(() => {
      try {
        void this.start();
      } catch (error) {
        this.#cannotStart(error);
      }
    }, RESTART_MS);
  }

  #cannotStart(error: unknown): void {
    if (this.#repetition.tell('restart') !== undefined) {
      this.#options.logger.log(
        'error',
        'the thread of the endpoint cannot be started; it is tried again, nothing is lost',
        { endpoint: this.#options.name, error: describeError(error) },
      );
    }
    this.#startLater();
  }

  #tellDeath(error: unknown): void {
    // What keeps it from starting fails again each second.
    const repeated = this.#repetition.tell(`thread ${describeError(error)}`);
    if (repeated === undefined) return;
    this.#options.logger.log(
      'error',
      'the thread of the endpoint failed; it is started again where it stood',
      {
        endpoint: this.#options.name,
        error: describeError(error),
        stack: error instanceof Error ? (error.stack ?? '') : '',
        ...(repeated > 0 ? { repeated } : {}),
      },
    );
  }
}
