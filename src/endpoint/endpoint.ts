import type { EndpointConfig } from '../config/endpoints.ts';
import { walDirectory } from '../filequeue/file-queue.ts';
import type { KeptEndpoint, PassedSegment } from '../filequeue/keeper.ts';
import type { EndpointLimits } from '../filequeue/retention.ts';
import type { Watermark } from '../filequeue/segment-log.ts';
import type { Position } from '../serialization/position.ts';
import type { EndpointStats } from '../telemetry/endpoint-stats.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import { type BooksOptions, EndpointBooks } from './books.ts';
import type { DeliveryReport } from './delivery-watch.ts';
import type { ToWorker, WorkerStart } from './messages.ts';
import { EndpointNotes } from './notes.ts';
import { SharedWatermark } from './shared-watermark.ts';
import { EndpointThread, type ThreadMessage } from './thread.ts';

/** What a reload can change of an endpoint. */
export interface EndpointSetup {
  readonly config: EndpointConfig;
  /** The configuration as text, for the worker to read again: secrets do not travel between threads. */
  readonly configSource: WorkerStart['config'];
  readonly limits: EndpointLimits;
}

export interface EndpointOptions extends Omit<BooksOptions, 'name' | 'startAt'> {
  readonly setup: EndpointSetup;
  /** Of another directory than the one in `dataDir`, that is only read: a backup. */
  readonly readOnlyWal?: string;
  readonly userAgent: string;
  /** When somebody paused it, ms; undefined for one that delivers. */
  readonly pausedMs: number | undefined;
}

/**
 * The main thread's side of an endpoint: owns its worker thread, its books and its notes, and says how far it may read.
 *
 * A thread that dies is started again where its progress says; its neighbours and the receiver do not notice.
 */
export class Endpoint implements KeptEndpoint {
  readonly name: string;
  #setup: EndpointSetup;
  readonly #options: EndpointOptions;
  readonly #watermark: SharedWatermark = new SharedWatermark();
  readonly #thread: EndpointThread;
  readonly #books: EndpointBooks;
  readonly #notes: EndpointNotes;
  #delivery: DeliveryReport | undefined;
  #pausedMs: number | undefined;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#pausedMs = options.pausedMs;
    this.#setup = options.setup;
    this.name = options.setup.config.name;
    this.#thread = new EndpointThread({
      name: this.name,
      logger: options.logger,
      now: options.now,
      begin: () => this.#begin(),
      onMessage: (message) => this.#heard(message),
      onExit: () => {
        this.#delivery = undefined;
      },
    });
    this.#books = new EndpointBooks({ ...options, name: this.name, startAt: () => this.config.startAt });
    this.#notes = new EndpointNotes({ ...options, name: this.name });
  }

  get config(): EndpointConfig {
    return this.#setup.config;
  }

  get limits(): EndpointLimits {
    return this.#setup.limits;
  }

  /** What its thread counts, in memory that is shared with it. */
  get stats(): EndpointStats {
    return this.#books.stats;
  }

  /** The position before which it needs nothing any more, as saved. */
  get low(): Position {
    return this.#books.low;
  }

  /** Rows that the queue had for it since it is there. */
  get receivedRows(): number {
    return this.#books.receivedRows;
  }

  /** Rows that are durable and not settled, by `stats`: its own, or a snapshot of them. */
  waitingRows(stats?: EndpointStats): number {
    return this.#books.waitingRows(stats);
  }

  /** What its counts and positions differ by: anything but 0 is a defect. */
  get unaccountedRows(): number {
    return this.#books.unaccountedRows;
  }

  /** Rows that were delivered, and lost, since this process started. */
  get settledNow(): EndpointBooks['settledNow'] {
    return this.#books.settledNow;
  }

  /** How it answers, as its thread last said; undefined while there is no thread. */
  get delivery(): DeliveryReport | undefined {
    return this.#delivery;
  }

  /** What its thread does: it died and is started again, where it is `restarting`. */
  get thread(): EndpointThread['state'] {
    return this.#thread.state;
  }

  /** When somebody paused it, ms; undefined while it delivers. */
  get pausedSinceMs(): number | undefined {
    return this.#pausedMs;
  }

  /** Starts the thread; resolves when it reads, or has failed to start for the first time. */
  start(): Promise<void> {
    this.#watermark.publish(this.#options.queue.watermark, 0);
    return this.#thread.start();
  }

  /** Tells the worker how far it may read; `rows` more rows were committed. */
  publish(watermark: Watermark, rows: number): void {
    this.#books.committed(watermark, rows);
    if (this.#watermark.publish(watermark, this.#books.committedRows)) this.#thread.post({ type: 'wake' });
  }

  dropBefore(segment: number, reason: EndpointReason, passed: readonly PassedSegment[]): void {
    if (!this.#thread.stopping) this.#thread.post({ type: 'drop', before: segment, reason, passed });
  }

  /**
   * Passes over what waits in the segments below `segment`, counted as `skipped`. When this returns that stands in the
   * ledger, and outlives thread and process. Throws what the ledger throws.
   */
  skipTo(segment: number): void {
    this.#options.ledger.orders.skip(this.name, segment);
    this.dropBefore(segment, 'skipped', this.#neededBefore(segment));
  }

  saveAgain(): void {
    this.#books.saveAgain();
  }

  /** Delivers for at most `graceMs`, then stops; what is unsent stays on disk. Idempotent. */
  stop(graceMs: number): Promise<void> {
    return this.#thread.stop(graceMs);
  }

  /**
   * Delivers what its thread has read, awaits the answers, and ends the thread, for at most `graceMs`: nothing is sent
   * twice if it is answered in that time. Its place in the queue is kept. `resume` goes on.
   */
  pause(graceMs: number): Promise<void> {
    return this.#thread.pause(graceMs);
  }

  /** After `pause`. Resolves as `start` does; a thread that cannot be started is tried again. */
  async resume(): Promise<void> {
    if (this.#thread.ended) return;
    this.#watermark.publish(this.#options.queue.watermark, this.#books.committedRows);
    await this.#thread.resume();
  }

  /**
   * Sends nothing from now on, or delivers again with undefined. Its thread rests first, as for a reload; a paused one
   * still gives up rows at a cap.
   */
  async setPaused(sinceMs: number | undefined, graceMs: number): Promise<void> {
    await this.pause(graceMs);
    this.#pausedMs = sinceMs;
    await this.resume();
  }

  /** Rows that would be sent again, if it went back to `segment`: they were settled, or were not for it. */
  rowsBackTo(segment: number): number {
    return this.#books.rowsBackTo(segment);
  }

  /** Rows that wait for it in segments below `segment`, at most: what it has read ahead counts as before them. */
  rowsBefore(segment: number): number {
    return this.#books.rowsBefore(segment);
  }

  /**
   * Goes back to where `segment` begins, which is not behind its `low`, and delivers from there once more. Returns
   * where it stands then, and how many rows that brings back; all that were sent before go as rows that may have been
   * delivered (RLY-13). Its thread rests first. Rejects with what file system and ledger throw, and then it goes on where
   * it stood.
   */
  async goBack(
    segment: number,
    graceMs: number,
  ): Promise<{ readonly segment: number; readonly rows: number }> {
    await this.pause(graceMs);
    try {
      if (this.#thread.ended) return { segment: this.low.segment, rows: 0 };
      return await this.#books.goBack(segment);
    } finally {
      await this.resume();
    }
  }

  /** Another setup, which counts for main at once and for the thread when it starts the next time. */
  adopt(setup: EndpointSetup): void {
    this.#setup = setup;
  }

  /** The segments below `segment` that it has not passed. */
  #neededBefore(segment: number): PassedSegment[] {
    return this.#options.queue.segments
      .filter(({ id }) => id >= this.low.segment && id < segment)
      .map(({ id, rows, counts }) => ({ id, rows, counts }));
  }

  #begin(): { workerData: WorkerStart; orders: ToWorker[] } {
    const { dataDir, readOnlyWal, userAgent, ledger } = this.#options;
    const skipsTo = ledger.orders.skipsTo(this.name);
    const workerData: WorkerStart = {
      endpoint: this.name,
      dataDir,
      walDir: readOnlyWal ?? walDirectory(dataDir),
      readOnly: readOnlyWal !== undefined,
      config: this.#setup.configSource,
      watermark: this.#watermark.buffer,
      userAgent,
      paused: this.#pausedMs !== undefined,
      ...this.#books.open(),
      ...this.#notes.learned(this.config),
    };
    // The thread before may have died with the order half done.
    const orders: ToWorker[] =
      skipsTo === undefined
        ? []
        : [{ type: 'drop', before: skipsTo, reason: 'skipped', passed: this.#neededBefore(skipsTo) }];
    return { workerData, orders };
  }

  #heard(message: ThreadMessage): void {
    const { logger } = this.#options;
    switch (message.type) {
      case 'log':
        logger.log(message.level, message.message, message.facts);
        return;
      case 'progress':
        this.#books.save(message.block);
        return;
      case 'metadata':
        this.#notes.keepMetadata(message.families);
        return;
      case 'version':
        this.#notes.keepVersion(this.config, message.fellBackMs);
        return;
      case 'letters':
        void this.#notes
          .keepLetters(message.letters)
          .then(() => this.#thread.post({ type: 'kept', id: message.id }));
        return;
      case 'delivery':
        this.#delivery = message.report;
        return;
      default:
        message satisfies never;
    }
  }
}
