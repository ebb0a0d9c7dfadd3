import { resolve } from 'node:path';
import { type Config, parseConfig } from '../config/load.ts';
import { checkConfig } from './check-config.ts';
import type { CommandName } from './commands.ts';
import { completionScript } from './completion.ts';
import { printDefaults, writeDocs } from './config.ts';
import { readConfig } from './config-text.ts';
import { convert } from './convert.ts';
import { deadLetters } from './dead-letters.ts';
import { endpointCommand } from './endpoint.ts';
import { UsageError } from './errors.ts';
import { explainCommand } from './explain.ts';
import type { Flags } from './flags.ts';
import { hashPassword } from './hash-password.ts';
import { inspect } from './inspect.ts';
import { loadCommand } from './load.ts';
import { queueCommand } from './queue.ts';
import { listQueue, printQueue } from './queue-data.ts';
import { replayQueue } from './queue-replay.ts';
import { segmentsIn } from './queue-segments.ts';
import { recentCommand } from './recent.ts';
import { sinkCommand } from './sink.ts';
import { statusCommand } from './status.ts';
import { commandWords } from './usage.ts';

/**
 * Runs a command that is not the agent itself; returns the exit code. What few of them need and takes long to load (an
 * HTTP client, SQLite) they load when they need it.
 */
export async function runTool(
  command: Exclude<CommandName, 'run'>,
  args: readonly string[],
  flags: Flags,
): Promise<number> {
  const out = (text: string): boolean => process.stdout.write(text);
  const err = (text: string): boolean => process.stderr.write(text);
  const [first = ''] = args;
  const { json = false, url, 'http-config-file': httpConfig } = flags;
  switch (command) {
    case 'check-config': {
      const { strict = false, 'syntax-only': syntaxOnly = false } = flags;
      return checkConfig(first, { json, strict, syntaxOnly }, out, err);
    }
    case 'config': {
      if (flags['write-docs']) writeDocs();
      else if (flags.defaults) printDefaults(json, out);
      else throw new UsageError('spillway config needs --defaults, or convert');
      return 0;
    }
    case 'config convert': {
      const { vmagent = false, output, exact = false } = flags;
      return convert(args, { vmagent, output, exact, json }, out, err);
    }
    case 'recent': {
      const named = flags.config !== undefined || flags['data-dir'] !== undefined;
      return recentCommand(first, { config: configOf(flags), named, url, httpConfig, json }, out);
    }
    case 'inspect':
      return inspect(first, flags.v2 === true);
    case 'hash-password': {
      const hash = await hashPassword(process.stdin, process.stderr);
      out(json ? `${JSON.stringify({ hash })}\n` : `${hash}\n`);
      return 0;
    }
    case 'completion': {
      out(completionScript(first, commandWords()));
      return 0;
    }
    case 'queue ls':
      return listQueue(segmentsOf(args[0], flags), json, out);
    case 'queue cat':
      return printQueue(segmentsOf(args[0], flags), undefined, { ...flags, json });
    case 'queue export':
      return printQueue(segmentsOf(args[1], flags), first, { ...flags, json });
    case 'queue replay': {
      const { header: headers = [], rate, endpoint, state } = flags;
      const config = readConfig(flags.config);
      const signal = interrupted();
      return replayQueue({ dir: first, url, headers, rate, endpoint, state, config, json, signal }, out);
    }
    case 'queue verify':
    case 'queue repair': {
      const dataDir = namedOr(args[0], flags);
      const what = command === 'queue verify' ? 'verify' : 'repair';
      return queueCommand(what, { dataDir, json, dryRun: flags['dry-run'] === true }, out);
    }
    case 'explain': {
      const { tenant, offline = false } = flags;
      const config = readConfig(flags.config);
      return explainCommand(
        { selector: first, tenant, config, url, httpConfig, offline, json },
        process.stdout,
      );
    }
    case 'status': {
      const { once = false } = flags;
      const options = { config: configOf(flags), url, httpConfig, json, once, signal: interrupted() };
      return statusCommand(options, process.stdout);
    }
    case 'sink': {
      const { listen, answer, delay, print = false, verify = false } = flags;
      return sinkCommand({ listen, answer, delay, print, verify, json, signal: interrupted() });
    }
    case 'load':
      return loadCommand({ ...flags, url: first, json, signal: interrupted() }, out);
    case 'endpoint ls':
    case 'endpoint pause':
    case 'endpoint resume':
    case 'endpoint seek':
    case 'endpoint forget': {
      const { oldest = false, now = false, segment, time, yes = false, 'dry-run': dryRun = false } = flags;
      const to = { oldest, now, segment, time };
      const options = { config: configOf(flags), url, httpConfig, json, to, dryRun, yes };
      return endpointCommand(command, first, options, out);
    }
    case 'dead-letters list':
    case 'dead-letters export':
    case 'dead-letters resend':
    case 'dead-letters purge':
      return deadLetters(command, flags, () => configOf(flags));
    default:
      return command satisfies never;
  }
}

/** Aborted by the first signal that asks to stop; the second one ends the process. */
function interrupted(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(130);
      controller.abort();
    });
  }
  return controller.signal;
}

/** The folder with the segments: of the directory that is named, else of the data directory. */
function segmentsOf(dir: string | undefined, flags: Flags): string {
  return segmentsIn(namedOr(dir, flags));
}

function namedOr(dir: string | undefined, flags: Flags): string {
  if (dir === undefined) return dataDirOf(flags);
  if (flags['data-dir'] !== undefined) throw new UsageError(`${dir}, or --data-dir ${flags['data-dir']}?`);
  return resolve(dir);
}

/** The data directory by the command line, else by the configuration. */
function dataDirOf(flags: Flags): string {
  if (flags['data-dir'] !== undefined) return resolve(flags['data-dir']);
  const source = readConfig(flags.config);
  return parseConfig(source.text, source).dataDir;
}

/** The configuration that the command line names, or the defaults. */
function configOf(flags: Flags): Config {
  const source = readConfig(flags.config);
  const dataDir = flags['data-dir'] === undefined ? {} : { dataDir: resolve(flags['data-dir']) };
  return parseConfig(source.text, { ...source, ...dataDir });
}
