import type { EndpointConfig } from '../config/endpoints.ts';
import { type FileQueue, type SegmentRange, walDirectory } from '../filequeue/file-queue.ts';
import type { KeptEndpoint, PassedSegment } from '../filequeue/keeper.ts';
import type { EndpointLimits } from '../filequeue/retention.ts';
import type { Watermark } from '../filequeue/segment-log.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { DeadLetters } from '../network/dead-letter.ts';
import {
  decodeProgress,
  lowest,
  newestProgress,
  type Progress,
  ProgressFile,
  progressPath,
  readProgressFile,
  settledRows,
} from '../network/progress.ts';
import { describeError } from '../runtime/errors.ts';
import { comparePositions, type Position } from '../serialization/position.ts';
import { EndpointStats } from '../telemetry/endpoint-stats.ts';
import { type Logger, Repetition } from '../telemetry/log.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import type { DeliveryReport } from './delivery-watch.ts';
import { rowsBetween } from './gaps.ts';
import type { ToWorker, WorkerStart } from './messages.ts';
import { rewound } from './rewind.ts';
import { SharedWatermark } from './shared-watermark.ts';
import { EndpointThread, type ThreadMessage } from './thread.ts';

/** What a reload can change of an endpoint. */
export interface EndpointSetup {
  readonly config: EndpointConfig;
  /** The configuration as text, for the worker to read again: secrets do not travel between threads. */
  readonly configSource: WorkerStart['config'];
  readonly limits: EndpointLimits;
}

/** The queue, as an endpoint needs it. */
export type EndpointQueue = Pick<FileQueue, 'segments' | 'watermark' | 'oldest' | 'rowsFrom'>;

export interface EndpointOptions {
  readonly setup: EndpointSetup;
  readonly dataDir: string;
  /** Of another directory than the one in `dataDir`, that is only read: a backup. */
  readonly readOnlyWal?: string;
  readonly queue: EndpointQueue;
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly userAgent: string;
  readonly now: () => number;
  /** The endpoint needs nothing before its `low` any more, and that is saved. */
  readonly onReleased: () => void;
  /** Its position could not be saved. */
  readonly onSaveFailed: (error: unknown) => void;
  /** Segments that came while it was not configured, which are not for it; by ascending ids. */
  readonly gaps: readonly SegmentRange[];
  /** When somebody paused it, ms; undefined for one that delivers. */
  readonly pausedMs: number | undefined;
}

/** How long after a failure letters are tried to be kept once more. */
const KEEP_AGAIN_MS = 200;

/**
 * The main thread's side of an endpoint: owns its worker thread, saves its progress, wakes it.
 *
 * A thread that dies is started again where its progress says; its neighbours and the receiver do not notice.
 */
export class Endpoint implements KeptEndpoint {
  readonly name: string;
  #setup: EndpointSetup;
  readonly stats: EndpointStats = new EndpointStats();
  readonly #options: EndpointOptions;
  readonly #watermark: SharedWatermark = new SharedWatermark();
  readonly #thread: EndpointThread;
  #low: Position;
  /** No position of this queue is behind it. */
  #end: Position;
  /** The newest position that could not be saved. */
  #unsaved: Uint8Array | undefined;
  #committedRows = 0;
  /** Rows received, when `#committedRows` was 0. */
  #receivedBefore = 0;
  #unaccounted = 0;
  #delivery: DeliveryReport | undefined;
  readonly #before: { readonly delivered: number; readonly lost: number };
  #pausedMs: number | undefined;
  readonly #repetition: Repetition;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#pausedMs = options.pausedMs;
    this.#setup = options.setup;
    this.name = options.setup.config.name;
    this.#repetition = new Repetition(options.now);
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
    const newest = options.queue.segments.at(-1)?.id ?? 0;
    // Not the watermark: ids go on behind every position that is saved anywhere, foreign ones included.
    const returned = options.gaps.at(-1)?.to ?? 0;
    this.#end = { segment: Math.max(newest + 1, options.ledger.minNextSegment, returned), row: 0 };
    const { progress, start } = this.#whereItStands();
    this.#low = start;
    this.#receivedBefore = this.#received(progress, start);
    // Here, and not by the thread alone: a scrape before that has read them would see counters go to 0 and back.
    if (progress !== undefined) this.stats.load(progress.counts, progress.returned);
    this.#before = { delivered: this.stats.deliveredRows, lost: this.stats.lostRows };
  }

  get config(): EndpointConfig {
    return this.#setup.config;
  }

  get limits(): EndpointLimits {
    return this.#setup.limits;
  }

  /** Rows that the queue had for this endpoint since it is there. */
  get receivedRows(): number {
    return this.#receivedBefore + this.#committedRows;
  }

  /** Rows that are durable and not settled, by `stats`: its own, or a snapshot of them. */
  waitingRows(stats: EndpointStats = this.stats): number {
    return Math.max(0, this.receivedRows + stats.get('returnedRows') - stats.settledRows);
  }

  /**
   * What the counts and the positions differ by, at the last time they were saved: received + returned = delivered +
   * lost + waiting, where waiting is counted in the queue from the positions on. Anything but 0 is a defect.
   */
  get unaccountedRows(): number {
    return this.#unaccounted;
  }

  /** How it answers, as its thread last said; undefined while there is no thread. */
  get delivery(): DeliveryReport | undefined {
    return this.#delivery;
  }

  /** What its thread does: it died and is started again, where it is `restarting`. */
  get thread(): EndpointThread['state'] {
    return this.#thread.state;
  }

  /** Rows that were delivered, and lost, since this process started. */
  get settledNow(): { readonly delivered: number; readonly lost: number } {
    const { delivered, lost } = this.#before;
    return { delivered: this.stats.deliveredRows - delivered, lost: this.stats.lostRows - lost };
  }

  /** When somebody paused it, ms; undefined while it delivers. */
  get pausedSinceMs(): number | undefined {
    return this.#pausedMs;
  }

  /** The position before which this endpoint needs nothing any more, as saved. */
  get low(): Position {
    return this.#low;
  }

  /** Starts the thread; resolves when it reads, or has failed to start for the first time. */
  start(): Promise<void> {
    this.#watermark.publish(this.#options.queue.watermark, 0);
    return this.#thread.start();
  }

  /** Tells the worker how far it may read; `rows` more rows were committed. */
  publish(watermark: Watermark, rows: number): void {
    this.#committedRows += rows;
    // Behind an ended segment a reader stands at the next one, before main says so.
    this.#end = { segment: Math.max(watermark.segment + 1, this.#options.gaps.at(-1)?.to ?? 0), row: 0 };
    if (this.#watermark.publish(watermark, this.#committedRows)) this.#thread.post({ type: 'wake' });
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
    if (this.#unsaved !== undefined) this.#save(this.#unsaved);
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
    this.#watermark.publish(this.#options.queue.watermark, this.#committedRows);
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
    const { progress } = this.#whereItStands();
    if (progress === undefined) return 0;
    return Math.max(0, this.#rowsFrom({ segment, row: 0 }) - this.#waitingBehind(progress));
  }

  /** Rows that wait for it in segments below `segment`, at most: what it has read ahead counts as before them. */
  rowsBefore(segment: number): number {
    return Math.max(0, this.waitingRows() - this.#rowsFrom({ segment, row: 0 }));
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
    const before = this.#low;
    try {
      const { progress } = this.#whereItStands();
      // While its thread came to rest, segments were released.
      const to = { segment: Math.max(segment, this.#options.queue.oldest), row: 0 };
      if (progress === undefined || this.#thread.ended || comparePositions(to, before) > 0) {
        return { segment: before.segment, rows: 0 };
      }
      this.#options.ledger.orders.dropSkip(this.name);
      // From here on nothing behind `to` is deleted.
      this.#low = to;
      const rows = this.#rowsFrom(to) - this.#waitingBehind(progress);
      const block = rewound(progress, to, rows);
      const file = new ProgressFile(progressPath(this.#options.dataDir, this.name));
      try {
        await file.writeDurably(block);
      } finally {
        file.close();
      }
      this.#save(block);
      return { segment: to.segment, rows };
    } catch (error) {
      this.#low = before;
      throw error;
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
      .filter(({ id }) => id >= this.#low.segment && id < segment)
      .map(({ id, rows, counts }) => ({ id, rows, counts }));
  }

  /** What is known of the endpoint's place in the queue, from the ledger and its progress file. */
  #whereItStands(): { progress: Progress | undefined; block: Uint8Array | undefined; start: Position } {
    const { ledger, queue, dataDir } = this.#options;
    const saved = ledger.progress(this.name);
    const blocks = [
      ...readProgressFile(progressPath(dataDir, this.name)),
      ...(saved === undefined ? [] : [saved]),
    ];
    const decoded = blocks.map((bytes) => this.#trusted(decodeProgress(bytes)));
    const progress = newestProgress(decoded);
    if (progress !== undefined) {
      return { progress, block: blocks[decoded.indexOf(progress)], start: lowest(progress) };
    }
    const { watermark, oldest } = queue;
    const start =
      this.config.startAt === 'now'
        ? { segment: watermark.segment, row: watermark.rows }
        : { segment: oldest, row: 0 };
    return { progress: undefined, block: undefined, start };
  }

  /** Rows from `position` on that are published: of a frame that has just been written, main may not know yet. */
  #rowsFrom(position: Position): number {
    const { queue, gaps } = this.#options;
    const { segment, rows } = queue.watermark;
    return rowsBetween(queue, position, { segment, row: rows }, gaps);
  }

  /** Rows received up to now. */
  #received(progress: Progress | undefined, start: Position): number {
    return progress === undefined
      ? this.#rowsFrom(start)
      : progress.received + this.#rowsFrom(progress.known);
  }

  /** Rows that wait, counted in the queue from the positions on. */
  #waitingBehind(progress: Progress): number {
    return progress.unsettled + this.#rowsFrom(progress.front);
  }

  /**
   * A position behind the end of the queue cannot be of this queue: nothing is delivered before it is durable, and ids
   * only grow. To believe it (a file of another data directory, a queue that was put back from a copy) would be to
   * pass over what waits. Where nothing waits there is nothing to pass over.
   */
  #trusted(progress: Progress | undefined): Progress | undefined {
    const { queue } = this.#options;
    if (progress === undefined || queue.segments.length === 0) return progress;
    const furthest = [progress.front, ...progress.low, ...progress.sent];
    if (furthest.every((position) => comparePositions(position, this.#end) <= 0)) return progress;
    this.#tell(
      'foreign progress',
      'the saved position of the endpoint is behind the end of the queue and is not believed; without another one it starts as a new one',
      new Error(
        `it stands at segment ${progress.front.segment}, the queue ends at segment ${this.#end.segment}`,
      ),
    );
    return undefined;
  }

  #begin(): { workerData: WorkerStart; orders: ToWorker[] } {
    const { dataDir, readOnlyWal, userAgent, logger, gaps } = this.#options;
    const { progress, block, start } = this.#whereItStands();
    const skipsTo = this.#options.ledger.orders.skipsTo(this.name);
    const behindStart = this.#rowsFrom(start);
    const waiting =
      progress === undefined ? behindStart : Math.min(behindStart, this.#waitingBehind(progress));
    const received = this.#received(progress, start);
    const settled = progress === undefined ? 0 : settledRows(progress) - progress.returned;
    const gap = received - settled - waiting;
    if (gap > 0) {
      logger.log(
        'error',
        'rows that were acknowledged are not in the queue any more; they count as damaged',
        {
          endpoint: this.name,
          rows: gap,
        },
      );
    }
    const workerData: WorkerStart = {
      endpoint: this.name,
      dataDir,
      walDir: readOnlyWal ?? walDirectory(dataDir),
      readOnly: readOnlyWal !== undefined,
      config: this.#setup.configSource,
      stats: this.stats.buffer,
      watermark: this.#watermark.buffer,
      progress: block,
      start,
      received,
      committedRows: this.#committedRows,
      missing: Math.max(0, gap),
      returned: Math.max(0, -gap),
      settledAhead: behindStart - waiting,
      gaps,
      userAgent,
      paused: this.#pausedMs !== undefined,
      ...this.#learned(),
    };
    // The thread before may have died with the order half done.
    const orders: ToWorker[] =
      skipsTo === undefined
        ? []
        : [{ type: 'drop', before: skipsTo, reason: 'skipped', passed: this.#neededBefore(skipsTo) }];
    return { workerData, orders };
  }

  /** What the ledger has for an endpoint that may be sent remote write 2.0. None of it is needed to deliver. */
  #learned(): Pick<WorkerStart, 'metadata' | 'fellBackMs'> {
    const { messageVersion, url } = this.config;
    if (messageVersion === '1.0') return { metadata: [], fellBackMs: undefined };
    const { metadata, versions } = this.#options.ledger;
    try {
      const fellBackMs = messageVersion === 'auto' ? versions.fellBackMs(this.name, url.text) : undefined;
      return { metadata: metadata.all(), fellBackMs };
    } catch (error) {
      this.#tell('learned', 'the metadata in the ledger cannot be read; senders will tell it again', error);
      return { metadata: [], fellBackMs: undefined };
    }
  }

  /** Keeps what the thread has learned, if that can be done. */
  #learn(keep: (ledger: Ledger) => void): void {
    try {
      keep(this.#options.ledger);
      this.#repetition.over('learn');
    } catch (error) {
      this.#tell(
        'learn',
        'metadata cannot be kept in the ledger; after a restart it is learned again',
        error,
      );
    }
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
    this.#unaccounted =
      this.#receivedBefore +
      this.#committedRows +
      progress.returned -
      settledRows(progress) -
      this.#waitingBehind(progress);
    onReleased();
  }

  /** Keeps letters, if that can be done. Never rejects. */
  async #keep(letters: DeadLetters): Promise<void> {
    const { deadLetters } = this.#options.ledger;
    try {
      try {
        deadLetters.keep(this.name, letters);
      } catch (error) {
        // On a full disk the reserve is given up now; then there is room.
        this.#options.onSaveFailed(error);
        await new Promise((resolve) => setTimeout(resolve, KEEP_AGAIN_MS));
        deadLetters.keep(this.name, letters);
      }
      this.#repetition.over('letters');
    } catch (error) {
      this.#tell(
        'letters',
        'dead letters cannot be kept; the rows are counted as rejected, and are gone',
        error,
      );
      deadLetters.lost(this.name, letters.letters.length);
    }
  }

  #heard(message: ThreadMessage): void {
    const { logger } = this.#options;
    switch (message.type) {
      case 'log':
        logger.log(message.level, message.message, message.facts);
        return;
      case 'progress':
        this.#save(message.block);
        return;
      case 'metadata':
        this.#learn(({ metadata }) => metadata.save(message.families, this.#options.now()));
        return;
      case 'version':
        this.#learn(({ versions }) => versions.note(this.name, this.config.url.text, message.fellBackMs));
        return;
      case 'letters':
        void this.#keep(message.letters).then(() => this.#thread.post({ type: 'kept', id: message.id }));
        return;
      case 'delivery':
        this.#delivery = message.report;
        return;
      default:
        message satisfies never;
    }
  }
}
