import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  type SecureContext,
} from 'node:tls';
import type { ClientTlsConfig, Pem } from '../config/client-tls.ts';
import { SpillwayError } from '../runtime/errors.ts';
import { fileVersion } from '../runtime/file-version.ts';

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

const versions = { TLS10: 'TLSv1', TLS11: 'TLSv1.1', TLS12: 'TLSv1.2', TLS13: 'TLSv1.3' } as const;

/** OpenSSL speaks no version before 1.2 at its usual level: their signatures are of SHA-1. */
const oldCiphers = 'DEFAULT:@SECLEVEL=0';

/** TLS towards one server. Its files are looked at on every use and read again when one of them has changed. */
export class ClientTls {
  readonly #config: ClientTlsConfig;
  readonly #files: readonly string[];
  #read: { readonly version: string; readonly options: ClientTlsOptions } | undefined;

  constructor(config: ClientTlsConfig) {
    this.#config = config;
    const { ca, cert, key } = config;
    this.#files = [ca, cert, key].flatMap((pem) => (pem !== undefined && 'file' in pem ? [pem.file] : []));
  }

  /** What connections are to be opened with now. Throws `ClientTlsError`. */
  async options(): Promise<ClientTlsOptions> {
    const { key } = this.#config;
    const keyText = key !== undefined && 'text' in key ? await key.text.reveal() : undefined;
    const version = (await Promise.all(this.#files.map(fileVersion))).join('|');
    if (this.#read?.version !== version) this.#read = { version, options: this.#make(keyText) };
    return this.#read.options;
  }

  #make(keyText: string | undefined): ClientTlsOptions {
    const { serverName, insecureSkipVerify, minVersion, maxVersion } = this.#config;
    const ca = pemOf('ca', this.#config.ca, parseCertificate);
    const cert = pemOf('cert', this.#config.cert, parseCertificate);
    const { key: keySource } = this.#config;
    const key = pemOf(
      'key',
      keySource === undefined || 'file' in keySource ? keySource : { text: keyText! },
      createPrivateKey,
    );
    let secureContext: SecureContext;
    try {
      secureContext = createSecureContext({
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
        ...(minVersion < 'TLS12' ? { ciphers: oldCiphers } : {}),
        minVersion: versions[minVersion],
        maxVersion: versions[maxVersion],
      });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const what =
        code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH'
          ? `${named('key', keySource)} is not the key of ${named('cert', this.#config.cert)}`
          : 'the certificates and keys of `tls_config` cannot be used';
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

/** How errors call what a key gives. */
function named(key: string, source: Pem<unknown> | undefined): string {
  return source !== undefined && 'file' in source
    ? `\`tls_config.${key}_file\` (${source.file})`
    : `\`tls_config.${key}\``;
}

/** The PEM that a key gives, looked at by `parse` so that an error can name it. Throws `ClientTlsError`. */
function pemOf(
  key: string,
  source: Pem<string> | undefined,
  parse: (pem: Buffer) => unknown,
): Buffer | undefined {
  if (source === undefined) return undefined;
  let what = 'read';
  try {
    const pem = 'file' in source ? readFileSync(source.file) : Buffer.from(source.text);
    what = key === 'key' ? 'used as a private key (PEM, without a passphrase)' : 'used as certificates (PEM)';
    parse(pem);
    return pem;
  } catch (error) {
    throw new ClientTlsError(`${named(key, source)} cannot be ${what}`, {}, error);
  }
}

/** Node takes `ca` in silence whatever it is, and then knows no authority at all. */
function parseCertificate(pem: Buffer): void {
  if (!pem.includes('-----BEGIN ')) throw new Error('it has no PEM block');
  new X509Certificate(pem);
}
