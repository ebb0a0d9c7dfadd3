import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type HttpConfig, parseHttpConfig } from '../config/http-config.ts';
import type { Config } from '../config/load.ts';
import { authorizationOf, basicAuthorization } from '../network/authorization.ts';
import { ClientTls } from '../network/client-tls.ts';
import { peerOf, type TlsPeer, tlsWords } from '../network/tls-words.ts';
import { loadWebConfig } from '../receiver/web-config-file.ts';
import { CommandError } from './errors.ts';

/** An answer of an agent. */
export interface AgentAnswer {
  readonly status: number;
  readonly text: string;
}

/** An agent answers at once, or within the time that its work takes; one that has not answered for so long hangs. */
export const ANSWER_MS = 30_000;

/** Asks a running agent over HTTP, with credentials and certificates where it wants some. */
export class AgentClient {
  readonly base: string;
  readonly #http: HttpConfig;
  readonly #userinfo: string | undefined;
  readonly #because: string;
  readonly #signal: AbortSignal | undefined;

  /**
   * User and password in `url` are sent as basic authentication, unless the file `httpConfig` says how to get in.
   * `because` comes before what is said when nobody answers. After `signal` no answer is waited for. Throws
   * `CommandError` and `ConfigError`.
   */
  constructor(url: string, httpConfig: string | undefined, because = '', signal?: AbortSignal) {
    if (!URL.canParse(url)) throw new CommandError(`${url} is not a URL`);
    const { origin, pathname, username, password } = new URL(url);
    this.base = `${origin}${pathname.replace(/\/$/, '')}`;
    this.#userinfo =
      username === '' && password === ''
        ? undefined
        : basicAuthorization(decodeURIComponent(username), decodeURIComponent(password));
    this.#http = httpConfig === undefined ? { auth: undefined, tls: undefined } : readHttpConfig(httpConfig);
    this.#because = because;
    this.#signal = signal;
  }

  /** The answer to a request for `path`. Throws `CommandError` when there is none within `answerMs`. */
  async ask(method: string, path: string, body?: object, answerMs: number = ANSWER_MS): Promise<AgentAnswer> {
    const late = AbortSignal.timeout(answerMs);
    const { auth, tls } = this.#http;
    const authorization = auth === undefined ? this.#userinfo : await authorizationOf(auth);
    const connection = tls && (await new ClientTls(tls).options());
    const { Agent, fetch } = await import('undici');
    const dispatcher =
      connection &&
      new Agent({
        connect: {
          ...connection.connect,
          ...(connection.servername === undefined ? {} : { servername: connection.servername }),
        },
      });
    try {
      const response = await fetch(this.base + path, {
        method,
        signal: this.#signal === undefined ? late : AbortSignal.any([late, this.#signal]),
        headers: {
          ...(authorization === undefined ? {} : { Authorization: authorization }),
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(dispatcher === undefined ? {} : { dispatcher }),
      });
      const text = await response.text();
      if (response.status === 401) {
        throw new CommandError(
          `${this.base} wants credentials: name a file with \`basic_auth\` or \`authorization\` by --http-config-file`,
        );
      }
      return { status: response.status, text };
    } catch (cause) {
      if (cause instanceof CommandError) throw cause;
      if (this.#signal?.aborted) throw new CommandError(`ended before ${this.base} had answered`);
      if (late.aborted) {
        const changes = method === 'GET' ? '' : ', and may still do what it was asked';
        throw new CommandError(
          `${this.base} has not answered for ${answerMs / 1000} s${changes}: it hangs, has too much to do, or is no agent; its log may say why`,
        );
      }
      const refused = tlsFailure(cause, peerOf(this.base, tls));
      if (refused !== undefined) {
        throw new CommandError(`${refused}; \`tls_config\` goes into a file that --http-config-file names`);
      }
      throw new CommandError(
        `${this.#because}no agent answers at ${this.base}: is it running? Else name its address by --url, and for TLS its certificates by --http-config-file`,
        {},
        cause,
      );
    } finally {
      await dispatcher?.close();
    }
  }
}

/** What `cause` means when it, or what is behind it, is about TLS. */
function tlsFailure(cause: unknown, peer: TlsPeer): string | undefined {
  for (let error = cause; error instanceof Error; error = error.cause) {
    const { code } = error as NodeJS.ErrnoException;
    const words = code === undefined ? undefined : tlsWords(code, error.message.trim(), peer);
    if (words !== undefined) return words;
  }
  return undefined;
}

/** Where this machine reaches the listener of an agent with this configuration. */
export function agentUrl({ listen: { host, port }, webConfigFile }: Config): string {
  const here = host === '' || host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  const tls = webConfigFile !== undefined && loadWebConfig(webConfigFile).tls !== undefined;
  return `${tls ? 'https' : 'http'}://${here.includes(':') ? `[${here}]` : here}:${port}`;
}

function readHttpConfig(file: string): HttpConfig {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new CommandError(`cannot read ${file}`, { file }, cause);
  }
  return parseHttpConfig(text, { file, baseDir: dirname(resolve(file)) });
}
