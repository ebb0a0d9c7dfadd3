import * as path from 'node:path';
import type { SnappyBlocks } from '../protocol/snappy-blocks.ts';
import { lockDirectory } from '../runtime/directory-lock.ts';
import { SpillwayError } from '../runtime/errors.ts';
import type { FileSystem } from '../runtime/fs.ts';
import type { Codec } from '../serialization/codec.ts';
import type { Dictionary, SeriesGate } from '../serialization/dictionary.ts';
import { KINDS, type RowBatch } from '../serialization/rows.ts';
import { type CommitError, type CommitFacts, GroupCommit, type RollLimits } from './group-commit.ts';
import { type RecoveredDirectory, recoverDirectory } from './recovery.ts';
import type { RecoveryEvent } from './recovery-event.ts';
import { readReleased, writeReleased } from './released.ts';
import type { Full } from './retention.ts';
import { type SegmentEnd, type SegmentInfo, segmentPath } from './segment-file.ts';
import { type LogTrouble, SegmentLog, type Watermark } from './segment-log.ts';

/** Segments from `from` on, up to and without `to`. */
export interface SegmentRange {
  readonly from: number;
  readonly to: number;
}

/** A cap is reached: nothing more is taken until there is room. The sender keeps its rows and comes again. */
export class QueueFullError extends SpillwayError {
  readonly code = 'QUEUE_FULL';
  override readonly retryable = true;
}

/**
 * The file queue: one writer, many readers, on numbered segment files in one directory.
 *
 *     <wal>/lock                     held while a process uses the directory
 *     <wal>/<id>.open                being written
 *     <wal>/<id>.committed           ended
 *     <wal>/quarantine/...           what recovery cut or stepped over
 *     <wal>/released                 below which id segments were released beside others that stayed (released.ts)
 *     <wal>/reserve                  space that is given up when the disk is full (reserve.ts)
 *
 * What must hold:
 *  - `append` resolves only when the data is on the disk (O_DSYNC), and for a new file its name (fsync of the directory).
 *  - Ids only grow, also when the directory was emptied: the owner passes the lowest id that may be used.
 *  - A segment is removed by `release` alone, and the caller has made durable before that no reader needs it.
 *
 * Readers (endpoints) open the files by themselves, up to the watermark that `onCommit` reports.
 */
export class FileQueue {
  readonly dir: string;
  readonly recovery: readonly RecoveryEvent[];
  readonly #files: FileSystem;
  readonly #lock: { release(): void };
  readonly #segments: SegmentInfo[];
  #gone: readonly SegmentEnd[];
  readonly #log: SegmentLog;
  readonly #commits: GroupCommit;
  #watermark: Watermark;
  #endedBytes: number;
  #full: Full | undefined;
  #closing: Promise<void> | undefined;
  /** What is not there below this id is not missing: it was released beside segments that stayed. */
  #released: number;
  /** Up to here segments have been asked to go, by this process. */
  #releasing = 0;
  readonly #onTrouble: (trouble: LogTrouble) => void;

  private constructor(options: FileQueueOptions, lock: { release(): void }, recovered: RecoveredDirectory) {
    this.dir = options.dir;
    this.recovery = recovered.events;
    this.#files = options.files;
    this.#lock = lock;
    this.#segments = recovered.segments;
    this.#gone = recovered.gone;
    this.#released = readReleased(options.files, options.dir);
    this.#onTrouble = options.onTrouble;
    this.#endedBytes = recovered.segments.reduce((sum, { bytes }) => sum + bytes, 0);
    const newest = recovered.segments.at(-1);
    const nextId = Math.max(recovered.nextId, options.minNextId);
    this.#watermark = { segment: nextId, offset: 0, rows: 0 };
    this.#log = new SegmentLog({
      files: options.files,
      dir: options.dir,
      codec: options.codec,
      nextId,
      previous: newest && { segment: newest.id, bytes: newest.bytes, rows: newest.rows },
      randomSalt: options.randomSeed,
      onSealed: (info) => {
        this.#segments.push(info);
        this.#endedBytes += info.bytes;
      },
      onTrouble: options.onTrouble,
    });
    this.#commits = new GroupCommit({
      log: this.#log,
      codec: options.codec,
      blocks: options.blocks,
      limits: options.roll,
      now: options.now,
      randomSeed: options.randomSeed,
      gate: options.gate,
      onCommit: (facts) => {
        this.#watermark = facts.watermark;
        options.onCommit(facts);
      },
      onFailure: options.onFailure,
    });
  }

  /**
   * Opens a directory, made whole first (recovery.ts). Throws `DirectoryLockedError` when another process has
   * it, and what the file system throws.
   */
  static async open(options: FileQueueOptions): Promise<FileQueue> {
    await options.files.makeDir(options.dir);
    const lock = (options.lock ?? lockDirectory)(options.dir);
    try {
      return new FileQueue(options, lock, await recoverDirectory(options.files, options.dir));
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** How far the queue is durable. Before the first commit: the start of the segment that comes next. */
  get watermark(): Watermark {
    return this.#watermark;
  }

  /** All segments by ascending id, the open one last. */
  get segments(): readonly SegmentInfo[] {
    const open = this.#log.open;
    return open === undefined || open.bytes === 0 ? this.#segments : [...this.#segments, open];
  }

  /** Bytes on disk. */
  get bytes(): number {
    return this.#endedBytes + this.#log.bytes;
  }

  /** True when the last of `segments` is being written. */
  get hasOpen(): boolean {
    return (this.#log.open?.bytes ?? 0) > 0;
  }

  /** Series in the dictionary of the open segment. */
  get openSeries(): number {
    return this.#commits.series;
  }

  /** Takes no more from now on, or again with undefined. What was taken before is still written. */
  refuse(full: Full | undefined): void {
    this.#full = full;
  }

  /** Ends the open segment, behind what is being written: only then can what is in it be deleted. */
  endSegment(): void {
    void this.#commits.endSegment();
  }

  /**
   * Ends the open segment: resolves with an id that every row which comes from now on is at or behind, and every row
   * that was durable before is not.
   */
  cut(): Promise<number> {
    return this.#commits.endSegment();
  }

  /** What rolls a segment from now on, and what series go through from the next segment on, which begins soon. */
  configure(roll: RollLimits, gate: SeriesGate | undefined): void {
    this.#commits.configure(roll, gate);
  }

  /**
   * To be called about once a second: ends a segment that is old though nothing comes, and lets readers leave an
   * ended one. True when the watermark has moved, to the start of the segment that comes next.
   */
  rest(): boolean {
    this.#commits.endOldSegment();
    const next = this.#commits.idle ? this.#log.nextSegment : undefined;
    if (next === undefined || next <= this.#watermark.segment) return false;
    this.#watermark = { segment: next, offset: 0, rows: 0 };
    return true;
  }

  /** Applies one transaction; see `GroupCommit.append`. Throws `QueueFullError` too. */
  append<T>(fill: (dictionary: Dictionary, batch: RowBatch) => T): {
    readonly result: T;
    readonly durable: Promise<void>;
  } {
    if (this.#closing !== undefined) throw new Error('append after close');
    if (this.#full !== undefined) throw new QueueFullError(fullText(this.#full));
    return this.#commits.append(fill);
  }

  /**
   * Rows at or behind a position, of all kinds: what a reader that stands there has before it, also those of
   * segments that are gone, which it will count as lost.
   */
  rowsFrom(segment: number, row: number): number {
    let rows = 0;
    const add = (id: number, of: number): void => {
      if (id > segment) rows += of;
      else if (id === segment) rows += Math.max(0, of - row);
    };
    for (const info of this.segments) add(info.id, info.rows);
    for (const end of this.#gone) add(end.segment, end.rows);
    return rows;
  }

  /** Bytes at or behind a position; within a segment by the share of its rows. */
  bytesFrom(segment: number, row: number): number {
    let bytes = 0;
    for (const info of this.segments) {
      if (info.id > segment) bytes += info.bytes;
      else if (info.id === segment && info.rows > 0) {
        bytes += Math.round(info.bytes * Math.max(0, 1 - row / info.rows));
      }
    }
    return bytes;
  }

  /**
   * Removes ended segments below `segment`, but for those in `kept`, which may leave them like islands. The caller has
   * saved durably that every reader has passed them. Returns how many rows by kind went with them.
   *
   * Behind an island one more stays: its header says where the last segment of the island ends (segment-log.ts).
   */
  async release(segment: number, kept: readonly SegmentRange[] = []): Promise<number[]> {
    this.#releasing = Math.max(this.#releasing, Math.min(segment, this.#watermark.segment));
    const counts = new Array<number>(KINDS).fill(0);
    const isKept = (id: number): boolean => kept.some(({ from, to }) => id >= from && id < to);
    const leaving = this.#segments.filter(({ id }, i) => {
      const before = this.#segments[i - 1];
      return id < segment && !isKept(id) && (before === undefined || !isKept(before.id));
    });
    if (leaving.some((info) => this.#segments.some(({ id }) => id < info.id && isKept(id)))) {
      await this.#noteReleased(segment);
    }
    for (const info of leaving) {
      await this.#remove(info.id);
      const at = this.#segments.indexOf(info);
      if (at < 0) continue;
      this.#segments.splice(at, 1);
      this.#endedBytes -= info.bytes;
      for (let kind = 0; kind < KINDS; kind++) counts[kind] = counts[kind]! + (info.counts[kind] ?? 0);
    }
    this.#gone = this.#gone.filter((end) => end.segment >= segment || isKept(end.segment));
    return counts;
  }

  /** Where the oldest data begins that a new reader may start at: what is older is going, or is an island. */
  get oldest(): number {
    const from = Math.max(this.#released, this.#releasing);
    return this.segments.find(({ id }) => id >= from)?.id ?? this.#watermark.segment;
  }

  /** Before anything goes, so that whoever finds the gap knows it for one. Never throws: a full disk needs the room. */
  async #noteReleased(segment: number): Promise<void> {
    if (segment <= this.#released) return;
    try {
      await writeReleased(this.#files, this.dir, segment);
    } catch (error) {
      const message =
        'it could not be noted that segments are released; `queue verify` will call them missing after a restart';
      this.#onTrouble({ message, file: this.dir, error });
    }
    this.#released = segment;
  }

  async #remove(id: number): Promise<void> {
    for (const state of ['committed', 'open'] as const) {
      try {
        await this.#files.remove(segmentPath(this.dir, id, state));
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  }

  /** Waits for what was appended and ends the open segment. Nothing can be appended any more. Idempotent. */
  finish(): Promise<void> {
    this.#closing ??= this.#commits.drained().then(() => this.#log.seal());
    return this.#closing;
  }

  /** Finishes, and gives the directory up: to be called when nobody reads in it any more. Idempotent. */
  async close(): Promise<void> {
    await this.finish();
    this.#lock.release();
  }
}

export interface FileQueueOptions {
  readonly files: FileSystem;
  readonly dir: string;
  /** Keeps others out of `dir`; `lockDirectory` by default. Throws when somebody is in. */
  readonly lock?: (dir: string) => { release(): void };
  readonly codec: Codec;
  /** What compresses frames; in TypeScript unless it is given. */
  readonly blocks?: SnappyBlocks;
  readonly roll: RollLimits;
  /** Lowest id that a new segment may have: above every id that a saved position names. */
  readonly minNextId: number;
  readonly now: () => number;
  readonly randomSeed: () => number;
  /** What series go through before they are stored. */
  readonly gate?: SeriesGate | undefined;
  readonly onCommit: (facts: CommitFacts) => void;
  readonly onFailure: (error: CommitError) => void;
  readonly onTrouble: (trouble: LogTrouble) => void;
}

/** Which cap is reached, for senders, readiness and the log. */
export function fullText({ limit, endpoint, usedBytes, limitBytes }: Full): string {
  switch (limit) {
    case 'disk':
      return 'the queue is full: its disk has no room left';
    case 'max_bytes':
      return `the queue is full: it has ${usedBytes} of the ${limitBytes} bytes that wal.max_bytes allows`;
    case 'max_backlog_bytes':
      return (
        `the queue is full: ${usedBytes} bytes wait for endpoint ${endpoint}, ` +
        `whose max_backlog_bytes is ${limitBytes}`
      );
    default:
      return limit satisfies never;
  }
}

/** Where the segments of a data directory are. */
export function walDirectory(dataDir: string): string {
  return path.join(dataDir, 'wal');
}
