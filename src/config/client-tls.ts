import type { EndpointSettings } from './options.ts';
import type { Problems } from './problems.ts';
import type { Secret } from './secrets.ts';

type TlsSettings = NonNullable<EndpointSettings['tlsConfig']>;

/** PEM in the configuration itself, or in a file with an absolute path. */
export type Pem<Text> = { readonly text: Text } | { readonly file: string };

/** TLS towards one server. */
export interface ClientTlsConfig
  extends Pick<TlsSettings, 'serverName' | 'insecureSkipVerify' | 'minVersion' | 'maxVersion'> {
  /** The roots; unset: those that Node comes with. */
  readonly ca: Pem<string> | undefined;
  /** Our own certificate. There is a key when there is one. */
  readonly cert: Pem<string> | undefined;
  readonly key: Pem<Secret> | undefined;
}

/** Brings a `tls_config` at `path` into its final form, and checks what no single row of the table can say. */
export function clientTlsOf(
  settings: TlsSettings | undefined,
  path: string,
  problems: Problems,
): ClientTlsConfig | undefined {
  if (settings === undefined) return undefined;
  const { serverName, insecureSkipVerify, minVersion, maxVersion } = settings;
  const pemOf = <Text>(
    key: string,
    text: Text | undefined,
    file: string | undefined,
  ): Pem<Text> | undefined => {
    if (text !== undefined && file !== undefined) problems.excludes(`${path}.${key}_file`, `${path}.${key}`);
    if (file !== undefined) return { file };
    return text === undefined ? undefined : { text };
  };
  const ca = pemOf('ca', settings.ca, settings.caFile);
  const cert = pemOf('cert', settings.cert, settings.certFile);
  const key = pemOf('key', settings.key, settings.keyFile);
  if ((cert === undefined) !== (key === undefined)) {
    problems.addAcross(
      [`${path}.cert`, `${path}.cert_file`, `${path}.key`, `${path}.key_file`, path],
      'expected both a certificate (`cert` or `cert_file`) and its key (`key` or `key_file`), or neither',
    );
  }
  if (minVersion > maxVersion) {
    problems.addAcross(
      [`${path}.min_version`, `${path}.max_version`],
      `\`min_version\` (${minVersion}) is above \`max_version\` (${maxVersion})`,
    );
  }
  return { ca, cert, key, serverName, insecureSkipVerify, minVersion, maxVersion };
}
