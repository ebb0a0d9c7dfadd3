import { Worker } from 'node:worker_threads';
import type { EndpointConfig } from '../config/endpoints.ts';
import type { FileQueue } from '../filequeue/file-queue.ts';
import type { KeptEndpoint, PassedSegment } from '../filequeue/keeper.ts';
import type { EndpointLimits } from '../filequeue/retention.ts';
import type { Watermark } from '../filequeue/segment-log.ts';
import type { Ledger } from '../ledger/ledger.ts';
import {
  decodeProgress,
  lowest,
  newestProgress,
  type Progress,
  progressPath,
  readProgressFile,
} from '../network/progress.ts';
import { describeError } from '../runtime/errors.ts';
import type { Position } from '../serialization/position.ts';
import { EndpointStats } from '../telemetry/endpoint-stats.ts';
import { type Logger, Repetition } from '../telemetry/log.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';
import { SharedWatermark } from './shared-watermark.ts';

export interface EndpointOptions {
  readonly config: EndpointConfig;
  /** The configuration as text, for the worker to read again: secrets do not travel between threads. */
  readonly configSource: WorkerStart['config'];
  readonly dataDir: string;
  readonly queue: FileQueue;
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly userAgent: string;
  readonly now: () => number;
  /** The endpoint needs nothing before its `low` any more, and that is saved. */
  readonly onReleased: () => void;
  /** Its position could not be saved. */
  readonly onSaveFailed: (error: unknown) => void;
  readonly limits: EndpointLimits;
}

/** After the thread of an endpoint died, it is started again after this time. */
const RESTART_MS = 1000;
/** Beyond the grace that it was given, a thread gets this long to stop by itself. */
const STOP_MARGIN_MS = 5000;

/**
 * The main thread's side of an endpoint: owns its worker thread, saves its progress, wakes it.
 *
 * A thread that dies is started again where its progress says; its neighbours and the receiver do not notice.
 */
export class Endpoint implements KeptEndpoint {
  readonly name: string;
  readonly config: EndpointConfig;
  readonly limits: EndpointLimits;
  readonly stats: EndpointStats = new EndpointStats();
  readonly #options: EndpointOptions;
  readonly #watermark: SharedWatermark = new SharedWatermark();
  #worker: Worker | undefined;
  #exited: Promise<void> = Promise.resolve();
  #low: Position;
  /** The newest position that could not be saved. */
  #unsaved: Uint8Array | undefined;
  #committedRows = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  #stopping = false;
  readonly #repetition: Repetition;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.config = options.config;
    this.limits = options.limits;
    this.name = options.config.name;
    this.#repetition = new Repetition(options.now);
    this.#low = this.#whereItStands().start;
  }

  /** The position before which this endpoint needs nothing any more, as saved. */
  get low(): Position {
    return this.#low;
  }

  /** Starts the thread; resolves when it reads, or has failed to start for the first time. */
  start(): Promise<void> {
    this.publish(this.#options.queue.watermark, 0);
    return this.#startWorker();
  }

  /** Tells the worker how far it may read; `rows` more rows were committed. */
  publish(watermark: Watermark, rows: number): void {
    this.#committedRows += rows;
    if (this.#watermark.publish(watermark, this.#committedRows)) this.#post({ type: 'wake' });
  }

  dropBefore(segment: number, reason: EndpointReason, passed: readonly PassedSegment[]): void {
    if (!this.#stopping) this.#post({ type: 'drop', before: segment, reason, passed });
  }

  saveAgain(): void {
    if (this.#unsaved !== undefined) this.#save(this.#unsaved);
  }

  /** Delivers for at most `graceMs`, then stops; what is unsent stays on disk. Idempotent. */
  async stop(graceMs: number): Promise<void> {
    clearTimeout(this.#restartTimer);
    this.#stopping = true;
    this.#post({ type: 'stop', graceMs });
    const worker = this.#worker;
    if (worker === undefined) return;
    const timer = setTimeout(() => {
      this.#options.logger.log('warn', 'the endpoint thread did not stop in time and is ended', {
        endpoint: this.name,
      });
      void worker.terminate();
    }, graceMs + STOP_MARGIN_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  #post(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  /** What is known of the endpoint's place in the queue, from the ledger and its progress file. */
  #whereItStands(): { progress: Progress | undefined; block: Uint8Array | undefined; start: Position } {
    const { ledger, queue, dataDir } = this.#options;
    const saved = ledger.progress(this.name);
    const blocks = [
      ...readProgressFile(progressPath(dataDir, this.name)),
      ...(saved === undefined ? [] : [saved]),
    ];
    const decoded = blocks.map(decodeProgress);
    const progress = newestProgress(decoded);
    if (progress !== undefined) {
      return { progress, block: blocks[decoded.indexOf(progress)], start: lowest(progress) };
    }
    const { watermark } = queue;
    const oldest = { segment: queue.segments[0]?.id ?? watermark.segment, row: 0 };
    const start =
      this.config.startAt === 'now' ? { segment: watermark.segment, row: watermark.rows } : oldest;
    return { progress: undefined, block: undefined, start };
  }

  #startWorker(): Promise<void> {
    const { queue, configSource, dataDir, userAgent } = this.#options;
    const { progress, block, start } = this.#whereItStands();
    const behindStart = queue.rowsFrom(start.segment, start.row);
    const waitingRows =
      progress === undefined
        ? behindStart
        : Math.min(
            behindStart,
            progress.unsettled + queue.rowsFrom(progress.front.segment, progress.front.row),
          );
    const workerData: WorkerStart = {
      endpoint: this.name,
      dataDir,
      config: configSource,
      stats: this.stats.buffer,
      watermark: this.#watermark.buffer,
      progress: block,
      start,
      waitingRows,
      committedRows: this.#committedRows,
      settledAhead: behindStart - waitingRows,
      userAgent,
    };
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData,
      name: `endpoint ${this.name}`,
    });
    this.#worker = worker;
    worker.on('message', (message: FromWorker) => this.#received(message));
    const ready = new Promise<void>((resolve) => {
      worker.once('message', () => resolve());
    });
    this.#exited = new Promise((resolve) => {
      worker.on('error', (error) => {
        this.#options.logger.log(
          'error',
          'the thread of the endpoint failed; it is started again where it stood',
          {
            endpoint: this.name,
            error: describeError(error),
            stack: error instanceof Error ? (error.stack ?? '') : '',
          },
        );
      });
      worker.on('exit', () => {
        this.#worker = undefined;
        resolve();
        if (!this.#stopping) this.#restartLater();
      });
    });
    return Promise.race([ready, this.#exited]);
  }

  #restartLater(): void {
    this.#restartTimer = setTimeout(() => {
      try {
        void this.#startWorker();
      } catch (error) {
        this.#tell(
          'restart',
          'the thread of the endpoint cannot be started; it is tried again, nothing is lost',
          error,
        );
        this.#restartLater();
      }
    }, RESTART_MS);
  }

  #tell(key: string, message: string, error: unknown): void {
    if (this.#repetition.tell(key) === undefined) return;
    this.#options.logger.log('error', message, { endpoint: this.name, error: describeError(error) });
  }

  /** Saves a progress block; if that fails it is kept, segments too, until it can be. */
  #save(block: Uint8Array): void {
    const { ledger, queue, now, onReleased, onSaveFailed } = this.#options;
    const progress = decodeProgress(block);
    if (progress === undefined) return;
    const low = lowest(progress);
    try {
      ledger.saveProgress(this.name, block, low, queue.watermark.segment + 1, now());
    } catch (error) {
      this.#unsaved = block;
      this.#tell('ledger', 'positions cannot be saved; segments are kept until they can be', error);
      onSaveFailed(error);
      return;
    }
    this.#unsaved = undefined;
    this.#repetition.over('ledger');
    this.#low = low;
    onReleased();
  }

  #received(message: FromWorker): void {
    const { logger } = this.#options;
    switch (message.type) {
      case 'log':
        logger.log(message.level, message.message, message.facts);
        return;
      case 'progress':
        this.#save(message.block);
        return;
      case 'ready':
      case 'stopped':
        return;
      default:
        message satisfies never;
    }
  }
}
