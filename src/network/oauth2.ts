import type { Socket } from 'node:net';
import type { OAuth2Config } from '../config/oauth2.ts';
import { SpillwayError } from '../runtime/errors.ts';
import { basicAuthorization } from './authorization.ts';
import { ClientTls, type ClientTlsOptions } from './client-tls.ts';
import { type Dial, dialDirectly } from './dial.ts';
import { signedAssertion } from './jwt.ts';
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

const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/**
 * Tokens by the client credentials grant (RFC 6749, 4.4), with a secret or a signed assertion, or by the JWT bearer
 * grant (RFC 7523, 2.1).
 *
 * Where a secret goes is not agreed on: as basic authentication, which every server must take, or in the body,
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
    const { clientId, clientSecret, clientAssertion, jwt, scopes } = this.#config;
    const at = this.#now();
    if (jwt !== undefined) {
      const assertion = await signedAssertion(jwt, clientId, scopes, at);
      return this.#tokenOf(
        await this.#post({ grant_type: jwtBearer, assertion }, undefined, signal),
        at,
        assertion,
      );
    }
    if (clientAssertion !== undefined) {
      const assertion = await clientAssertion.reveal();
      const params = {
        grant_type: 'client_credentials',
        client_id: clientId,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion,
        ...(scopes.length > 0 ? { scope: scopes.join(' ') } : {}),
      };
      return this.#tokenOf(await this.#post(params, undefined, signal), at, assertion);
    }
    const secret = (await clientSecret?.reveal()) ?? '';
    let answer = await this.#ask(secret, this.#inBody ?? false, signal);
    let inBody = this.#inBody ?? false;
    if (this.#inBody === undefined && answer.status >= 400 && answer.status < 500) {
      inBody = true;
      answer = await this.#ask(secret, true, signal);
    }
    const token = this.#tokenOf(answer, at, secret);
    this.#inBody = inBody;
    return token;
  }

  /** Never shows `secret`. Throws `TokenError` when there is no token in `answer`. */
  #tokenOf(answer: Answer, askedAtMs: number, secret: string): Token {
    const token = tokenOf(answer, askedAtMs);
    if (token === undefined) throw this.#failure(`answered ${describe(answer, secret)}`);
    return token;
  }

  #ask(secret: string, inBody: boolean, signal: AbortSignal): Promise<Answer> {
    const { clientId, scopes } = this.#config;
    const params = {
      grant_type: 'client_credentials',
      ...(scopes.length > 0 ? { scope: scopes.join(' ') } : {}),
    };
    if (!inBody) {
      // Name and secret are encoded before they are put together (RFC 6749, 2.3.1).
      const basic = basicAuthorization(encodeURIComponent(clientId), encodeURIComponent(secret));
      return this.#post(params, basic, signal);
    }
    const credentials = { client_id: clientId, ...(secret === '' ? {} : { client_secret: secret }) };
    return this.#post(params, undefined, signal, credentials);
  }

  /** `last` are the parameters that nothing replaces. */
  async #post(
    first: Readonly<Record<string, string>>,
    authorization: string | undefined,
    signal: AbortSignal,
    last: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const { endpointParams, proxy } = this.#config;
    const params = new URLSearchParams({ ...first, ...endpointParams, ...last });
    const forward = forwardProxy(proxy, this.#url.href);
    const toProxy = await forward?.authorization();
    const headers = {
      'Content-Type': 'application/x-www-form-urlencoded',
      Accept: 'application/json',
      'User-Agent': this.#userAgent,
      ...(authorization === undefined ? {} : { Authorization: authorization }),
      ...(toProxy === undefined ? {} : { 'Proxy-Authorization': toProxy }),
    };
    const path = forward !== undefined ? this.#url.href : this.#url.pathname + this.#url.search;
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
