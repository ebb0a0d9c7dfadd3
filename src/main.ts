#!/usr/bin/env node
import { resolve } from 'node:path';
import type { CommandName } from './cli/commands.ts';
import { readConfig } from './cli/config-text.ts';
import { UsageError } from './cli/errors.ts';
import { type Flags, parseFlags } from './cli/flags.ts';
import { segmentsIn } from './cli/queue-segments.ts';
import {
  asksForHelp,
  checkUsage,
  commandOf,
  commandWords,
  helpHint,
  helpText,
  resolveCommand,
  unknownFlag,
} from './cli/usage.ts';
import { type Config, parseConfig } from './config/load.ts';
import { describeError, SpillwayError } from './runtime/errors.ts';
import { packageVersion } from './runtime/version.ts';

/**
 * The command line. Each command is loaded when it is called: a start waits for nothing that it does not use.
 *
 * Exit codes: 0 done, 1 it could not be done, 2 the command line or the configuration is wrong. Of `check-config` and
 * `config convert` a wrong configuration is the finding, and not what keeps them from working: 1.
 */
async function main(line: string[]): Promise<number> {
  if (asksForHelp(line)) {
    process.stdout.write(helpText(commandOf(line)));
    return 0;
  }
  const { values: flags, positionals } = parseFlags(line, (flag) => unknownFlag(flag, commandOf(line)));
  const { version, ...others } = flags;
  if (version) {
    process.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  const { command, args } = resolveCommand(positionals);
  checkUsage(command, args, others);
  return runCommand(command, args, others);
}

async function runCommand(command: CommandName, args: readonly string[], flags: Flags): Promise<number> {
  // Who reads may have enough of it (`| head`): that is no error of the command.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  const out = (text: string): boolean => process.stdout.write(text);
  const err = (text: string): boolean => process.stderr.write(text);
  const [first = ''] = args;
  const { json = false, url, 'http-config-file': httpConfig } = flags;
  switch (command) {
    case 'run': {
      const { run } = await import('./cli/run.ts');
      return run({ config: flags.config, listen: flags.listen, dataDir: flags['data-dir'] });
    }
    case 'check-config': {
      const { checkConfig } = await import('./cli/check-config.ts');
      const { strict = false, 'syntax-only': syntaxOnly = false } = flags;
      return checkConfig(first, { json, strict, syntaxOnly }, out, err);
    }
    case 'config': {
      const { printDefaults, writeDocs } = await import('./cli/config.ts');
      if (flags['write-docs']) writeDocs();
      else if (flags.defaults) printDefaults(json, out);
      else throw new UsageError('spillway config needs --defaults, or convert');
      return 0;
    }
    case 'config convert': {
      const { convert } = await import('./cli/convert.ts');
      const { vmagent = false, output, exact = false } = flags;
      return convert(args, { vmagent, output, exact, json }, out, err);
    }
    case 'recent': {
      const { recentCommand } = await import('./cli/recent.ts');
      const named = flags.config !== undefined || flags['data-dir'] !== undefined;
      return recentCommand(first, { config: configOf(flags), named, url, httpConfig, json }, out);
    }
    case 'inspect': {
      const { inspect } = await import('./cli/inspect.ts');
      return inspect(first, flags.v2 === true);
    }
    case 'hash-password': {
      const { hashPassword } = await import('./cli/hash-password.ts');
      const hash = await hashPassword(process.stdin, process.stderr);
      out(json ? `${JSON.stringify({ hash })}\n` : `${hash}\n`);
      return 0;
    }
    case 'completion': {
      const { completionScript } = await import('./cli/completion.ts');
      out(completionScript(first, commandWords()));
      return 0;
    }
    case 'queue ls': {
      const { listQueue } = await import('./cli/queue-data.ts');
      return listQueue(segmentsOf(args[0], flags), json, out);
    }
    case 'queue cat': {
      const { printQueue } = await import('./cli/queue-data.ts');
      return printQueue(segmentsOf(args[0], flags), undefined, { ...flags, json });
    }
    case 'queue export': {
      const { printQueue } = await import('./cli/queue-data.ts');
      return printQueue(segmentsOf(args[1], flags), first, { ...flags, json });
    }
    case 'queue replay': {
      const { replayQueue } = await import('./cli/queue-replay.ts');
      const { header: headers = [], rate, endpoint, state } = flags;
      const config = readConfig(flags.config);
      const signal = interrupted();
      return replayQueue({ dir: first, url, headers, rate, endpoint, state, config, json, signal }, out);
    }
    case 'queue verify':
    case 'queue repair': {
      const { queueCommand } = await import('./cli/queue.ts');
      const dataDir = namedOr(args[0], flags);
      const what = command === 'queue verify' ? 'verify' : 'repair';
      return queueCommand(what, { dataDir, json, dryRun: flags['dry-run'] === true }, out);
    }
    case 'explain': {
      const { explainCommand } = await import('./cli/explain.ts');
      const { tenant, offline = false } = flags;
      const config = readConfig(flags.config);
      return explainCommand(
        { selector: first, tenant, config, url, httpConfig, offline, json },
        process.stdout,
      );
    }
    case 'status': {
      const { statusCommand } = await import('./cli/status.ts');
      const { once = false } = flags;
      const options = { config: configOf(flags), url, httpConfig, json, once, signal: interrupted() };
      return statusCommand(options, process.stdout);
    }
    case 'sink': {
      const { sinkCommand } = await import('./cli/sink.ts');
      const { listen, answer, delay, print = false, verify = false } = flags;
      return sinkCommand({ listen, answer, delay, print, verify, json, signal: interrupted() });
    }
    case 'load': {
      const { loadCommand } = await import('./cli/load.ts');
      return loadCommand({ ...flags, url: first, json, signal: interrupted() }, out);
    }
    case 'endpoint ls':
    case 'endpoint pause':
    case 'endpoint resume':
    case 'endpoint seek':
    case 'endpoint forget': {
      const { endpointCommand } = await import('./cli/endpoint.ts');
      const { oldest = false, now = false, segment, time, yes = false, 'dry-run': dryRun = false } = flags;
      const to = { oldest, now, segment, time };
      const options = { config: configOf(flags), url, httpConfig, json, to, dryRun, yes };
      return endpointCommand(command, first, options, out);
    }
    case 'dead-letters list':
    case 'dead-letters export':
    case 'dead-letters resend':
    case 'dead-letters purge': {
      const { deadLetters } = await import('./cli/dead-letters.ts');
      return deadLetters(command, flags, () => configOf(flags));
    }
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

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const known = error instanceof SpillwayError;
    // What the system refuses says so by itself; anything else is a bug, and its stack is wanted.
    const plain = known || (error instanceof Error && 'syscall' in error);
    process.stderr.write(
      `spillway: ${plain ? describeError(error) : error instanceof Error ? error.stack : String(error)}\n`,
    );
    const wrongInput = known && ['USAGE', 'CONFIG_INVALID', 'CONFIG_UNREADABLE'].includes(error.code);
    if (known && error.code === 'USAGE') {
      process.stderr.write(`${helpHint(process.argv.slice(2))}\n`);
    }
    process.exitCode = wrongInput ? 2 : 1;
  },
);
