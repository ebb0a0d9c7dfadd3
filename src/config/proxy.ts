import { type HttpAddress, parseProxyUrl } from './addresses.ts';
import { bypassesProxy, targetOf } from './no-proxy.ts';
import type { EndpointSettings } from './options.ts';
import type { Problems } from './problems.ts';
import type { Secret } from './secrets.ts';

/** The keys of an HTTP client that say which proxy it goes through. */
export type ProxySettings = Pick<
  EndpointSettings,
  'proxyUrl' | 'noProxy' | 'proxyFromEnvironment' | 'proxyConnectHeader'
>;

/** The proxy between us and one server. */
export interface ProxyConfig {
  readonly address: HttpAddress;
  /** Headers for the proxy when it is asked for a tunnel, several values each. */
  readonly connectHeaders: Readonly<Record<string, readonly Secret[]>>;
}

/**
 * The proxy that `target`, the URL of a server, is reached through; undefined for none. Rules are those of Prometheus:
 * `proxy_url` alone serves every target; with `no_proxy`, and from the environment, this machine itself is left out.
 * `prefix` is what stands before the keys.
 */
export function proxyOf(
  settings: ProxySettings,
  target: string,
  prefix: string,
  problems: Problems,
): ProxyConfig | undefined {
  const { proxyUrl, noProxy, proxyFromEnvironment, proxyConnectHeader: connectHeaders } = settings;
  const [url, environment] = [`${prefix}proxy_url`, `${prefix}proxy_from_environment`];
  if (proxyFromEnvironment) {
    if (proxyUrl !== undefined) problems.excludes(environment, url);
    if (noProxy !== undefined) problems.excludes(environment, `${prefix}no_proxy`);
    const address = proxyFromEnvironmentFor(new URL(target), environment, problems);
    return address && { address, connectHeaders };
  }
  if (proxyUrl === undefined) {
    const needs = 'needs a proxy: give `proxy_url`';
    if (noProxy !== undefined) problems.addAcross([`${prefix}no_proxy`, url], needs);
    if (Object.keys(connectHeaders).length > 0) {
      problems.addAcross(
        [`${prefix}proxy_connect_header`, url],
        `${needs} or \`proxy_from_environment: true\``,
      );
    }
    return undefined;
  }
  if (proxyUrl.href.startsWith('socks5') && Object.keys(connectHeaders).length > 0) {
    problems.addAcross(
      [`${prefix}proxy_connect_header`, url],
      'without effect: a SOCKS proxy gets no headers',
    );
  }
  if (noProxy !== undefined && bypassesProxy(noProxy, targetOf(new URL(target)))) return undefined;
  return { address: proxyUrl, connectHeaders };
}

/** As Go reads the environment: names in capitals first, a value without a scheme is `http:`. */
function proxyFromEnvironmentFor(target: URL, path: string, problems: Problems): HttpAddress | undefined {
  const names = target.protocol === 'https:' ? ['HTTPS_PROXY', 'https_proxy'] : ['HTTP_PROXY', 'http_proxy'];
  const name = names.find((candidate) => process.env[candidate]);
  if (name === undefined) return undefined;
  const noProxy = process.env.NO_PROXY || process.env.no_proxy || '';
  if (bypassesProxy(noProxy, targetOf(target))) return undefined;
  const text = process.env[name]!;
  const address = parseProxyUrl(/^[a-z0-9+.-]+:\/\//i.test(text) ? text : `http://${text}`);
  if (address === undefined) {
    problems.add(
      path,
      `the variable ${name} of the environment is not the URL of a proxy with \`http:\`, \`https:\` or \`socks5:\``,
    );
  }
  return address;
}
