import { parseDuration } from '../config/durations.ts';
import type { Config } from '../config/load.ts';
import type { ListedEndpoint, Seek, SeekTarget } from '../endpoint/control.ts';
import { endpointsPath } from '../status/control-routes.ts';
import type { ParkedReading } from '../telemetry/metrics.ts';
import { AgentClient, ANSWER_MS, agentUrl } from './agent-client.ts';
import type { CommandName } from './commands.ts';
import { confirm } from './confirm.ts';
import { CommandError, UsageError } from './errors.ts';
import { bytesText, countText, durationText, tableText } from './text.ts';

export interface EndpointCommandOptions {
  readonly config: Config;
  /** Of the agent, when it is not reached by what the configuration says. */
  readonly url: string | undefined;
  /** A file that says how to get in. */
  readonly httpConfig: string | undefined;
  readonly json: boolean;
  /** Where `seek` goes. */
  readonly to: {
    readonly oldest: boolean;
    readonly now: boolean;
    readonly segment: string | undefined;
    readonly time: string | undefined;
  };
  readonly dryRun: boolean;
  /** Nobody is to be asked. */
  readonly yes: boolean;
}

export type EndpointCommand = Extract<CommandName, `endpoint ${string}`>;

interface Task {
  readonly client: AgentClient;
  readonly options: EndpointCommandOptions;
  readonly write: (text: string) => void;
}

/**
 * `spillway endpoint ...`: asks the running agent. Returns the exit code. Throws `UsageError` and `CommandError`.
 */
export async function endpointCommand(
  command: EndpointCommand,
  name: string,
  options: EndpointCommandOptions,
  write: (text: string) => void,
): Promise<number> {
  const client = new AgentClient(options.url ?? agentUrl(options.config), options.httpConfig);
  return commands[command]({ client, options, write }, name);
}

async function list({ client, options, write }: Task): Promise<number> {
  const listed = await ask<Listed>(client, 'GET', endpointsPath);
  if (options.json) {
    write(`${JSON.stringify(listed)}\n`);
    return 0;
  }
  const { endpoints, removed } = listed;
  const rows = endpoints.map((endpoint) => [
    endpoint.name,
    stateOf(endpoint),
    countText(endpoint.waitingRows),
    bytesText(endpoint.waitingBytes),
    endpoint.waitingRows === 0 ? '-' : durationText(endpoint.oldestSeconds),
    String(endpoint.segment),
    endpoint.url,
  ]);
  write(tableText([['NAME', 'STATE', 'WAITING', 'BYTES', 'OLDEST', 'SEGMENT', 'URL'], ...rows]));
  for (const { name, sinceMs, waitingRows, bytes } of removed) {
    const since = new Date(sinceMs).toISOString();
    write(`${name}: not configured since ${since}; kept for it: ${waitingRows} rows, ${bytes} bytes\n`);
  }
  return 0;
}

function stateOf({ pausedSinceMs, failing, waitingRows }: ListedEndpoint): string {
  if (pausedSinceMs !== undefined) return 'paused';
  return failing ? 'failing' : waitingRows > 0 ? 'delivering' : 'up to date';
}

const commands: Readonly<Record<EndpointCommand, (task: Task, name: string) => Promise<number>>> = {
  'endpoint ls': list,

  'endpoint pause': async ({ client, options, write }: Task, name: string): Promise<number> => {
    const path = `${endpointsPath}/pause`;
    const done = await ask<{ readonly pausedSinceMs: number }>(
      client,
      'POST',
      path,
      { name },
      waitOf(options),
    );
    if (options.json) write(`${JSON.stringify(done)}\n`);
    else {
      write(
        `${name} is paused since ${new Date(done.pausedSinceMs).toISOString()}; its rows wait on disk,\n`,
      );
      write(`also over restarts and reloads, until: spillway endpoint resume ${name}\n`);
    }
    return 0;
  },

  'endpoint resume': async ({ client, options, write }: Task, name: string): Promise<number> => {
    const done = await ask<object>(client, 'POST', `${endpointsPath}/resume`, { name });
    write(options.json ? `${JSON.stringify(done)}\n` : `${name} delivers again, from where it stood\n`);
    return 0;
  },

  'endpoint seek': async ({ client, options, write }: Task, name: string): Promise<number> => {
    const to = targetOf(options.to);
    const seek = (target: SeekTarget, dryRun: boolean): Promise<Seek> =>
      ask<Seek>(client, 'POST', `${endpointsPath}/seek`, { name, to: target, dryRun }, waitOf(options));
    const plan = await seek(to, true);
    if (options.dryRun) {
      write(options.json ? `${JSON.stringify(plan)}\n` : `${name} would ${wordsFor(plan)}\n`);
      return 0;
    }
    if (plan.direction === 'forwards' && plan.rows > 0 && !options.yes && !(await agreedTo(name, plan))) {
      process.stderr.write('nothing was changed\n');
      return 1;
    }
    // What has come since, or been done by others, is not what was agreed to.
    const { direction, segment } = plan;
    const done = await seek(direction === 'forwards' ? { before: segment } : { from: segment }, false);
    write(options.json ? `${JSON.stringify(done)}\n` : `${name}: ${wordsFor(done)}\n`);
    return 0;
  },

  'endpoint forget': async ({ client, options, write }: Task, name: string): Promise<number> => {
    const path = `${endpointsPath}?${new URLSearchParams({ name })}`;
    const gone = await ask<Forgotten>(client, 'DELETE', path);
    if (options.json) {
      write(`${JSON.stringify(gone)}\n`);
      return 0;
    }
    const { rows, bytes, deadLetters } = gone;
    write(`${name} is forgotten, with ${rows} rows that were kept for it in ${bytes} bytes\n`);
    if (deadLetters > 0) {
      write(`its ${deadLetters} dead letters stay: spillway dead-letters purge --endpoint ${name}\n`);
    }
    return 0;
  },
};

function targetOf({ oldest, now, segment, time }: EndpointCommandOptions['to']): SeekTarget {
  if ([oldest, now, segment !== undefined, time !== undefined].filter(Boolean).length !== 1) {
    throw new UsageError('endpoint seek: where to? One of --oldest, --now, --segment N and --time TIME');
  }
  if (time !== undefined) return { atMs: timeOf(time) };
  if (segment === undefined) return oldest ? 'oldest' : 'now';
  if (!/^\d{1,15}$/.test(segment) || Number(segment) === 0) {
    throw new UsageError(`--segment ${segment} is not the id of a segment; see spillway endpoint ls`);
  }
  return Number(segment);
}

/** Ms since the epoch: a duration is so long ago, as with `--since`; a time says its zone, or it is a guess. */
function timeOf(text: string): number {
  const ago = parseDuration(text);
  const atMs = ago === undefined ? Date.parse(text) : Date.now() - ago;
  if (Number.isNaN(atMs) || (ago === undefined && !/T.*(?:Z|[+-]\d\d:\d\d)$/.test(text))) {
    throw new UsageError(
      `--time ${text} is neither a time such as 2026-11-21T03:00Z nor a duration such as 2h`,
    );
  }
  return Math.max(0, atMs);
}

function wordsFor({ direction, segment, rows }: Seek): string {
  return direction === 'backwards'
    ? `go back to segment ${segment}: ${rows} rows wait for it again, and those that it had are sent twice`
    : `pass over all before segment ${segment}: at most ${rows} rows, which it never gets, counted as skipped`;
}

/** Throws `UsageError` when there is no terminal to ask on. */
async function agreedTo(name: string, { rows }: Seek): Promise<boolean> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY || !stderr.isTTY) {
    throw new UsageError(
      `this passes over ${rows} rows that ${name} never gets then: without a terminal to ask on it needs --yes`,
    );
  }
  return confirm(`Pass over ${rows} rows? ${name} never gets them then.`, stdin, stderr);
}

interface Listed {
  readonly endpoints: readonly ListedEndpoint[];
  readonly removed: readonly ParkedReading[];
}

interface Forgotten {
  readonly rows: number;
  readonly bytes: number;
  readonly deadLetters: number;
}

/** For what an endpoint may finish first. */
function waitOf({ config }: EndpointCommandOptions): number {
  return ANSWER_MS + config.shutdownGraceMs;
}

async function ask<T>(
  client: AgentClient,
  method: string,
  path: string,
  body?: object,
  answerMs = ANSWER_MS,
): Promise<T> {
  const { status, text } = await client.ask(method, path, body, answerMs);
  if (status === 200) return JSON.parse(text) as T;
  let said = text.trim();
  try {
    said = (JSON.parse(text) as { readonly error?: string }).error ?? said;
  } catch {
    // A text, as the doors of the listener answer: it is shown as it is.
  }
  throw new CommandError(`the agent refuses (${status}): ${said}`);
}
