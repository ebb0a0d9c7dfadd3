import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/load.ts';
import { DirectoryLockedError, lockDirectory } from '../runtime/directory-lock.ts';
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
}

/** `spillway recent SELECTOR`: writes the answer as JSON; returns the exit code. Throws `CommandError`. */
export async function recentCommand(
  selector: string,
  { config, named, url, httpConfig }: RecentOptions,
  write: (text: string) => void,
): Promise<number> {
  const params = new URLSearchParams({ match: selector });
  if (url === undefined && named) {
    const answer = whenFree(config.dataDir, () => queryRecent(config, params));
    if (answer !== undefined) {
      write(`${JSON.stringify(answer.body, undefined, 2)}\n`);
      return answer.status < 300 ? 0 : 1;
    }
  }
  const because = named && url === undefined ? `${config.dataDir} is in use, and ` : '';
  const client = new AgentClient(url ?? agentUrl(config), httpConfig, because);
  const { status, text } = await client.ask('GET', `/api/v1/recent?${params}`);
  write(text);
  return status < 300 ? 0 : 1;
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
