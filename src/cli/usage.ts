import { packageVersion } from '../runtime/version.ts';

export type CommandName =
  | 'run'
  | 'check-config'
  | 'config'
  | 'recent'
  | 'dead-letters'
  | 'endpoint'
  | 'inspect'
  | 'queue'
  | 'explain'
  | 'status'
  | 'sink'
  | 'load'
  | 'hash-password'
  | 'completion';

/**
 * What `--help` says: of each command how it is called, what it does and, where that is not plain, its options.
 * `spillway --help` shows the first two of all of them.
 */
const commands: Readonly<Record<CommandName, Help>> = {
  run: {
    call: ['spillway [run] [--config FILE] [--listen HOST:PORT] [--data-dir DIR]'],
    does: [
      'Run the agent. Without a configuration it listens on 127.0.0.1:9201, keeps its',
      'queue in ./data, and delivers to a small SQLite file that you can look into.',
    ],
    options: [
      '--config FILE       the configuration; all of its keys: spillway config --defaults',
      '--listen HOST:PORT  in place of its `listen`',
      '--data-dir DIR      in place of its `data_dir`',
    ],
  },
  'check-config': {
    call: ['spillway check-config FILE [--strict] [--json] [--syntax-only]'],
    does: [
      'Check a configuration file, and the files that it names: that they can be read, and that',
      'keys belong to their certificates. Exit codes: 0 valid, 1 not, 2 wrong command line.',
    ],
    options: [
      '--strict            warnings fail, too: keys without effect, credentials in clear, ...',
      '--json              for programs: valid, errors and warnings, each with line and column',
      '--syntax-only       do not look at the files that it names: they may be elsewhere',
    ],
  },
  config: {
    call: [
      'spillway config --defaults',
      'spillway config convert PROMETHEUS.YML [--output FILE] [--exact]',
      'spillway config convert --vmagent [--output FILE] -- -remoteWrite.url=...',
    ],
    does: [
      'Print every setting with its default; or make a configuration from the `remote_write` and',
      'external labels of Prometheus, or from a command line of vmagent, and say what is not in it.',
    ],
    options: [
      '--output FILE       in place of standard output; relative paths are right for where it is',
      '--exact             give up data where Prometheus does: 429 and other 4xx',
      '--vmagent           what comes behind -- are the flags of vmagent, as it was started',
    ],
  },
  recent: {
    call: [
      'spillway recent SELECTOR [--config FILE] [--data-dir DIR] [--url URL]',
      '      [--http-config-file FILE]',
    ],
    does: ['Look up recent samples, for example: spillway recent \'up{job="node"}\''],
    options: [
      '--config FILE       where the agent listens and keeps its data; when none runs there, its',
      '                    file is read. By default the agent at 127.0.0.1:9201 is asked',
      '--data-dir DIR      in place of the `data_dir` of the configuration',
      '--url URL           of the agent, when it is not reached at its `listen`',
      '--http-config-file FILE  credentials and certificates for the agent: docs/security.md',
    ],
  },
  explain: {
    call: [
      'spillway explain SERIES [--tenant NAME] [--config FILE] [--url URL] [--http-config-file FILE]',
      '      [--offline] [--json]',
    ],
    does: [
      'What happens to a series: whether it is taken, which rule changes or drops it, as what and where',
      'it is sent, whether it is among the dead letters. For example:',
      'spillway explain \'{__name__="up",job="node"}\'. Ends with 1 when no endpoint is sent it.',
    ],
    options: [
      '--tenant NAME       whose it is; by default `receiver.default_tenant`',
      '--config FILE       where the agent listens; by default it is asked at 127.0.0.1:9201',
      '--url URL           of the agent, when it is not reached at its `listen`',
      '--http-config-file FILE  credentials and certificates for the agent: docs/security.md',
      '--offline           ask no agent: go by the configuration alone, before it is put in force, say',
      '--json              for programs',
    ],
  },
  status: {
    call: ['spillway status [--config FILE] [--url URL] [--http-config-file FILE] [--once] [--json]'],
    does: [
      'Show how a running agent is doing: what comes in, and for each endpoint what waits, how old it',
      'is, how fast it goes and when it will be gone. On a terminal a live view, elsewhere once. Ends',
      'with 0 when writes are taken and no endpoint fails, else with 1.',
    ],
    options: [
      '--config FILE       where the agent listens; by default it is asked at 127.0.0.1:9201',
      '--url URL           of the agent, when it is not reached at its `listen`',
      '--http-config-file FILE  credentials and certificates for the agent: docs/security.md',
      '--once              once, also on a terminal',
      '--json              once, for programs: what /api/v1/status says',
    ],
  },
  'dead-letters': {
    call: [
      'spillway dead-letters list|export|resend|purge [--config FILE] [--data-dir DIR] [--url URL]',
      "      [--http-config-file FILE] [--endpoint NAME] [--selector '{...}'] [--reason REASON] [--since 1h] [--before 1d]",
    ],
    does: [
      'Rows that an endpoint refused for good: look at them (list [--limit N] [--json]), write',
      'all of them as JSON lines (export), send them again to their endpoint (resend',
      '[--keep-going]), or delete them (purge, with a filter or --all). Also while the agent runs.',
    ],
    options: [
      '--config FILE       where the agent listens and keeps its data, and its endpoints',
      '--data-dir DIR      in place of the `data_dir` of the configuration',
      '--url URL           of the agent, when it is not reached at its `listen`',
      '--http-config-file FILE  credentials and certificates for the agent: docs/security.md',
      'which letters:',
      '--endpoint NAME     those of one endpoint',
      "--selector '{...}'  those of series, as in PromQL",
      '--reason REASON     those that were counted so: rejected, ...',
      '--since 1h, --before 1d  by the time of the refusal, back from now',
      'list:',
      '--limit N           how many to show, 1 or more; 20 by default, all with --json',
      '--json              as lines of JSON',
      'resend:',
      '--keep-going        do not stop at 100 refusals in a row',
      'purge:',
      '--all               all of them, when there is no filter; asks on a terminal,',
      '--yes               and needs this where there is none',
    ],
  },
  endpoint: {
    call: [
      'spillway endpoint ls [--json]',
      'spillway endpoint pause|resume NAME [--json]',
      'spillway endpoint seek NAME --oldest | --now | --segment N [--dry-run] [--yes] [--json]',
      'spillway endpoint forget NAME [--json]',
    ],
    does: [
      'Look after the endpoints of a running agent: what waits for each (ls); send nothing to one',
      'until it is resumed (pause); go on elsewhere in the queue (seek): backwards it delivers once',
      'more what is still there, forwards it passes over what waits; let go what is kept for one',
      'that is not configured any more (forget). docs/operating.md, docs/reload.md',
    ],
    options: [
      '--config FILE       where the agent listens; by default it is asked at 127.0.0.1:9201',
      '--url URL           of the agent, when it is not reached at its `listen`',
      '--http-config-file FILE  credentials and certificates for the agent: docs/security.md',
      '--json              for programs',
      'seek:',
      '--oldest            to the oldest data that the queue still has',
      '--now               behind all that is there: only what comes from now on',
      '--segment N         to where segment N begins; ls shows where an endpoint stands',
      '--dry-run           say what it would do, and do nothing',
      '--yes               do not ask before rows are given up; needed where there is no terminal',
    ],
  },
  inspect: {
    call: ['spillway inspect FILE [--v2]'],
    does: ['Print what is in a segment (*.open, *.committed) or in a captured request body.'],
    options: ['--v2                the body is of remote write 2.0'],
  },
  queue: {
    call: [
      'spillway queue ls [DIR] [--json]',
      'spillway queue cat [DIR] [--from N] [--to N] [--match SELECTOR] [--format openmetrics|ndjson]',
      'spillway queue export FILE [DIR] [--from N] [--to N] [--match SELECTOR] [--format ...]',
      'spillway queue replay DIR --url URL [--header HEADER] [--rate N] [--state DIR] [--json]',
      'spillway queue replay DIR --endpoint NAME --config FILE [--state DIR] [--json]',
      'spillway queue verify [--data-dir DIR | --config FILE] [--json]',
      'spillway queue repair [--data-dir DIR | --config FILE] [--dry-run] [--json]',
    ],
    does: [
      'Look into the queue: its segments (ls), its rows (cat, or export to a file); send a directory',
      'of segments, of a backup, say, to any remote-write URL (replay); read all of it and say what',
      'is whole (verify); save what can be saved: damaged bytes go to quarantine/ (repair; no agent',
      'may run). All but repair change nothing, and may run beside an agent. docs/operating.md',
    ],
    options: [
      '--config FILE       where the data directory is; by default ./data',
      '--data-dir DIR      in place of the `data_dir` of the configuration; DIR names a data directory,',
      '                    too, or a folder with segments',
      '--json              for programs',
      'cat, export:',
      '--from N, --to N    segments from N on, up to and with N; ls shows them',
      '--match SELECTOR    series, as in PromQL: \'up{job="node"}\'',
      '--format FORMAT     openmetrics: samples, in the order of the queue, for promtool and the like (default);',
      '                    ndjson: a line of JSON for each row, of every kind (so does --json)',
      'replay:',
      '--url URL           a remote-write receiver; rows leave as they came in',
      "--header HEADER     'NAME: VALUE', to go with each request; may be repeated",
      '--rate N            at most N samples a second',
      '--endpoint NAME     in place of --url: an endpoint of the configuration, with its credentials,',
      '                    external labels, relabelling and tenants',
      '--state DIR         where it keeps how far it has come: the same command goes on there',
      'repair:',
      '--dry-run           say what repair would do, and do nothing',
    ],
  },
  sink: {
    call: [
      'spillway sink [--listen HOST:PORT] [--print] [--verify] [--answer STATUS] [--delay DURATION] [--json]',
    ],
    does: [
      'Receive remote write 1.0 and 2.0, keep nothing, and say what came and what is wrong with how it',
      'is sent: to look at any sender. With an endpoint of Spillway in front of it and `spillway load`',
      'behind that, --verify tells whether every sample arrived, once, and in order.',
    ],
    options: [
      '--listen HOST:PORT  127.0.0.1:9202 by default; requests may come to any path',
      '--print             each sample as it comes: series, value, time in ms',
      '--verify            end with 1 when something is wrong: rules of remote write that the sender',
      '                    breaks, samples missing, out of order, or of another value than load sent',
      '--answer STATUS     answer every request so: 503 is a receiver that is down, 400 one that refuses',
      '--delay DURATION    before each answer: 200ms',
      '--json              the sum at the end, for programs',
    ],
  },
  load: {
    call: ['spillway load URL [--series N] [--rate N] [--duration D] [--header HEADER] [--json]'],
    does: [
      'Send series to any remote-write receiver, each sample until it is answered, in order: their',
      'values are a function of series and time, which `spillway sink --verify` knows. Ends with 0 when',
      'every sample was acknowledged. Example: spillway load http://127.0.0.1:9201/api/v1/write',
    ],
    options: [
      '--series N          100 by default',
      '--rate N            samples a second, over all series; by default one for each series',
      '--duration D        30s, 5m, ...; until Ctrl-C by default',
      "--header HEADER     'NAME: VALUE', to go with each request; may be repeated",
      '--json              the sum at the end, for programs',
    ],
  },
  'hash-password': {
    call: ['spillway hash-password'],
    does: [
      'Print the bcrypt hash of a password, for `basic_auth_users` of the web configuration',
      'file. It is asked for on a terminal, and else read from the standard input.',
    ],
    options: [],
  },
  completion: {
    call: ['spillway completion bash|zsh|fish'],
    does: ['Print what makes a shell complete commands and options: source <(spillway completion bash)'],
    options: [],
  },
};

interface Help {
  readonly call: readonly string[];
  readonly does: readonly string[];
  readonly options: readonly string[];
}

/** What there is to complete in a command. */
export interface CommandWords {
  readonly name: string;
  readonly about: string;
  /** Words that may follow its name: `verify`, `repair`. */
  readonly actions: readonly string[];
  /** `takes` says that a value follows. */
  readonly options: readonly { readonly flag: string; readonly takes: boolean }[];
}

/** The words of all commands, as their help has them. */
export function commandWords(): readonly CommandWords[] {
  return Object.entries(commands).map(([name, { call, does, options }]) => {
    const actions = call.flatMap((line) => {
      const [, words = ''] = new RegExp(`^spillway ${name} ([a-z]+(?:\\|[a-z]+)*)(?: |$)`).exec(line) ?? [];
      return words === '' ? [] : words.split('|');
    });
    const flags = new Map<string, boolean>();
    // Of a line about options, what stands before two spaces. A word in capitals or an example behind one is its value.
    const texts = [...call, ...options.map((line) => line.replace(/(?<=\S) {2,}.*$/, ''))].join('\n');
    for (const [, flag, value] of texts.matchAll(/(--[a-z][a-z0-9-]*)(?: ([A-Z'\d]))?/g)) {
      flags.set(flag!, flags.get(flag!) === true || value !== undefined);
    }
    flags.delete('--help');
    return {
      name,
      about: does[0]!.replace(/ ?[.,:;(].*$/, ''),
      actions: [...new Set(actions)],
      options: [...flags].map(([flag, takes]) => ({ flag, takes })),
    };
  });
}

/** The command that a command line names, right or wrong in the rest; undefined without one. */
export function commandOf(args: readonly string[]): CommandName | undefined {
  return args.find((arg): arg is CommandName => Object.hasOwn(commands, arg));
}

/** Whether a command line asks for help, whatever else is in it. */
export function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).some((arg) => arg === '--help' || arg === '-h');
}

/** The help of one command, or of all. */
export function helpText(command: CommandName | undefined): string {
  if (command === undefined) {
    const all = Object.values(commands).map(({ call, does }) => [
      ...call.map((line) => `  ${line}`),
      ...does.map((line) => `      ${line}`),
    ]);
    return `Spillway ${packageVersion()}: a durable queue between what scrapes and what stores.

Usage:
${all.flat().join('\n')}
  spillway COMMAND --help
      The options of a command.
  spillway --version | --help
`;
  }
  const { call, does, options } = commands[command];
  const parts = [call, does.map((line) => `  ${line}`), options.map((line) => `  ${line}`)];
  return parts
    .filter(({ length }) => length > 0)
    .map((lines) => `${lines.join('\n')}\n`)
    .join('\n');
}

/** What a wrong command line is answered with, behind what is wrong with it. */
export function helpHint(args: readonly string[]): string {
  const command = commandOf(args);
  return `see: spillway ${command === undefined ? '' : `${command} `}--help`;
}
