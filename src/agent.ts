import { randomInt } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Appender } from './appender/appender.ts';
import type { ListenAddress } from './config/addresses.ts';
import type { Config, ConfigText } from './config/load.ts';
import { type ReloadPlan, readForReload } from './config/reload-plan.ts';
import { Endpoints } from './endpoints.ts';
import { FileQueue, fullText, walDirectory } from './filequeue/file-queue.ts';
import type { CommitFacts } from './filequeue/group-commit.ts';
import { Keeper } from './filequeue/keeper.ts';
import { Reserve } from './filequeue/reserve.ts';
import { Intake } from './intake.ts';
import { tellAbsentEndpoints } from './ledger/absent-endpoints.ts';
import { Ledger, type LedgerRemains } from './ledger/ledger.ts';
import { LetterWatch } from './ledger/letter-watch.ts';
import { endpointNames, nextSegmentAfter, progressPath } from './network/progress.ts';
import { createBlocks } from './protocol/snappy-blocks.ts';
import { Connections } from './receiver/connections.ts';
import { Doors } from './receiver/doors.ts';
import { exposureWarnings } from './receiver/exposure.ts';
import { HttpServer, type RouteHandler } from './receiver/server.ts';
import { type ReloadOutcome, Reloads } from './reloads.ts';
import { Resends } from './resends.ts';
import { DirectoryUnusableError, lockDirectory } from './runtime/directory-lock.ts';
import { diskSpace } from './runtime/disk-space.ts';
import { describeError, SpillwayError } from './runtime/errors.ts';
import { nodeFileSystem } from './runtime/fs.ts';
import { packageVersion } from './runtime/version.ts';
import { kindNames } from './serialization/rows.ts';
import { capsOf, gateOf, rollLimits } from './settings.ts';
import { StatusBoard } from './status/board.ts';
import { controlRoutes } from './status/control-routes.ts';
import { StatusEvents } from './status/events.ts';
import { explainRoute } from './status/explain-route.ts';
import { statusRoutes } from './status/routes.ts';
import { registerDeadLetterMetrics } from './telemetry/dead-letter-metrics.ts';
import { ConfiguredLogger, type Logger, Repetition } from './telemetry/log.ts';
import { Metrics, type ParkedReading, type QueueReading } from './telemetry/metrics.ts';
import { type RoomOptions, whenRoom } from './when-room.ts';

export type { ConfigText } from './config/load.ts';

export interface AgentOptions {
  /** As text, since each endpoint's thread reads it again: secrets are not cloned. */
  readonly config: ConfigText;
  /** The configuration as it is now, for `reload`; throws `ConfigFileError`. Without it there is nothing to reload. */
  readonly readConfig?: () => ConfigText;
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
    /** When somebody paused it, ms. */
    readonly pausedSinceMs?: number;
  }[];
  /** Endpoints that are not configured any more and that something is kept for. */
  readonly removedEndpoints: readonly ParkedReading[];
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
 *
 * Reload: what is checked and planned is put in force in the same order; a restart is needed for what is built into
 * things that are open (options.ts says which keys these are).
 */
export class Agent {
  readonly logger: Logger;
  #config: Config;
  readonly #options: AgentOptions;
  readonly #metrics: Metrics;
  readonly #intake: Intake;
  readonly #server: HttpServer;
  readonly #connections: Connections;
  readonly #repetition: Repetition = new Repetition(Date.now);
  #state: 'new' | 'starting' | 'running' | 'stopping' | 'stopped' = 'new';
  #queue: FileQueue | undefined;
  #keeper: Keeper | undefined;
  #ledger: Ledger | undefined;
  #lock: { release(): void } | undefined;
  #endpoints: Endpoints | undefined;
  readonly #letters: LetterWatch;
  readonly #reloads: Reloads;
  readonly #resends: Resends;
  readonly #board: StatusBoard;
  readonly #events: StatusEvents;
  readonly #configText: ConfigText;
  /** The text of what is in force. */
  #inForce: ConfigText;
  #releasing: Promise<void> | undefined;
  #started: Promise<string | undefined> | undefined;
  #stopped: Promise<void> | undefined;

  readonly #doors: Doors | undefined;

  /** Throws `ConfigError` or `ConfigFileError`. Nothing starts yet. */
  constructor(options: AgentOptions) {
    this.#configText =
      options.dataDir === undefined ? options.config : { ...options.config, dataDir: options.dataDir };
    this.#inForce = this.#configText;
    this.#options = options;
    const started = readForReload(this.#configText.text, this.#configText);
    const config = this.#listening(started.config);
    const logger =
      options.logger ??
      new ConfiguredLogger(config.logLevel, config.logFormat, (line) => process.stderr.write(`${line}\n`));
    this.#config = config;
    this.logger = logger;
    const version = packageVersion();
    this.#metrics = new Metrics(
      version,
      () => this.#readQueue(),
      () => this.#endpoints?.readings() ?? [],
    );
    this.#reloads = new Reloads({
      started,
      config: () => this.#config,
      dataDir: config.dataDir,
      apply: (plan, text) => this.#apply(plan, text),
      logger,
      now: Date.now,
    });
    this.#metrics.watchReloads(() => this.#reloads.reading);
    this.#metrics.watchParked(() => this.#endpoints?.parkedReadings() ?? []);
    this.#letters = new LetterWatch(
      () => this.#ledger?.deadLetters,
      () => this.#config.remoteWrite.map(({ name }) => name),
      logger,
    );
    registerDeadLetterMetrics(this.#metrics.registry, () => this.#letters.read());
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
    this.#intake = new Intake({
      config,
      queue: () => (this.#state === 'running' ? this.#queue : undefined),
      userOf: (request) => this.#doors?.visitorOf(request)?.user,
      metrics: this.#metrics,
      logger,
      now: Date.now,
    });
    this.#connections = new Connections(config.receiver, logger, Date.now, (reason) =>
      this.#metrics.closedConnections.inc({ reason }),
    );
    this.#resends = new Resends({
      store: () => this.#ledger?.deadLetters,
      endpoint: (name) => this.#config.remoteWrite.find((endpoint) => endpoint.name === name),
      userAgent: `Spillway/${version}`,
      logger,
      now: Date.now,
    });
    this.#board = new StatusBoard({
      version,
      now: Date.now,
      phase: () => this.#phase(),
      receivedRows: () => this.#intake.receivedRows,
      refusedRows: () => this.#intake.refusedRows,
      queue: () => this.#readQueue(),
      full: () => this.#keeper?.full,
      endpoints: () => this.#endpoints?.details() ?? [],
      parked: () => this.#endpoints?.parkedReadings() ?? [],
      letters: () => this.#letters.read(),
      letterCounts: () => this.#letters.counts(),
      resend: (name) => this.#resends.report(name),
    });
    this.#events = new StatusEvents(
      { document: () => this.#board.document(), history: (steps) => this.#board.history(steps) },
      Date.now,
    );
    const write: RouteHandler = (request, response) => this.#intake.handle(request, response);
    const status = statusRoutes({
      config: () => this.#config,
      version,
      registry: this.#metrics.registry,
      ready: () => this.#notReady(),
      board: this.#board,
      events: this.#events,
      deadLetters: () => this.#ledger?.deadLetters,
      resends: this.#resends,
      visitor: (request) => this.#doors?.visitorOf(request),
      logger,
    });
    const control = controlRoutes({
      reload: () => this.reload(),
      endpoints: () => this.#endpoints,
      graceMs: () => this.#config.shutdownGraceMs,
      letters: (name) => this.#letters.read().find(({ endpoint }) => endpoint === name)?.letters ?? 0,
      visitor: (request) => this.#doors?.visitorOf(request),
      logger,
    });
    const routes = [
      ['/api/v1/write', write] as const,
      ['/api/v1/push', write] as const,
      ...status,
      ...control,
      explainRoute({
        config: () => this.#config,
        text: () => this.#inForce,
        endpoints: () => this.#endpoints?.list ?? [],
        deadLetters: () => this.#ledger?.deadLetters,
      }),
    ];
    this.#server = new HttpServer(new Map(routes), {
      connections: this.#connections,
      logger,
      doors: this.#doors,
      onRefused: (reason) => this.#metrics.authRefusals.inc({ reason }),
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
      if (this.#options.listen !== false) this.#board.start((stepped) => this.#events.tick(stepped));
      const url = this.#options.listen === false ? undefined : await this.#server.listen(this.#config.listen);
      this.#warnOfExposure();
      await this.#open();
      this.logger.log('info', url === undefined ? 'Spillway runs' : 'Spillway listens and takes writes', {
        ...(url === undefined ? {} : { url }),
        version: packageVersion(),
        data_dir: this.#config.dataDir,
        endpoints: this.#config.remoteWrite.map(({ name }) => name).join(', '),
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
    const appender = this.#intake.appender();
    if (appender === undefined) throw new AgentStateError(`the agent does not run: it is ${this.#state}`);
    return appender;
  }

  /** What is in force. */
  get config(): Config {
    return this.#config;
  }

  /**
   * Puts the configuration as it is now in force, while data flows. Throws `ConfigError` and `ConfigFileError`, and
   * then nothing has changed; `AgentStateError` unless the agent runs and has something to read.
   */
  reload(): Promise<ReloadOutcome> {
    const { readConfig, dataDir } = this.#options;
    if (readConfig === undefined || this.#state !== 'running') {
      const why = readConfig === undefined ? 'has no file to reload' : `does not run: it is ${this.#state}`;
      return Promise.reject(new AgentStateError(`the agent ${why}`));
    }
    return this.#reloads.reload(() => (dataDir === undefined ? readConfig() : { ...readConfig(), dataDir }));
  }

  async #apply({ config, ...plan }: ReloadPlan, text: ConfigText): Promise<ReadonlyMap<string, unknown>> {
    const [queue, endpoints, ledger] = [this.#queue, this.#endpoints, this.#ledger];
    if (this.#state !== 'running' || queue === undefined || endpoints === undefined || ledger === undefined) {
      throw new AgentStateError(`the agent does not run: it is ${this.#state}`);
    }
    const before = this.#config;
    this.#config = this.#listening(config);
    this.#inForce = text;
    if (this.logger instanceof ConfiguredLogger) this.logger.configure(config.logLevel, config.logFormat);
    ledger.deadLetters.limits = config.deadLetters;
    if (!isDeepStrictEqual(before.receiver, config.receiver)) this.#intake.configure(config);
    if (!isDeepStrictEqual([before.wal, before.relabelConfigs], [config.wal, config.relabelConfigs])) {
      queue.configure(rollLimits(config), gateOf(config));
    }
    this.#keeper?.configure(capsOf(config));
    return endpoints.reload({ config: this.#config, text }, plan, config.shutdownGraceMs);
  }

  summary(): AgentSummary {
    return {
      receivedRows: this.#intake.receivedRows,
      refusedRows: this.#intake.refusedRows,
      walBytes: this.#queue?.bytes ?? 0,
      endpoints: (this.#endpoints?.list ?? []).map((endpoint) => ({
        name: endpoint.name,
        deliveredRows: endpoint.settledNow.delivered,
        droppedRows: endpoint.settledNow.lost,
        waitingRows: endpoint.waitingRows(),
        failing: endpoint.stats.get('failingLoops') > 0,
        ...(endpoint.pausedSinceMs === undefined ? {} : { pausedSinceMs: endpoint.pausedSinceMs }),
      })),
      removedEndpoints: this.#endpoints?.parkedReadings() ?? [],
    };
  }

  /** What is dangerous about the way in which the agent listens, for whoever starts it. */
  get warnings(): readonly string[] {
    return this.#options.listen === false ? [] : exposureWarnings(this.#config.listen, this.#doors?.config);
  }

  /** Stops everything, delivering for at most `graceMs` (default: `shutdown_grace`). Idempotent. */
  stop(graceMs: number = this.#config.shutdownGraceMs): Promise<void> {
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  async #stop(graceMs: number): Promise<void> {
    // A start that is under way comes to its end first: what it opens after this moment would stay open.
    await this.#started?.catch(() => undefined);
    await this.#close(graceMs);
  }

  async #open(): Promise<void> {
    const { dataDir, wal, remoteWrite } = this.#config;
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
    const room: RoomOptions = {
      dataDir,
      stopped: () => this.#stopped !== undefined,
      logger: this.logger,
      now: Date.now,
    };
    const { maxRows, maxAgeMs } = this.#config.deadLetters;
    this.#ledger = await whenRoom(room, () =>
      Ledger.open(
        dataDir,
        Date.now(),
        (aside, cause, remains) => {
          this.logger.log('error', ledgerDamage[remains], { file: aside, error: describeError(cause) });
        },
        { maxRows, maxAgeMs },
      ),
    );
    this.#letters.start();
    // The ledger may be new, or as old as its last sync, while all segments were delivered and are gone.
    const minNextId = Math.max(
      this.#ledger.minNextSegment,
      ...endpointNames(dataDir).map((name) => nextSegmentAfter(progressPath(dataDir, name))),
    );
    this.#queue = await whenRoom(room, () =>
      FileQueue.open({
        files: nodeFileSystem,
        dir: walDirectory(dataDir),
        codec: wal.codec,
        blocks: createBlocks(this.#config.kernel),
        roll: rollLimits(this.#config),
        minNextId,
        now: Date.now,
        randomSeed: () => randomInt(2 ** 32),
        gate: gateOf(this.#config),
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
    this.#endpoints = new Endpoints({
      dataDir,
      queue: this.#queue,
      ledger: this.#ledger,
      logger: this.logger,
      userAgent: `Spillway/${packageVersion()}`,
      now: Date.now,
      onReleased: () => this.#release(),
      onSaveFailed: (error) => void this.#keeper?.failed(error),
    });
    const left = this.#endpoints.open({ config: this.#config, text: this.#configText });
    tellAbsentEndpoints(
      this.#endpoints.parkedReadings(),
      left,
      new Map(this.#letters.read().map(({ endpoint, letters }) => [endpoint, letters])),
      remoteWrite.map(({ name }) => name),
      this.logger,
    );
    this.#keeper = new Keeper({
      queue: this.#queue,
      reserve,
      endpoints: () => this.#endpoints?.kept ?? [],
      caps: capsOf(this.#config),
      space: () => diskSpace(dataDir),
      now: Date.now,
      logger: this.logger,
      onRest: () => this.#publish(0),
      onRelease: () => this.#release(),
    });
    const threads = this.#endpoints.start();
    const writes = this.#keeper.start().then(() => {
      // From here on writes are taken: what comes while the threads start is on disk, and they read it there.
      if (this.#state === 'starting') this.#state = 'running';
    });
    const outcomes = await Promise.allSettled([threads, writes]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
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
    await step(() => {
      this.#board.stop();
      this.#events.close();
    });
    await step(() => this.#keeper?.stop());
    // The queue still commits what was taken before this moment, and its senders get their answer.
    await step(() => this.#queue?.finish());
    await step(() => this.#endpoints?.stop(graceMs));
    await step(() => this.#reloads.idle());
    await step(() => this.#releasing);
    await step(() => this.#resends.close());
    await step(() => {
      this.#letters.stop();
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
      this.logger.log('warn', warning, { listen: `${this.#config.listen.host}:${this.#config.listen.port}` });
    }
  }

  #committed(facts: CommitFacts): void {
    this.#metrics.intake.committed(facts.counts, facts.bytes, facts.seconds);
    this.#repetition.over('commit');
    this.#publish(facts.rows);
    this.#keeper?.committed();
  }

  /** Tells the endpoints how far they may read; `rows` more rows were committed. */
  #publish(rows: number): void {
    this.#endpoints?.publish(this.#queue!.watermark, rows);
  }

  #phase(): 'starting' | 'running' | 'stopping' {
    if (this.#state === 'running') return 'running';
    return this.#state === 'new' || this.#state === 'starting' ? 'starting' : 'stopping';
  }

  /** What keeps the agent from taking writes, for readiness; undefined when nothing does. */
  #notReady(): string | undefined {
    if (this.#state !== 'running') return this.#state;
    const full = this.#keeper?.full;
    return full && `not ready: ${fullText(full)}; writes are refused with 503 until there is room`;
  }

  /** Deletes the segments that every endpoint has passed, as saved. One at a time. */
  #release(): void {
    const queue = this.#queue;
    const needed = this.#endpoints?.needed;
    if (queue === undefined || needed === undefined) return;
    if (this.#releasing !== undefined || this.#state !== 'running') return;
    this.#releasing = queue
      .release(needed.before, needed.ranges)
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

  #readQueue(): QueueReading | undefined {
    const queue = this.#queue;
    return (
      queue && {
        bytes: queue.bytes,
        segments: queue.segments.length,
        segment: queue.watermark.segment,
        openSeries: queue.openSeries,
        inFlightBytes: this.#intake.inFlightBytes,
        connections: this.#connections.open,
        newestMs: this.#intake.newestMs,
        full: this.#keeper?.full !== undefined,
        oldestMs: queue.segments[0]?.firstMs,
        ...(this.#keeper?.reading ?? { capBytes: Number.POSITIVE_INFINITY, freeBytes: undefined }),
      }
    );
  }

  /** With the address that the program was told to listen on, if it was. */
  #listening(config: Config): Config {
    return { ...config, listen: this.#options.listen || config.listen };
  }
}

/** 4 MiB, less on a disk that is itself small. */
function reserveBytes(diskBytes: number): number {
  return Math.min(4 * 2 ** 20, Math.floor(diskBytes / 16));
}
