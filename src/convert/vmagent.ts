/**
 * From a command line of vmagent. A flag with a value for each URL belongs to them by position; a single value is for
 * all. What has no setting here is said in a note (vmagent-flags.ts).
 */
import { stringify } from 'yaml';
import { formatSize } from '../config/sizes.ts';
import { type Conversion, type ConversionTarget, ConvertError, headComment } from './conversion.ts';
import { Files } from './vmagent-files.ts';
import type { ConvertedFlag } from './vmagent-flags.ts';
import type { ConvertedRule } from './vmagent-relabel.ts';
import { Flags } from './vmagent-values.ts';

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
