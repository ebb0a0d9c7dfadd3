#!/usr/bin/env node
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Agent } from './agent.ts';
import { readConfig } from './cli/config-text.ts';
import { deadLetters } from './cli/dead-letters.ts';
import { CommandError, UsageError } from './cli/errors.ts';
import { hashPassword } from './cli/hash-password.ts';
import { queueCommand } from './cli/queue.ts';
import { recentCommand } from './cli/recent.ts';
import { asksForHelp, commandOf, helpHint, helpText } from './cli/usage.ts';
import { parseListenAddress } from './config/addresses.ts';
import { type Config, parseConfig } from './config/load.ts';
import { renderOptionsDoc } from './config/options-doc.ts';
import { renderDefaults } from './config/sample.ts';
import { parseSegmentName } from './filequeue/segment-file.ts';
import { loadWebConfig } from './receiver/web-config-file.ts';
import { describeError, SpillwayError } from './runtime/errors.ts';
import { packageRoot, packageVersion } from './runtime/version.ts';
import { keepYoungHeapSmall } from './runtime/young-heap.ts';
import { progressText, startText } from './status/console.ts';
import { inspectSegment } from './status/inspect-segment.ts';

const STATUS_EVERY_MS = 5000;

/**
 * The command line. The only place that handles signals and ends the process.
 *
 * Exit codes: 0 done, 1 it could not be done, 2 the command line or the configuration is wrong.
 */
async function main(args: string[]): Promise<number> {
  if (asksForHelp(args)) {
    process.stdout.write(helpText(commandOf(args)));
    return 0;
  }
  if (commandOf(args) === 'dead-letters') return deadLetters(args.toSpliced(args.indexOf('dead-letters'), 1));
  const { values, positionals } = parse(args);
  if (values.version) {
    process.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  const [command = 'run', ...rest] = positionals;
  checkFlags(command, values);
  switch (command) {
    case 'run':
      none(rest);
      return run(values);
    case 'check-config': {
      const file = one(rest, 'a configuration file');
      const source = readConfig(file);
      const { webConfigFile } = parseConfig(source.text, source);
      if (webConfigFile !== undefined) loadWebConfig(webConfigFile);
      process.stdout.write(`${file} is valid\n`);
      return 0;
    }
    case 'config':
      none(rest);
      if (values['write-docs']) writeDocs();
      else if (values.defaults) process.stdout.write(renderDefaults());
      else throw new UsageError('spillway config needs --defaults');
      return 0;
    case 'recent':
      return recentCommand(
        one(rest, 'a selector'),
        {
          config: configOf(values),
          named: values.config !== undefined || values['data-dir'] !== undefined,
          url: values.url,
          httpConfig: values['http-config-file'],
        },
        (text) => process.stdout.write(text),
      );
    case 'inspect':
      return inspect(one(rest, 'a file'), values.v2 === true);
    case 'hash-password':
      none(rest);
      process.stdout.write(`${await hashPassword(process.stdin, process.stderr)}\n`);
      return 0;
    case 'queue':
      return queueCommand(
        rest,
        { dataDir: dataDirOf(values), json: values.json === true, dryRun: values['dry-run'] === true },
        (text) => process.stdout.write(text),
      );
    default:
      throw new UsageError(`there is no command ${command}`);
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        config: { type: 'string', short: 'c' },
        listen: { type: 'string' },
        'data-dir': { type: 'string' },
        defaults: { type: 'boolean' },
        'write-docs': { type: 'boolean' },
        url: { type: 'string' },
        'http-config-file': { type: 'string' },
        v2: { type: 'boolean' },
        json: { type: 'boolean' },
        'dry-run': { type: 'boolean' },
        version: { type: 'boolean' },
      },
    });
  } catch (cause) {
    throw new UsageError((cause as Error).message, {}, cause);
  }
}

type Flags = ReturnType<typeof parse>['values'];

/** The options that each command takes: one that it would not look at is a mistake. */
const flagsOf: Readonly<Record<string, readonly (keyof Flags)[]>> = {
  run: ['config', 'listen', 'data-dir'],
  'check-config': [],
  config: ['defaults', 'write-docs'],
  recent: ['config', 'data-dir', 'url', 'http-config-file'],
  inspect: ['v2'],
  'hash-password': [],
  queue: ['config', 'data-dir', 'json', 'dry-run'],
};

function checkFlags(command: string, flags: Flags): void {
  const known = Object.hasOwn(flagsOf, command) ? flagsOf[command] : undefined;
  if (known === undefined) throw new UsageError(`there is no command ${command}`);
  for (const flag of Object.keys(flags) as (keyof Flags)[]) {
    if (!known.includes(flag)) throw new UsageError(`spillway ${command} has no option --${flag}`);
  }
}

function one(rest: readonly string[], what: string): string {
  if (rest.length !== 1) throw new UsageError(`this command takes one argument: ${what}`);
  return rest[0]!;
}

function none(rest: readonly string[]): void {
  if (rest.length > 0) throw new UsageError(`unexpected argument: ${rest[0]}`);
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

async function run(flags: Flags): Promise<number> {
  keepYoungHeapSmall();
  const listen = flags.listen === undefined ? undefined : parseListenAddress(flags.listen);
  if (flags.listen !== undefined && listen === undefined) {
    throw new UsageError(`--listen ${flags.listen} is not HOST:PORT`);
  }
  const dataDir = flags['data-dir'] === undefined ? undefined : resolve(flags['data-dir']);
  const agent = new Agent({
    config: readConfig(flags.config),
    ...(listen === undefined ? {} : { listen }),
    ...(dataDir === undefined ? {} : { dataDir }),
  });
  const { config, logger } = agent;
  const ended = new Promise<NodeJS.Signals>((resolveSignal) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => resolveSignal(signal));
    }
  });
  const url = await agent.start();
  if (url !== undefined) process.stdout.write(startText(config, url, agent.warnings));
  const stopStatus =
    flags.config === undefined || process.stdout.isTTY ? showProgress(agent) : () => undefined;
  const signal = await ended;
  stopStatus();
  logger.log('info', 'stopping: delivering what is possible in the time, the rest stays on disk', {
    signal,
    grace_ms: config.shutdownGraceMs,
  });
  // A second signal ends the wait; what is unsent is on disk already.
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => process.exit(1));
  await agent.stop();
  const waiting = agent.summary().endpoints.reduce((sum, endpoint) => sum + endpoint.waitingRows, 0);
  logger.log(
    'info',
    waiting === 0 ? 'stopped: all is delivered' : 'stopped: what waits is delivered after the next start',
    {
      waiting_rows: waiting,
    },
  );
  return 0;
}

function showProgress(agent: Agent): () => void {
  let last = '';
  const timer = setInterval(() => {
    const text = progressText(agent.summary());
    if (text !== last) process.stdout.write(`${new Date().toLocaleTimeString('en-GB')}  ${text}\n`);
    last = text;
  }, STATUS_EVERY_MS);
  return () => clearInterval(timer);
}

async function inspect(file: string, v2: boolean): Promise<number> {
  const { inspectWriteRequest } = await import('./status/inspect.ts');
  try {
    const bytes = readFileSync(file);
    const lines =
      bytes.subarray(0, 3).toString() === 'SPW'
        ? inspectSegment(bytes, parseSegmentName(basename(file))?.id)
        : inspectWriteRequest(bytes, v2 ? '2.0' : '1.0');
    for (const line of lines) process.stdout.write(`${line}\n`);
  } catch (cause) {
    throw new CommandError(`${file} cannot be read as a segment or the body of a request`, { file }, cause);
  }
  return 0;
}

/** Writes the generated pages of the repository; `npm run docs`. */
function writeDocs(): void {
  writeFileSync(join(packageRoot(), 'docs', 'configuration.md'), renderOptionsDoc());
  writeFileSync(join(packageRoot(), 'spillway.example.yaml'), renderDefaults());
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
