import type { AzureAdConfig } from '../config/cloud-auth.ts';
import { OAuth2Tokens, TokenError } from './oauth2.ts';
import { optionalPackage } from './optional-package.ts';
import type { Token } from './token-cache.ts';

const authorities = {
  AzurePublic: 'https://login.microsoftonline.com',
  AzureGovernment: 'https://login.microsoftonline.us',
  AzureChina: 'https://login.chinacloudapi.cn',
} as const;

/** What is used of `@azure/identity`, which is too large (50 MB) to be there for everybody. */
interface IdentityPackage {
  readonly DefaultAzureCredential: new (options: {
    readonly authorityHost: string;
    readonly tenantId?: string;
  }) => {
    getToken(scope: string): Promise<{ readonly token: string; readonly expiresOnTimestamp: number } | null>;
  };
}

/**
 * Tokens of Microsoft Entra ID. An application, a workload and a managed identity take one request, which is made
 * here; for everything else there is the SDK. The places are those of the cloud, unless the configuration or the
 * environment names others; the latter by the variables that Azure's own libraries read.
 */
export function azureTokens(
  { authority: own, cloud, scope, way }: AzureAdConfig,
  userAgent: string,
  timeoutMs: number,
  now: () => number,
): (signal: AbortSignal) => Promise<Token> {
  const authority = (own ?? process.env.AZURE_AUTHORITY_HOST ?? authorities[cloud]).replace(/\/$/, '');
  switch (way.kind) {
    case 'oauth':
    case 'workload_identity': {
      const { clientId, tenantId } = way;
      const href = `${authority}/${tenantId}/oauth2/v2.0/token`;
      const tokens = new OAuth2Tokens(
        {
          clientId,
          ...(way.kind === 'oauth'
            ? { clientSecret: way.clientSecret }
            : { clientSecret: undefined, clientAssertion: way.assertion }),
          tokenUrl: { kind: 'http', href, userinfo: undefined },
          scopes: [scope],
          endpointParams: {},
          tls: undefined,
          proxy: undefined,
        },
        userAgent,
        timeoutMs,
        now,
      );
      return (signal) => tokens.fetch(signal);
    }
    case 'managed_identity':
      return (signal) => managedIdentity(scope, way.clientId, now, signal);
    case 'sdk':
      return () => fromSdk(authority, scope, way.tenantId);
  }
}

/** Asks the machine (IMDS), or the app service that this process runs in. */
async function managedIdentity(
  scope: string,
  clientId: string | undefined,
  now: () => number,
  signal: AbortSignal,
): Promise<Token> {
  const {
    IDENTITY_ENDPOINT: app,
    IDENTITY_HEADER: secret,
    AZURE_POD_IDENTITY_AUTHORITY_HOST: host,
  } = process.env;
  const inApp = app !== undefined && secret !== undefined;
  const url = new URL(inApp ? app : `${host ?? 'http://169.254.169.254'}/metadata/identity/oauth2/token`);
  url.searchParams.set('api-version', inApp ? '2019-08-01' : '2018-02-01');
  // Here the audience is asked for, not a scope of it.
  url.searchParams.set('resource', scope.replace(/\/\.default$/, ''));
  if (clientId !== undefined) url.searchParams.set('client_id', clientId);
  const at = now();
  const place = `the managed identity at ${url.host}`;
  const { request } = await import('undici');
  const { statusCode, body } = await request(url, {
    headers: inApp ? { 'X-IDENTITY-HEADER': secret } : { Metadata: 'true' },
    signal,
  }).catch((error: unknown) => {
    throw new TokenError(`${place} cannot be reached`, {}, error);
  });
  const answer = (await body.json().catch(() => ({}))) as Record<string, unknown>;
  const { access_token: token, expires_on: on, error, error_description: words } = answer;
  if (statusCode !== 200 || typeof token !== 'string' || token === '') {
    const said = [statusCode, error, words].filter(
      (word) => typeof word === 'number' || typeof word === 'string',
    );
    throw new TokenError(`${place} gave no token: ${said.join(': ').replace(/\s+/g, ' ').slice(0, 300)}`);
  }
  const seconds = Number(on ?? 0);
  return { authorization: `Bearer ${token}`, expiresAtMs: seconds > 0 ? 1000 * seconds : at + 300_000 };
}

async function fromSdk(authorityHost: string, scope: string, tenantId: string | undefined): Promise<Token> {
  const { DefaultAzureCredential } = await optionalPackage<IdentityPackage>('azuread.sdk', '@azure/identity');
  const options = { authorityHost, ...(tenantId === undefined ? {} : { tenantId }) };
  const token = await new DefaultAzureCredential(options).getToken(scope);
  if (token === null) throw new TokenError('the SDK of Azure has found no credentials');
  return { authorization: `Bearer ${token.token}`, expiresAtMs: token.expiresOnTimestamp };
}
