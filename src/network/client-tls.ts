import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  type SecureContext,
} from 'node:tls';
import type { EndpointSettings } from '../config/options.ts';
import { SpillwayError } from '../runtime/errors.ts';
import { fileVersion } from '../runtime/file-version.ts';

export type ClientTlsSettings = NonNullable<EndpointSettings['tlsConfig']>;

/** The files of `tls_config` cannot be used now. They may be in the middle of a change: try again. */
export class ClientTlsError extends SpillwayError {
  readonly code = 'TLS_FILES_UNUSABLE';
  override readonly retryable = true;
}

/** What a connection is opened with. The same object as long as nothing has changed. */
export interface ClientTlsOptions {
  /** For `tls.connect`. */
  readonly connect: Pick<ConnectionOptions, 'secureContext' | 'rejectUnauthorized' | 'checkServerIdentity'>;
  /** The name to ask for (SNI), where it is not the host of the URL. */
  readonly servername: string | undefined;
}

const versions = { TLS12: 'TLSv1.2', TLS13: 'TLSv1.3' } as const;

/** TLS towards one endpoint. Its files are looked at on every use and read again when one of them has changed. */
export class ClientTls {
  readonly #settings: ClientTlsSettings;
  readonly #files: readonly string[];
  #read: { readonly version: string; readonly options: ClientTlsOptions } | undefined;

  constructor(settings: ClientTlsSettings) {
    this.#settings = settings;
    const { caFile, certFile, keyFile } = settings;
    this.#files = [caFile, certFile, keyFile].filter((file) => file !== undefined);
  }

  /** What connections are to be opened with now. Throws `ClientTlsError`. */
  async options(): Promise<ClientTlsOptions> {
    const version = (await Promise.all(this.#files.map(fileVersion))).join('|');
    if (this.#read?.version !== version) this.#read = { version, options: this.#make() };
    return this.#read.options;
  }

  #make(): ClientTlsOptions {
    const { caFile, certFile, keyFile, serverName, insecureSkipVerify, minVersion, maxVersion } =
      this.#settings;
    const ca = read('ca_file', caFile, parseCertificate);
    const cert = read('cert_file', certFile, parseCertificate);
    const key = read('key_file', keyFile, createPrivateKey);
    let secureContext: SecureContext;
    try {
      secureContext = createSecureContext({
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
        minVersion: versions[minVersion],
        maxVersion: versions[maxVersion],
      });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const what =
        code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH'
          ? `\`tls_config.key_file\` (${keyFile}) is not the key of \`cert_file\` (${certFile})`
          : `the files of \`tls_config\` (${this.#files.join(', ')}) cannot be used`;
      throw new ClientTlsError(what, {}, error);
    }
    return {
      connect: {
        secureContext,
        rejectUnauthorized: !insecureSkipVerify,
        checkServerIdentity: (host, certificate) => checkServerIdentity(serverName ?? host, certificate),
      },
      // An address cannot be asked for (RFC 6066, 3).
      servername: serverName === undefined || isIP(serverName) !== 0 ? undefined : serverName,
    };
  }
}

/** The file that a key names, looked at by `parse` so that an error can name it. Throws `ClientTlsError`. */
function read(key: string, file: string | undefined, parse: (pem: Buffer) => unknown): Buffer | undefined {
  if (file === undefined) return undefined;
  let what = 'read';
  try {
    const pem = readFileSync(file);
    what =
      key === 'key_file' ? 'used as a private key (PEM, without a passphrase)' : 'used as certificates (PEM)';
    parse(pem);
    return pem;
  } catch (error) {
    throw new ClientTlsError(`\`tls_config.${key}\` (${file}) cannot be ${what}`, { file }, error);
  }
}

/** Node takes `ca` in silence whatever it is, and then knows no authority at all. */
function parseCertificate(pem: Buffer): void {
  if (!pem.includes('-----BEGIN ')) throw new Error('it has no PEM block');
  new X509Certificate(pem);
}
