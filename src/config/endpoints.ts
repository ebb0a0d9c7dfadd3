import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import type { EndpointAddress } from './addresses.ts';
import { type Auth, authOf } from './auth.ts';
import { type ClientTlsConfig, clientTlsOf } from './client-tls.ts';
import { formatDuration } from './durations.ts';
import { type HttpHeader, httpHeadersOf } from './http-headers.ts';
import { type MessageVersion, messageVersionOf } from './message-version.ts';
import type { EndpointSettings } from './options.ts';
import type { Problems } from './problems.ts';
import { type ProxyConfig, type ProxySettings, proxyOf } from './proxy.ts';
import { checkRelabelRules } from './relabel.ts';
import { type TenantConfig, tenantOf } from './tenants.ts';

/** Where an endpoint writes. `text` is the URL to show, without userinfo. */
export type EndpointUrl =
  | { readonly kind: 'http'; readonly href: string; readonly text: string }
  | {
      readonly kind: 'sqlite';
      /** Absolute. */
      readonly file: string;
      readonly text: string;
    };

/** One endpoint: what the file says, with keys that mean one thing brought together. */
export type EndpointConfig = Omit<
  EndpointSettings,
  | keyof ProxySettings
  | 'name'
  | 'url'
  | 'basicAuth'
  | 'authorization'
  | 'oauth2'
  | 'sigv4'
  | 'azuread'
  | 'googleIam'
  | 'bearerToken'
  | 'bearerTokenFile'
  | 'followRedirects'
  | 'httpHeaders'
  | 'tenant'
  | 'tlsConfig'
  | 'queueConfig'
  | 'ttlMs'
  | 'replies'
  | 'protobufMessage'
> & {
  /** Unique, and the same in every run. */
  readonly name: string;
  readonly url: EndpointUrl;
  readonly auth: Auth | undefined;
  readonly tls: ClientTlsConfig | undefined;
  /** The proxy that `url` is reached through. */
  readonly proxy: ProxyConfig | undefined;
  /** Headers beside `headers`. */
  readonly httpHeaders: readonly HttpHeader[];
  /** Without it nothing is said about tenants. */
  readonly tenant: TenantConfig | undefined;
  readonly queueConfig: QueueConfig;
  /** The version of remote write that is sent: `protobuf_message`. */
  readonly messageVersion: MessageVersion;
  /** 0 means no limit. */
  readonly ttlMs: number;
  /** What is done against the letter of RW1-S-18: the profile, and what is set beside it. */
  readonly replies: RepliesConfig;
};

export type QueueConfig = Omit<EndpointSettings['queueConfig'], 'sampleAgeLimitMs' | 'maxSamplesPerSend'> & {
  readonly maxSamplesPerSend: number;
};

export interface RepliesConfig {
  readonly retryOn408: boolean;
  readonly holdOn4xx: boolean;
  readonly splitRefused: boolean;
}

/** Brings each entry of `remote_write` into its final form and checks what no single row of the table can say. */
export function endpointsOf(
  list: readonly EndpointSettings[],
  dataDir: string,
  problems: Problems,
): readonly EndpointConfig[] {
  checkNames(list, problems);
  return list.flatMap((settings, i) => endpointOf(settings, `remote_write[${i}]`, dataDir, problems) ?? []);
}

function endpointOf(
  settings: EndpointSettings,
  path: string,
  dataDir: string,
  problems: Problems,
): EndpointConfig | undefined {
  const { name, url, queueConfig, ttlMs, replies, protobufMessage, ...more } = settings;
  const { basicAuth, authorization, oauth2, bearerToken, bearerTokenFile, tlsConfig, ...others } = more;
  const { proxyUrl, noProxy, proxyFromEnvironment, proxyConnectHeader, ...direct } = others;
  const { followRedirects, sigv4, azuread, googleIam, ...headed } = direct;
  const { httpHeaders: named, tenant: _, ...rest } = headed;
  const { sampleAgeLimitMs } = queueConfig;
  const queue = queueOf(queueConfig);
  checkQueue(queue, `${path}.queue_config`, problems);
  checkTtl(ttlMs, sampleAgeLimitMs, path, problems);
  const auth = authOf(settings, `${path}.`, problems);
  checkRelabelRules(settings.writeRelabelConfigs, `${path}.write_relabel_configs`, problems);
  const tls = clientTlsOf(tlsConfig, `${path}.tls_config`, problems);
  const httpHeaders = httpHeadersOf(named, `${path}.http_headers`, problems);
  const tenant = tenantOf(settings, path, problems);
  if (url === undefined) return undefined; // already reported
  if (url.kind === 'http') refuseKeep(path, problems);
  const messageVersion = messageVersionOf(protobufMessage, url.kind, `${path}.protobuf_message`, problems);
  const proxy = url.kind === 'http' ? proxyOf(settings, url.href, `${path}.`, problems) : undefined;
  return {
    name: name ?? derivedName(url),
    url: urlOf(url, dataDir),
    auth,
    tls,
    proxy,
    httpHeaders,
    tenant,
    ...rest,
    queueConfig: queue,
    messageVersion,
    ttlMs: ttlMs ?? sampleAgeLimitMs ?? 0,
    replies: repliesOf(replies),
  };
}

/** About what vmagent sends at most. */
const LARGEST_UNASKED = 10_000;

/** While one half of a full queue is on its way, the other one becomes the next request. */
function queueOf({
  sampleAgeLimitMs: _,
  maxSamplesPerSend,
  ...queue
}: EndpointSettings['queueConfig']): QueueConfig {
  const half = Math.max(1, Math.floor(queue.capacity / 2));
  return { ...queue, maxSamplesPerSend: maxSamplesPerSend ?? Math.min(LARGEST_UNASKED, half) };
}

function repliesOf(settings: EndpointSettings['replies']): RepliesConfig {
  const durable = settings.profile === 'durable';
  return {
    retryOn408: settings.retryOnHttp408 ?? durable,
    holdOn4xx: settings.holdOnHttp4xx ?? durable,
    splitRefused: settings.splitRefused ?? durable,
  };
}

function urlOf(url: EndpointAddress, dataDir: string): EndpointUrl {
  return url.kind === 'http'
    ? { kind: 'http', href: url.href, text: url.href }
    : { kind: 'sqlite', file: resolve(dataDir, url.file), text: `sqlite:${url.file}` };
}

/** Six hex digits. Credentials and query are left out, so that a new token does not make a new endpoint. */
function derivedName(url: EndpointAddress): string {
  const identity = url.kind === 'http' ? url.href.replace(/[?#].*$/, '') : `sqlite:${url.file}`;
  return createHash('sha256').update(identity).digest('hex').slice(0, 6);
}

function checkNames(list: readonly EndpointSettings[], problems: Problems): void {
  const owners = new Map<string, string>();
  for (const [i, { name: given, url }] of list.entries()) {
    const path = `remote_write[${i}]`;
    const name = given ?? (url && derivedName(url));
    if (name === undefined) continue;
    const owner = owners.get(name);
    if (owner === undefined) {
      owners.set(name, path);
    } else {
      problems.addAcross(
        [`${path}.name`, `${path}.url`],
        `the name ${name} is already that of ${owner} (${problems.where(owner)}): give each endpoint its own \`name\``,
      );
    }
  }
}

function checkQueue(queue: QueueConfig, path: string, problems: Problems): void {
  if (queue.minShards > queue.maxShards) {
    problems.addAcross(
      [`${path}.min_shards`, `${path}.max_shards`],
      `\`min_shards\` (${queue.minShards}) is above \`max_shards\` (${queue.maxShards})`,
    );
  }
  if (queue.minBackoffMs > queue.maxBackoffMs) {
    const [min, max] = [formatDuration(queue.minBackoffMs), formatDuration(queue.maxBackoffMs)];
    problems.addAcross(
      [`${path}.min_backoff`, `${path}.max_backoff`],
      `\`min_backoff\` (${min}) is above \`max_backoff\` (${max})`,
    );
  }
  if (queue.capacity < queue.maxSamplesPerSend) {
    problems.addAcross(
      [`${path}.capacity`, `${path}.max_samples_per_send`],
      `\`capacity\` (${queue.capacity}) is below \`max_samples_per_send\` (${queue.maxSamplesPerSend}), so that no ` +
        'request could be filled: make it 3 to 10 times as large',
    );
  }
}

function checkTtl(
  ttlMs: number | undefined,
  sampleAgeLimitMs: number | undefined,
  path: string,
  problems: Problems,
): void {
  if (ttlMs === undefined || sampleAgeLimitMs === undefined || ttlMs === sampleAgeLimitMs) return;
  const other = `${path}.queue_config.sample_age_limit`;
  problems.add(
    `${path}.ttl`,
    `\`ttl\` (${formatDuration(ttlMs)}) and \`sample_age_limit\` (${formatDuration(sampleAgeLimitMs)}, ` +
      `${problems.where(other)}) are two names of one setting: give one of the two`,
  );
}

function refuseKeep(path: string, problems: Problems): void {
  for (const keep of [`${path}.keep`, `${path}.keep_samples`]) {
    if (problems.isWritten(keep)) {
      problems.addAcross([keep], 'only for `sqlite:` URLs: what an HTTP endpoint keeps is its own business');
    }
  }
}
