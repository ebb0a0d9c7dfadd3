import type { EndpointConfig } from '../config/endpoints.ts';
import type { FileQueue, SegmentRange } from '../filequeue/file-queue.ts';
import type { Watermark } from '../filequeue/segment-log.ts';
import type { Ledger } from '../ledger/ledger.ts';
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
import { rowsBetween } from './gaps.ts';
import type { WorkerStart } from './messages.ts';
import { rewound } from './rewind.ts';

export interface BooksOptions {
  /** Of the endpoint. */
  readonly name: string;
  /** Where it starts when nothing is known of it. */
  readonly startAt: () => EndpointConfig['startAt'];
  readonly dataDir: string;
  readonly queue: Pick<FileQueue, 'segments' | 'watermark' | 'oldest' | 'rowsFrom'>;
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly now: () => number;
  /** The endpoint needs nothing before its `low` any more, and that is saved. */
  readonly onReleased: () => void;
  /** Its position could not be saved. */
  readonly onSaveFailed: (error: unknown) => void;
  /** Segments that came while it was not configured, which are not for it; by ascending ids. */
  readonly gaps: readonly SegmentRange[];
}

/** What a thread is told of the books when it starts. */
export type BooksOpening = Pick<
  WorkerStart,
  | 'stats'
  | 'progress'
  | 'start'
  | 'received'
  | 'committedRows'
  | 'missing'
  | 'returned'
  | 'settledAhead'
  | 'gaps'
>;

/**
 * Where an endpoint stands in the queue, and what became of its rows: what it received is what it delivered, lost and
 * still has to wait for, also across restarts.
 *
 * Its thread counts in `stats`, which is shared memory, and sends its positions with the counts that belong to them as
 * progress blocks. They are saved in the ledger here; the thread itself writes them to the progress file. Whichever is
 * newer counts when a thread starts.
 */
export class EndpointBooks {
  readonly stats: EndpointStats = new EndpointStats();
  readonly #options: BooksOptions;
  readonly #repetition: Repetition;
  #low: Position;
  /** No position of this queue is behind it. */
  #end: Position;
  /** The newest position that could not be saved. */
  #unsaved: Uint8Array | undefined;
  #committedRows = 0;
  /** Rows received, when `#committedRows` was 0. */
  readonly #receivedBefore: number;
  #unaccounted = 0;
  readonly #before: { readonly delivered: number; readonly lost: number };

  constructor(options: BooksOptions) {
    this.#options = options;
    this.#repetition = new Repetition(options.now);
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

  /** The position before which the endpoint needs nothing any more, as saved. */
  get low(): Position {
    return this.#low;
  }

  /** Rows that were committed since this process started. */
  get committedRows(): number {
    return this.#committedRows;
  }

  /** Rows that the queue had for the endpoint since it is there. */
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

  /** Rows that were delivered, and lost, since this process started. */
  get settledNow(): { readonly delivered: number; readonly lost: number } {
    const { delivered, lost } = this.#before;
    return { delivered: this.stats.deliveredRows - delivered, lost: this.stats.lostRows - lost };
  }

  /** `rows` more rows were committed, up to `watermark`. */
  committed(watermark: Watermark, rows: number): void {
    this.#committedRows += rows;
    // Behind an ended segment a reader stands at the next one, before main says so.
    this.#end = { segment: Math.max(watermark.segment + 1, this.#options.gaps.at(-1)?.to ?? 0), row: 0 };
  }

  /** For a thread that starts now. Rows that should be in the queue and are not are logged, and the thread counts them. */
  open(): BooksOpening {
    const { logger, gaps } = this.#options;
    const { progress, block, start } = this.#whereItStands();
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
          endpoint: this.#options.name,
          rows: gap,
        },
      );
    }
    return {
      stats: this.stats.buffer,
      progress: block,
      start,
      received,
      committedRows: this.#committedRows,
      missing: Math.max(0, gap),
      returned: Math.max(0, -gap),
      settledAhead: behindStart - waiting,
      gaps,
    };
  }

  /** Saves a progress block; if that fails it is kept, segments too, until it can be. */
  save(block: Uint8Array): void {
    const { name, ledger, queue, now, onReleased, onSaveFailed } = this.#options;
    const progress = decodeProgress(block);
    if (progress === undefined) return;
    const low = lowest(progress);
    try {
      ledger.saveProgress(name, block, low, queue.watermark.segment + 1, now());
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

  saveAgain(): void {
    if (this.#unsaved !== undefined) this.save(this.#unsaved);
  }

  /** Rows that would be sent again, if it went back to `segment`: they were settled, or were not for it. */
  rowsBackTo(segment: number): number {
    const { progress } = this.#whereItStands();
    if (progress === undefined) return 0;
    return Math.max(0, this.#rowsFrom({ segment, row: 0 }) - this.#waitingBehind(progress));
  }

  /** Rows that wait in segments below `segment`, at most: what was read ahead counts as before them. */
  rowsBefore(segment: number): number {
    return Math.max(0, this.waitingRows() - this.#rowsFrom({ segment, row: 0 }));
  }

  /**
   * Goes back to where `segment` begins, or to the oldest that is left, while no thread runs. Returns where it stands
   * then, and how many rows that brings back. Rejects with what file system and ledger throw, and then stands where it
   * stood.
   */
  async goBack(segment: number): Promise<{ readonly segment: number; readonly rows: number }> {
    const { name, dataDir, queue, ledger } = this.#options;
    const before = this.#low;
    try {
      const { progress } = this.#whereItStands();
      // While its thread came to rest, segments were released.
      const to = { segment: Math.max(segment, queue.oldest), row: 0 };
      if (progress === undefined || comparePositions(to, before) > 0) {
        return { segment: before.segment, rows: 0 };
      }
      ledger.orders.dropSkip(name);
      // From here on nothing behind `to` is deleted.
      this.#low = to;
      const rows = this.#rowsFrom(to) - this.#waitingBehind(progress);
      const block = rewound(progress, to, rows);
      const file = new ProgressFile(progressPath(dataDir, name));
      try {
        await file.writeDurably(block);
      } finally {
        file.close();
      }
      this.save(block);
      return { segment: to.segment, rows };
    } catch (error) {
      this.#low = before;
      throw error;
    }
  }

  /** What is known of the endpoint's place in the queue, from the ledger and its progress file. */
  #whereItStands(): { progress: Progress | undefined; block: Uint8Array | undefined; start: Position } {
    const { name, startAt, ledger, queue, dataDir } = this.#options;
    const saved = ledger.progress(name);
    const blocks = [
      ...readProgressFile(progressPath(dataDir, name)),
      ...(saved === undefined ? [] : [saved]),
    ];
    const decoded = blocks.map((bytes) => this.#trusted(decodeProgress(bytes)));
    const progress = newestProgress(decoded);
    if (progress !== undefined) {
      return { progress, block: blocks[decoded.indexOf(progress)], start: lowest(progress) };
    }
    const { watermark, oldest } = queue;
    const start =
      startAt() === 'now' ? { segment: watermark.segment, row: watermark.rows } : { segment: oldest, row: 0 };
    return { progress: undefined, block: undefined, start };
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

  /** Rows from `position` on that are published: of a frame that has just been written, main may not know yet. */
  #rowsFrom(position: Position): number {
    const { queue, gaps } = this.#options;
    const { segment, rows } = queue.watermark;
    return rowsBetween(queue, position, { segment, row: rows }, gaps);
  }

  #tell(key: string, message: string, error: unknown): void {
    if (this.#repetition.tell(key) === undefined) return;
    const { name, logger } = this.#options;
    logger.log('error', message, { endpoint: name, error: describeError(error) });
  }
}
