import { parentPort, workerData } from 'node:worker_threads';
import type { EndpointConfig } from '../config/endpoints.ts';
import { parseConfig } from '../config/load.ts';
import { CountedDestination } from '../network/counted-destination.ts';
import { createDestination } from '../network/create-destination.ts';
import type { DeadLetters } from '../network/dead-letter.ts';
import type { Loop } from '../network/loop.ts';
import type { LoopFailure } from '../network/loop-host.ts';
import { Manager } from '../network/manager.ts';
import {
  decodeProgress,
  ProgressBlock,
  ProgressFile,
  progressPath,
  type Standing,
} from '../network/progress.ts';
import { RateLimit } from '../network/rate-limit.ts';
import type { SpeaksV2 } from '../network/request-version.ts';
import { ShardTable } from '../network/shard-table.ts';
import { Negotiation } from '../network/version.ts';
import { createEmitterV2 } from '../protocol/emit-v2-wasm.ts';
import { createEmitter } from '../protocol/emit-wasm.ts';
import { createBlocks } from '../protocol/snappy-blocks.ts';
import { describeError } from '../runtime/errors.ts';
import { nodeFileSystem } from '../runtime/fs.ts';
import { readOnly } from '../runtime/read-only-fs.ts';
import { wait } from '../runtime/wait.ts';
import { EndpointStats } from '../telemetry/endpoint-stats.ts';
import { type LogFacts, type LogLevel, Repetition } from '../telemetry/log.ts';
import { DeliveryLog } from './delivery-log.ts';
import { DeliveryWatch } from './delivery-watch.ts';
import type { DropOrder } from './dropper.ts';
import { Feeder } from './feeder.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';
import { MetadataCache } from './metadata-cache.ts';
import { MetadataRepeats } from './repeat-metadata.ts';
import { leavingOf } from './rewrite.ts';
import { SegmentContext } from './segment-context.ts';
import { SharedWatermark } from './shared-watermark.ts';
import { type ReadLimit, SegmentStore } from './wal-reader.ts';

/**
 * The thread of one endpoint: reads the WAL directory by itself and delivers.
 *
 *     WAL -> WalReader -> Feeder -> RowQueue -> Loop -> Destination
 *                                              <- settled: ShardTable, progress file, (main: ledger)
 *
 * Main only says that there is more, and when to stop. Numbers go back through shared memory, positions by a
 * message about once a second.
 */
const TICK_MS = 1000;
/** Of the time that a thread has to stop: for the answers to what is under way. */
const REST_SHARE = 1 / 5;
const RESHARD_TICKS = 10;
/** Families that are told to main at once: some hundred kilobytes. */
const FAMILIES_A_TICK = 2000;
/** How far apart requests are that are not full, when `batch_send_deadline` is not set. */
const ADAPTIVE_DEADLINE_MS = 200;
/**
 * While commits come one after the other: how long the thread lets them gather before it looks again. It does so by
 * itself then: to be woken for each look cost both threads more than the look.
 */
const LOOK_EVERY_MS = 10;

class EndpointWorker {
  readonly #start: WorkerStart;
  readonly #config: EndpointConfig;
  readonly #stats: EndpointStats;
  readonly #watermark: SharedWatermark;
  readonly #block: ProgressBlock;
  readonly #file: ProgressFile;
  readonly #table: ShardTable;
  readonly #manager: Manager;
  readonly #feeder: Feeder;
  readonly #repeats: MetadataRepeats;
  /** For an endpoint that may be sent remote write 2.0. */
  readonly #v2: (SpeaksV2 & { readonly cache: MetadataCache }) | undefined;
  readonly #repetition: Repetition = new Repetition(Date.now);
  readonly #watch = new DeliveryWatch(Date.now);
  readonly #told: DeliveryLog;
  readonly #ticker: NodeJS.Timeout;
  readonly #send: (message: FromWorker) => void;
  /** Who waits for letters to be kept, by their number. */
  readonly #letters: Map<number, () => void> = new Map();
  #lastLetters = 0;
  #ticks = 0;
  #reporting: Promise<void> | undefined;
  #last: { committed: number; delivered: number; atMs: number };
  #secondsPerSample = 0;
  #stopping = false;
  #look: NodeJS.Timeout | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** How far the queue was durable at the last look. */
  #seen: ReadLimit = { segment: 0, offset: 0 };

  constructor(start: WorkerStart, send: (message: FromWorker) => void) {
    this.#start = start;
    this.#send = send;
    const config = parseConfig(start.config.text, start.config);
    const endpoint = config.remoteWrite.find((e) => e.name === start.endpoint);
    if (endpoint === undefined) throw new Error(`no endpoint ${start.endpoint} in ${start.config.file}`);
    this.#config = endpoint;
    this.#stats = new EndpointStats(start.stats);
    this.#watermark = new SharedWatermark(start.watermark);
    const progress = start.progress && decodeProgress(start.progress);
    const { rewrite, tenants } = leavingOf(config.externalLabels, endpoint);
    if (progress !== undefined) this.#stats.load(progress.counts, progress.returned);
    this.#stats.add('returnedRows', start.returned);
    this.#stats.addLost('damaged', 0, start.missing);
    this.#told = new DeliveryLog(
      (level, message, facts) => this.#log(level, message, facts),
      this.#repetition,
      this.#stats,
    );
    this.#block = new ProgressBlock(progress?.sequence ?? 0, tenants?.routing ?? rewrite?.routing);
    this.#file = new ProgressFile(progressPath(start.dataDir, start.endpoint));
    const { queueConfig: queue, metadataConfig, ttlMs } = endpoint;
    this.#table = new ShardTable(this.#block, progress, start.start, queue.minShards);
    const onKernelFailure = (error: unknown): void => {
      this.#log(
        'warn',
        'the WebAssembly kernel does not work; requests of this endpoint are made by the TypeScript one, at more CPU',
        { error: describeError(error) },
      );
    };
    const emitter = createEmitter(config.kernel, onKernelFailure, endpoint.wireCompression);
    if (endpoint.messageVersion !== '1.0') {
      this.#v2 = {
        negotiation: new Negotiation(endpoint.messageVersion, start.fellBackMs, (ms) =>
          this.#versionChanged(ms),
        ),
        emitter: createEmitterV2(config.kernel, onKernelFailure, endpoint.wireCompression),
        cache: new MetadataCache(metadataConfig.send ? start.metadata : []),
      };
    }
    const v2 = this.#v2;
    const limit = new RateLimit(endpoint.rateLimit, () => performance.now());
    this.#manager = new Manager({
      settings: {
        capacity: queue.capacity,
        maxSamplesPerSend: queue.maxSamplesPerSend,
        maxMetadataPerSend: metadataConfig.maxSamplesPerSend,
        batchSendDeadlineMs: queue.batchSendDeadlineMs ?? ADAPTIVE_DEADLINE_MS,
        deadlineFrom: queue.batchSendDeadlineMs === undefined ? 'request' : 'row',
        ttlMs,
        tenants: tenants !== undefined,
        minBackoffMs: queue.minBackoffMs,
        maxBackoffMs: queue.maxBackoffMs,
        probeMs: queue.probeIntervalMs,
        retryOn429: queue.retryOnHttp429,
        ...endpoint.replies,
      },
      minShards: queue.minShards,
      maxShards: queue.maxShards,
      table: this.#table,
      destination: new CountedDestination(createDestination(endpoint, start.userAgent), (answer) =>
        this.#watch.answered(answer),
      ),
      emitter,
      stats: this.#stats,
      v2,
      limit,
      now: Date.now,
      random: Math.random,
      onProgress: () => this.#note(),
      onRoom: () => this.#feeder.pump(),
      onLetters: (letters) => this.#keep(letters),
      onFailure: (loop, failure) => this.#failed(loop, failure),
      onRecovery: (loop) => this.#recovered(loop),
    });
    const dir = start.walDir;
    const files = start.readOnly ? readOnly(nodeFileSystem) : nodeFileSystem;
    const store = new SegmentStore(
      files,
      dir,
      (segment, onIdle) =>
        SegmentContext.open(
          files,
          dir,
          segment,
          rewrite,
          onIdle,
          emitter.newColumns(),
          tenants,
          metadataConfig.send ? { cache: v2?.cache } : undefined,
        ),
      () => createBlocks(config.kernel),
      start.gaps,
    );
    this.#feeder = new Feeder({
      store,
      table: this.#table,
      manager: this.#manager,
      stats: this.#stats,
      start: start.start,
      furthest: progress?.furthest ?? start.start,
      settledAhead: start.settledAhead,
      ttlMs,
      paused: start.paused,
      metadata: { ...metadataConfig, needsTenant: (endpoint.tenant?.fromLabels.length ?? 0) > 0 },
      v2: v2 && { cache: v2.cache, version: () => v2.negotiation.version },
      sends: { exemplars: endpoint.sendExemplars, histograms: endpoint.sendNativeHistograms },
      watermark: () => this.#watermark.read(),
      now: Date.now,
      onDamage: ({ segment, offset, rows, message }) => {
        this.#stats.addLost('damaged', 0, rows);
        this.#log('error', `${message}; its rows are lost, reading goes on behind it`, {
          segment,
          offset,
          rows,
        });
      },
      onError: (error) => {
        if (this.#repetition.tell('read') === undefined) return;
        this.#log('error', 'the WAL could not be read; trying again every second, nothing is lost', {
          error: describeError(error),
        });
      },
      onReturned: (rows) => this.#stats.add('returnedRows', rows),
      // At once: segments are deleted when this is saved.
      onDropped: () => void this.#report(),
    });
    this.#repeats = new MetadataRepeats({
      intervalMs: metadataConfig.sendIntervalMs,
      maxPerSend: metadataConfig.maxSamplesPerSend,
      destination: this.#manager.destination,
      stats: this.#stats,
      limit,
      due: () => this.#feeder.takeRepeats(),
      isDown: () => this.#manager.loops.every((loop) => loop.failing),
      onTaken: (entries) => this.#feeder.repeatsArrived(entries),
      onFailure: (entries, cause, said) => {
        if (this.#repetition.tell(`metadata ${cause}`) === undefined) return;
        this.#log(
          'warn',
          'the endpoint did not take metadata that it was to be told once more; it is told in the next `send_interval`, no rows are concerned',
          { entries, cause, said },
        );
      },
    });
    this.#last = {
      committed: start.committedRows,
      delivered: this.#stats.deliveredRows,
      atMs: performance.now(),
    };
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#repeats.start();
    this.#tick();
    // One that is paused reads nothing, and need not be woken: its pump is for orders to drop.
    if (start.paused) this.#feeder.pump();
    else this.#lookForMore(false);
  }

  /** There is more. A look takes all of it, so looks come `LOOK_EVERY_MS` apart; the first one is at once. */
  wake(): void {
    if (this.#look !== undefined || this.#stopping) return;
    const waitMs = this.#lookedAt + LOOK_EVERY_MS - performance.now();
    if (waitMs <= 0) this.#lookForMore(false);
    else this.#lookIn(waitMs);
  }

  #lookIn(ms: number): void {
    this.#look = setTimeout(() => this.#lookForMore(true), ms);
  }

  /** `busy`: commits came closer together than looks do, so that the next look is worth it if this one is. */
  #lookForMore(busy: boolean): void {
    this.#look = undefined;
    this.#lookedAt = performance.now();
    // Asked for first, so that a commit between here and falling asleep wakes this thread again.
    this.#watermark.sleep();
    const { segment, offset } = this.#watermark.read();
    const seen = this.#seen;
    if (busy && (segment !== seen.segment || offset !== seen.offset)) {
      this.#watermark.stayAwake();
      this.#lookIn(LOOK_EVERY_MS);
    }
    this.#seen = { segment, offset };
    this.#feeder.pump();
  }

  /** Gives up what is not delivered of the segments below `order.before`; what is on the wire is awaited. */
  drop(order: DropOrder): void {
    this.#manager.dropBefore(order.before, order.reason);
    this.#feeder.dropBefore(order);
  }

  /**
   * Delivers what can be delivered within `graceMs`, stops, and says where it stands. In the last part of the time
   * nothing new is sent, so that the answers to what is under way can come and nothing is sent twice. `read`: of what
   * was read so far, so that no shard is ahead of another when it goes on under other labels; not while requests fail.
   */
  async stop(graceMs: number, deliver: 'all' | 'read'): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    clearTimeout(this.#look);
    const until = performance.now() + graceMs;
    await this.#repeats.stop();
    const restAt = until - graceMs * REST_SHARE;
    this.#manager.flush();
    const readOnly = deliver === 'read';
    if (readOnly) await this.#feeder.stop();
    else this.#feeder.pump();
    const isDone = (): boolean =>
      readOnly || this.#start.paused
        ? this.#manager.idle || this.#manager.loops.some((loop) => loop.failing)
        : this.#feeder.dry && this.#manager.idle;
    while (performance.now() < restAt && !isDone()) {
      await wait(Math.min(20, Math.max(1, restAt - performance.now())), new AbortController().signal);
    }
    clearInterval(this.#ticker);
    await this.#feeder.stop();
    const answered = new AbortController();
    await Promise.race([
      this.#manager.rest().finally(() => answered.abort()),
      wait(Math.max(0, until - performance.now()), answered.signal),
    ]);
    await this.#manager.stop();
    await this.#reporting;
    this.#tick();
    await this.#reporting;
    await this.#manager.destination.close();
    this.#file.close();
    this.#send({ type: 'stopped' });
  }

  /** Main has kept the letters with this number. */
  kept(id: number): void {
    this.#letters.get(id)?.();
    this.#letters.delete(id);
  }

  #keep(letters: DeadLetters): Promise<void> {
    const id = ++this.#lastLetters;
    this.#send({ type: 'letters', id, letters });
    return new Promise((resolve) => this.#letters.set(id, resolve));
  }

  /** Writes the table and the counts down, by a plain write. */
  #note(): void {
    try {
      this.#file.write(this.#block.seal(this.#standing(), this.#stats.counts));
      this.#repetition.over('progress');
    } catch (error) {
      this.#progressFailed(error);
    }
  }

  #progressFailed(error: unknown): void {
    if (this.#repetition.tell('progress') === undefined) return;
    this.#log(
      'error',
      'the progress file cannot be written; a crash now would send again what was delivered since',
      { error: describeError(error) },
    );
  }

  /** Has main keep what was learned of metric families. */
  #tellMetadata(): void {
    const families = this.#v2?.cache.takeChanges(FAMILIES_A_TICK) ?? [];
    if (families.length > 0) this.#send({ type: 'metadata', families });
  }

  /** `auto` has found that the endpoint takes another version than it was sent. */
  #versionChanged(fellBackMs: number | undefined): void {
    this.#send({ type: 'version', fellBackMs });
    this.#told.versionChanged(fellBackMs);
  }

  #standing(): Standing {
    const { segment, rows, committedRows } = this.#watermark.read();
    return {
      unsettled: this.#feeder.unsettled,
      front: this.#feeder.front,
      furthest: this.#feeder.furthest,
      received: this.#received(committedRows),
      known: { segment, row: rows },
      returned: this.#stats.get('returnedRows'),
    };
  }

  #received(committedRows: number): number {
    return this.#start.received + committedRows - this.#start.committedRows;
  }

  #tick(): void {
    const stats = this.#stats;
    const waiting = this.#waitingRows();
    let oldest = Number.POSITIVE_INFINITY;
    for (const loop of this.#manager.loops) {
      if (loop.queue.length > 0) oldest = Math.min(oldest, this.#manager.committedMs(loop));
    }
    stats.set('shards', this.#manager.loops.length);
    stats.set('pendingRows', this.#manager.pendingRows);
    stats.set('oldestWaitingMs', Number.isFinite(oldest) ? oldest : 0);
    stats.set('segment', this.#feeder.front.segment);
    stats.set('failingLoops', this.#manager.loops.filter((loop) => loop.failing).length);
    stats.set('holdingLoops', this.#manager.loops.filter((loop) => loop.holding).length);
    stats.set('messageVersion', this.#v2?.negotiation.version === '2.0' ? 2 : 1);
    const report = this.#watch.take(this.#manager.loops);
    if (report !== undefined) this.#send({ type: 'delivery', report });
    void this.#report();
    this.#told.tellDropped(this.#feeder.front.segment, waiting);
    this.#tellMetadata();
    if (this.#stopping || this.#start.paused) return;
    // Not at the first tick: what was on its way before a restart is sent again in the same requests.
    const isDue = ++this.#ticks % RESHARD_TICKS === 0 || (this.#ticks > 1 && this.#manager.outOfRange);
    if (isDue) this.#reshard(waiting);
  }

  /**
   * Saves how far it has come, if that has changed, and then tells main, which may delete what lies before. Resolves
   * when that is done. What changes meanwhile is for the next time.
   */
  #report(): Promise<void> {
    this.#reporting ??= this.#save().finally(() => {
      this.#reporting = undefined;
    });
    return this.#reporting;
  }

  async #save(): Promise<void> {
    this.#table.raise(this.#feeder.front, this.#feeder.catchUp);
    if (!this.#block.changed(this.#standing(), this.#stats.counts)) return;
    const block = this.#block.seal(this.#standing(), this.#stats.counts).slice();
    try {
      await this.#file.writeDurably(block);
    } catch (error) {
      // The ledger still has it; a disk that is full must be able to give segments up.
      this.#progressFailed(error);
    }
    this.#send({ type: 'progress', block });
  }

  /** Rows that are durable and not settled for this endpoint. */
  #waitingRows(): number {
    const stats = this.#stats;
    return (
      this.#received(this.#watermark.read().committedRows) + stats.get('returnedRows') - stats.settledRows
    );
  }

  #reshard(backlogSamples: number): void {
    const now = performance.now();
    const seconds = (now - this.#last.atMs) / 1000;
    const committed = this.#watermark.read().committedRows;
    let busy = 0;
    for (const loop of this.#manager.loops) {
      busy += loop.busySeconds;
      loop.busySeconds = 0;
    }
    const delivered = this.#stats.deliveredRows;
    const sent = delivered - this.#last.delivered;
    if (sent > 0) this.#secondsPerSample = busy / sent;
    const { needed, allowed } = this.#manager.desired({
      arrivedPerSecond: (committed - this.#last.committed) / seconds,
      deliveredPerSecond: sent / seconds,
      secondsPerSample: this.#secondsPerSample,
      backlogSamples,
    });
    this.#last = { committed, delivered, atMs: now };
    // Beyond `max_shards` as well: the stock alert compares the two.
    this.#stats.set('shardsDesired', needed);
    if (this.#manager.moving && this.#manager.parks) this.#manager.stay();
    if (!this.#manager.canResize(allowed)) return;
    this.#log('info', 'the number of loops changes', { from: this.#manager.wanted, to: allowed });
    this.#manager.resize(allowed, (s) => this.#feeder.letGo(s));
    this.#feeder.pump();
  }

  #failed(loop: Loop, failure: LoopFailure): void {
    this.#watch.failed(loop.index, failure);
    this.#told.failed(loop.index, failure);
  }

  #recovered(loop: Loop): void {
    if (this.#manager.loops.some((other) => other !== loop && other.failing)) return;
    this.#told.recovered(this.#waitingRows());
  }

  #log(level: LogLevel, message: string, facts: LogFacts): void {
    this.#send({ type: 'log', level, message, facts: { endpoint: this.#config.name, ...facts } });
  }
}

const port = parentPort;
if (port === null) throw new Error('endpoint/worker.ts runs in a worker thread');
const worker = new EndpointWorker(workerData as WorkerStart, (message) => port.postMessage(message));
port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'wake':
      worker.wake();
      break;
    case 'drop': {
      const { before, reason, passed } = message;
      worker.drop({ before, reason, passed: new Map(passed.map((segment) => [segment.id, segment])) });
      break;
    }
    case 'kept':
      worker.kept(message.id);
      break;
    case 'stop':
      void worker.stop(message.graceMs, message.deliver).then(() => port.close());
      break;
    default:
      message satisfies never;
  }
});
port.postMessage({ type: 'ready' } satisfies FromWorker);
