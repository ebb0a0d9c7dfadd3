import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { type ConnectionOptions, checkServerIdentity, createSecureContext } from 'node:tls';
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
    try {
      return {
        connect: {
          secureContext: createSecureContext({
            ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }),
            ...(certFile === undefined ? {} : { cert: readFileSync(certFile) }),
            ...(keyFile === undefined ? {} : { key: readFileSync(keyFile) }),
            minVersion: versions[minVersion],
            maxVersion: versions[maxVersion],
          }),
          rejectUnauthorized: !insecureSkipVerify,
          checkServerIdentity: (host, certificate) => checkServerIdentity(serverName ?? host, certificate),
        },
        // An address cannot be asked for (RFC 6066, 3).
        servername: serverName === undefined || isIP(serverName) !== 0 ? undefined : serverName,
      };
    } catch (error) {
      throw new ClientTlsError('the files of `tls_config` cannot be used', {}, error);
    }
  }
}
