import type { SnappyBlocks } from '../protocol/snappy-blocks.ts';
import { SpillwayError } from '../runtime/errors.ts';
import type { Codec } from '../serialization/codec.ts';
import { Dictionary, type SeriesGate } from '../serialization/dictionary.ts';
import { FrameEncoder, type Written } from '../serialization/frame.ts';
import { RowBatch } from '../serialization/rows.ts';
import type { SegmentLog, Watermark } from './segment-log.ts';

/** The rows could not be made durable. None of them is ever delivered; the sender shall send them again. */
export class CommitError extends SpillwayError {
  readonly code = 'COMMIT_FAILED';
  override readonly retryable = true;
}

/** When a segment has grown enough. Each is looked at between commits, age also while there are none. */
export interface RollLimits {
  readonly bytes: number;
  readonly ageMs: number;
  readonly series: number;
  readonly dictionaryBytes: number;
}

/** What one commit made durable. */
export interface CommitFacts {
  readonly watermark: Watermark;
  readonly rows: number;
  readonly counts: Readonly<Uint32Array>;
  /** Bytes of the frame in the file. */
  readonly bytes: number;
  /** How long write and fsync took, in seconds. */
  readonly seconds: number;
}

/**
 * Group commit: transactions that come while a sync runs share the next one. No timer and no added latency;
 * the busier the senders, the larger the frames.
 *
 * A transaction is applied to the open batch in one go and is all or nothing: if applying throws, the batch
 * is rolled back; if the write fails, so does every transaction of the frame. The dictionary belongs to the
 * segment, so it is emptied when a frame ends the segment, at the one moment when no row refers to it: the
 * batch has just been encoded, and the next one is empty.
 */
export class GroupCommit {
  readonly #log: SegmentLog;
  readonly #codec: Codec;
  #limits: RollLimits;
  readonly #now: () => number;
  readonly #randomSeed: () => number;
  readonly #onCommit: (facts: CommitFacts) => void;
  readonly #onFailure: (error: CommitError) => void;

  readonly #batch: RowBatch = new RowBatch();
  readonly #dictionary: Dictionary;
  readonly #encoder: FrameEncoder;
  readonly #written: Written = { strings: 0, pairs: 0, series: 0 };
  #next: Deferred<void> = new Deferred();
  #running: Promise<void> | undefined;
  /** Waits for the end of the open segment, once that is asked for. */
  #end: Deferred<number> | undefined;

  constructor(options: {
    log: SegmentLog;
    codec: Codec;
    /** In TypeScript unless it is given. */
    blocks?: SnappyBlocks | undefined;
    limits: RollLimits;
    now: () => number;
    randomSeed: () => number;
    gate?: SeriesGate | undefined;
    onCommit: (facts: CommitFacts) => void;
    onFailure: (error: CommitError) => void;
  }) {
    this.#log = options.log;
    this.#codec = options.codec;
    this.#encoder = new FrameEncoder(options.blocks);
    this.#limits = options.limits;
    this.#now = options.now;
    this.#randomSeed = options.randomSeed;
    this.#onCommit = options.onCommit;
    this.#onFailure = options.onFailure;
    this.#dictionary = new Dictionary(options.randomSeed(), options.gate);
  }

  /** Series in the dictionary of the open segment. */
  get series(): number {
    return this.#dictionary.seriesCount;
  }

  /**
   * Applies one transaction with `fill`, which must not wait for anything. What `fill` throws is thrown on, and
   * none of its rows is kept. The promise resolves when its rows are durable, at once when it brought none, and
   * rejects with `CommitError`.
   */
  append<T>(fill: (dictionary: Dictionary, batch: RowBatch) => T): {
    readonly result: T;
    readonly durable: Promise<void>;
  } {
    const before = this.#batch.rows;
    const mark = this.#batch.mark();
    let result: T;
    try {
      result = fill(this.#dictionary, this.#batch);
    } catch (error) {
      this.#batch.rollback(mark);
      this.#shedLabels();
      throw error;
    }
    if (this.#batch.rows === before) {
      this.#shedLabels();
      return { result, durable: Promise.resolve() };
    }
    // What is ready to be read from other sockets joins this commit: they are read before the next immediate.
    this.#running ??= new Promise((resolve) => setImmediate(resolve)).then(() => this.#run());
    return { result, durable: this.#next.promise };
  }

  /** True while nothing waits and nothing is being written. */
  get idle(): boolean {
    return this.#running === undefined;
  }

  /** Ends the open segment, behind what is being written. Resolves when it has ended, with the id of the next one. */
  endSegment(): Promise<number> {
    this.#end ??= new Deferred();
    const { promise } = this.#end;
    this.#running ??= this.#run();
    return promise;
  }

  /** The gate takes effect with the next segment, for which this one is ended: known series are not decided again. */
  configure(limits: RollLimits, gate: SeriesGate | undefined): void {
    this.#limits = limits;
    this.#dictionary.nextGate = gate;
    void this.endSegment();
  }

  /** Ends the open segment if it is old: for a queue to which nothing comes, since commits see to it by themselves. */
  endOldSegment(): void {
    if (this.idle && this.#isOld(this.#now())) void this.endSegment();
  }

  /** Resolves when everything appended before is durable or has failed. */
  async drained(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      while (this.#batch.rows > 0) await this.#commit();
      const end = this.#end;
      if (end === undefined) break;
      this.#end = undefined;
      this.#newDictionary();
      await this.#log.seal();
      end.resolve(this.#log.nextId);
    }
    this.#running = undefined;
  }

  async #commit(): Promise<void> {
    const deferred = this.#next;
    this.#next = new Deferred();
    const atMs = this.#now();
    const counts = this.#batch.counts.slice();
    const rows = this.#batch.rows;
    const started = process.hrtime.bigint();
    let record: Uint8Array;
    try {
      record = this.#encoder.encode(
        this.#batch,
        this.#dictionary,
        this.#written,
        this.#log.rows,
        atMs,
        this.#codec,
      );
    } catch (cause) {
      // What the frame would have added to the dictionary counts as written: on with a fresh one.
      this.#batch.clear();
      this.#newDictionary();
      await this.#log.seal();
      const error = new CommitError('the rows could not be encoded', {}, cause);
      deferred.reject(error);
      this.#onFailure(error);
      return;
    }
    const last = this.#endsSegment(record.length, atMs);
    this.#batch.clear();
    const end = last ? this.#end : undefined;
    if (last) {
      this.#end = undefined;
      this.#newDictionary();
    }
    let watermark: Watermark;
    try {
      watermark = await this.#log.append(record, { rows, counts, atMs }, last);
    } catch (cause) {
      const error = new CommitError('the write-ahead log could not be written', {}, cause);
      deferred.reject(error);
      // Unless the frame was the last of its segment, rows that came meanwhile refer to the same dictionary,
      // parts of which were in the lost frame.
      if (!last) {
        this.#batch.clear();
        this.#newDictionary();
        this.#next.reject(error);
        this.#next = new Deferred();
      }
      this.#onFailure(error);
      end?.resolve(this.#log.nextId);
      return;
    }
    end?.resolve(this.#log.nextId);
    const seconds = Number(process.hrtime.bigint() - started) / 1e9;
    this.#onCommit({ watermark, rows, counts, bytes: record.length, seconds });
    deferred.resolve();
  }

  #endsSegment(recordBytes: number, nowMs: number): boolean {
    const log = this.#log;
    const limits = this.#limits;
    return (
      this.#end !== undefined ||
      log.bytes + recordBytes >= limits.bytes ||
      this.#isOld(nowMs) ||
      this.#isDictionaryFull()
    );
  }

  #isOld(nowMs: number): boolean {
    return this.#log.bytes > 0 && nowMs - this.#log.openedMs >= this.#limits.ageMs;
  }

  #isDictionaryFull(): boolean {
    const { series, dictionaryBytes } = this.#limits;
    return this.#dictionary.seriesCount >= series || this.#dictionary.contentBytes >= dictionaryBytes;
  }

  /**
   * Refused series may have brought labels, and without a row no commit would ever look at the limits. What no
   * frame and no waiting row refers to is forgotten at once; else the segment is ended for its dictionary alone,
   * after the commit that runs.
   */
  #shedLabels(): void {
    if (!this.#isDictionaryFull()) return;
    if (this.#batch.rows === 0 && this.#written.strings === 0) this.#newDictionary();
    else if (this.idle) void this.endSegment();
  }

  #newDictionary(): void {
    this.#dictionary.reset(this.#randomSeed());
    this.#written.strings = 0;
    this.#written.pairs = 0;
    this.#written.series = 0;
  }
}

class Deferred<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (error: Error) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Whoever waits has handlers of their own; a group without a waiter must not end the process.
    this.promise.catch(() => undefined);
  }
}
