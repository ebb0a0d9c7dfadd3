import type { HttpAddress } from './addresses.ts';
import { type ClientTlsConfig, clientTlsOf } from './client-tls.ts';
import type { EndpointSettings } from './options.ts';
import type { Problems } from './problems.ts';
import { type ProxyConfig, proxyOf } from './proxy.ts';
import { Secret } from './secrets.ts';

/** A JWT that is signed here and handed in for a token (RFC 7523, 2.1). */
export interface JwtConfig {
  /** RSA, PEM. */
  readonly key: Secret;
  readonly keyId: string | undefined;
  readonly algorithm: 'RS256' | 'RS384' | 'RS512';
  readonly issuer: string;
  readonly audience: string;
  readonly claims: Readonly<Record<string, string>>;
}

/** How a token is had from an OAuth 2.0 server. */
export interface OAuth2Config {
  readonly clientId: string;
  /** For the client credentials grant. */
  readonly clientSecret: Secret | undefined;
  /** In place of a secret: a JWT that somebody else has signed for us (RFC 7523, 2.2). */
  readonly clientAssertion?: Secret;
  /** For the JWT bearer grant, which is used when it is there. */
  readonly jwt?: JwtConfig | undefined;
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
    jwt: jwtOf(settings, clientId, tokenUrl, path, problems),
    clientSecret: clientSecretFile === undefined ? clientSecret : new Secret({ file: clientSecretFile }),
    tokenUrl,
    scopes,
    endpointParams,
    tls,
    proxy: proxyOf(settings, tokenUrl.href, `${path}.`, problems),
  };
}

const jwtKeys = {
  client_certificate_key: 'clientCertificateKey',
  client_certificate_key_file: 'clientCertificateKeyFile',
  client_certificate_key_id: 'clientCertificateKeyId',
  iss: 'iss',
  audience: 'audience',
} as const;

function jwtOf(
  settings: NonNullable<EndpointSettings['oauth2']>,
  clientId: string,
  tokenUrl: HttpAddress,
  path: string,
  problems: Problems,
): JwtConfig | undefined {
  const grant = `${path}.grant_type`;
  if (settings.grantType === 'client_credentials') {
    for (const [key, property] of Object.entries(jwtKeys)) {
      if (settings[property] === undefined) continue;
      problems.addAcross([`${path}.${key}`, grant], 'without effect: needs the `grant_type` of a JWT bearer');
    }
    return undefined;
  }
  const {
    clientCertificateKey: text,
    clientCertificateKeyFile: file,
    clientCertificateKeyId: keyId,
  } = settings;
  if (text !== undefined && file !== undefined) {
    problems.excludes(`${path}.client_certificate_key_file`, `${path}.client_certificate_key`);
  }
  const key = file === undefined ? text : new Secret({ file });
  if (key === undefined) {
    problems.addAcross(
      [grant],
      'needs the key that signs: `client_certificate_key` or `client_certificate_key_file`',
    );
    return undefined;
  }
  return {
    key,
    keyId,
    algorithm: settings.signatureAlgorithm,
    issuer: settings.iss ?? clientId,
    audience: settings.audience ?? tokenUrl.href,
    claims: settings.claims,
  };
}
