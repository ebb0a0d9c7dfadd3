import type { FlagName } from './flags.ts';

/**
 * What there is on the command line: of each command its arguments, what it does, its options, and examples that work
 * as they stand (test/cli/commands.test.ts runs them). Help, completion and the check of options go by this table.
 */
export interface Command {
  /** For the list of all commands: one line. */
  readonly about: string;
  readonly args: readonly Argument[];
  /** What it does, in whole sentences. */
  readonly does: string;
  readonly options: readonly Option[];
  readonly examples: readonly string[];
}

export interface Argument {
  readonly name: string;
  /** For whoever left it out. */
  readonly is: string;
  readonly optional?: boolean;
  /** Any number of them. */
  readonly many?: boolean;
  /** The words that it may be. */
  readonly choices?: readonly string[];
}

export interface Option {
  readonly flag: FlagName;
  /** How its value is called in the help; `FILE` and `DIR` are completed. Undefined when it takes none. */
  readonly value?: string;
  /** The words that the value may be. */
  readonly choices?: readonly string[];
  readonly says: string;
}

const json: Option = { flag: 'json', says: 'for programs: JSON, with names that stay' };
const reached: readonly Option[] = [
  { flag: 'url', value: 'URL', says: 'of the agent, when it is not reached at its `listen`' },
  {
    flag: 'http-config-file',
    value: 'FILE',
    says: 'credentials and certificates for the agent: docs/security.md',
  },
];
const asked: readonly Option[] = [
  {
    flag: 'config',
    value: 'FILE',
    says: 'where the agent listens; by default it is asked at 127.0.0.1:9201',
  },
  ...reached,
];
const stored: readonly Option[] = [
  { flag: 'config', value: 'FILE', says: 'where the data directory is; by default ./data' },
  { flag: 'data-dir', value: 'DIR', says: 'in place of the `data_dir` of the configuration' },
];
const letters: readonly Option[] = [
  { flag: 'config', value: 'FILE', says: 'where the agent listens and keeps its data, and its endpoints' },
  { flag: 'data-dir', value: 'DIR', says: 'in place of the `data_dir` of the configuration' },
  ...reached,
  { flag: 'endpoint', value: 'NAME', says: 'those of one endpoint' },
  { flag: 'selector', value: 'SELECTOR', says: 'those of series, as in PromQL: \'{job="node"}\'' },
  { flag: 'reason', value: 'REASON', says: 'those that were counted so: rejected, ...' },
  { flag: 'cause', value: 'ANSWER', says: 'those that got this answer: 400, ...' },
  { flag: 'since', value: 'DURATION', says: 'refused in the last 1h, say' },
  { flag: 'before', value: 'DURATION', says: 'refused longer ago than 1d, say' },
];
const rows: readonly Option[] = [
  { flag: 'from', value: 'N', says: 'from segment N on; spillway queue ls shows them' },
  { flag: 'to', value: 'N', says: 'up to and with segment N' },
  { flag: 'match', value: 'SELECTOR', says: 'series, as in PromQL: \'up{job="node"}\'' },
  {
    flag: 'format',
    value: 'FORMAT',
    choices: ['openmetrics', 'ndjson'],
    says: 'openmetrics: samples, in the order of the queue, for promtool and the like (default); ndjson: a line of JSON for each row, of every kind',
  },
];
const header: Option = {
  flag: 'header',
  value: 'HEADER',
  says: "'NAME: VALUE', to go with each request; may be repeated",
};
const dir: Argument = { name: 'DIR', is: 'a data directory, or a folder with segments' };
const name: Argument = { name: 'NAME', is: 'an endpoint' };

export type CommandName =
  | 'run'
  | 'check-config'
  | 'config'
  | 'config convert'
  | 'status'
  | 'explain'
  | 'recent'
  | 'endpoint ls'
  | 'endpoint pause'
  | 'endpoint resume'
  | 'endpoint seek'
  | 'endpoint forget'
  | 'dead-letters list'
  | 'dead-letters export'
  | 'dead-letters resend'
  | 'dead-letters purge'
  | 'queue ls'
  | 'queue cat'
  | 'queue export'
  | 'queue replay'
  | 'queue verify'
  | 'queue repair'
  | 'inspect'
  | 'sink'
  | 'load'
  | 'hash-password'
  | 'completion';

export const commands: Readonly<Record<CommandName, Command>> = {
  run: {
    about: 'run the agent',
    args: [],
    does: 'Run the agent, until SIGTERM or Ctrl-C. Without a configuration it listens on 127.0.0.1:9201, keeps its queue in ./data, and delivers to a small SQLite file that you can look into. SIGHUP reads the configuration again. Its log, on standard error, is for programs with `log_format: json`.',
    options: [
      {
        flag: 'config',
        value: 'FILE',
        says: 'the configuration; all of its keys: spillway config --defaults',
      },
      { flag: 'listen', value: 'HOST:PORT', says: 'in place of its `listen`' },
      { flag: 'data-dir', value: 'DIR', says: 'in place of its `data_dir`' },
    ],
    examples: ['spillway run --config spillway.yaml'],
  },
  'check-config': {
    about: 'check a configuration file',
    args: [{ name: 'FILE', is: 'a configuration file' }],
    does: 'Check a configuration file, and the files that it names: that they can be read, and that keys belong to their certificates. Ends with 1 when it cannot be used.',
    options: [
      { flag: 'strict', says: 'warnings fail, too: keys without effect, credentials in clear, ...' },
      { flag: 'json', says: 'for programs: valid, errors and warnings, each with line and column' },
      { flag: 'syntax-only', says: 'do not look at the files that it names: they may be elsewhere' },
    ],
    examples: ['spillway check-config spillway.yaml --strict'],
  },
  config: {
    about: 'print every setting with its default',
    args: [],
    does: 'Print a configuration with every setting at its default. With --json each setting by its path.',
    options: [
      { flag: 'defaults', says: 'every setting with its default' },
      { flag: 'write-docs', says: 'write the pages of this repository that are made from the settings' },
      json,
    ],
    examples: ['spillway config --defaults'],
  },
  'config convert': {
    about: 'make a configuration from that of Prometheus or vmagent',
    args: [{ name: 'PROMETHEUS.YML', is: 'a configuration file of Prometheus', many: true }],
    does: 'Make a configuration from the `remote_write` and external labels of Prometheus, or from a command line of vmagent, and say what is not in it. Ends with 1 when the result is to be mended before it can be used.',
    options: [
      {
        flag: 'output',
        value: 'FILE',
        says: 'in place of standard output; relative paths are right for where it is',
      },
      { flag: 'exact', says: 'give up data where Prometheus does: 429 and other 4xx' },
      { flag: 'vmagent', says: 'what comes behind -- are the flags of vmagent, as it was started' },
      json,
    ],
    examples: [
      'spillway config convert prometheus.yml --output converted.yaml',
      'spillway config convert --vmagent -- -remoteWrite.url=http://localhost:8428/api/v1/write',
    ],
  },
  status: {
    about: 'how a running agent is doing, live',
    args: [],
    does: 'Show how a running agent is doing: what comes in, and for each endpoint what waits, how old it is, how fast it goes and when it will be gone. On a terminal a live view, elsewhere once. Ends with 0 when writes are taken and no endpoint fails, else with 1.',
    options: [
      ...asked,
      { flag: 'once', says: 'once, also on a terminal' },
      { flag: 'json', says: 'once, for programs: what /api/v1/status says' },
    ],
    examples: ['spillway status --config spillway.yaml'],
  },
  explain: {
    about: 'what happens to a series, by which rule',
    args: [{ name: 'SERIES', is: 'a series' }],
    does: 'What happens to a series: whether it is taken, which rule changes or drops it, as what and where it is sent, whether it is among the dead letters. Ends with 1 when no endpoint is sent it.',
    options: [
      { flag: 'tenant', value: 'NAME', says: 'whose it is; by default `receiver.default_tenant`' },
      ...asked,
      {
        flag: 'offline',
        says: 'ask no agent: go by the configuration alone, before it is put in force, say',
      },
      json,
    ],
    examples: ['spillway explain \'{__name__="up",job="node"}\' --config spillway.yaml'],
  },
  recent: {
    about: 'look recent samples up',
    args: [{ name: 'SELECTOR', is: 'a selector' }],
    does: 'Look up recent samples, where an endpoint keeps some (a `sqlite:` URL, as without a configuration).',
    options: [
      {
        flag: 'config',
        value: 'FILE',
        says: 'where the agent listens and keeps its data; when none runs there, its file is read. By default the agent at 127.0.0.1:9201 is asked',
      },
      { flag: 'data-dir', value: 'DIR', says: 'in place of the `data_dir` of the configuration' },
      ...reached,
      { flag: 'json', says: 'for programs: what /api/v1/recent says' },
    ],
    examples: ['spillway recent \'up{job="node"}\' --config spillway.yaml'],
  },
  'endpoint ls': {
    about: 'the endpoints of a running agent, and what waits for each',
    args: [],
    does: 'List the endpoints of a running agent: state, what waits, and the segment where each stands.',
    options: [...asked, json],
    examples: ['spillway endpoint ls --config spillway.yaml'],
  },
  'endpoint pause': {
    about: 'send nothing to an endpoint until it is resumed',
    args: [name],
    does: 'Send nothing to an endpoint until it is resumed. Its rows wait on disk, also over restarts and reloads.',
    options: [...asked, json],
    examples: ['spillway endpoint pause storage --config spillway.yaml'],
  },
  'endpoint resume': {
    about: 'go on where it was paused',
    args: [name],
    does: 'Send to a paused endpoint again, from where it stood.',
    options: [...asked, json],
    examples: ['spillway endpoint resume storage --config spillway.yaml'],
  },
  'endpoint seek': {
    about: 'move an endpoint in the queue: deliver once more, or pass over',
    args: [name],
    does: 'Let an endpoint go on elsewhere in the queue: backwards it delivers once more what is still there, forwards it passes over what waits. docs/operating.md',
    options: [
      { flag: 'oldest', says: 'to the oldest data that the queue still has' },
      { flag: 'now', says: 'behind all that is there: only what comes from now on' },
      {
        flag: 'segment',
        value: 'N',
        says: 'to where segment N begins; endpoint ls shows where an endpoint stands',
      },
      {
        flag: 'time',
        value: 'TIME',
        says: 'to the segment of what came at this time: 2026-11-21T03:00Z, or 2h for so long ago',
      },
      { flag: 'dry-run', says: 'say what it would do, and move nothing' },
      { flag: 'yes', says: 'do not ask before rows are given up; needed where there is no terminal' },
      ...asked,
      json,
    ],
    examples: ['spillway endpoint seek storage --oldest --dry-run --config spillway.yaml'],
  },
  'endpoint forget': {
    about: 'let go what is kept for an endpoint that was taken out',
    args: [name],
    does: 'Let go what is kept for an endpoint that is not configured any more. docs/reload.md',
    options: [...asked, json],
    examples: ['spillway endpoint forget archive --config spillway.yaml'],
  },
  'dead-letters list': {
    about: 'rows that an endpoint refused for good, and why',
    args: [],
    does: 'Show rows that an endpoint refused for good, with its words: how many by endpoint and reason, then the newest. Also while the agent runs.',
    options: [
      { flag: 'limit', value: 'N', says: 'how many to show, 1 or more; 20 by default, all with --json' },
      { flag: 'json', says: 'as lines of JSON' },
      ...letters,
    ],
    examples: ['spillway dead-letters list --config spillway.yaml --since 1h'],
  },
  'dead-letters export': {
    about: 'write them all as lines of JSON',
    args: [],
    does: 'Write dead letters to standard output, a line of JSON each. Nothing is changed.',
    options: [...letters, { flag: 'json', says: 'as it does without' }],
    examples: ['spillway dead-letters export --config spillway.yaml --endpoint storage'],
  },
  'dead-letters resend': {
    about: 'send them again to their endpoint',
    args: [],
    does: 'Send dead letters again to their endpoint, the oldest sample first, with the settings and credentials of the configuration. What is taken is no dead letter any more. Ends with 1 when some were not taken.',
    options: [...letters, { flag: 'keep-going', says: 'do not stop at 100 refusals in a row' }, json],
    examples: ['spillway dead-letters resend --config spillway.yaml --endpoint storage'],
  },
  'dead-letters purge': {
    about: 'delete them',
    args: [],
    does: 'Delete dead letters: those of a filter, or all.',
    options: [
      ...letters,
      { flag: 'all', says: 'all of them, when there is no filter; asks on a terminal,' },
      { flag: 'yes', says: 'and needs this where there is none' },
      json,
    ],
    examples: ['spillway dead-letters purge --config spillway.yaml --before 30d'],
  },
  'queue ls': {
    about: 'the segments of the queue',
    args: [{ ...dir, optional: true }],
    does: 'List the segments of a queue, with their rows, bytes and times. May run beside an agent.',
    options: [...stored, json],
    examples: ['spillway queue ls --config spillway.yaml'],
  },
  'queue cat': {
    about: 'print its rows',
    args: [{ ...dir, optional: true }],
    does: 'Print the rows of a queue, in its order. May run beside an agent. Ends with 1 when parts cannot be read.',
    options: [...rows, ...stored, { flag: 'json', says: 'the same as --format ndjson' }],
    examples: ['spillway queue cat --config spillway.yaml --match up | head'],
  },
  'queue export': {
    about: 'write its rows to a file',
    args: [
      { name: 'FILE', is: 'a file to write' },
      { ...dir, optional: true },
    ],
    does: 'Write the rows of a queue to a new file. May run beside an agent. Ends with 1 when parts cannot be read.',
    options: [
      ...rows,
      ...stored,
      {
        flag: 'json',
        says: 'for programs: what was written, on standard output; the file is ndjson unless --format says so',
      },
    ],
    examples: ['spillway queue export rows.txt --config spillway.yaml --match \'up{job="node"}\''],
  },
  'queue replay': {
    about: 'send a directory of segments to any receiver',
    args: [{ ...dir, is: 'a directory of segments' }],
    does: 'Send a directory of segments, of a backup, say, to any remote-write URL. The directory is only read. Stopped, it goes on where it was when it is started again in the same way. Ends with 1 when not every row was taken.',
    options: [
      { flag: 'url', value: 'URL', says: 'a remote-write receiver; rows leave as they came in' },
      header,
      { flag: 'rate', value: 'N', says: 'at most N samples a second' },
      {
        flag: 'endpoint',
        value: 'NAME',
        says: 'in place of --url: an endpoint of the configuration, with its credentials, external labels, relabelling and tenants',
      },
      { flag: 'config', value: 'FILE', says: 'the configuration that has the endpoint' },
      { flag: 'state', value: 'DIR', says: 'where it keeps how far it has come' },
      json,
    ],
    examples: [
      'spillway queue replay ./data --url http://127.0.0.1:9202/api/v1/write',
      'spillway queue replay ./data --endpoint storage --config spillway.yaml',
    ],
  },
  'queue verify': {
    about: 'read all of it and say what is whole',
    args: [{ ...dir, is: 'a data directory', optional: true }],
    does: 'Read all of a queue and say what is whole. Changes nothing, and may run beside an agent. Ends with 1 when something is damaged or missing.',
    options: [...stored, json],
    examples: ['spillway queue verify --config spillway.yaml'],
  },
  'queue repair': {
    about: 'save what can be saved of a damaged queue',
    args: [{ ...dir, is: 'a data directory', optional: true }],
    does: 'Take damaged bytes out of a queue, with a copy in quarantine/. No agent may run: one does the same as it starts. Ends with 1 when something is still missing.',
    options: [{ flag: 'dry-run', says: 'say what repair would do, and do nothing' }, ...stored, json],
    examples: ['spillway queue repair --dry-run --config spillway.yaml'],
  },
  inspect: {
    about: 'what is in one segment, or in a captured request',
    args: [{ name: 'FILE', is: 'a file' }],
    does: 'Print what is in a segment (*.open, *.committed) or in a captured request body, as lines of JSON.',
    options: [
      { flag: 'v2', says: 'the body is of remote write 2.0' },
      { flag: 'json', says: 'as it does without' },
    ],
    examples: ['spillway inspect data/wal/00000000000000000001.open'],
  },
  sink: {
    about: 'a receiver that prints, counts and verifies: to look at any sender',
    args: [],
    does: 'Receive remote write 1.0 and 2.0, keep nothing, and say what came and what is wrong with how it is sent, until Ctrl-C. With an endpoint of Spillway in front of it and `spillway load` behind that, --verify tells whether every sample arrived, once, and in order.',
    options: [
      {
        flag: 'listen',
        value: 'HOST:PORT',
        says: '127.0.0.1:9202 by default; requests may come to any path',
      },
      {
        flag: 'print',
        says: 'each row as it comes: series, value, time in ms; and behind those of a request how it was answered, with the X-Prometheus-Remote-Write-*-Written counts of 2.0',
      },
      {
        flag: 'verify',
        says: 'end with 1 when something is wrong: rules of remote write that the sender breaks, rows missing, out of order, or of another value than load sent',
      },
      {
        flag: 'answer',
        value: 'STATUS',
        says: 'answer every request so: 503 is a receiver that is down, 400 one that refuses',
      },
      { flag: 'delay', value: 'DURATION', says: 'before each answer: 200ms' },
      {
        flag: 'json',
        says: 'the sum at the end, for programs; with --print a line of JSON for each row, too',
      },
    ],
    examples: ['spillway sink --verify --listen 127.0.0.1:9202'],
  },
  load: {
    about: 'a load generator for any receiver',
    args: [{ name: 'URL', is: 'a URL' }],
    does: 'Send series to any remote-write receiver, each row until it is answered, in order: their values are a function of series and time, which `spillway sink --verify` knows. Ends with 0 when every row was acknowledged and, over 2.0, written by the counts of the receiver.',
    options: [
      { flag: 'series', value: 'N', says: '100 by default' },
      { flag: 'rate', value: 'N', says: 'samples a second, over all series; by default one for each series' },
      { flag: 'duration', value: 'DURATION', says: '30s, 5m, ...; until Ctrl-C by default' },
      {
        flag: 'protocol',
        value: 'VERSION',
        choices: ['1.0', '2.0', 'prometheus.WriteRequest', 'io.prometheus.write.v2.Request'],
        says: '1.0 (default) or 2.0, or as `protobuf_message` of Prometheus names them. 2.0 has metadata and start timestamps, and its answers say how much was written: what was not is told',
      },
      { flag: 'histograms', says: 'a native histogram for each series as well' },
      { flag: 'exemplars', says: 'an exemplar with each sample' },
      {
        flag: 'batch',
        value: 'N',
        says: 'series in a request; 500 by default. With 1 what is not written is told by series',
      },
      header,
      { flag: 'json', says: 'the sum at the end, for programs' },
    ],
    examples: ['spillway load http://127.0.0.1:9201/api/v1/write --protocol 2.0 --duration 1s'],
  },
  'hash-password': {
    about: 'a password for the web configuration file',
    args: [],
    does: 'Print the bcrypt hash of a password, for `basic_auth_users` of the web configuration file. It is asked for on a terminal, and else read from the standard input.',
    options: [json],
    examples: ['echo secret | spillway hash-password'],
  },
  completion: {
    about: 'make a shell complete all of this',
    args: [{ name: 'SHELL', is: 'a shell', choices: ['bash', 'zsh', 'fish'] }],
    does: 'Print what makes a shell complete commands and options.',
    options: [],
    examples: ['source <(spillway completion bash)', 'spillway completion fish | source'],
  },
};

/** What commands of more than one word have in common. */
export const groups: Readonly<Record<string, string>> = {
  config: 'Print every setting, or make a configuration from that of Prometheus or vmagent.',
  endpoint: 'Look after the endpoints of a running agent.',
  'dead-letters':
    'Rows that an endpoint refused for good: look at them, send them again, or delete them. docs/dead-letters.md',
  queue:
    'Look into the queue on disk. All but repair change nothing, and may run beside an agent. docs/operating.md',
};
