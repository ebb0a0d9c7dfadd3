import { isDeepStrictEqual } from 'node:util';
import { type Document, isNode, LineCounter } from 'yaml';
import { type Config, type ConfigOrigin, deepFreeze, parseConfig } from './load.ts';
import { options } from './options.ts';
import { Problems } from './problems.ts';
import { propertyName, type Section } from './rows.ts';
import { parseYaml } from './syntax.ts';

/** A configuration, and what of its text says whether an endpoint is as it was: secrets cannot be compared. */
export interface ReadConfig {
  readonly config: Config;
  /** By name of the endpoint: all that its thread depends on, as text. Equal texts, equal endpoints. */
  readonly endpoints: ReadonlyMap<string, string>;
  /** `file:line:column` of a path that is written, or the name of the file. */
  readonly where: (path: readonly (string | number)[]) => string;
}

/** What a reload does. All lists are in the order of the file. */
export interface ReloadPlan {
  /** What is in force afterwards: the new one, with what takes a restart as it was. */
  readonly config: Config;
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  readonly kept: readonly string[];
  /** Keys beside `remote_write` that have changed and are put in force. */
  readonly settings: readonly string[];
  /** Keys that have changed and take a restart: `file:line:column: key`. */
  readonly needsRestart: readonly string[];
}

/** Keys of `remote_write` that only the main thread looks at: a thread goes on when they change. */
const ofMain: ReadonlySet<string> = new Set([
  'name',
  'start_at',
  'max_backlog_bytes',
  'max_backlog_age',
  'when_full',
]);

/** Reads a text for a reload. Throws `ConfigError`. */
export function readForReload(text: string, origin: ConfigOrigin): ReadConfig {
  const config = parseConfig(text, origin);
  const lines = new LineCounter();
  const document = parseYaml(text, lines, new Problems(origin.file, lines));
  const written = document.toJS() as { remote_write?: unknown[]; external_labels?: unknown } | null;
  const labels = sorted(written?.external_labels ?? {});
  const endpoints = new Map(
    config.remoteWrite.map(({ name }, i) => {
      const entry = (written?.remote_write?.[i] ?? {}) as object;
      const own = Object.entries(entry).filter(([key]) => !ofMain.has(key));
      return [name, JSON.stringify([labels, sorted(Object.fromEntries(own))])];
    }),
  );
  return { config, endpoints, where: (path) => whereIs(document, lines, origin.file, path) };
}

/**
 * What leads from the running configuration to `after`. `running` are the endpoints that run, as `ReadConfig` has them:
 * one that could not be started is none of them.
 *
 * Restart keys don't hold the rest back: a rotated credential must not wait for somebody who has time for a restart.
 */
export function planReload(
  before: Config,
  running: ReadonlyMap<string, string>,
  after: ReadConfig,
): ReloadPlan {
  const found: Found = { settings: [], needsRestart: [] };
  const config = compare(options, before, after.config, [], found) as unknown as Config;
  const names = [...after.endpoints.keys()];
  return {
    config: deepFreeze({ ...config, remoteWrite: after.config.remoteWrite }),
    added: names.filter((name) => !running.has(name)),
    changed: names.filter((name) => running.has(name) && running.get(name) !== after.endpoints.get(name)),
    kept: names.filter((name) => running.get(name) === after.endpoints.get(name)),
    removed: [...running.keys()].filter((name) => !after.endpoints.has(name)),
    settings: found.settings.map((path) => path.join('.')),
    needsRestart: found.needsRestart.map((path) => `${after.where(path)}: ${path.join('.')}`),
  };
}

interface Found {
  readonly settings: (readonly string[])[];
  readonly needsRestart: (readonly string[])[];
}

/** Goes through a section: the values of `after`, and those of `before` where a restart is needed. */
function compare(
  section: Section,
  before: object,
  after: object,
  path: readonly string[],
  found: Found,
): Record<string, unknown> {
  const result: Record<string, unknown> = { ...after };
  for (const [key, row] of Object.entries(section)) {
    if (key === 'remote_write') continue;
    const property = propertyName(key, row);
    const was = (before as Record<string, unknown>)[property];
    const is = (after as Record<string, unknown>)[property];
    const here = [...path, key];
    if (row.type === 'section' && was !== undefined && is !== undefined) {
      result[property] = compare(row.options, was as object, is as object, here, found);
    } else if (!isDeepStrictEqual(was, is)) {
      if (row.restart) result[property] = was;
      (row.restart ? found.needsRestart : found.settings).push(here);
    }
  }
  return result;
}

/** With keys in one order, so that moving them about is no change. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}

function whereIs(
  document: Document.Parsed,
  lines: LineCounter,
  file: string,
  path: readonly (string | number)[],
): string {
  const node = document.getIn(path, true);
  const offset = isNode(node) ? node.range?.[0] : undefined;
  if (offset === undefined) return file;
  const { line, col } = lines.linePos(offset);
  return `${file}:${line}:${col}`;
}
