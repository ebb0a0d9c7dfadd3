import { randomInt } from 'node:crypto';
import { Appender } from './appender/appender.ts';
import { RelabelIncoming } from './appender/relabel-incoming.ts';
import type { ListenAddress } from './config/addresses.ts';
import { type Config, parseConfig } from './config/load.ts';
import { Endpoint } from './endpoint/endpoint.ts';
import type { WorkerStart } from './endpoint/messages.ts';
import { FileQueue, fullText, walDirectory } from './filequeue/file-queue.ts';
import type { CommitFacts } from './filequeue/group-commit.ts';
import { Keeper } from './filequeue/keeper.ts';
import { Reserve } from './filequeue/reserve.ts';
import { tellAbsentEndpoints } from './ledger/absent-endpoints.ts';
import type { DeadLetterStore } from './ledger/dead-letters.ts';
import { Ledger, type LedgerRemains } from './ledger/ledger.ts';
import { nextSegmentAfter, progressPath } from './network/progress.ts';
import type { IngestReport } from './protocol/ingest-v1.ts';
import { createKernel, type IngestKernel } from './protocol/kernel.ts';
import type { IngestLimits } from './protocol/limits.ts';
import { createBlocks } from './protocol/snappy-blocks.ts';
import { Connections } from './receiver/connections.ts';
import { Doors } from './receiver/doors.ts';
import { exposureWarnings } from './receiver/exposure.ts';
import { senderOf } from './receiver/senders.ts';
import { HttpServer, type RouteHandler } from './receiver/server.ts';
import { WriteHandler } from './receiver/write-handler.ts';
import { DirectoryUnusableError, lockDirectory } from './runtime/directory-lock.ts';
import { diskSpace, isOutOfSpace } from './runtime/disk-space.ts';
import { describeError, SpillwayError } from './runtime/errors.ts';
import { nodeFileSystem } from './runtime/fs.ts';
import { packageVersion } from './runtime/version.ts';
import { wait } from './runtime/wait.ts';
import { comparePositions } from './serialization/position.ts';
import { kindNames } from './serialization/rows.ts';
import { statusRoutes } from './status/routes.ts';
import { type DeadLetterReading, registerDeadLetterMetrics } from './telemetry/dead-letter-metrics.ts';
import { createLogger, type Logger, Repetition } from './telemetry/log.ts';
import { type EndpointReading, Metrics, type QueueReading } from './telemetry/metrics.ts';

/** A configuration as text: YAML, what errors call it, and the absolute folder where relative paths start. */
export type ConfigText = WorkerStart['config'];

export interface AgentOptions {
  /** As text, since each endpoint's thread reads it again: secrets are not cloned. */
  readonly config: ConfigText;
  /** In place of the `listen` of the configuration; with false only the program itself appends. */
  readonly listen?: ListenAddress | false;
  /** In place of the `data_dir` of the configuration; absolute. */
  readonly dataDir?: string;
  /** By default lines on standard error, as the configuration wants them. */
  readonly logger?: Logger;
}

/** The agent was used while it does not run. */
export class AgentStateError extends SpillwayError {
  readonly code = 'AGENT_NOT_RUNNING';
}

const ledgerDamage: Readonly<Record<LedgerRemains, string>> = {
  positions:
    'the dead letters are damaged; the ledger was set aside, and the positions of the endpoints were taken over',
  nothing:
    'the ledger is damaged and was set aside; endpoints go on by their progress files, or at the oldest data',
};

/** How often dead letters are looked through for those over the limits. */
const TRIM_EVERY_MS = 60_000;

/** Numbers for people, of everything since the start. */
export interface AgentSummary {
  readonly receivedRows: number;
  readonly refusedRows: number;
  readonly walBytes: number;
  readonly endpoints: readonly {
    readonly name: string;
    readonly deliveredRows: number;
    readonly droppedRows: number;
    readonly waitingRows: number;
    readonly failing: boolean;
  }[];
}

/**
 * The owner of all parts: starts them, connects them, stops them.
 *
 *     HTTP listener -> Appender -> FileQueue == disk == Endpoint (thread) -> remote storage
 *                                     ^                     |
 *                                     +---- release --- progress -> Ledger
 *
 * Start: the listener opens first and answers 503, so that senders wait and keep their data; then ledger, queue,
 * endpoints; then it is ready. Stop: no more writes, what was taken is committed, endpoints deliver for
 * `shutdown_grace`, positions are saved; the listener closes last, so that metrics can be read to the end.
 */
export class Agent {
  readonly config: Config;
  readonly logger: Logger;
  readonly #options: AgentOptions;
  readonly #metrics: Metrics;
  readonly #writes: WriteHandler;
  readonly #server: HttpServer;
  readonly #connections: Connections;
  readonly #limits: IngestLimits;
  readonly #kernel: IngestKernel;
  readonly #repetition: Repetition = new Repetition(Date.now);
  #state: 'new' | 'starting' | 'running' | 'stopping' | 'stopped' = 'new';
  #queue: FileQueue | undefined;
  #keeper: Keeper | undefined;
  #ledger: Ledger | undefined;
  #trimTimer: NodeJS.Timeout | undefined;
  #lock: { release(): void } | undefined;
  #endpoints: Endpoint[] = [];
  readonly #configText: ConfigText;
  #newestMs = Number.NEGATIVE_INFINITY;
  #receivedRows = 0;
  #refusedRows = 0;
  #releasing: Promise<void> | undefined;
  #started: Promise<string | undefined> | undefined;
  #stopped: Promise<void> | undefined;

  readonly #doors: Doors | undefined;

  /** Throws `ConfigError` or `ConfigFileError`. Nothing starts yet. */
  constructor(options: AgentOptions) {
    this.#configText =
      options.dataDir === undefined ? options.config : { ...options.config, dataDir: options.dataDir };
    const parsed = parseConfig(this.#configText.text, this.#configText);
    const config = { ...parsed, listen: options.listen || parsed.listen };
    const logger =
      options.logger ??
      createLogger(config.logLevel, config.logFormat, Date.now, (line) => process.stderr.write(`${line}\n`));
    this.#options = options;
    this.config = config;
    this.logger = logger;
    const version = packageVersion();
    this.#metrics = new Metrics(
      version,
      () => this.#readQueue(),
      () => this.#readEndpoints(),
    );
    registerDeadLetterMetrics(this.#metrics.registry, () => this.#readDeadLetters());
    this.#doors =
      config.webConfigFile === undefined || options.listen === false
        ? undefined
        : new Doors({
            file: config.webConfigFile,
            logger,
            now: Date.now,
            onRefused: (reason) => this.#metrics.authRefusals.inc({ reason }),
            onReload: () => this.#warnOfExposure(),
          });
    if (this.#doors !== undefined) this.#metrics.watchDoors(this.#doors);
    this.#kernel = createKernel(config.kernel, (error) => {
      logger.log('warn', 'decoding in TypeScript, which takes more CPU, since WebAssembly cannot be had', {
        reason: describeError(error),
      });
    });
    const { receiver } = config;
    this.#limits = {
      decodedBytes: receiver.maxDecodedBytes,
      series: receiver.maxSeriesPerRequest,
      rows: receiver.maxRowsPerRequest,
      labels: receiver.maxLabelsPerSeries,
      nameBytes: receiver.maxLabelNameBytes,
      valueBytes: receiver.maxLabelValueBytes,
    };
    this.#writes = new WriteHandler({
      maxRequestBytes: receiver.maxRequestBytes,
      maxInFlightBytes: receiver.maxInFlightBytes,
      bodyIdleMs: receiver.bodyIdleTimeoutMs,
      limits: this.#limits,
      perSender: receiver.perSender,
      senderOf: (request) => senderOf(request, receiver.perSender.header, this.#doors?.userOf(request)),
      tenants: { header: receiver.tenantHeader, default: receiver.defaultTenant },
      appender: () => (this.#state === 'running' ? this.appender() : undefined),
      logger,
      now: Date.now,
      onRequest: (status, bytes, seconds) => {
        this.#metrics.requests.inc({ code: String(status) });
        this.#metrics.requestBytes.inc(bytes);
        this.#metrics.requestSeconds.observe(seconds);
      },
      onLimited: (limit) => this.#metrics.limitedRequests.inc({ limit }),
    });
    this.#connections = new Connections(receiver, logger, Date.now, (reason) =>
      this.#metrics.closedConnections.inc({ reason }),
    );
    const write: RouteHandler = (request, response) => this.#writes.handle(request, response);
    const status = statusRoutes({
      config,
      version,
      registry: this.#metrics.registry,
      ready: () => this.#notReady(),
      summary: () => this.summary(),
      deadLetters: () => this.#ledger?.deadLetters,
    });
    this.#server = new HttpServer(new Map([['/api/v1/write', write], ['/api/v1/push', write], ...status]), {
      connections: this.#connections,
      logger,
      doors: this.#doors,
    });
  }

  /**
   * Starts everything; returns the URL of the listener, or undefined without one. Throws what a part throws when
   * it cannot start, and stops the others. Idempotent; what was stopped does not start again.
   */
  start(): Promise<string | undefined> {
    if (this.#stopped !== undefined) {
      return Promise.reject(new AgentStateError('the agent was stopped; make a new one'));
    }
    this.#started ??= this.#start();
    return this.#started;
  }

  async #start(): Promise<string | undefined> {
    this.#state = 'starting';
    try {
      const url = this.#options.listen === false ? undefined : await this.#server.listen(this.config.listen);
      this.#warnOfExposure();
      await this.#open();
      this.#state = 'running';
      this.logger.log('info', url === undefined ? 'Spillway runs' : 'Spillway listens and takes writes', {
        ...(url === undefined ? {} : { url }),
        version: packageVersion(),
        data_dir: this.config.dataDir,
        endpoints: this.config.remoteWrite.map(({ name }) => name).join(', '),
      });
      return url;
    } catch (error) {
      await this.#close(0).catch((cause: unknown) =>
        this.logger.log('error', 'the agent could not start, nor stop what had started', {
          error: describeError(cause),
        }),
      );
      throw error;
    }
  }

  /** A new transaction. Throws `AgentStateError` unless the agent runs. */
  appender(): Appender {
    const queue = this.#queue;
    if (queue === undefined || this.#state !== 'running') {
      throw new AgentStateError(`the agent does not run: it is ${this.#state}`);
    }
    return new Appender({
      queue,
      kernel: this.#kernel,
      limits: this.#limits,
      onReport: (report) => this.#reported(report),
    });
  }

  summary(): AgentSummary {
    return {
      receivedRows: this.#receivedRows,
      refusedRows: this.#refusedRows,
      walBytes: this.#queue?.bytes ?? 0,
      endpoints: this.#endpoints.map((endpoint) => ({
        name: endpoint.name,
        deliveredRows: endpoint.settledNow.delivered,
        droppedRows: endpoint.settledNow.lost,
        waitingRows: endpoint.waitingRows(),
        failing: endpoint.stats.get('failingLoops') > 0,
      })),
    };
  }

  /** What is dangerous about the way in which the agent listens, for whoever starts it. */
  get warnings(): readonly string[] {
    return this.#options.listen === false ? [] : exposureWarnings(this.config.listen, this.#doors?.config);
  }

  /** Stops everything, delivering for at most `graceMs` (default: `shutdown_grace`). Idempotent. */
  stop(graceMs: number = this.config.shutdownGraceMs): Promise<void> {
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  async #stop(graceMs: number): Promise<void> {
    // A start that is under way comes to its end first: what it opens after this moment would stay open.
    await this.#started?.catch(() => undefined);
    await this.#close(graceMs);
  }

  async #open(): Promise<void> {
    const { dataDir, wal, relabelConfigs, remoteWrite } = this.config;
    try {
      await nodeFileSystem.makeDir(dataDir);
    } catch (cause) {
      throw new DirectoryUnusableError(
        `the data directory ${dataDir} cannot be made: set \`data_dir\` (or --data-dir) to a place where this user may write`,
        { data_dir: dataDir },
        cause,
      );
    }
    // Before anything in it is touched: the ledger of a running agent is not to be opened, let alone set aside.
    this.#lock = lockDirectory(dataDir);
    // A start on a full disk needs what was kept for it: the ledger is opened, and segments are ended.
    const reserve = new Reserve(
      nodeFileSystem,
      walDirectory(dataDir),
      reserveBytes((await diskSpace(dataDir)).totalBytes),
    );
    await reserve.giveUp();
    const { maxRows, maxAgeMs } = this.config.deadLetters;
    this.#ledger = await this.#whenRoom(() =>
      Ledger.open(
        dataDir,
        Date.now(),
        (aside, cause, remains) => {
          this.logger.log('error', ledgerDamage[remains], { file: aside, error: describeError(cause) });
        },
        { maxRows, maxAgeMs },
      ),
    );
    this.#trimTimer = setInterval(() => this.#trimLetters(), TRIM_EVERY_MS);
    // The ledger may be new, or as old as its last sync, while all segments were delivered and are gone.
    const minNextId = Math.max(
      this.#ledger.minNextSegment,
      ...remoteWrite.map(({ name }) => nextSegmentAfter(progressPath(dataDir, name))),
    );
    this.#queue = await this.#whenRoom(() =>
      FileQueue.open({
        files: nodeFileSystem,
        dir: walDirectory(dataDir),
        codec: wal.codec,
        blocks: createBlocks(this.config.kernel),
        roll: {
          bytes: wal.segmentBytes,
          ageMs: wal.segmentAgeMs,
          series: wal.segmentSeries,
          dictionaryBytes: wal.segmentDictionaryBytes,
        },
        minNextId,
        now: Date.now,
        randomSeed: () => randomInt(2 ** 32),
        gate: relabelConfigs.length > 0 ? new RelabelIncoming(relabelConfigs, randomInt(2 ** 32)) : undefined,
        onCommit: (facts) => this.#committed(facts),
        onTrouble: ({ message, file, error }) => {
          if (this.#repetition.tell(message) === undefined) return;
          this.logger.log('error', message, { file, error: describeError(error) });
        },
        onFailure: (error) => {
          this.#metrics.commitFailures.inc();
          void this.#keeper?.failed(error);
          const before = this.#repetition.tell('commit');
          if (before === undefined) return;
          this.logger.log(
            'error',
            'rows could not be written to disk; their senders were told to send them again',
            {
              error: describeError(error),
              ...(before > 0 ? { repeated: before } : {}),
            },
          );
        },
      }),
    );
    for (const { kind, ...facts } of this.#queue.recovery) {
      this.logger.log(kind === 'recovered' ? 'info' : 'warn', facts.message, {
        what: kind,
        file: facts.file,
        ...(facts.offset === undefined ? {} : { offset: facts.offset }),
        ...(facts.bytes === undefined ? {} : { bytes: facts.bytes }),
      });
    }
    tellAbsentEndpoints(
      this.#ledger,
      remoteWrite.map(({ name }) => name),
      new Map(
        this.#readDeadLetters().flatMap(({ endpoint, letters }) =>
          letters > 0 ? [[endpoint, letters]] : [],
        ),
      ),
      Date.now(),
      this.logger,
    );
    for (const config of remoteWrite) {
      const endpoint = new Endpoint({
        config,
        configSource: this.#configText,
        dataDir,
        queue: this.#queue,
        ledger: this.#ledger,
        logger: this.logger,
        userAgent: `Spillway/${packageVersion()}`,
        now: Date.now,
        onReleased: () => this.#release(),
        onSaveFailed: (error) => void this.#keeper?.failed(error),
        limits: {
          whenFull: config.whenFull ?? wal.whenFull,
          maxBytes: config.maxBacklogBytes ?? Number.POSITIVE_INFINITY,
          maxAgeMs: config.maxBacklogAgeMs ?? Number.POSITIVE_INFINITY,
        },
      });
      this.#endpoints.push(endpoint);
    }
    this.#keeper = new Keeper({
      queue: this.#queue,
      reserve,
      endpoints: this.#endpoints,
      limits: {
        maxBytes: wal.maxBytes ?? Number.POSITIVE_INFINITY,
        maxAgeMs: wal.maxAgeMs ?? Number.POSITIVE_INFINITY,
        segmentBytes: wal.segmentBytes,
      },
      minFreeBytes: wal.minFreeBytes,
      space: () => diskSpace(dataDir),
      now: Date.now,
      logger: this.logger,
      onRest: () => this.#publish(0),
      onRelease: () => this.#release(),
    });
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.start()));
    await this.#keeper.start();
  }

  /**
   * What `open` returns, tried again as long as the disk has no room even for that. Senders are told 503 meanwhile;
   * nothing that is on disk is touched. Throws anything else, and when the agent is stopped.
   */
  async #whenRoom<T>(open: () => T | Promise<T>): Promise<T> {
    for (;;) {
      try {
        const opened = await open();
        this.#repetition.over('room');
        return opened;
      } catch (error) {
        if (!isOutOfSpace(error) || this.#stopped !== undefined) throw error;
        if (this.#repetition.tell('room') !== undefined) {
          this.logger.log(
            'error',
            'the disk is full, not even the start has room; it is tried again until there is some',
            {
              data_dir: this.config.dataDir,
              error: describeError(error),
            },
          );
        }
      }
      await wait(START_AGAIN_MS, new AbortController().signal);
    }
  }

  async #close(graceMs: number): Promise<void> {
    this.#state = 'stopping';
    const errors: unknown[] = [];
    const step = async (action: () => Promise<void> | void): Promise<void> => {
      try {
        await action();
      } catch (error) {
        errors.push(error);
      }
    };
    await step(() => this.#keeper?.stop());
    // The queue still commits what was taken before this moment, and its senders get their answer.
    await step(() => this.#queue?.finish());
    await step(async () => {
      await Promise.all(this.#endpoints.map((endpoint) => endpoint.stop(graceMs)));
    });
    await step(() => this.#releasing);
    await step(() => {
      clearInterval(this.#trimTimer);
      this.#ledger?.close();
      this.#ledger = undefined;
    });
    await step(() => this.#queue?.close());
    await step(() => this.#lock?.release());
    await step(() => this.#server.close());
    this.#state = 'stopped';
    if (errors.length > 0) {
      const causes = errors.map(describeError).join('; ');
      throw new AggregateError(errors, `not everything could be stopped in order: ${causes}`);
    }
  }

  #warnOfExposure(): void {
    for (const warning of this.warnings) {
      this.logger.log('warn', warning, { listen: `${this.config.listen.host}:${this.config.listen.port}` });
    }
  }

  #committed(facts: CommitFacts): void {
    this.#metrics.commitSeconds.observe(facts.seconds);
    this.#metrics.committedBytes.inc(facts.bytes);
    facts.counts.forEach((rows, kind) => {
      if (rows > 0) this.#metrics.committedRows.inc({ kind: kindNames[kind]! }, rows);
    });
    this.#repetition.over('commit');
    this.#publish(facts.rows);
    this.#keeper?.committed();
  }

  /** Tells the endpoints how far they may read; `rows` more rows were committed. */
  #publish(rows: number): void {
    for (const endpoint of this.#endpoints) endpoint.publish(this.#queue!.watermark, rows);
  }

  /** What keeps the agent from taking writes, for readiness; undefined when nothing does. */
  #notReady(): string | undefined {
    if (this.#state !== 'running') return this.#state;
    const full = this.#keeper?.full;
    return full && `not ready: ${fullText(full)}; writes are refused with 503 until there is room`;
  }

  #reported(report: IngestReport): void {
    for (const kind of kindNames) {
      const rows = report[kind];
      if (rows === 0) continue;
      this.#metrics.receivedRows.inc({ kind }, rows);
      this.#receivedRows += rows;
    }
    for (const [reason, rows] of report.refused) {
      this.#metrics.refusedRows.inc({ reason }, rows);
      this.#refusedRows += rows;
    }
    if (report.dropped > 0) {
      this.#metrics.droppedRows.inc({ reason: 'dropped_by_relabel_configs' }, report.dropped);
    }
    if (report.newestMs > this.#newestMs) this.#newestMs = report.newestMs;
  }

  /** Deletes the segments that every endpoint has passed, as saved. One at a time. */
  #release(): void {
    const queue = this.#queue;
    if (queue === undefined || this.#releasing !== undefined || this.#state !== 'running') return;
    const low = this.#endpoints
      .map((endpoint) => endpoint.low)
      .reduce((a, b) => (comparePositions(b, a) < 0 ? b : a));
    this.#releasing = queue
      .release(low.segment)
      .then((counts) => {
        counts.forEach((rows, kind) => {
          if (rows > 0) this.#metrics.releasedRows.inc({ kind: kindNames[kind]! }, rows);
        });
      })
      .catch((error: unknown) => {
        if (this.#repetition.tell('release') === undefined) return;
        this.logger.log(
          'error',
          'a segment that is no longer needed could not be deleted; it is tried again',
          { error: describeError(error) },
        );
      })
      .finally(() => {
        this.#releasing = undefined;
      });
  }

  #trimLetters(): void {
    if (this.#ofLetters((letters) => letters.trim(Date.now())) !== undefined)
      this.#repetition.over('letters');
  }

  /** Undefined when there is no ledger, or its dead letters cannot be used: that must not take other things along. */
  #ofLetters<T>(use: (letters: DeadLetterStore) => T): T | undefined {
    try {
      return this.#ledger && use(this.#ledger.deadLetters);
    } catch (error) {
      if (this.#repetition.tell('letters') !== undefined) {
        this.logger.log('error', 'the dead letters cannot be counted or brought under their limits', {
          error: describeError(error),
        });
      }
      return undefined;
    }
  }

  #readDeadLetters(): readonly DeadLetterReading[] {
    const known = this.#ofLetters((letters) => letters.totals());
    if (known === undefined) return [];
    const none = { letters: 0, resent: 0, purged: 0, maxRows: 0, maxAge: 0, failed: 0 };
    const fresh = this.config.remoteWrite.filter(
      ({ name }) => !known.some(({ endpoint }) => endpoint === name),
    );
    return [...known, ...fresh.map(({ name }) => ({ endpoint: name, ...none }))];
  }

  #readQueue(): QueueReading | undefined {
    const queue = this.#queue;
    return (
      queue && {
        bytes: queue.bytes,
        segments: queue.segments.length,
        segment: queue.watermark.segment,
        openSeries: queue.openSeries,
        inFlightBytes: this.#writes.inFlightBytes,
        connections: this.#connections.open,
        newestMs: this.#newestMs,
        full: this.#keeper?.full !== undefined,
        oldestMs: queue.segments[0]?.firstMs,
        ...(this.#keeper?.reading ?? { capBytes: Number.POSITIVE_INFINITY, freeBytes: undefined }),
      }
    );
  }

  #readEndpoints(): EndpointReading[] {
    return this.#endpoints.map((endpoint) => {
      const { name, config, low } = endpoint;
      const stats = endpoint.stats.snapshot();
      const waitingRows = endpoint.waitingRows(stats);
      const oldestMs = stats.get('oldestWaitingMs');
      return {
        name,
        url: config.url.text,
        capacity: config.queueConfig.capacity,
        minShards: config.queueConfig.minShards,
        maxShards: config.queueConfig.maxShards,
        maxSamplesPerSend: config.queueConfig.maxSamplesPerSend,
        stats,
        received: endpoint.receivedRows,
        unaccounted: endpoint.unaccountedRows,
        backlog: {
          rows: waitingRows,
          bytes: waitingRows === 0 ? 0 : (this.#queue?.bytesFrom(low.segment, low.row) ?? 0),
          seconds: oldestMs === 0 ? 0 : Math.max(0, (Date.now() - oldestMs) / 1000),
        },
      };
    });
  }
}

/** How long a start on a full disk waits before it looks again. */
const START_AGAIN_MS = 1000;

/** 4 MiB, less on a disk that is itself small. */
function reserveBytes(diskBytes: number): number {
  return Math.min(4 * 2 ** 20, Math.floor(diskBytes / 16));
}
