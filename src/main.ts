#!/usr/bin/env node
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Agent } from './agent.ts';
import { AgentClient } from './cli/agent-client.ts';
import { readConfig } from './cli/config-text.ts';
import { deadLetters, deadLettersUsage } from './cli/dead-letters.ts';
import { CommandError, UsageError } from './cli/errors.ts';
import { queueCommand, queueUsage } from './cli/queue.ts';
import { parseListenAddress } from './config/addresses.ts';
import { parseConfig } from './config/load.ts';
import { renderOptionsDoc } from './config/options-doc.ts';
import { renderDefaults } from './config/sample.ts';
import { parseSegmentName } from './filequeue/segment-file.ts';
import { loadWebConfig } from './receiver/web-config-file.ts';
import { describeError, SpillwayError } from './runtime/errors.ts';
import { packageRoot, packageVersion } from './runtime/version.ts';
import { keepYoungHeapSmall } from './runtime/young-heap.ts';
import { progressText, startText } from './status/console.ts';
import { inspectSegment } from './status/inspect-segment.ts';

/**
 * The command line. The only place that handles signals and ends the process.
 *
 * Exit codes: 0 done, 1 it could not be done, 2 the command line or the configuration is wrong.
 */
const usage = `Spillway ${packageVersion()}: a durable queue between what scrapes and what stores.

Usage:
  spillway [run] [--config FILE] [--listen HOST:PORT] [--data-dir DIR]
      Run the agent. Without a configuration it listens on 127.0.0.1:9201, keeps its
      queue in ./data, and delivers to a small SQLite file that you can look into.
  spillway check-config FILE
      Check a configuration file.
  spillway config --defaults
      Print every setting with its default.
  spillway recent SELECTOR [--url URL] [--http-config-file FILE]
      Look up recent samples of a running agent, for example: spillway recent 'up{job="node"}'
${deadLettersUsage}  spillway inspect FILE [--v2]
      Print what is in a segment (*.open, *.committed) or in a captured request body.
${queueUsage}  spillway --version | --help
`;

const STATUS_EVERY_MS = 5000;
const DEFAULT_URL = 'http://127.0.0.1:9201';

async function main(args: string[]): Promise<number> {
  if (args[0] === 'dead-letters' && !args.includes('--help')) return deadLetters(args.slice(1));
  const { values, positionals } = parse(args);
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (values.version) {
    process.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  const [command = 'run', ...rest] = positionals;
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
      return recent(one(rest, 'a selector'), values.url ?? DEFAULT_URL, values['http-config-file']);
    case 'inspect':
      return inspect(one(rest, 'a file'), values.v2 === true);
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
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
      },
    });
  } catch (cause) {
    throw new UsageError((cause as Error).message, {}, cause);
  }
}

type Flags = ReturnType<typeof parse>['values'];

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

async function recent(selector: string, url: string, httpConfig: string | undefined): Promise<number> {
  const path = `/api/v1/recent?match=${encodeURIComponent(selector)}`;
  const { status, text } = await new AgentClient(url, httpConfig).ask('GET', path);
  process.stdout.write(text);
  return status < 300 ? 0 : 1;
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
    if (known && error.code === 'USAGE') process.stderr.write(`\n${usage}`);
    process.exitCode = wrongInput ? 2 : 1;
  },
);
