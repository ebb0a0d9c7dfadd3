import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/load.ts';
import { seriesText } from '../promql/series-text.ts';
import { DirectoryLockedError, lockDirectory } from '../runtime/directory-lock.ts';
import type { RecentLookupResult } from '../status/recent-lookup.ts';
import { queryRecent } from '../status/recent-query.ts';
import { AgentClient, agentUrl } from './agent-client.ts';
import { CommandError } from './errors.ts';

export interface RecentOptions {
  readonly config: Config;
  /** The configuration or its data directory was named: when no agent runs there, its file is read. */
  readonly named: boolean;
  /** Of the agent, when it is not reached by what the configuration says. */
  readonly url: string | undefined;
  /** A file that says how to get in. */
  readonly httpConfig: string | undefined;
  readonly json: boolean;
}

interface Answer {
  readonly status: number;
  readonly body: object;
}

/** `spillway recent SELECTOR`; returns the exit code. Throws `CommandError`. */
export async function recentCommand(
  selector: string,
  options: RecentOptions,
  write: (text: string) => void,
): Promise<number> {
  const { status, body } = await answerTo(new URLSearchParams({ match: selector }), options);
  if (options.json) write(`${JSON.stringify(body)}\n`);
  else if (status < 300) write(resultText(body as RecentLookupResult));
  else {
    const { error = JSON.stringify(body) } = body as { readonly error?: string };
    throw new CommandError(`${error} (${status})`);
  }
  return status < 300 ? 0 : 1;
}

async function answerTo(
  params: URLSearchParams,
  { config, named, url, httpConfig }: RecentOptions,
): Promise<Answer> {
  if (url === undefined && named) {
    const answer = whenFree(config.dataDir, () => queryRecent(config, params));
    if (answer !== undefined) return answer;
  }
  const because = named && url === undefined ? `${config.dataDir} is in use, and ` : '';
  const client = new AgentClient(url ?? agentUrl(config), httpConfig, because);
  const { status, text } = await client.ask('GET', `/api/v1/recent?${params}`);
  try {
    return { status, body: JSON.parse(text) as object };
  } catch {
    // A text, as the doors of the listener answer: it is shown as it is.
    return { status, body: { error: text.trim() } };
  }
}

/** For people: each series with its samples, the newest last. */
function resultText({ series, totalSeries }: RecentLookupResult): string {
  if (series.length === 0) return 'no series that is kept here matches\n';
  const lines = series.flatMap(({ labels, samples, exemplar, metadata }) => [
    seriesText(labels),
    ...(metadata === undefined ? [] : [`  ${metadata.type}: ${metadata.help}`]),
    ...samples.map(({ timestampMs, value }) => `  ${timeText(timestampMs)}  ${value}`),
    ...(exemplar === undefined
      ? []
      : [`  ${timeText(exemplar.timestampMs)}  ${exemplar.value}  exemplar ${seriesText(exemplar.labels)}`]),
  ]);
  const more = totalSeries - series.length;
  return `${lines.join('\n')}\n${more > 0 ? `... and ${more} more series: a narrower selector shows them\n` : ''}`;
}

/** Times beyond what a date can be are possible in a sample. */
function timeText(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`;
}

/** What `action` returns while `dataDir` is held against an agent that would start; undefined when one has it. */
function whenFree<T>(dataDir: string, action: () => T): T | undefined {
  if (!existsSync(join(dataDir, 'state.db'))) {
    throw new CommandError(`there is nothing in ${dataDir}: no agent has run there`, { dir: dataDir });
  }
  let lock: { release(): void };
  try {
    lock = lockDirectory(dataDir);
  } catch (error) {
    if (error instanceof DirectoryLockedError) return undefined;
    throw error;
  }
  try {
    return action();
  } finally {
    lock.release();
  }
}
