import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { ConfigFileError } from '../config/load.ts';
import { authenticates, parseWebConfig, type WebConfig } from '../config/web-config.ts';
import { describeError, SpillwayError } from '../runtime/errors.ts';
import { fileVersion, fileVersionSync } from '../runtime/file-version.ts';
import type { Logger } from '../telemetry/log.ts';

/** A change of the web configuration that a running listener does not make. */
export class WebConfigChangeError extends SpillwayError {
  readonly code = 'WEB_CONFIG_NEEDS_RESTART';
}

export interface WebConfigFileOptions {
  /** Absolute. */
  readonly file: string;
  readonly logger: Logger;
  /** How often the files are looked at, once a second by default. */
  readonly lookMs?: number | undefined;
  /** Something else is in force now. */
  readonly onReload?: () => void;
}

const LOOK_MS = 1000;

/**
 * The web configuration file and all files that it names, followed while the agent runs.
 *
 * They are looked at once a second, off the road of the requests: a file system that hangs stops no sender. What
 * has changed is read when it has kept still from one look to the next, since it may still be written: half of a
 * file can be a valid file with fewer users, and a certificate is often replaced before its key.
 *
 * What is wrong with the new files is said once, and the old ones stay in force. Two changes are refused in the
 * same way, since by mistake they would do harm: TLS on or off, and taking the last credentials away.
 */
export class WebConfigFile {
  readonly #options: WebConfigFileOptions;
  #current: WebConfig;
  /** The files that the last try read, with the versions that they had before. */
  #loaded: ReadonlyMap<string, string> = new Map();
  #seen: ReadonlyMap<string, string> = new Map();
  #failing = false;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #closed = false;

  /** Reads everything. Throws `ConfigFileError` or `ConfigError`. */
  constructor(options: WebConfigFileOptions) {
    this.#options = options;
    this.#current = this.#load();
  }

  /** What is in force. */
  get current(): WebConfig {
    return this.#current;
  }

  /** Whether the files, as they are now, could not be put in force. */
  get failing(): boolean {
    return this.#failing;
  }

  /** Follows the files from now on, until `close`. */
  follow(): void {
    this.#seen = this.#loaded;
    this.#arm();
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  #arm(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.look().then(() => this.#arm());
    }, this.#options.lookMs ?? LOOK_MS);
  }

  /** One look; what has changed, and kept still since the look before, is put in force. */
  async look(): Promise<void> {
    const files = [...this.#loaded.keys()];
    const versions = await Promise.all(files.map(fileVersion));
    const now = new Map(files.map((file, i) => [file, versions[i]!]));
    const still = same(now, this.#seen);
    this.#seen = now;
    if (still && !same(now, this.#loaded)) this.#reload();
  }

  #reload(): void {
    const { file, logger, onReload } = this.#options;
    try {
      const next = this.#load();
      this.#seen = this.#loaded;
      checkChange(this.#current, next);
      this.#current = next;
    } catch (error) {
      this.#seen = this.#loaded;
      this.#failing = true;
      logger.log(
        'error',
        'the web configuration has changed and cannot be used; the one before stays in force',
        {
          file,
          error: describeError(error),
        },
      );
      return;
    }
    this.#failing = false;
    logger.log('info', 'the web configuration has changed; the new one is in force', {
      file,
      users: this.#current.users.size,
      tokens: this.#current.tokens.length,
    });
    onReload?.();
  }

  /** Versions are taken before the content: what changes in between is read once more. */
  #load(): WebConfig {
    const versions = new Map<string, string>();
    // Also when it fails: then they are what the next try waits for.
    this.#loaded = versions;
    return loadWebConfig(this.#options.file, (path) => versions.set(path, fileVersionSync(path)));
  }
}

/**
 * Reads the web configuration `file` and the files that it names; `onRead` is told each of them, just before.
 * Throws `ConfigFileError` or `ConfigError`.
 */
export function loadWebConfig(file: string, onRead: (path: string) => void = () => undefined): WebConfig {
  const read = (path: string): Buffer => {
    onRead(path);
    return readFileSync(path);
  };
  let text: string;
  try {
    text = read(file).toString('utf8');
  } catch (error) {
    throw new ConfigFileError(file, error);
  }
  return parseWebConfig(text, { file, baseDir: dirname(file), read });
}

function checkChange(before: WebConfig, next: WebConfig): void {
  if ((before.tls === undefined) !== (next.tls === undefined)) {
    throw new WebConfigChangeError(`switching TLS ${next.tls === undefined ? 'off' : 'on'} takes a restart`);
  }
  if (authenticates(before) && !authenticates(next)) {
    throw new WebConfigChangeError('it has no credentials any more; to open the listener to all, restart');
  }
}

function same(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([file, version]) => b.get(file) === version);
}
