/**
 * From a command line of vmagent. A flag with a value for each URL belongs to them by position; a single value is for
 * all. What has no setting here is said in a note (vmagent-flags.ts).
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { stringify } from 'yaml';
import { formatDuration } from '../config/durations.ts';
import { formatSize } from '../config/sizes.ts';
import { describeError } from '../runtime/errors.ts';
import { type Conversion, type ConversionTarget, ConvertError, headComment } from './conversion.ts';
import {
  arrayItems,
  expandPercent,
  itemFor,
  parseGoBoolean,
  parseGoDuration,
  parseGoFlags,
  parseVmSize,
} from './go-flags.ts';
import { movedPath } from './paths.ts';
import { type ConvertedFlag, convertedFlags, kindOfFlag, knownFlags, leftOut } from './vmagent-flags.ts';
import { type ConvertedRule, convertVmRelabel } from './vmagent-relabel.ts';

/** Throws `ConvertError`: with an unknown flag, or one whose value cannot be read, or without a URL. */
export function convertVmagent(
  args: readonly string[],
  /** Where relative paths start; absolute. */
  baseDir: string,
  { folder, env }: ConversionTarget,
): Conversion {
  const flags = new Flags(args, env);
  const files = new Files(baseDir, folder, flags.problems);
  const urls = flags.items('remoteWrite.url');
  if (urls.length === 0) flags.problems.push('-remoteWrite.url is missing');
  const labels = flags.items('remoteWrite.label').flatMap((item) => labelOf(item, flags.problems));
  const endpoints = urls.map((url, i) => endpointOf(url, i, urls, labels, flags, files));
  const config = { ...agentOf(flags, files), remote_write: endpoints };
  const notes = [...flags.notes(), ...differences(flags, labels.length > 0)];
  if (flags.problems.length > 0) {
    // What is wrong with a single value is wrong for each of the URLs that it is for.
    throw new ConvertError([...new Set(flags.problems)].join('\n'));
  }
  const text = stringify(config, { lineWidth: 0, aliasDuplicateObjects: false });
  return { text: `${headComment('a command line of vmagent', notes)}\n${text}`, notes };
}

/** The values of a command line, and what is wrong with them. */
class Flags {
  readonly problems: string[];
  readonly #values: ReadonlyMap<string, readonly string[]>;
  readonly #expanded = new Set<string>();

  constructor(args: readonly string[], env: ConversionTarget['env']) {
    const parsed = parseGoFlags(args, kindOfFlag);
    this.problems = [...parsed.problems];
    const values = new Map(parsed.values);
    if (parseGoBoolean(values.get('envflag.enable')?.at(-1) ?? 'false')) {
      const prefix = values.get('envflag.prefix')?.at(-1) ?? '';
      for (const name of knownFlags()) {
        const value = env[prefix + name.replaceAll('.', '_')];
        if (value !== undefined && !values.has(name)) values.set(name, [value]);
      }
    }
    this.#values = new Map(
      [...values].map(([name, texts]) => [
        name,
        texts.map((text) => {
          const { text: expanded, names, missing } = expandPercent(text, env);
          for (const variable of names) this.#expanded.add(variable);
          for (const variable of missing) {
            this.problems.push(`-${name} names ${variable}, which is not in the environment`);
          }
          return expanded;
        }),
      ]),
    );
  }

  /** What was given and is not in the result, one note for all flags of which the same is to be said. */
  notes(): string[] {
    const byAbout = new Map<string, string[]>();
    for (const name of this.#values.keys()) {
      const about = leftOut.get(name)?.about;
      if (about !== undefined) byAbout.set(about, [...(byAbout.get(about) ?? []), `-${name}`]);
    }
    const notes = [...byAbout].map(([about, names]) => `${names.join(', ')}: ${about}.`);
    if (this.#expanded.size > 0) {
      notes.push(
        `${[...this.#expanded].map((name) => `%{${name}}`).join(', ')}: taken from the environment of this run, since Spillway expands nothing.`,
      );
    }
    return notes;
  }

  has(name: ConvertedFlag): boolean {
    return this.#values.has(name);
  }

  /** Of a flag that is given once. */
  value(name: ConvertedFlag): string | undefined {
    const value = this.#values.get(name)?.at(-1);
    return value === '' ? undefined : value;
  }

  items(name: ConvertedFlag): readonly string[] {
    return (this.#values.get(name) ?? []).flatMap(arrayItems);
  }

  at(name: ConvertedFlag, index: number): string | undefined {
    return itemFor(this.items(name), index);
  }

  /** What `parse` makes of the value, which belongs to URL `index` where the flag has several. */
  parsed<T>(
    name: ConvertedFlag,
    index: number,
    what: string,
    parse: (text: string) => T | undefined,
  ): T | undefined {
    const several = convertedFlags[name] === 'values' || convertedFlags[name] === 'switches';
    const text = several ? this.at(name, index) : this.value(name);
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) this.problems.push(`-${name} is not ${what}`);
    return value;
  }

  boolean(name: ConvertedFlag, index = 0): boolean | undefined {
    return this.parsed(name, index, 'true or false', parseGoBoolean);
  }

  duration(name: ConvertedFlag, index = 0): string | undefined {
    return this.parsed(name, index, 'a duration', (text) => {
      const ms = parseGoDuration(text);
      return ms === undefined ? undefined : formatDuration(ms);
    });
  }

  bytes(name: ConvertedFlag, index = 0): number | undefined {
    return this.parsed(name, index, 'a size', parseVmSize);
  }

  integer(name: ConvertedFlag, index = 0): number | undefined {
    return this.parsed(name, index, 'a whole number', (text) =>
      /^-?\d+$/.test(text) ? Number(text) : undefined,
    );
  }
}

/** Paths of the command line, and the relabelling files that it names. */
class Files {
  readonly #from: string;
  readonly #to: string | undefined;
  readonly #problems: string[];

  constructor(from: string, to: string | undefined, problems: string[]) {
    this.#from = from;
    this.#to = to;
    this.#problems = problems;
  }

  moved(path: string | undefined): string | undefined {
    return path === undefined ? undefined : movedPath(path, this.#from, this.#to);
  }

  rules(flag: ConvertedFlag, path: string | undefined): readonly ConvertedRule[] {
    if (path === undefined) return [];
    if (/^https?:/.test(path)) {
      this.#problems.push(`-${flag} names a URL: fetch it, and name the file`);
      return [];
    }
    try {
      return convertVmRelabel(readFileSync(resolve(this.#from, path), 'utf8'), path, this.#problems);
    } catch (error) {
      this.#problems.push(`-${flag} cannot be read: ${describeError(error)}`);
      return [];
    }
  }
}

/** Without the keys that are not set. */
function given(settings: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

/** The same, and undefined when nothing is left. */
function section(settings: Readonly<Record<string, unknown>>): Record<string, unknown> | undefined {
  const left = given(settings);
  return Object.keys(left).length === 0 ? undefined : left;
}

const levels: Readonly<Record<string, string>> = {
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
  FATAL: 'error',
  PANIC: 'error',
};

function agentOf(flags: Flags, files: Files): Record<string, unknown> {
  const requestBytes = flags.bytes('maxInsertRequestSize');
  const limit = (name: ConvertedFlag): number | undefined => flags.integer(name) || undefined;
  const [listen, ...more] = flags.items('httpListenAddr');
  if (more.length > 0)
    flags.problems.push('-httpListenAddr names several addresses: Spillway listens on one');
  const relabel = files.rules('remoteWrite.relabelConfig', flags.value('remoteWrite.relabelConfig'));
  return given({
    listen: listen === '' ? undefined : listen,
    data_dir: files.moved(flags.value('remoteWrite.tmpDataPath')),
    log_level: flags.parsed(
      'loggerLevel',
      0,
      'one of INFO, WARN, ERROR, FATAL, PANIC',
      (text) => levels[text],
    ),
    log_format: flags.value('loggerFormat') === 'json' ? 'json' : undefined,
    receiver: section({
      max_request_bytes: requestBytes,
      max_decoded_bytes: requestBytes,
      max_labels_per_series: limit('maxLabelsPerTimeseries'),
      max_label_name_bytes: limit('maxLabelNameLen'),
      max_label_value_bytes: limit('maxLabelValueLen'),
    }),
    relabel_configs: relabel.length === 0 ? undefined : relabel,
  });
}

function endpointOf(
  url: string,
  i: number,
  urls: readonly string[],
  labels: readonly ConvertedRule[],
  flags: Flags,
  files: Files,
): Record<string, unknown> {
  const rules = [
    ...files.rules('remoteWrite.urlRelabelConfig', flags.at('remoteWrite.urlRelabelConfig', i)),
    ...labels,
  ];
  const perSend = flags.integer('remoteWrite.maxRowsPerBlock');
  const share = flags.bytes('remoteWrite.maxDiskUsagePerURL', i) || undefined;
  const noMetadata =
    flags.boolean('remoteWrite.disableMetadata', i) === true || flags.boolean('enableMetadata') === false;
  const headers = headersOf(flags.at('remoteWrite.headers', i), flags.problems);
  return given({
    // Endpoints are known by their URL, so that two to the same one need names.
    name: urls.indexOf(url) === i ? undefined : `endpoint-${i + 1}`,
    url,
    write_relabel_configs: rules.length === 0 ? undefined : rules,
    remote_timeout: flags.duration('remoteWrite.sendTimeout', i),
    headers: section(headers.plain),
    ...credentialsOf(i, flags, files, headers.authorization),
    tls_config: section({
      ca_file: files.moved(flags.at('remoteWrite.tlsCAFile', i)),
      cert_file: files.moved(flags.at('remoteWrite.tlsCertFile', i)),
      key_file: files.moved(flags.at('remoteWrite.tlsKeyFile', i)),
      server_name: flags.at('remoteWrite.tlsServerName', i),
      insecure_skip_verify: flags.boolean('remoteWrite.tlsInsecureSkipVerify', i) || undefined,
    }),
    ...proxyOf(flags.at('remoteWrite.proxyURL', i)),
    queue_config: section({
      capacity: perSend !== undefined && perSend > 10_000 ? perSend : undefined,
      max_shards: flags.integer('remoteWrite.queues', i),
      max_samples_per_send: perSend,
      batch_send_deadline: flags.duration('remoteWrite.flushInterval'),
      min_backoff: flags.duration('remoteWrite.retryMinInterval', i),
      max_backoff:
        flags.duration('remoteWrite.retryMaxInterval', i) ?? flags.duration('remoteWrite.retryMaxTime', i),
    }),
    rate_limit: section({ bytes: flags.bytes('remoteWrite.rateLimit', i) || undefined }),
    metadata_config: section({
      send: noMetadata ? false : undefined,
      max_samples_per_send: flags.integer('remoteWrite.maxMetadataPerBlock'),
    }),
    max_backlog_bytes: share === undefined ? undefined : formatSize(share),
    when_full: share === undefined ? undefined : 'drop_oldest',
  });
}

/** vmagent goes by the variables of the environment unless it is told otherwise, as Go does. */
function proxyOf(url: string | undefined): Record<string, unknown> {
  return url === undefined ? { proxy_from_environment: true } : { proxy_url: url };
}

function credentialsOf(
  i: number,
  flags: Flags,
  files: Files,
  authorization: Record<string, unknown> | undefined,
): Record<string, unknown> {
  const token = section({
    credentials: flags.at('remoteWrite.bearerToken', i),
    credentials_file: files.moved(flags.at('remoteWrite.bearerTokenFile', i)),
  });
  const tokenUrl = flags.at('remoteWrite.oauth2.tokenUrl', i);
  const scopes = flags.at('remoteWrite.oauth2.scopes', i)?.split(';');
  const signs = flags.boolean('remoteWrite.aws.useSigv4', i) === true;
  return given({
    basic_auth: section({
      username: flags.at('remoteWrite.basicAuth.username', i),
      username_file: files.moved(flags.at('remoteWrite.basicAuth.usernameFile', i)),
      password: flags.at('remoteWrite.basicAuth.password', i),
      password_file: files.moved(flags.at('remoteWrite.basicAuth.passwordFile', i)),
    }),
    authorization: token ?? authorization,
    oauth2:
      flags.at('remoteWrite.oauth2.clientID', i) === undefined && tokenUrl === undefined
        ? undefined
        : given({
            client_id: flags.at('remoteWrite.oauth2.clientID', i),
            client_secret: flags.at('remoteWrite.oauth2.clientSecret', i),
            client_secret_file: files.moved(flags.at('remoteWrite.oauth2.clientSecretFile', i)),
            token_url: tokenUrl,
            scopes,
            endpoint_params: flags.parsed(
              'remoteWrite.oauth2.endpointParams',
              i,
              'JSON of names and texts',
              textsOf,
            ),
          }),
    sigv4: signs
      ? given({
          region: flags.at('remoteWrite.aws.region', i),
          access_key: flags.at('remoteWrite.aws.accessKey', i),
          secret_key: flags.at('remoteWrite.aws.secretKey', i),
          role_arn: flags.at('remoteWrite.aws.roleARN', i),
          service_name: flags.at('remoteWrite.aws.service', i),
        })
      : undefined,
  });
}

function textsOf(json: string): Record<string, string> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value !== 'object' || value === null) return undefined;
    const entries = Object.entries(value as Record<string, unknown>);
    return entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')
      ? Object.fromEntries(entries)
      : undefined;
  } catch {
    return undefined; // said by the caller, without the value
  }
}

/** `Name:value^^Name:value`. Credentials in them have a section of their own here. */
function headersOf(
  text: string | undefined,
  problems: string[],
): { readonly plain: Record<string, string>; readonly authorization: Record<string, unknown> | undefined } {
  const plain: Record<string, string> = {};
  let authorization: Record<string, unknown> | undefined;
  for (const header of text?.split('^^') ?? []) {
    const [, name, value] = /^([^:]+):\s*(.*)$/.exec(header) ?? [];
    if (name === undefined || value === undefined) {
      problems.push('-remoteWrite.headers has one that is not Name:value');
    } else if (name.toLowerCase() === 'authorization') {
      const [, type, credentials] = /^(\S+)\s+(.*)$/.exec(value) ?? [];
      authorization = type === undefined ? { credentials: value } : { type, credentials };
    } else {
      plain[name] = value;
    }
  }
  return { plain, authorization };
}

/** vmagent sets its labels last, and over those that are there; `external_labels` would come first, and give way. */
function labelOf(text: string, problems: string[]): readonly ConvertedRule[] {
  const [, name, value] = /^([^=]+)=([\s\S]*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    problems.push('-remoteWrite.label has one that is not name=value');
    return [];
  }
  return [{ target_label: name, replacement: value.replaceAll('$', '$$$$') }];
}

function differences(flags: Flags, labels: boolean): string[] {
  const notes: string[] = [];
  if (!flags.has('httpListenAddr')) {
    notes.push(
      'vmagent listens on every interface, port 8429; Spillway listens on 127.0.0.1:9201 unless `listen` says otherwise.',
    );
  }
  if (flags.has('remoteWrite.tmpDataPath')) {
    notes.push(
      '-remoteWrite.tmpDataPath: the queue of vmagent in it is not read. Let vmagent deliver it before it is stopped.',
    );
  }
  if (labels) {
    notes.push(
      '-remoteWrite.label became rules at the end of `write_relabel_configs`: as there, they win over labels of the same name.',
    );
  }
  if (flags.has('remoteWrite.maxDiskUsagePerURL')) {
    notes.push('-remoteWrite.maxDiskUsagePerURL counts segments of the queue that all endpoints share.');
  }
  return notes;
}
