/**
 * The web configuration: TLS and authentication of the listener. A function of the text and of the files that it
 * names; whoever calls it brings the reading, and so knows which files it depends on.
 */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { LineCounter } from 'yaml';
import { describeError } from '../runtime/errors.ts';
import type { Access } from './entries.ts';
import { Problems } from './problems.ts';
import { readSettings } from './read.ts';
import { parseYaml } from './syntax.ts';
import { type WebSettings, webOptions, webUnsupported } from './web-options.ts';

type TlsSettings = NonNullable<WebSettings['tlsServerConfig']>;

export type ClientAuthType = TlsSettings['clientAuthType'];

/** TLS of the listener. */
export interface ListenerTls {
  /** What node makes a secure context of. Holds the private key. */
  readonly context: SecureContextOptions;
  readonly clientAuthType: ClientAuthType;
  /** Subject alternative names, of which a client must have one; empty for no such condition. */
  readonly clientAllowedSans: readonly string[];
  /** When the certificate of the listener expires, in seconds since the epoch. */
  readonly notAfterSeconds: number;
}

/** A user of HTTP basic authentication. */
export interface WebUser {
  readonly hash: string;
  readonly access: Access;
}

/** A bearer token, by the SHA-256 of its text. */
export interface WebToken {
  readonly name: string;
  readonly sha256: Buffer;
  readonly access: Access;
}

/** What the listener does before it hands a request to its route. */
export interface WebConfig {
  readonly tls: ListenerTls | undefined;
  readonly users: ReadonlyMap<string, WebUser>;
  readonly tokens: readonly WebToken[];
  /** Whether `/-/healthy` and `/-/ready` need credentials too. */
  readonly protectProbes: boolean;
}

/** Where the text of a web configuration comes from. */
export interface WebConfigOrigin {
  /** The name for errors. */
  readonly file: string;
  /** Where relative paths start; absolute. */
  readonly baseDir: string;
  /** Reads a file that the text names, by its absolute path. */
  readonly read: (file: string) => Buffer;
}

/** Everything that `text` says. Throws `ConfigError`, also for what is wrong with the files that it names. */
export function parseWebConfig(text: string, { file, baseDir, read }: WebConfigOrigin): WebConfig {
  const lines = new LineCounter();
  const problems = new Problems(file, lines);
  const document = parseYaml(text, lines, problems);
  const settings = readSettings(
    { options: webOptions, unsupported: webUnsupported },
    document,
    problems,
    baseDir,
  );
  // The files are looked at only when the text is in order: what is wrong there may be a consequence.
  checkTls(settings.tlsServerConfig, problems);
  const users = usersOf(settings, problems);
  checkTokens(settings.bearerTokens, problems);
  problems.throwIfAny();

  const files = new Files(read, problems);
  const tls = settings.tlsServerConfig && listenerTls(settings.tlsServerConfig, files, problems);
  const tokens = tokensOf(settings.bearerTokens, files, problems);
  problems.throwIfAny();
  return { tls, users, tokens, protectProbes: settings.protectProbes };
}

/** Whether a request has to have a password or a token. */
export function asksForCredentials({ users, tokens }: WebConfig): boolean {
  return users.size > 0 || tokens.length > 0;
}

/** Whether nobody comes in without credentials of their own: a password, a token, or a verified certificate. */
export function authenticates(config: WebConfig): boolean {
  return asksForCredentials(config) || config.tls?.clientAuthType === 'RequireAndVerifyClientCert';
}

/** Reads files; one that cannot be read is a problem of the key that names it. */
class Files {
  readonly #read: (file: string) => Buffer;
  readonly #problems: Problems;

  constructor(read: (file: string) => Buffer, problems: Problems) {
    this.#read = read;
    this.#problems = problems;
  }

  read(path: string, file: string): Buffer | undefined {
    try {
      return this.#read(file);
    } catch (error) {
      this.#problems.add(path, `the file cannot be read: ${describeError(error)}`);
      return undefined;
    }
  }
}

function checkTls(tls: TlsSettings | undefined, problems: Problems): void {
  if (tls === undefined) return;
  const key = (name: string): string => `tls_server_config.${name}`;
  const { clientAuthType: type, clientCaFile, clientAllowedSans } = tls;
  const verifies = type === 'VerifyClientCertIfGiven' || type === 'RequireAndVerifyClientCert';
  if (verifies && clientCaFile === undefined) {
    problems.addAcross(
      [key('client_auth_type'), key('client_ca_file')],
      `\`${type}\` needs \`client_ca_file\`: what client certificates are verified against`,
    );
  }
  if (type === 'NoClientCert' && clientCaFile !== undefined) {
    problems.addAcross(
      [key('client_ca_file'), key('client_auth_type')],
      'without effect, since `client_auth_type` is `NoClientCert`: you mean `RequireAndVerifyClientCert`',
    );
  }
  if (clientAllowedSans.length > 0 && !type.startsWith('Require')) {
    problems.addAcross(
      [key('client_allowed_sans'), key('client_auth_type')],
      'needs a `client_auth_type` that requires a certificate: `RequireAndVerifyClientCert`',
    );
  }
  if (tls.minVersion > tls.maxVersion) {
    problems.addAcross(
      [key('min_version'), key('max_version')],
      `\`min_version\` (${tls.minVersion}) is above \`max_version\` (${tls.maxVersion})`,
    );
  }
}

function usersOf(settings: WebSettings, problems: Problems): ReadonlyMap<string, WebUser> {
  const { basicAuthUsers, userAccess } = settings;
  for (const name of Object.keys(userAccess)) {
    if (Object.hasOwn(basicAuthUsers, name)) continue;
    problems.add('user_access', `\`${name}\` is not a user of \`basic_auth_users\``);
  }
  return new Map(
    Object.entries(basicAuthUsers).map(([name, hash]) => {
      const access = Object.hasOwn(userAccess, name) ? (userAccess[name] as Access) : 'all';
      return [name, { hash, access }];
    }),
  );
}

function checkTokens(tokens: WebSettings['bearerTokens'], problems: Problems): void {
  const names = new Set<string>();
  for (const [i, { name, tokenFile, tokenSha256 }] of tokens.entries()) {
    const path = `bearer_tokens[${i}]`;
    if ((tokenFile === undefined) === (tokenSha256 === undefined)) {
      problems.addAcross(
        [path, `${path}.token_file`, `${path}.token_sha256`],
        'expected one of `token_file` and `token_sha256`',
      );
    }
    if (name === undefined) continue; // already reported
    if (names.has(name))
      problems.add(`${path}.name`, `the name ${name} is given before: give each token its own`);
    names.add(name);
  }
}

function tokensOf(
  tokens: WebSettings['bearerTokens'],
  files: Files,
  problems: Problems,
): readonly WebToken[] {
  return tokens.flatMap(({ name, tokenFile, tokenSha256, access }, i) => {
    if (tokenFile === undefined) return [{ name: name!, sha256: Buffer.from(tokenSha256!, 'hex'), access }];
    const path = `bearer_tokens[${i}].token_file`;
    const bytes = files.read(path, tokenFile);
    if (bytes === undefined) return [];
    const token = bytes.toString('utf8').trim();
    if (!/^[\w.~+/-]+=*$/.test(token)) {
      problems.add(path, 'the file does not hold a token: expected one word of letters, digits and `-._~+/`');
      return [];
    }
    return [{ name: name!, sha256: createHash('sha256').update(token).digest(), access }];
  });
}

const versions = { TLS12: 'TLSv1.2', TLS13: 'TLSv1.3' } as const;

function listenerTls(tls: TlsSettings, files: Files, problems: Problems): ListenerTls | undefined {
  const key = (name: string): string => `tls_server_config.${name}`;
  const cert = files.read(key('cert_file'), tls.certFile!);
  const privateKey = files.read(key('key_file'), tls.keyFile!);
  const ca = tls.clientCaFile === undefined ? undefined : files.read(key('client_ca_file'), tls.clientCaFile);
  if (cert === undefined || privateKey === undefined) return undefined;

  const certificate = attempt(key('cert_file'), 'a certificate', problems, () => new X509Certificate(cert));
  const parsedKey = attempt(key('key_file'), 'a private key', problems, () => createPrivateKey(privateKey));
  if (ca !== undefined) {
    attempt(key('client_ca_file'), 'a certificate', problems, () => new X509Certificate(ca));
  }
  if (certificate === undefined || parsedKey === undefined) return undefined;
  if (!certificate.checkPrivateKey(parsedKey)) {
    problems.add(key('key_file'), 'the file holds the key of another certificate than `cert_file`');
    return undefined;
  }
  const context: SecureContextOptions = {
    cert,
    key: privateKey,
    ...(ca === undefined ? {} : { ca }),
    minVersion: versions[tls.minVersion],
    maxVersion: versions[tls.maxVersion],
  };
  // What OpenSSL does not take is found here, and not when the listener is to use it.
  attempt(key('cert_file'), 'a usable certificate', problems, () => createSecureContext(context));
  return {
    context,
    clientAuthType: tls.clientAuthType,
    clientAllowedSans: tls.clientAllowedSans,
    notAfterSeconds: Date.parse(certificate.validTo) / 1000,
  };
}

/** OpenSSL's own words name what it stumbled over, never bytes of the file. */
function attempt<T>(path: string, what: string, problems: Problems, make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    problems.add(path, `the file does not hold ${what} in PEM: ${describeError(error)}`);
    return undefined;
  }
}
