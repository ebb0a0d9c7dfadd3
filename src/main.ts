#!/usr/bin/env node
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readConfig } from './cli/config-text.ts';
import { UsageError } from './cli/errors.ts';
import { asksForHelp, commandOf, commandWords, helpHint, helpText } from './cli/usage.ts';
import { type Config, parseConfig } from './config/load.ts';
import { describeError, SpillwayError } from './runtime/errors.ts';
import { packageVersion } from './runtime/version.ts';

/**
 * The command line. Each command is loaded when it is called: a start waits for nothing that it does not use.
 *
 * Exit codes: 0 done, 1 it could not be done, 2 the command line or the configuration is wrong. Of `check-config` and
 * `config convert` a wrong configuration is the finding, and not what keeps them from working: 1.
 */
async function main(args: string[]): Promise<number> {
  if (asksForHelp(args)) {
    process.stdout.write(helpText(commandOf(args)));
    return 0;
  }
  if (commandOf(args) === 'dead-letters') {
    const { deadLetters } = await import('./cli/dead-letters.ts');
    return deadLetters(args.toSpliced(args.indexOf('dead-letters'), 1));
  }
  const { values, positionals } = parse(args);
  if (values.version) {
    process.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  const [command = 'run', ...rest] = positionals;
  checkFlags(command, rest[0], values);
  switch (command) {
    case 'run': {
      none(rest);
      const { run } = await import('./cli/run.ts');
      return run({ config: values.config, listen: values.listen, dataDir: values['data-dir'] });
    }
    case 'check-config': {
      const { checkConfig } = await import('./cli/check-config.ts');
      return checkConfig(
        one(rest, 'a configuration file'),
        {
          json: values.json === true,
          strict: values.strict === true,
          syntaxOnly: values['syntax-only'] === true,
        },
        (text) => process.stdout.write(text),
        (text) => process.stderr.write(text),
      );
    }
    case 'config': {
      const [action, ...args] = rest;
      if (action === 'convert') {
        const { convert } = await import('./cli/convert.ts');
        const { vmagent = false, output, exact = false } = values;
        return convert(
          args,
          { vmagent, output, exact },
          (text) => process.stdout.write(text),
          (text) => process.stderr.write(text),
        );
      }
      for (const flag of ['vmagent', 'output', 'exact'] as const) {
        if (values[flag] !== undefined) throw new UsageError(`--${flag} is for spillway config convert`);
      }
      none(rest);
      const { printDefaults, writeDocs } = await import('./cli/config.ts');
      if (values['write-docs']) writeDocs();
      else if (values.defaults) printDefaults();
      else throw new UsageError('spillway config needs --defaults, or convert');
      return 0;
    }
    case 'recent': {
      const { recentCommand } = await import('./cli/recent.ts');
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
    }
    case 'inspect': {
      const { inspect } = await import('./cli/inspect.ts');
      await inspect(one(rest, 'a file'), values.v2 === true);
      return 0;
    }
    case 'hash-password': {
      none(rest);
      const { hashPassword } = await import('./cli/hash-password.ts');
      process.stdout.write(`${await hashPassword(process.stdin, process.stderr)}\n`);
      return 0;
    }
    case 'completion': {
      const { completionScript } = await import('./cli/completion.ts');
      process.stdout.write(completionScript(one(rest, 'a shell'), commandWords()));
      return 0;
    }
    case 'queue': {
      const [action, ...args] = rest;
      if (action === 'ls' || action === 'cat' || action === 'export') {
        const { segmentsIn } = await import('./cli/queue-replay.ts');
        const file = action === 'export' ? args.shift() : undefined;
        if (action === 'export' && file === undefined) throw new UsageError('queue export: which FILE?');
        if (args.length > 1) throw new UsageError(`unexpected argument: ${args[1]}`);
        const dir = segmentsIn(args[0] ?? dataDirOf(values));
        const { listQueue, printQueue } = await import('./cli/queue-data.ts');
        if (action === 'ls')
          return listQueue(dir, values.json === true, (text) => process.stdout.write(text));
        const { from, to, match, format } = values;
        return printQueue(dir, file, { from, to, match, format, json: values.json === true });
      }
      if (action === 'replay') {
        const dir = one(args, 'a directory of segments');
        const { replayQueue } = await import('./cli/queue-replay.ts');
        const { url, header = [], rate, endpoint, state } = values;
        return replayQueue(
          {
            dir,
            url,
            headers: header,
            rate,
            endpoint,
            state,
            config: readConfig(values.config),
            json: values.json === true,
            signal: interrupted(),
          },
          (text) => process.stdout.write(text),
        );
      }
      const { queueCommand } = await import('./cli/queue.ts');
      return queueCommand(
        rest,
        { dataDir: dataDirOf(values), json: values.json === true, dryRun: values['dry-run'] === true },
        (text) => process.stdout.write(text),
      );
    }
    case 'explain': {
      const { explainCommand } = await import('./cli/explain.ts');
      const { tenant, url, 'http-config-file': httpConfig, offline = false, json = false } = values;
      const selector = one(rest, 'a series');
      const config = readConfig(values.config);
      return explainCommand({ selector, tenant, config, url, httpConfig, offline, json }, process.stdout);
    }
    case 'status': {
      none(rest);
      const { statusCommand } = await import('./cli/status.ts');
      const { url, 'http-config-file': httpConfig, json = false, once = false } = values;
      const options = { config: configOf(values), url, httpConfig, json, once, signal: interrupted() };
      return statusCommand(options, process.stdout);
    }
    case 'sink': {
      none(rest);
      const { sinkCommand } = await import('./cli/sink.ts');
      const { listen, answer, delay, print = false, verify = false, json = false } = values;
      return sinkCommand({ listen, answer, delay, print, verify, json, signal: interrupted() }, (text) =>
        process.stdout.write(text),
      );
    }
    case 'load': {
      const url = one(rest, 'a URL');
      const { loadCommand } = await import('./cli/load.ts');
      const { series, rate, duration, header: headers = [], json = false } = values;
      return loadCommand({ url, series, rate, duration, headers, json, signal: interrupted() }, (text) =>
        process.stdout.write(text),
      );
    }
    case 'endpoint': {
      const { endpointCommand } = await import('./cli/endpoint.ts');
      return endpointCommand(
        rest,
        {
          config: configOf(values),
          url: values.url,
          httpConfig: values['http-config-file'],
          json: values.json === true,
          oldest: values.oldest === true,
          now: values.now === true,
          segment: values.segment,
          dryRun: values['dry-run'] === true,
          yes: values.yes === true,
        },
        (text) => process.stdout.write(text),
      );
    }
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
        tenant: { type: 'string' },
        offline: { type: 'boolean' },
        once: { type: 'boolean' },
        answer: { type: 'string' },
        delay: { type: 'string' },
        print: { type: 'boolean' },
        verify: { type: 'boolean' },
        series: { type: 'string' },
        duration: { type: 'string' },
        from: { type: 'string' },
        to: { type: 'string' },
        match: { type: 'string' },
        format: { type: 'string' },
        header: { type: 'string', multiple: true },
        rate: { type: 'string' },
        endpoint: { type: 'string' },
        state: { type: 'string' },
        oldest: { type: 'boolean' },
        now: { type: 'boolean' },
        segment: { type: 'string' },
        yes: { type: 'boolean' },
        strict: { type: 'boolean' },
        vmagent: { type: 'boolean' },
        output: { type: 'string', short: 'o' },
        exact: { type: 'boolean' },
        'syntax-only': { type: 'boolean' },
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
  'check-config': ['json', 'strict', 'syntax-only'],
  config: ['defaults', 'write-docs', 'vmagent', 'output', 'exact'],
  recent: ['config', 'data-dir', 'url', 'http-config-file'],
  inspect: ['v2'],
  'hash-password': [],
  completion: [],
  queue: ['config', 'data-dir', 'json', 'dry-run'],
  'queue ls': ['config', 'data-dir', 'json'],
  'queue cat': ['config', 'data-dir', 'json', 'from', 'to', 'match', 'format'],
  'queue export': ['config', 'data-dir', 'json', 'from', 'to', 'match', 'format'],
  'queue replay': ['config', 'json', 'url', 'header', 'rate', 'endpoint', 'state'],
  explain: ['config', 'url', 'http-config-file', 'tenant', 'offline', 'json'],
  status: ['config', 'url', 'http-config-file', 'json', 'once'],
  sink: ['listen', 'answer', 'delay', 'print', 'verify', 'json'],
  load: ['series', 'rate', 'duration', 'header', 'json'],
  endpoint: ['config', 'url', 'http-config-file', 'json', 'oldest', 'now', 'segment', 'dry-run', 'yes'],
};

function checkFlags(name: string, action: string | undefined, flags: Flags): void {
  const both = `${name} ${action}`;
  const command = Object.hasOwn(flagsOf, both) ? both : name;
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
