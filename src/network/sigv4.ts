import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import type { SigV4Config } from '../config/cloud-auth.ts';
import { optionalPackage } from './optional-package.ts';
import { within } from './within.ts';

interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

type Provider = () => Promise<AwsCredentials>;

const packages = '@smithy/signature-v4 @aws-sdk/credential-providers';

/** What is used of `@smithy/signature-v4`. */
interface SignerPackage {
  readonly SignatureV4: new (options: {
    readonly credentials: AwsCredentials;
    readonly region: string;
    readonly service: string;
    readonly sha256: typeof Sha256;
  }) => {
    sign(
      request: {
        readonly method: string;
        readonly protocol: string;
        readonly hostname: string;
        readonly path: string;
        readonly query: Readonly<Record<string, readonly string[]>>;
        readonly headers: Readonly<Record<string, string>>;
        readonly body: Uint8Array;
      },
      options: { readonly signingDate: Date },
    ): Promise<{ readonly headers: Readonly<Record<string, string>> }>;
  };
}

interface ProviderOptions {
  readonly clientConfig: { readonly region: string; readonly useFipsEndpoint: boolean };
}

/** What is used of `@aws-sdk/credential-providers`. */
interface ProvidersPackage {
  fromNodeProviderChain(options: ProviderOptions): Provider;
  fromIni(options: ProviderOptions & { readonly profile: string; readonly ignoreCache: boolean }): Provider;
  fromTemporaryCredentials(
    options: ProviderOptions & {
      readonly masterCredentials: Provider;
      readonly params: {
        readonly RoleArn: string;
        readonly RoleSessionName: string;
        readonly ExternalId?: string;
      };
    },
  ): Provider;
}

/** Credentials that expire are replaced so long before. */
const leadMs = 5 * 60_000;
/** Others are looked for again after this: files and the environment of a container change. */
const mostAgeMs = 5 * 60_000;

/** SHA-256 as the signer wants it. */
class Sha256 {
  #hash: Hash | Hmac;
  readonly #secret: string | Uint8Array | undefined;

  constructor(secret?: unknown) {
    this.#secret = secret as string | Uint8Array | undefined;
    this.#hash = this.#make();
  }

  update(data: Uint8Array | string): void {
    this.#hash.update(data);
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    this.#hash = this.#make();
  }

  #make(): Hash | Hmac {
    return this.#secret === undefined ? createHash('sha256') : createHmac('sha256', this.#secret);
  }
}

/** Signs requests to one URL with AWS Signature Version 4. Its library is loaded with the first one. */
export class SigV4 {
  readonly #config: SigV4Config;
  readonly #url: URL;
  readonly #timeoutMs: number;
  readonly #now: () => number;
  #provider: Provider | undefined;
  #credentials: { readonly value: AwsCredentials; readonly untilMs: number } | undefined;
  #looking: Promise<AwsCredentials> | undefined;

  /** Looking for credentials may take `timeoutMs`. */
  constructor(config: SigV4Config, href: string, timeoutMs: number, now: () => number) {
    this.#config = config;
    this.#url = new URL(href);
    this.#timeoutMs = timeoutMs;
    this.#now = now;
  }

  /** The headers that sign a POST of `body` with `headers`, which are signed too; names and values in turn. */
  async sign(
    body: Uint8Array,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { SignatureV4 } = await optionalPackage<SignerPackage>('sigv4', '@smithy/signature-v4', packages);
    const credentials = await within(this.#find(), signal, this.#timeoutMs, 'credentials of AWS');
    const { hostname, host, protocol, pathname, searchParams } = this.#url;
    const query = Object.fromEntries(
      [...searchParams.keys()].map((name) => [name, searchParams.getAll(name)]),
    );
    const { region, serviceName: service } = this.#config;
    const signed = await new SignatureV4({ credentials, region, service, sha256: Sha256 }).sign(
      { method: 'POST', protocol, hostname, path: pathname, query, headers: { ...headers, host }, body },
      { signingDate: new Date(this.#now()) },
    );
    return Object.entries(signed.headers)
      .filter(([name]) => name === 'authorization' || name.startsWith('x-amz-'))
      .flat();
  }

  #find(): Promise<AwsCredentials> {
    if (this.#credentials !== undefined && this.#now() < this.#credentials.untilMs) {
      return Promise.resolve(this.#credentials.value);
    }
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<AwsCredentials> {
    const { key, roleArn } = this.#config;
    if (key !== undefined && roleArn === undefined) {
      // The secret itself knows when its file has changed.
      return { accessKeyId: key.id, secretAccessKey: await key.secret.reveal() };
    }
    this.#provider ??= await this.#makeProvider();
    const value = await this.#provider();
    const now = this.#now();
    const untilMs = Math.min(
      now + mostAgeMs,
      (value.expiration?.getTime() ?? Number.POSITIVE_INFINITY) - leadMs,
    );
    this.#credentials = { value, untilMs };
    return value;
  }

  async #makeProvider(): Promise<Provider> {
    const { key, profile, region, roleArn, externalId, useFipsStsEndpoint } = this.#config;
    const aws = await optionalPackage<ProvidersPackage>('sigv4', '@aws-sdk/credential-providers', packages);
    const clientConfig = { region, useFipsEndpoint: useFipsStsEndpoint };
    const own: Provider =
      key !== undefined
        ? async () => ({ accessKeyId: key.id, secretAccessKey: await key.secret.reveal() })
        : profile === undefined
          ? aws.fromNodeProviderChain({ clientConfig })
          : aws.fromIni({ profile, clientConfig, ignoreCache: true });
    if (roleArn === undefined) return own;
    return aws.fromTemporaryCredentials({
      masterCredentials: own,
      clientConfig,
      params: {
        RoleArn: roleArn,
        RoleSessionName: `spillway-${process.pid}`,
        ...(externalId === undefined ? {} : { ExternalId: externalId }),
      },
    });
  }
}
