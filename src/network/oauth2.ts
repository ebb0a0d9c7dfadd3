import type { Socket } from 'node:net';
import type { OAuth2Config } from '../config/oauth2.ts';
import { SpillwayError } from '../runtime/errors.ts';
import { basicAuthorization } from './authorization.ts';
import { ClientTls, type ClientTlsOptions } from './client-tls.ts';
import { type Dial, dialDirectly } from './dial.ts';
import { dialThrough, forwardProxy } from './proxy.ts';
import type { Token } from './token-cache.ts';

/** The token endpoint gave no token. Its words are in the message, without our secret. */
export class TokenError extends SpillwayError {
  readonly code = 'NO_TOKEN';
  override readonly retryable = true;
}

/** A token of 64 KiB is no token. */
const mostBytes = 65_536;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/**
 * Tokens by the client credentials grant (RFC 6749, 4.4).
 *
 * Where the credentials go is not agreed on: as basic authentication, which every server must take, or in the body,
 * which is all that some do. As Prometheus does, the one is tried and then the other, and what worked is remembered.
 */
export class OAuth2Tokens {
  readonly #config: OAuth2Config;
  readonly #userAgent: string;
  readonly #timeoutMs: number;
  readonly #now: () => number;
  readonly #tls: ClientTls | undefined;
  readonly #dial: Dial;
  readonly #url: URL;
  #inBody: boolean | undefined;

  /** `timeoutMs` is for one request. */
  constructor(config: OAuth2Config, userAgent: string, timeoutMs: number, now: () => number) {
    this.#config = config;
    this.#userAgent = userAgent;
    this.#timeoutMs = timeoutMs;
    this.#now = now;
    this.#tls = config.tls && new ClientTls(config.tls);
    this.#dial = config.proxy === undefined ? dialDirectly() : dialThrough(config.proxy);
    this.#url = new URL(config.tokenUrl.href);
    this.#url.hash = '';
  }

  /** A new token. Throws `TokenError`, `SecretError` and `ClientTlsError`. */
  async fetch(signal: AbortSignal): Promise<Token> {
    const secret = (await this.#config.clientSecret?.reveal()) ?? '';
    const at = this.#now();
    let answer = await this.#ask(secret, this.#inBody ?? false, signal);
    let inBody = this.#inBody ?? false;
    if (this.#inBody === undefined && answer.status >= 400 && answer.status < 500) {
      inBody = true;
      answer = await this.#ask(secret, true, signal);
    }
    const token = tokenOf(answer, at);
    if (token === undefined) throw this.#failure(`answered ${describe(answer, secret)}`);
    this.#inBody = inBody;
    return token;
  }

  async #ask(secret: string, inBody: boolean, signal: AbortSignal): Promise<Answer> {
    const { clientId, scopes, endpointParams, proxy } = this.#config;
    const params = new URLSearchParams({ grant_type: 'client_credentials' });
    if (scopes.length > 0) params.set('scope', scopes.join(' '));
    for (const [name, value] of Object.entries(endpointParams)) params.set(name, value);
    if (inBody) {
      params.set('client_id', clientId);
      if (secret !== '') params.set('client_secret', secret);
    }
    const forwarded = proxy !== undefined && this.#url.protocol === 'http:';
    const toProxy = forwarded ? await forwardProxy(proxy).authorization() : undefined;
    const headers = {
      'Content-Type': 'application/x-www-form-urlencoded',
      Accept: 'application/json',
      'User-Agent': this.#userAgent,
      // Name and secret are encoded before they are put together (RFC 6749, 2.3.1).
      ...(inBody
        ? {}
        : { Authorization: basicAuthorization(encodeURIComponent(clientId), encodeURIComponent(secret)) }),
      ...(toProxy === undefined ? {} : { 'Proxy-Authorization': toProxy }),
    };
    const path = forwarded ? this.#url.href : this.#url.pathname + this.#url.search;
    const tls = await this.#tls?.options();
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    const cut = new AbortController();
    const cutNow = (): void => cut.abort();
    for (const source of [signal, timeout]) source.addEventListener('abort', cutNow, { once: true });
    if (signal.aborted) cutNow();
    // Not before it is needed: most endpoints have no tokens, and it takes its time and memory to load.
    const { Client } = await import('undici');
    const client = new Client(this.#url.origin, {
      connect: (target, callback) => {
        this.#open(target, tls, cut.signal, callback);
      },
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    try {
      const {
        statusCode,
        headers: answered,
        body,
      } = await client.request({
        method: 'POST',
        path,
        headers,
        body: params.toString(),
        signal: cut.signal,
      });
      let text = '';
      for await (const chunk of body.setEncoding('utf8')) {
        text += chunk;
        if (text.length > mostBytes) break;
      }
      return { status: statusCode, type: String(answered['content-type'] ?? ''), text };
    } catch (error) {
      throw timeout.aborted
        ? this.#failure(`gave no answer within ${this.#timeoutMs} ms`)
        : this.#failure('cannot be reached', error);
    } finally {
      signal.removeEventListener('abort', cutNow);
      timeout.removeEventListener('abort', cutNow);
      cut.abort();
      await client.destroy();
    }
  }

  #open(
    target: Parameters<Dial>[0],
    tls: ClientTlsOptions | undefined,
    signal: AbortSignal,
    callback: (...result: [null, Socket] | [Error, null]) => void,
  ): void {
    this.#dial(target, tls, signal).then(
      (socket) => callback(null, socket),
      (error: Error) => callback(error, null),
    );
  }

  #failure(what: string, cause?: unknown): TokenError {
    const { host, pathname } = this.#url;
    return new TokenError(`the token endpoint ${host}${pathname} ${what}`, {}, cause);
  }
}

/** The token in an answer (RFC 6749, 5.1), or in one that is a form, as some old servers give it. */
function tokenOf({ status, type, text }: Answer, askedAtMs: number): Token | undefined {
  if (status < 200 || status > 299) return undefined;
  const fields = fieldsOf(type, text);
  const access = fields.access_token;
  if (typeof access !== 'string' || access === '') return undefined;
  const kind = fields.token_type;
  const scheme = typeof kind === 'string' && kind !== '' && !/^bearer$/i.test(kind) ? kind : 'Bearer';
  const seconds = Number(fields.expires_in ?? 0);
  return {
    authorization: `${scheme} ${access}`,
    expiresAtMs: seconds > 0 ? askedAtMs + 1000 * seconds : Number.POSITIVE_INFINITY,
  };
}

function fieldsOf(type: string, text: string): Readonly<Record<string, unknown>> {
  if (
    /^(?:application\/x-www-form-urlencoded|text\/plain)/i.test(type) &&
    !text.trimStart().startsWith('{')
  ) {
    return Object.fromEntries(new URLSearchParams(text));
  }
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {}; // said by the caller: an answer without a token
  }
}

/** Its status, and its words when they are those of an error: a body that holds a token is never shown. */
function describe({ status, type, text }: Answer, secret: string): string {
  const { error, error_description: description } = fieldsOf(type, text);
  const words = [error, description].filter((word) => typeof word === 'string');
  if (status < 300 && words.length === 0) words.push('without an access_token');
  const shown = [status, ...words].join(': ').replace(/[\r\n]+/g, ' ');
  return (secret === '' ? shown : shown.replaceAll(secret, '<secret>')).slice(0, 300);
}
