/**
 * The configuration: read from YAML, checked against the options table, normalised once, frozen.
 *
 * `parseConfig` is a function of text; `loadConfig` puts a file in front of it.
 */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { LineCounter } from 'yaml';
import { SpillwayError } from '../runtime/errors.ts';
import { formatDuration } from './durations.ts';
import { type EndpointConfig, endpointsOf } from './endpoints.ts';
import { type FileSettings, options } from './options.ts';
import { Problems } from './problems.ts';
import { readSettings } from './read.ts';
import { checkRelabelRules } from './relabel.ts';
import { renderDefaults } from './sample.ts';
import { formatSize } from './sizes.ts';
import { parseYaml } from './syntax.ts';

/** All settings, deeply frozen. Durations are in milliseconds, sizes in bytes, paths absolute. */
export type Config = Omit<FileSettings, 'remoteWrite'> & {
  /** One at least; names are unique. */
  readonly remoteWrite: readonly EndpointConfig[];
};

/** The configuration file cannot be read. */
export class ConfigFileError extends SpillwayError {
  override readonly code: string = 'CONFIG_UNREADABLE';

  constructor(file: string, cause: unknown) {
    super(`cannot read the configuration file ${file}`, { file }, cause);
  }
}

/** Reads `file`; its folder is where relative paths start. Throws `ConfigFileError` or `ConfigError`. */
export async function loadConfig(file: string): Promise<Config> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigFileError(file, error);
  }
  return parseConfig(text, { file, baseDir: dirname(resolve(file)) });
}

/** Where the text of a configuration comes from. */
export interface ConfigOrigin {
  /** The name for errors. */
  readonly file: string;
  /** Where relative paths start; absolute. */
  readonly baseDir: string;
  /** In place of the `data_dir` of the text; absolute. */
  readonly dataDir?: string;
}

/** A configuration as text: YAML, what errors call it, and the absolute folder where relative paths start. */
export type ConfigText = ConfigOrigin & { readonly text: string };

/** All settings of `text`. Throws `ConfigError`. */
export function parseConfig(text: string, origin: ConfigOrigin): Config {
  return parseConfigInFull(text, origin).config;
}

/** A configuration, and what it was made of: for those who look closer at it than the agent does. */
export interface ParsedConfig {
  readonly config: Config;
  /** What the file says, with defaults filled in. */
  readonly settings: FileSettings;
  /** Knows where each path is written. Nothing has been added yet. */
  readonly problems: Problems;
}

/** As `parseConfig`. Throws `ConfigError`. */
export function parseConfigInFull(text: string, { file, baseDir, dataDir }: ConfigOrigin): ParsedConfig {
  const lines = new LineCounter();
  const problems = new Problems(file, lines);
  const settings = readSettings({ options }, parseYaml(text, lines, problems), problems, baseDir);
  checkReceiver(settings.receiver, problems);
  checkAges(settings, problems);
  checkRelabelRules(settings.relabelConfigs, 'relabel_configs', problems);
  const dataDirInUse = dataDir ?? settings.dataDir;
  const remoteWrite = endpointsOf(settings.remoteWrite, dataDirInUse, problems);
  problems.throwIfAny();
  const config = deepFreeze({ ...settings, dataDir: dataDirInUse, remoteWrite });
  return { config, settings, problems };
}

/** What runs without a file: exactly the sample that `spillway config --defaults` prints. */
export function defaultConfig(baseDir: string): Config {
  return parseConfig(renderDefaults(), { file: 'defaults', baseDir });
}

/** A request of the largest size must fit, or it would be put off for ever. */
function checkReceiver(receiver: FileSettings['receiver'], problems: Problems): void {
  const { maxRequestBytes, maxDecodedBytes, maxInFlightBytes, perSender } = receiver;
  const rooms = [
    ['max_in_flight_bytes', maxInFlightBytes],
    ['per_sender.in_flight_bytes', perSender.inFlightBytes],
  ] as const;
  const sizes = [
    ['max_request_bytes', maxRequestBytes],
    ['max_decoded_bytes', maxDecodedBytes],
  ] as const;
  for (const [room, roomBytes] of rooms) {
    for (const [size, bytes] of sizes) {
      if (roomBytes === undefined || bytes <= roomBytes) continue;
      problems.addAcross(
        [`receiver.${room}`, `receiver.${size}`],
        `\`${room}\` (${formatSize(roomBytes)}) is below \`${size}\` (${formatSize(bytes)}), ` +
          'so that the largest request would be put off for ever',
      );
      break;
    }
  }
}

/** A segment goes as a whole, so no age below that of a segment could be kept to. */
function checkAges({ wal, remoteWrite }: FileSettings, problems: Problems): void {
  const check = (key: string, ageMs: number | undefined): void => {
    if (ageMs === undefined || ageMs >= wal.segmentAgeMs) return;
    const name = key.slice(key.lastIndexOf('.') + 1);
    problems.addAcross(
      [key, 'wal.segment_age'],
      `\`${name}\` (${formatDuration(ageMs)}) is below \`segment_age\` (${formatDuration(wal.segmentAgeMs)}), ` +
        'and segments are dropped as a whole: lower `segment_age` too',
    );
  };
  check('wal.max_age', wal.maxAgeMs);
  for (const [i, endpoint] of remoteWrite.entries()) {
    check(`remote_write[${i}].max_backlog_age`, endpoint.maxBacklogAgeMs);
  }
}

/** Freezes `value` and all that it holds. */
export function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) deepFreeze(inner);
  }
  return Object.freeze(value);
}
