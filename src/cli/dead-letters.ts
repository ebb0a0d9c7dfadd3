import { parseDuration } from '../config/durations.ts';
import type { Config } from '../config/load.ts';
import type { StoredLetter } from '../ledger/dead-letters.ts';
import { parseSelector } from '../promql/selector.ts';
import { integersAsJson } from '../status/inspect.ts';
import { isForAll, isReason, type LetterQuery } from '../status/letter-query.ts';
import { letterObject, letterText } from '../status/letter-text.ts';
import { endpointReasonNames } from '../telemetry/reasons.ts';
import type { CommandName } from './commands.ts';
import { confirm } from './confirm.ts';
import { type DeadLetterSource, lettersOf, openSource } from './dead-letter-source.ts';
import { UsageError } from './errors.ts';
import type { Flags } from './flags.ts';
import { Output } from './output.ts';
import { type Resent, resendLetters } from './resend-letters.ts';
import { oneLine } from './text.ts';

const LIST_LETTERS = 20;

/** `spillway dead-letters ...`; returns the exit code. Throws `UsageError`, `CommandError`, `ConfigError`. */
export async function deadLetters(
  command: Extract<CommandName, `dead-letters ${string}`>,
  flags: Flags,
  configOf: () => Config,
): Promise<number> {
  const query = queryOf(flags);
  const config = configOf();
  const source = openSource({
    config,
    url: flags.url,
    httpConfig: flags['http-config-file'],
    warn: (message) => process.stderr.write(`spillway: ${message}\n`),
  });
  try {
    if (query.endpoint !== undefined) checkEndpoint(query.endpoint, await source.endpoints());
    return await commands[command]({ source, query, flags, config, output: new Output() });
  } finally {
    source.close();
  }
}

interface Task {
  readonly source: DeadLetterSource;
  readonly query: LetterQuery;
  readonly flags: Flags;
  readonly config: Config;
  readonly output: Output;
}

const commands = {
  'dead-letters list': async ({ source, query, flags, output }: Task): Promise<number> => {
    const limit = flags.json ? Number.POSITIVE_INFINITY : LIST_LETTERS;
    const most = flags.limit === undefined ? limit : countOf('--limit', flags.limit);
    const { endpoint: wanted, ...others } = query;
    if (!flags.json && isForAll(others)) {
      for (const count of await source.counts()) {
        if (wanted !== undefined && wanted !== count.endpoint) continue;
        const { endpoint, letters, reason, cause } = count;
        const [oldest, newest] = [timeText(count.oldestAtMs), timeText(count.newestAtMs)];
        await output.line(`${endpoint}: ${letters} ${reason} with ${cause}, from ${oldest} to ${newest}`);
      }
    }
    let shown = 0;
    for await (const letter of lettersOf(source, query, 'newest')) {
      if (output.closed) break;
      if (shown === most) {
        if (!flags.json) await output.line('... more: --limit N, or export');
        break;
      }
      shown++;
      const { endpoint, cause, words, atMs } = letter;
      await output.line(
        flags.json
          ? jsonLine(letter)
          : `\n${timeText(atMs)} ${endpoint} ${cause} ${oneLine(words)}\n  ${letterText(letter)}`,
      );
    }
    if (shown === 0 && !flags.json) await output.line('no dead letters');
    return 0;
  },

  'dead-letters export': async ({ source, query, output }: Task): Promise<number> => {
    for await (const letter of lettersOf(source, query, 'arrival')) {
      if (output.closed) break;
      await output.line(jsonLine(letter));
    }
    return 0;
  },

  'dead-letters purge': async ({ source, query, flags, output }: Task): Promise<number> => {
    if (isForAll(query) && !flags.all) throw new UsageError('purge: say which letters, or --all');
    if (isForAll(query) && !flags.yes && !(await agreedTo(source))) {
      await output.line(flags.json ? JSON.stringify({ purged: 0 }) : 'nothing was purged');
      return 1;
    }
    const purged = await source.purge(query);
    await output.line(flags.json ? JSON.stringify({ purged }) : `purged ${purged} letters`);
    return 0;
  },

  'dead-letters resend': async ({ source, query, flags, config, output }: Task): Promise<number> => {
    const counts = await source.counts();
    const names = [...new Set(counts.map(({ endpoint }) => endpoint))];
    const wanted = names.filter((name) => query.endpoint === undefined || name === query.endpoint);
    const say = async (name: string, text: string): Promise<void> => {
      if (!flags.json) await output.line(`${name}: ${text}`);
    };
    if (wanted.length === 0 && !flags.json) await output.line('no dead letters');
    let allTaken = true;
    const done: ({ readonly endpoint: string } & Partial<Resent>)[] = [];
    for (const name of wanted) {
      const endpoint = config.remoteWrite.find((one) => one.name === name);
      // Asked anew for each: sending those before it took its time, and what two send again arrives twice.
      const busy = endpoint !== undefined && (await source.beingResent()).has(name);
      if (endpoint === undefined || busy) {
        const stopped = busy
          ? 'the agent sends them again already, as asked at its page: wait for it, or stop it there'
          : 'not in the configuration; its letters stay';
        await say(name, stopped);
        done.push({ endpoint: name, stopped });
        allTaken = false;
        continue;
      }
      const one = await resendLetters(source, query, endpoint, flags['keep-going'] === true);
      done.push({ endpoint: name, ...one });
      await say(name, `resent ${one.resent}, refused again ${one.refused}, left ${one.left}`);
      if (one.unknown > 0) {
        await say(
          name,
          `${one.unknown} of those left stand for rows of which only the number is known; they can be purged with --reason not_written`,
        );
      }
      if (one.stopped !== undefined) await say(name, one.stopped);
      if (one.refused + one.left > 0 || one.stopped !== undefined) allTaken = false;
    }
    if (flags.json) await output.line(JSON.stringify({ endpoints: done }));
    return allTaken ? 0 : 1;
  },
};

/** Whether a person wants all letters gone. Throws `UsageError` when there is no terminal to ask on. */
async function agreedTo(source: DeadLetterSource): Promise<boolean> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY || !stderr.isTTY) {
    throw new UsageError(
      'purge --all deletes every dead letter: without a terminal to ask on it needs --yes',
    );
  }
  const letters = (await source.counts()).reduce((sum, count) => sum + count.letters, 0);
  return confirm(`Delete all ${letters} dead letters? They cannot be sent again then.`, stdin, stderr);
}

function queryOf({ endpoint, selector, reason, cause, since, before }: Flags): LetterQuery {
  // Here, so that a mistake in it is said before anything is opened.
  try {
    if (selector !== undefined) parseSelector(selector);
  } catch (cause) {
    throw new UsageError('--selector', { selector: selector ?? '' }, cause);
  }
  if (reason !== undefined && !isReason(reason)) {
    throw new UsageError(`--reason ${reason} is not known; there are ${endpointReasonNames.join(', ')}`);
  }
  return {
    endpoint,
    match: selector,
    reason,
    cause,
    sinceMs: ago('--since', since),
    beforeMs: ago('--before', before),
  };
}

/** The time that long ago, ms since the epoch. */
function ago(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms === undefined) throw new UsageError(`${flag} ${text} is not a duration such as 30m or 7d`);
  return Math.max(0, Date.now() - ms);
}

/** Zero is none that anybody asks for: it is a mistake, or meant as "all". */
function countOf(flag: string, text: string): number {
  if (/^\d{1,9}$/.test(text) && Number(text) > 0) return Number(text);
  throw new UsageError(`${flag} ${text} is not a whole number of 1 or more; export writes all letters`);
}

/** A name that is misspelt must not look like an endpoint without letters. */
function checkEndpoint(name: string, known: readonly string[]): void {
  if (known.includes(name)) return;
  throw new UsageError(`--endpoint ${name}: there is no such endpoint; there are ${known.join(', ')}`);
}

function jsonLine(letter: StoredLetter): string {
  return JSON.stringify(letterObject(letter), integersAsJson);
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
