import type { Config } from '../config/load.ts';
import { endpointsPath } from '../status/control-routes.ts';
import type { ParkedReading } from '../telemetry/metrics.ts';
import { AgentClient, agentUrl } from './agent-client.ts';
import { CommandError, UsageError } from './errors.ts';

export interface EndpointCommandOptions {
  readonly config: Config;
  /** Of the agent, when it is not reached by what the configuration says. */
  readonly url: string | undefined;
  /** A file that says how to get in. */
  readonly httpConfig: string | undefined;
}

/**
 * `spillway endpoint list`, `spillway endpoint forget NAME`: asks the running agent. Returns the exit code. Throws
 * `UsageError` and `CommandError`.
 */
export async function endpointCommand(
  args: readonly string[],
  { config, url, httpConfig }: EndpointCommandOptions,
  write: (text: string) => void,
): Promise<number> {
  const [command, name, ...rest] = args;
  const client = new AgentClient(url ?? agentUrl(config), httpConfig);
  if (command === 'list' && name === undefined) {
    const { endpoints, removed } = await ask<Listed>(client, 'GET', endpointsPath);
    for (const one of endpoints) write(`${one}\n`);
    for (const { name: gone, sinceMs, waitingRows, bytes } of removed) {
      const since = new Date(sinceMs).toISOString();
      write(`${gone}: not configured since ${since}; kept for it: ${waitingRows} rows, ${bytes} bytes\n`);
    }
    return 0;
  }
  if (command === 'forget' && name !== undefined && rest.length === 0) {
    const path = `${endpointsPath}?${new URLSearchParams({ name })}`;
    const { rows, bytes, deadLetters } = await ask<Forgotten>(client, 'DELETE', path);
    write(`${name} is forgotten, with ${rows} rows that were kept for it in ${bytes} bytes\n`);
    if (deadLetters > 0) {
      write(`its ${deadLetters} dead letters stay: spillway dead-letters purge --endpoint ${name}\n`);
    }
    return 0;
  }
  throw new UsageError('endpoint: list, or forget NAME?');
}

interface Listed {
  readonly endpoints: readonly string[];
  readonly removed: readonly ParkedReading[];
}

interface Forgotten {
  readonly rows: number;
  readonly bytes: number;
  readonly deadLetters: number;
}

async function ask<T>(client: AgentClient, method: string, path: string): Promise<T> {
  const { status, text } = await client.ask(method, path);
  if (status === 200) return JSON.parse(text) as T;
  let said = text.trim();
  try {
    said = (JSON.parse(text) as { readonly error?: string }).error ?? said;
  } catch {
    // A text, as the doors of the listener answer: it is shown as it is.
  }
  throw new CommandError(`the agent refuses (${status}): ${said}`);
}
