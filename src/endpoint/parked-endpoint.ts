import type { FileQueue, SegmentRange } from '../filequeue/file-queue.ts';
import type { KeptEndpoint } from '../filequeue/keeper.ts';
import type { EndpointLimits } from '../filequeue/retention.ts';
import type { Absence, Ledger } from '../ledger/ledger.ts';
import {
  decodeProgress,
  lowest,
  newestProgress,
  type Progress,
  ProgressBlock,
  ProgressFile,
  progressPath,
  readProgressFile,
} from '../network/progress.ts';
import { describeError } from '../runtime/errors.ts';
import type { Position } from '../serialization/position.ts';
import { KINDS, SAMPLE } from '../serialization/rows.ts';
import { EndpointStats } from '../telemetry/endpoint-stats.ts';
import { type Logger, Repetition } from '../telemetry/log.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import { earlier, later, rowsBetween } from './gaps.ts';

export interface ParkedOptions {
  readonly name: string;
  readonly absences: readonly Absence[];
  readonly dataDir: string;
  readonly queue: FileQueue;
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly now: () => number;
  readonly onReleased: () => void;
  readonly onSaveFailed: (error: unknown) => void;
}

/** It never stops the receiver: at a cap its rows go first, for nobody waits for them at this moment. */
const limits: EndpointLimits = {
  whenFull: 'drop_oldest',
  maxBytes: Number.POSITIVE_INFINITY,
  maxAgeMs: Number.POSITIVE_INFINITY,
};

/**
 * An endpoint that was taken out of the configuration while rows waited for it. It has no thread. The rows that came
 * before it left are kept until it comes back, is forgotten on purpose, or a cap is met; those that come meanwhile are
 * not for it.
 */
export class ParkedEndpoint implements KeptEndpoint {
  readonly name: string;
  readonly limits: EndpointLimits = limits;
  readonly sinceMs: number;
  /** Times before in which it was not configured. */
  readonly gaps: readonly SegmentRange[];
  /** The first segment that is not for it. */
  readonly end: number;
  readonly #options: ParkedOptions;
  readonly #repetition: Repetition;
  #progress: Progress;
  #dropping: Promise<void> | undefined;
  #retired = false;

  private constructor(options: ParkedOptions, progress: Progress, away: Absence) {
    this.#options = options;
    this.#repetition = new Repetition(options.now);
    this.name = options.name;
    this.sinceMs = away.sinceMs;
    this.end = away.from;
    this.gaps = gapsOf(options.absences);
    this.#progress = progress;
  }

  /** Undefined when it is not away, or nothing is known of where it stood. Throws what the file system throws. */
  static find(options: ParkedOptions): ParkedEndpoint | undefined {
    const away = options.absences.find(({ to }) => to === undefined);
    const progress = newestProgress(savedProgress(options));
    return away && progress && new ParkedEndpoint(options, progress, away);
  }

  get low(): Position {
    return lowest(this.#progress);
  }

  /** Rows that are kept for it. */
  get waitingRows(): number {
    const { unsettled, front } = this.#progress;
    const behindLow = this.#rows(this.low, this.#end);
    return Math.max(0, Math.min(behindLow, unsettled + this.#rows(front, this.#end)));
  }

  /** The segments that are kept for it; undefined when nothing is. */
  get kept(): SegmentRange | undefined {
    return this.waitingRows === 0 ? undefined : { from: this.low.segment, to: this.end };
  }

  /** Bytes of the segments that are kept for it, which others may need as well. */
  get bytes(): number {
    const range = this.kept;
    if (range === undefined) return 0;
    return this.#options.queue.segments
      .filter(({ id }) => id >= range.from && id < range.to)
      .reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Rows of it that were given up, since it is there. */
  dropped(reason: EndpointReason): number {
    const stats = new EndpointStats();
    stats.load(this.#progress.counts, 0);
    let rows = 0;
    for (let kind = 0; kind < KINDS; kind++) rows += stats.lost(reason, kind);
    return rows;
  }

  /**
   * Counts rows as given up, and moves its place behind them. What its thread had read ahead goes together: which of
   * these rows were delivered nobody knows without reading them again.
   */
  dropBefore(segment: number, reason: EndpointReason): void {
    if (this.#retired || this.#dropping !== undefined) return;
    this.#dropping = this.#drop(segment, reason)
      .catch((error: unknown) => {
        this.#options.onSaveFailed(error);
        if (this.#repetition.tell('drop') === undefined) return;
        this.#options.logger.log(
          'error',
          'rows of an endpoint that is not configured cannot be given up; it is tried again',
          { endpoint: this.name, error: describeError(error) },
        );
      })
      .finally(() => {
        this.#dropping = undefined;
      });
  }

  /** After `retire`: it stays, after all. */
  goOn(): void {
    this.#retired = false;
  }

  /** Nothing is given up any more; resolves when nothing is being written for it. Idempotent. */
  async retire(): Promise<void> {
    this.#retired = true;
    await this.#dropping;
  }

  /** What could not be saved is given up anew by the next look at the caps. */
  saveAgain(): void {}

  get #end(): Position {
    return { segment: this.end, row: 0 };
  }

  #rows(from: Position, to: Position): number {
    return rowsBetween(this.#options.queue, from, to, this.gaps);
  }

  async #drop(segment: number, reason: EndpointReason): Promise<void> {
    const { dataDir, ledger, queue, logger, now, onReleased } = this.#options;
    const progress = this.#progress;
    const { front, furthest, known } = progress;
    const readTo = progress.low.reduce(later, later(front, furthest));
    const at = earlier(this.#end, later({ segment, row: 0 }, readTo));
    const stats = new EndpointStats();
    stats.load(progress.counts, progress.returned);
    let rows = Math.max(0, progress.unsettled + this.#rows(front, at));
    const given = rows;
    for (const info of queue.segments) {
      if (info.id <= front.segment || info.id >= at.segment) continue;
      if (this.gaps.some(({ from, to }) => info.id >= from && info.id < to)) continue;
      info.counts.forEach((count, kind) => {
        const counted = Math.min(count, rows);
        stats.addLost(reason, kind, counted);
        rows -= counted;
      });
    }
    // Of what kind the others are nobody looks up.
    stats.addLost(reason, SAMPLE, rows);
    const block = new ProgressBlock(progress.sequence, progress.routing);
    block.loop.set(progress.loops);
    block.lowSegment.fill(at.segment);
    block.lowRow.fill(at.row);
    progress.sent.forEach((position, s) => {
      const sent = later(position, at);
      block.sentSegment[s] = sent.segment;
      block.sentRow[s] = sent.row;
    });
    const standing = {
      unsettled: 0,
      front: at,
      furthest: at,
      received: progress.received + Math.max(0, this.#rows(known, at)),
      known: later(known, at),
      returned: progress.returned,
    };
    const bytes = block.seal(standing, stats.counts);
    const file = new ProgressFile(progressPath(dataDir, this.name));
    try {
      await file.writeDurably(bytes);
    } finally {
      file.close();
    }
    ledger.saveProgress(this.name, bytes, at, queue.watermark.segment + 1, now());
    this.#progress = decodeProgress(bytes)!;
    this.#repetition.over('drop');
    onReleased();
    if (given === 0 || this.#repetition.tell('dropped') === undefined) return;
    logger.log(
      'warn',
      `the oldest rows that were kept for an endpoint that is not configured were given up, counted as ${reason}`,
      { endpoint: this.name, rows: given, waiting_rows: this.waitingRows },
    );
  }
}

/** Everything that is saved of where an endpoint stands. */
function savedProgress({ name, dataDir, ledger }: ParkedOptions): (Progress | undefined)[] {
  const saved = ledger.progress(name);
  const blocks = [...readProgressFile(progressPath(dataDir, name)), ...(saved === undefined ? [] : [saved])];
  return blocks.map(decodeProgress);
}

/** The absences that are over. */
export function gapsOf(absences: readonly Absence[]): SegmentRange[] {
  return absences.flatMap(({ from, to }) => (to === undefined ? [] : [{ from, to }]));
}
