import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import type { TestContext } from 'node:test';
import { ExternalLabels } from '../../src/endpoint/external-labels.ts';
import { Feeder } from '../../src/endpoint/feeder.ts';
import type { MetadataCache } from '../../src/endpoint/metadata-cache.ts';
import { RelabelSeries } from '../../src/endpoint/relabel-series.ts';
import { MetadataRepeats } from '../../src/endpoint/repeat-metadata.ts';
import { SegmentContext } from '../../src/endpoint/segment-context.ts';
import { type Damage, type ReadLimit, SegmentStore } from '../../src/endpoint/wal-reader.ts';
import type { FileQueue } from '../../src/filequeue/file-queue.ts';
import type { DeadLetters } from '../../src/network/dead-letter.ts';
import type { Destination } from '../../src/network/destination.ts';
import type { LoopFailure, LoopSettings } from '../../src/network/loop-host.ts';
import { Manager, type ManagerOptions } from '../../src/network/manager.ts';
import { decodeProgress, lowest, ProgressBlock, SHARDS, settledRows } from '../../src/network/progress.ts';
import { loopOf, ShardTable } from '../../src/network/shard-table.ts';
import type { Negotiation } from '../../src/network/version.ts';
import { createEmitterV2 } from '../../src/protocol/emit-v2-wasm.ts';
import { createEmitter } from '../../src/protocol/emit-wasm.ts';
import { type FileSystem, nodeFileSystem } from '../../src/runtime/fs.ts';
import type { Position } from '../../src/serialization/position.ts';
import { EndpointStats } from '../../src/telemetry/endpoint-stats.ts';
import type { EndpointReason } from '../../src/telemetry/reasons.ts';
import { noon } from '../filequeue/queue.ts';
import { settings } from '../network/support/outcomes.ts';
import { seriesHash } from '../reference/series-hash.ts';
import { ruleOf, type WrittenRule } from '../relabel/rules.ts';
import { atEnd } from '../support/cleanup.ts';
import { Progress } from '../support/progress.ts';

export interface DeliveryOptions {
  readonly loops?: number;
  readonly settings?: Partial<LoopSettings>;
  readonly metadata?: { readonly send: boolean; readonly sendIntervalMs: number };
  readonly externalLabels?: Readonly<Record<string, string>>;
  readonly relabel?: readonly WrittenRule[];
  /** The last block of the process before. */
  readonly block?: Uint8Array | undefined;
  /** Where a new endpoint starts. */
  readonly start?: Position;
  /** Fewer samples than this are handed out one by one. By default 1: most frames of tests are short. */
  readonly shortRun?: number;
  /** What the segments are read from; the real files by default. */
  readonly files?: FileSystem;
  /** For an endpoint that may be sent remote write 2.0. */
  readonly v2?: { readonly negotiation: Negotiation; readonly cache: MetadataCache };
  readonly sends?: { readonly exemplars: boolean; readonly histograms: boolean };
}

/** Real files without the wait for the disk: what is read here is in the page cache. */
export const unsynced: FileSystem = {
  ...nodeFileSystem,
  async create(file) {
    const handle = await open(file, 'ax');
    return {
      append: (bytes) => handle.appendFile(bytes),
      sync: () => Promise.resolve(),
      close: () => handle.close(),
    };
  },
  syncDir: () => Promise.resolve(),
};

/** What retries at once and sends at once. */
export const quick: LoopSettings = {
  capacity: 40,
  maxSamplesPerSend: 10,
  maxMetadataPerSend: 10,
  batchSendDeadlineMs: 0,
  ttlMs: 0,
  probeMs: 0,
  ...settings,
};

/**
 * The parts of an endpoint put together as its thread does, in this process and with a clock that stands at
 * `noon`: what is noted on the way is kept, so that a test can start the next process from any moment of it.
 */
export class Delivery {
  readonly table: ShardTable;
  readonly manager: Manager;
  readonly feeder: Feeder;
  /** Tells when the test says so, not by a clock. */
  readonly repeats: MetadataRepeats;
  /** Entries that were not taken then. */
  readonly repeatFailures: { readonly entries: number; readonly cause: string }[] = [];
  readonly stats: EndpointStats = new EndpointStats();
  readonly damage: Damage[] = [];
  readonly failures: LoopFailure[] = [];
  readonly letters: DeadLetters[] = [];
  readonly errors: unknown[] = [];
  /** Orders to drop that were done, and how many rows the reader gave up for each. */
  readonly drops: { readonly before: number; readonly rows: number }[] = [];
  /** Rows that were not settled when it started. */
  readonly waitingAtStart: number;
  now = noon;
  /** Segments that are open now, and the most there were. */
  openSegments = 0;
  mostOpenSegments = 0;
  mostPending = 0;
  readonly #block: ProgressBlock;
  readonly #queue: FileQueue;
  #received: number;
  #known: Position;
  readonly #settledBefore: number;
  readonly #deliveredBefore: number;
  readonly #progress = new Progress();
  #noted: Uint8Array | undefined;
  #stopped: Promise<void> | undefined;

  /** Without `t`, the caller stops it. */
  constructor(
    t: TestContext | undefined,
    queue: FileQueue,
    destination: Destination,
    options: DeliveryOptions = {},
  ) {
    const { files = nodeFileSystem } = options;
    const { loops = 4, metadata = { send: true, sendIntervalMs: 60_000 }, externalLabels } = options;
    const settings = { ...quick, ...options.settings };
    const progress = options.block && decodeProgress(options.block);
    const oldest = { segment: queue.segments[0]?.id ?? queue.watermark.segment, row: 0 };
    const start = progress === undefined ? (options.start ?? oldest) : lowest(progress);
    const behindStart = queue.rowsFrom(start.segment, start.row);
    this.waitingAtStart =
      progress === undefined
        ? behindStart
        : Math.min(
            behindStart,
            progress.unsettled + queue.rowsFrom(progress.front.segment, progress.front.row),
          );
    if (progress !== undefined) this.stats.load(progress.counts, progress.returned);
    this.#settledBefore = this.stats.settledRows;
    this.#deliveredBefore = this.stats.deliveredRows;
    this.#received = progress?.received ?? 0;
    this.#known = progress?.known ?? start;
    this.#queue = queue;
    const external = externalLabels && new ExternalLabels(externalLabels);
    const rewrite =
      options.relabel === undefined ? external : new RelabelSeries(options.relabel.map(ruleOf), external);
    this.#block = new ProgressBlock(progress?.sequence ?? 0, rewrite?.routing);
    this.table = new ShardTable(this.#block, progress, start, loops);
    const onFailure = (error: unknown): void => {
      throw error;
    };
    const emitter = createEmitter('wasm', onFailure);
    const v2 = options.v2 && { ...options.v2, emitter: createEmitterV2('wasm', onFailure) };
    this.manager = new WatchedManager(() => setImmediate(() => this.#progress.made()), {
      settings,
      minShards: 1,
      maxShards: 64,
      table: this.table,
      destination,
      emitter,
      stats: this.stats,
      v2,
      now: () => this.now,
      random: () => 0.5,
      onProgress: () => this.#note(),
      onRoom: () => this.feeder.pump(),
      onLetters: async (letters) => {
        this.letters.push(letters);
      },
      onFailure: (_, failure) => this.failures.push(failure),
      onRecovery: () => undefined,
    });
    const store = new SegmentStore(files, queue.dir, (segment, onIdle) => {
      const onContextIdle = (idle: SegmentContext) => {
        this.openSegments--;
        onIdle(idle);
      };
      const context = SegmentContext.open(
        files,
        queue.dir,
        segment,
        rewrite,
        onContextIdle,
        emitter.newColumns(),
        undefined,
        metadata.send ? { cache: v2?.cache } : undefined,
      );
      this.mostOpenSegments = Math.max(this.mostOpenSegments, ++this.openSegments);
      return context;
    });
    this.feeder = new Feeder({
      store,
      table: this.table,
      manager: this.manager,
      stats: this.stats,
      start,
      furthest: progress?.furthest ?? start,
      settledAhead: behindStart - this.waitingAtStart,
      ttlMs: settings.ttlMs,
      metadata,
      v2: v2 && { cache: v2.cache, version: () => v2.negotiation.version },
      ...(options.sends === undefined ? {} : { sends: options.sends }),
      shortRun: options.shortRun ?? 1,
      watermark: (): ReadLimit => queue.watermark,
      now: () => this.now,
      onDamage: (damage) => {
        this.damage.push(damage);
        this.stats.addLost('damaged', 0, damage.rows);
      },
      onError: (error) => this.errors.push(error),
      onReturned: (rows) => this.stats.add('returnedRows', rows),
      onDropped: ({ before }, rows) => {
        this.drops.push({ before, rows });
        setImmediate(() => this.#progress.made());
      },
    });
    this.repeats = new MetadataRepeats({
      intervalMs: metadata.sendIntervalMs,
      maxPerSend: settings.maxMetadataPerSend,
      destination,
      stats: this.stats,
      due: () => this.feeder.takeRepeats(),
      isDown: () => this.manager.loops.every((loop) => loop.failing),
      onTaken: (entries) => this.feeder.repeatsArrived(entries),
      onFailure: (entries, cause) => this.repeatFailures.push({ entries, cause }),
    });
    if (t !== undefined) atEnd(t, () => this.stop());
    this.tick();
    this.feeder.pump();
  }

  /** Rows that were settled in this process. */
  get settledRows(): number {
    return this.stats.settledRows - this.#settledBefore;
  }

  /** Rows that are durable and not settled, by the count of what was settled. */
  get waitingRows(): number {
    return this.received + this.stats.get('returnedRows') - this.stats.settledRows;
  }

  /** Rows that the queue had for the endpoint since it is there. */
  get received(): number {
    const { segment, rows } = this.#queue.watermark;
    const behind = (at: Position): number => this.#queue.rowsFrom(at.segment, at.row);
    const known = { segment, row: rows };
    this.#received += behind(this.#known) - behind(known);
    this.#known = known;
    return this.#received;
  }

  /** Rows that were delivered in this process. */
  get deliveredNow(): number {
    return this.stats.deliveredRows - this.#deliveredBefore;
  }

  /** What the counts of the last block and its positions differ by. */
  get unaccountedRows(): number {
    const block = decodeProgress(this.#noted!)!;
    const { received, returned, unsettled, front, known } = block;
    const behind = (at: Position): number => this.#queue.rowsFrom(at.segment, at.row);
    return received + returned - settledRows(block) - unsettled - (behind(front) - behind(known));
  }

  /** Rows that are not settled, by the positions of the last block. */
  get waitingByPosition(): number {
    const { unsettled, front } = decodeProgress(this.#noted!)!;
    return unsettled + this.#queue.rowsFrom(front.segment, front.row);
  }

  /** The block that a process started now would find. */
  get block(): Uint8Array | undefined {
    return this.#noted;
  }

  /** As the thread does about once a second: lows are raised, the block is noted. */
  tick(): void {
    this.table.raise(this.feeder.front, this.feeder.catchUp);
    this.#note();
  }

  /** Gives up what is not delivered of the segments below `before`. */
  drop(before: number, reason: EndpointReason = 'dropped_full'): void {
    const passed = new Map(this.#queue.segments.map((segment) => [segment.id, segment]));
    this.manager.dropBefore(before, reason);
    this.feeder.dropBefore({ before, reason, passed });
  }

  /** Rows of all kinds that were given up for `reason`. */
  lost(reason: EndpointReason): number {
    return [0, 1, 2, 3].reduce((sum, kind) => sum + this.stats.lost(reason, kind), 0);
  }

  resize(loops: number): void {
    this.manager.resize(loops, (s) => this.feeder.letGo(s));
    this.feeder.pump();
  }

  /** Resolves when `reached` holds; looks again whenever rows are settled. */
  async until(what: string, reached: () => boolean): Promise<void> {
    await this.#progress.until(
      () =>
        `${what}: ${this.waitingRows} rows wait, ${this.manager.pendingRows} are queued, the front is ${JSON.stringify(this.feeder.front)} of ${JSON.stringify(this.#queue.watermark)}`,
      reached,
    );
  }

  /** Resolves when all that is durable is settled. */
  async done(): Promise<void> {
    await this.until('all is settled', () => this.waitingRows <= 0 && this.feeder.dry && this.manager.idle);
  }

  /** Ends what runs, as when the process is killed: `block` is to be taken before. */
  async abandon(): Promise<void> {
    await this.repeats.stop();
    await this.feeder.stop();
    await this.manager.stop();
  }

  /** Stops as the thread does. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      await this.abandon();
      this.tick();
      assert.equal(this.openSegments, 0, 'every segment is closed at the end');
      assert.deepEqual(this.errors, []);
    })();
    return this.#stopped;
  }

  #note(): void {
    this.mostPending = Math.max(this.mostPending, this.manager.pendingRows);
    const { unsettled, front, furthest } = this.feeder;
    const { segment, rows } = this.#queue.watermark;
    const standing = {
      unsettled,
      front,
      furthest,
      received: this.received,
      known: { segment, row: rows },
      returned: this.stats.get('returnedRows'),
    };
    this.#noted = this.#block.seal(standing, this.stats.counts).slice();
    setImmediate(() => this.#progress.made());
  }
}

/** Tells when the reader has had a turn. */
class WatchedManager extends Manager {
  readonly #turn: () => void;

  constructor(turn: () => void, options: ManagerOptions) {
    super(options);
    this.#turn = turn;
  }

  override wake(): void {
    super.wake();
    this.#turn();
  }
}

/** The shard of the series with this name alone. */
export function shardOf(name: string): number {
  return seriesHash([{ name: '__name__', value: name }])[0] & (SHARDS - 1);
}

/** Names of series by loop: `each` for every one of `loops` loops. */
export function namesByLoop(loops: number, each: number): string[][] {
  const names: string[][] = Array.from({ length: loops }, () => []);
  for (let i = 0; names.some((list) => list.length < each); i++) {
    const name = `series_${i}`;
    const list = names[loopOf(shardOf(name), loops)]!;
    if (list.length < each) list.push(name);
  }
  return names;
}
