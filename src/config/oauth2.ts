import type { HttpAddress } from './addresses.ts';
import { type ClientTlsConfig, clientTlsOf } from './client-tls.ts';
import type { EndpointSettings } from './options.ts';
import type { Problems } from './problems.ts';
import { type ProxyConfig, proxyOf } from './proxy.ts';
import { Secret } from './secrets.ts';

/** How a token is had from an OAuth 2.0 server, by the client credentials grant. */
export interface OAuth2Config {
  readonly clientId: string;
  readonly clientSecret: Secret | undefined;
  readonly tokenUrl: HttpAddress;
  readonly scopes: readonly string[];
  /** More parameters of the request. */
  readonly endpointParams: Readonly<Record<string, string>>;
  readonly tls: ClientTlsConfig | undefined;
  readonly proxy: ProxyConfig | undefined;
}

/** Brings an `oauth2` at `path` into its final form, and checks what no single row of the table can say. */
export function oauth2Of(
  settings: NonNullable<EndpointSettings['oauth2']>,
  path: string,
  problems: Problems,
): OAuth2Config | undefined {
  const { clientId, clientSecret, clientSecretFile, tokenUrl, scopes, endpointParams, tlsConfig } = settings;
  if (clientSecret !== undefined && clientSecretFile !== undefined) {
    problems.excludes(`${path}.client_secret_file`, `${path}.client_secret`);
  }
  if (scopes.length > 0 && Object.hasOwn(endpointParams, 'scope')) {
    problems.excludes(`${path}.endpoint_params.scope`, `${path}.scopes`);
  }
  const tls = clientTlsOf(tlsConfig, `${path}.tls_config`, problems);
  if (clientId === undefined || tokenUrl === undefined) return undefined; // already reported
  if (tokenUrl.userinfo !== undefined) {
    problems.add(
      `${path}.token_url`,
      'expected no user and password in it: give `client_id` and `client_secret`',
    );
  }
  return {
    clientId,
    clientSecret: clientSecretFile === undefined ? clientSecret : new Secret({ file: clientSecretFile }),
    tokenUrl,
    scopes,
    endpointParams,
    tls,
    proxy: proxyOf(settings, tokenUrl.href, `${path}.`, problems),
  };
}
