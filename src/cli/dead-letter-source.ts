import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/load.ts';
import type { LetterCount, LetterCursor, LetterOrder, StoredLetter } from '../ledger/dead-letters.ts';
import { Ledger } from '../ledger/ledger.ts';
import { DirectoryLockedError, lockDirectory } from '../runtime/directory-lock.ts';
import { describeError } from '../runtime/errors.ts';
import {
  deadLettersPath,
  parseRawLetter,
  type RawLetter,
  type RefusedAgain,
} from '../status/dead-letter-routes.ts';
import type { StatusDocument } from '../status/document.ts';
import {
  cursorText,
  isForAll,
  type LetterPage,
  type LetterQuery,
  letterPage,
  MOST_LETTERS,
  parseCursor,
  queryParams,
} from '../status/letter-query.ts';
import { AgentClient, agentUrl } from './agent-client.ts';
import { CommandError } from './errors.ts';

/** Where `spillway dead-letters` finds the letters: in the ledger, or at the agent that holds it. */
export interface DeadLetterSource {
  /** A part of the letters of `query`, behind `after`; it may be empty and yet have a `next`. */
  page(query: LetterQuery, order: LetterOrder, after: LetterCursor | undefined): Promise<LetterPage>;
  counts(): Promise<readonly LetterCount[]>;
  /** Names of the endpoints that are configured, and of those that letters are left of. */
  endpoints(): Promise<readonly string[]>;
  /**
   * Throws `CommandError` unless letters may be changed here: asked before anything is sent again, since what was
   * sent, taken, and could then not be noted would be sent twice.
   */
  checkMayChange(): Promise<void>;
  /** Names of the endpoints whose letters somebody else is sending again. */
  beingResent(): Promise<ReadonlySet<string>>;
  /** The letters have been sent again and taken. */
  resent(ids: readonly number[]): Promise<void>;
  refused(refused: RefusedAgain): Promise<void>;
  /** Deletes all letters of `query`; returns how many. */
  purge(query: LetterQuery): Promise<number>;
  close(): void;
}

/** What the settings say about where the letters are. */
export interface SourceOptions {
  readonly config: Config;
  /** Of the agent, when it is not reached by what the configuration says. */
  readonly url: string | undefined;
  /** A file that says how to get in. */
  readonly httpConfig: string | undefined;
  /** Told when a damaged ledger was set aside. */
  readonly warn: (message: string) => void;
}

/**
 * The letters in the data directory of `config`. While an agent holds that directory its files are left alone, and it
 * is asked instead. Without one, the directory is held until `close`. Throws `CommandError`.
 */
export function openSource({ config, url, httpConfig, warn }: SourceOptions): DeadLetterSource {
  const { dataDir } = config;
  if (url !== undefined) return new AgentSource(new AgentClient(url, httpConfig));
  if (!existsSync(join(dataDir, 'state.db'))) {
    throw new CommandError(`there is no ledger in ${dataDir}: no agent has run there`, { dir: dataDir });
  }
  let lock: { release(): void };
  try {
    lock = lockDirectory(dataDir);
  } catch (error) {
    if (error instanceof DirectoryLockedError) {
      return new AgentSource(new AgentClient(agentUrl(config), httpConfig, `${dataDir} is in use, and `));
    }
    throw error;
  }
  try {
    const ledger = Ledger.open(dataDir, Date.now(), (aside, cause) => {
      warn(`the ledger is damaged and was set aside as ${aside}: ${describeError(cause)}`);
    });
    return new LedgerSource(
      ledger,
      lock,
      config.remoteWrite.map(({ name }) => name),
    );
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** The letters of a query, one by one; read page by page. */
export async function* lettersOf(
  source: DeadLetterSource,
  query: LetterQuery,
  order: LetterOrder,
): AsyncIterable<StoredLetter> {
  let page = await source.page(query, order, undefined);
  for (;;) {
    yield* page.letters;
    if (page.next === undefined) return;
    page = await source.page(query, order, page.next);
  }
}

class LedgerSource implements DeadLetterSource {
  readonly #ledger: Ledger;
  readonly #lock: { release(): void };
  readonly #configured: readonly string[];

  constructor(ledger: Ledger, lock: { release(): void }, configured: readonly string[]) {
    this.#ledger = ledger;
    this.#lock = lock;
    this.#configured = configured;
  }

  async page(query: LetterQuery, order: LetterOrder, after: LetterCursor | undefined): Promise<LetterPage> {
    return letterPage(this.#ledger.deadLetters, query, order, after, MOST_LETTERS);
  }

  async counts(): Promise<readonly LetterCount[]> {
    return this.#ledger.deadLetters.counts();
  }

  async endpoints(): Promise<readonly string[]> {
    return endpointNames(this.#configured, this.#ledger.deadLetters.counts());
  }

  async checkMayChange(): Promise<void> {
    this.#ledger.deadLetters.remove([], 'resent');
  }

  async beingResent(): Promise<ReadonlySet<string>> {
    return new Set();
  }

  async resent(ids: readonly number[]): Promise<void> {
    this.#ledger.deadLetters.remove(ids, 'resent');
  }

  async refused({ ids, ...answer }: RefusedAgain): Promise<void> {
    this.#ledger.deadLetters.refusedAgain(ids, answer);
  }

  async purge(query: LetterQuery): Promise<number> {
    let removed = 0;
    for (let after: LetterCursor | undefined; ; ) {
      const { letters, next } = await this.page(query, 'arrival', after);
      removed += this.#ledger.deadLetters.remove(
        letters.map(({ id }) => id),
        'purged',
      );
      if (next === undefined) return removed;
      after = next;
    }
  }

  close(): void {
    this.#ledger.close();
    this.#lock.release();
  }
}

/** By HTTP. */
class AgentSource implements DeadLetterSource {
  readonly #agent: AgentClient;

  constructor(agent: AgentClient) {
    this.#agent = agent;
  }

  async page(query: LetterQuery, order: LetterOrder, after: LetterCursor | undefined): Promise<LetterPage> {
    const params = pageParams(query, after === undefined ? undefined : cursorText(after));
    params.set('order', order);
    params.set('raw', '1');
    const page = await this.#ask<{ letters: readonly RawLetter[]; next: string | null }>('GET', `?${params}`);
    return { letters: page.letters.map(parseRawLetter), next: parseCursor(pageParams({}, page.next)) };
  }

  async counts(): Promise<readonly LetterCount[]> {
    return (await this.#askCounts()).counts;
  }

  async endpoints(): Promise<readonly string[]> {
    const { endpoints, counts } = await this.#askCounts();
    return endpointNames(endpoints, counts);
  }

  #askCounts(): Promise<{ endpoints: readonly string[]; counts: readonly LetterCount[] }> {
    return this.#ask('GET', '/counts');
  }

  /** By a change of nothing: it passes the same doors as what comes after it. */
  async checkMayChange(): Promise<void> {
    await this.#ask('POST', '/resent', { ids: [] });
  }

  async beingResent(): Promise<ReadonlySet<string>> {
    const { endpoints } = await this.#askAt<StatusDocument>('GET', '/api/v1/status');
    const running = endpoints.filter(({ deadLetters }) => deadLetters.resend?.running === true);
    return new Set(running.map(({ name }) => name));
  }

  async resent(ids: readonly number[]): Promise<void> {
    for (const some of parts(ids)) await this.#ask('POST', '/resent', { ids: some });
  }

  async refused({ ids, ...answer }: RefusedAgain): Promise<void> {
    for (const some of parts(ids)) await this.#ask('POST', '/refused', { ids: some, ...answer });
  }

  async purge(query: LetterQuery): Promise<number> {
    let removed = 0;
    for (let after: string | null | undefined; after !== null; ) {
      const params = pageParams(query, after);
      if (isForAll(query)) params.set('all', 'true');
      const step = await this.#ask<{ removed: number; next: string | null }>('DELETE', `?${params}`);
      removed += step.removed;
      after = step.next;
    }
    return removed;
  }

  close(): void {}

  #ask<T>(method: string, path: string, body?: object): Promise<T> {
    return this.#askAt(method, deadLettersPath + path, body);
  }

  async #askAt<T>(method: string, path: string, body?: object): Promise<T> {
    const { status, text } = await this.#agent.ask(method, path, body);
    if (status === 403) {
      const needed = method === 'GET' ? 'looking at dead letters needs the access `read`' : noAccess;
      throw new CommandError(`${this.#agent.base} answers 403: ${text.trim()}; ${needed}`);
    }
    if (status >= 300) throw new CommandError(`${this.#agent.base} answers ${status}: ${text.trim()}`);
    return JSON.parse(text) as T;
  }
}

function endpointNames(configured: readonly string[], counts: readonly LetterCount[]): readonly string[] {
  return [...new Set([...configured, ...counts.map(({ endpoint }) => endpoint)])];
}

const noAccess =
  'sending dead letters again and purging them need the access `all` (`user_access` and `bearer_tokens` of its ' +
  'web configuration)';

function pageParams(query: LetterQuery, after: string | null | undefined): URLSearchParams {
  const params = queryParams(query);
  if (after !== undefined && after !== null) params.set('after', after);
  return params;
}

function* parts(ids: readonly number[]): Iterable<readonly number[]> {
  for (let i = 0; i < ids.length; i += MOST_LETTERS) yield ids.slice(i, i + MOST_LETTERS);
}
