import { type AzureAdConfig, azureAdOf, type SigV4Config, sigv4Of } from './cloud-auth.ts';
import { type OAuth2Config, oauth2Of } from './oauth2.ts';
import type { EndpointSettings } from './options.ts';
import type { Problems } from './problems.ts';
import { Secret } from './secrets.ts';

/** How requests to an endpoint authenticate. */
export type Auth =
  | { readonly kind: 'basic'; readonly username: Secret; readonly password: Secret }
  | {
      readonly kind: 'token';
      /** The scheme before the credentials, `Bearer` unless set. */
      readonly type: string;
      readonly credentials: Secret;
    }
  | { readonly kind: 'oauth2'; readonly oauth2: OAuth2Config }
  | { readonly kind: 'sigv4'; readonly sigv4: SigV4Config }
  | { readonly kind: 'azuread'; readonly azuread: AzureAdConfig }
  | { readonly kind: 'google_iam'; readonly credentialsFile: string | undefined };

/** An `Authorization` header that is known without asking anybody. */
export type FixedAuth = Extract<Auth, { kind: 'basic' | 'token' }>;

/** The ways to authenticate, by their keys. */
const ways = {
  basic_auth: 'basicAuth',
  authorization: 'authorization',
  oauth2: 'oauth2',
  sigv4: 'sigv4',
  azuread: 'azuread',
  google_iam: 'googleIam',
  bearer_token: 'bearerToken',
  bearer_token_file: 'bearerTokenFile',
} as const;

/**
 * The one way to authenticate that settings come to, if any; `prefix` is what stands before their keys. Userinfo in
 * the URL counts only when nothing else is given, as in Prometheus.
 */
export function authOf(
  settings: Partial<Pick<EndpointSettings, (typeof ways)[keyof typeof ways]>> & Pick<EndpointSettings, 'url'>,
  prefix: string,
  problems: Problems,
): Auth | undefined {
  const given = (Object.keys(ways) as (keyof typeof ways)[]).filter(
    (key) => settings[ways[key]] !== undefined,
  );
  for (const other of given.slice(1)) problems.excludes(prefix + other, prefix + given[0]!);
  const { basicAuth, authorization, oauth2, bearerToken, bearerTokenFile, url } = settings;
  if (basicAuth !== undefined) return basicAuthOf(basicAuth, `${prefix}basic_auth`, problems);
  if (authorization !== undefined) return tokenAuthOf(authorization, `${prefix}authorization`, problems);
  if (oauth2 !== undefined) {
    const config = oauth2Of(oauth2, `${prefix}oauth2`, problems);
    return config && { kind: 'oauth2', oauth2: config };
  }
  if (settings.sigv4 !== undefined) {
    const config = sigv4Of(settings.sigv4, `${prefix}sigv4`, problems);
    return config && { kind: 'sigv4', sigv4: config };
  }
  if (settings.azuread !== undefined) {
    const config = azureAdOf(settings.azuread, `${prefix}azuread`, problems);
    return config && { kind: 'azuread', azuread: config };
  }
  if (settings.googleIam !== undefined) {
    return { kind: 'google_iam', credentialsFile: settings.googleIam.credentialsFile };
  }
  const bearer = bearerTokenFile === undefined ? bearerToken : new Secret({ file: bearerTokenFile });
  if (bearer !== undefined) return { kind: 'token', type: 'Bearer', credentials: bearer };
  return url?.kind === 'http' && url.userinfo !== undefined ? { kind: 'basic', ...url.userinfo } : undefined;
}

function basicAuthOf(
  settings: NonNullable<EndpointSettings['basicAuth']>,
  path: string,
  problems: Problems,
): Auth | undefined {
  const username = secretOf(
    settings.username,
    settings.usernameFile,
    undefined,
    `${path}.username`,
    problems,
  );
  const password = secretOf(
    settings.password,
    settings.passwordFile,
    settings.passwordEnv,
    `${path}.password`,
    problems,
  );
  if (username === undefined) requireOne(path, 'username', problems);
  return username && { kind: 'basic', username, password: password ?? new Secret({ text: '' }) };
}

function tokenAuthOf(
  settings: NonNullable<EndpointSettings['authorization']>,
  path: string,
  problems: Problems,
): Auth | undefined {
  const { type } = settings;
  const credentials = secretOf(
    settings.credentials,
    settings.credentialsFile,
    settings.credentialsEnv,
    `${path}.credentials`,
    problems,
  );
  if (credentials === undefined) requireOne(path, 'credentials', problems);
  if (type.toLowerCase() === 'basic') {
    problems.add(
      `${path}.type`,
      'expected another scheme than Basic, which has a section of its own: `basic_auth`',
    );
  }
  return credentials && { kind: 'token', type, credentials };
}

/**
 * The secret at `path`, or in the file that `path` with `_file` names, or in the variable that `path` with `_env`
 * names; two of them are one too many.
 */
function secretOf(
  inline: Secret | undefined,
  file: string | undefined,
  variable: string | undefined,
  path: string,
  problems: Problems,
): Secret | undefined {
  if (inline !== undefined && file !== undefined) problems.excludes(`${path}_file`, path);
  if (variable === undefined) return file === undefined ? inline : new Secret({ file });
  if (inline !== undefined || file !== undefined) {
    problems.excludes(`${path}_env`, file === undefined ? path : `${path}_file`);
  }
  const text = process.env[variable];
  if (text === undefined) problems.add(`${path}_env`, `the environment has no variable ${variable}`);
  return text === undefined ? undefined : new Secret({ text });
}

function requireOne(path: string, key: string, problems: Problems): void {
  problems.addAcross(
    [path, `${path}.${key}`, `${path}.${key}_file`, `${path}.${key}_env`],
    `expected \`${key}\` or \`${key}_file\`, got neither`,
  );
}
