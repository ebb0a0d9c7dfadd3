import type { Config, ConfigText } from './config/load.ts';
import { planReload, type ReadConfig, type ReloadPlan, readForReload } from './config/reload-plan.ts';
import { describeError } from './runtime/errors.ts';
import type { LogFacts, Logger } from './telemetry/log.ts';
import type { ReloadReading } from './telemetry/metrics.ts';

/** What a reload has done. */
export interface ReloadOutcome {
  /** Names of endpoints. */
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** Keys beside `remote_write` that are in force as they are now in the file. */
  readonly settings: readonly string[];
  /** Keys that are in force as they were: `file:line:column: key`. */
  readonly needsRestart: readonly string[];
  /** Endpoints with which it could not be done; they are as they were. The rest was done. */
  readonly failed: readonly { readonly endpoint: string; readonly error: string }[];
}

export interface ReloadsOptions {
  /** What the agent was started with. */
  readonly started: ReadConfig;
  /** What is in force. */
  readonly config: () => Config;
  /** The data directory that is in use, whatever a new text says. */
  readonly dataDir: string;
  /** Puts a plan in force; returns the endpoints with which that could not be done. */
  readonly apply: (plan: ReloadPlan, text: ConfigText) => Promise<ReadonlyMap<string, unknown>>;
  readonly logger: Logger;
  readonly now: () => number;
}

/**
 * Reloads, one after the other. Whoever asks while one runs and another one waits gets the outcome of the one that
 * waits: it reads the file after that moment. So a storm of signals costs two reloads.
 */
export class Reloads {
  readonly #options: ReloadsOptions;
  #running: ReadonlyMap<string, string>;
  #last: Promise<unknown> = Promise.resolve();
  #next: Promise<ReloadOutcome> | undefined;
  #reading: ReloadReading;

  constructor(options: ReloadsOptions) {
    this.#options = options;
    this.#running = options.started.endpoints;
    this.#reading = { successful: true, successMs: options.now(), needsRestart: 0 };
  }

  /** For the metrics. */
  get reading(): ReloadReading {
    return this.#reading;
  }

  /** Resolves when no reload runs, however it ends. */
  async idle(): Promise<void> {
    while (this.#next !== undefined) await this.#next.catch(() => undefined);
    await this.#last;
  }

  /**
   * Puts the text that `read` gives in force. What is wrong with it is thrown (`ConfigError`, `ConfigFileError`), and
   * then nothing has changed.
   */
  reload(read: () => ConfigText): Promise<ReloadOutcome> {
    this.#next ??= this.#last.then(() => {
      const running = this.#run(read);
      this.#last = running.catch(() => undefined);
      this.#next = undefined;
      return running;
    });
    return this.#next;
  }

  async #run(read: () => ConfigText): Promise<ReloadOutcome> {
    const { logger } = this.#options;
    let file = '';
    try {
      const text = read();
      file = text.file;
      return await this.#apply(text);
    } catch (error) {
      this.#reading = { ...this.#reading, successful: false };
      logger.log('error', 'the configuration cannot be reloaded; the one before stays in force', {
        file,
        error: describeError(error),
      });
      throw error;
    }
  }

  async #apply(text: ConfigText): Promise<ReloadOutcome> {
    const { config, dataDir, apply, now } = this.#options;
    const plan = planReload(config(), this.#running, readForReload(text.text, text));
    // Places of files within the data directory are those of the one that is in use.
    const inUse = { ...text, dataDir };
    const after = readForReload(text.text, inUse);
    const { remoteWrite } = after.config;
    const failed = await apply({ ...plan, config: { ...plan.config, remoteWrite } }, inUse);
    this.#running = new Map(
      [...new Set([...after.endpoints.keys(), ...this.#running.keys()])].flatMap((name) => {
        const entry = (failed.has(name) ? this.#running : after.endpoints).get(name);
        return entry === undefined ? [] : [[name, entry] as const];
      }),
    );
    const { added, changed, removed, settings, needsRestart } = plan;
    this.#reading = {
      successful: failed.size === 0,
      successMs: failed.size === 0 ? now() : this.#reading.successMs,
      needsRestart: needsRestart.length,
    };
    const outcome = {
      added,
      changed,
      removed,
      settings,
      needsRestart,
      failed: [...failed].map(([endpoint, error]) => ({ endpoint, error: describeError(error) })),
    };
    this.#tell(text.file, outcome);
    return outcome;
  }

  #tell(file: string, { needsRestart, failed, ...lists }: ReloadOutcome): void {
    const { logger } = this.#options;
    const facts: LogFacts = Object.fromEntries(
      Object.entries(lists).flatMap(([key, names]) => (names.length === 0 ? [] : [[key, names.join(', ')]])),
    );
    logger.log(
      'info',
      Object.keys(facts).length === 0
        ? 'the configuration was reloaded: nothing has changed that a reload puts in force'
        : 'the configuration was reloaded and is in force',
      {
        file,
        ...facts,
        ...(failed.length === 0 ? {} : { failed: failed.map((f) => f.endpoint).join(', ') }),
      },
    );
    if (needsRestart.length > 0) {
      logger.log('warn', 'some keys of the configuration take a restart; the rest is in force', {
        keys: needsRestart.join(', '),
      });
    }
  }
}
