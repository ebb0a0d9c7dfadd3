import { setMaxListeners } from 'node:events';
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { describeError } from '../runtime/errors.ts';
import type { ClientTlsOptions } from './client-tls.ts';
import type { Destination, Outcome, RequestTraits } from './destination.ts';
import { type Dial, type DialTarget, dialDirectly } from './dial.ts';
import {
  type HttpAnswer,
  type HttpConnection,
  type HttpHandler,
  type HttpRequest,
  UnprocessedError,
} from './http.ts';
import { Http1Connection } from './http1.ts';
import { Http2Sessions, NegotiatedConnection } from './negotiated.ts';
import type { ForwardProxy } from './proxy.ts';
import type { WireVersion } from './version.ts';
import { type Written, writtenOf } from './written.ts';

/** What `HttpDestination` needs to know of an endpoint. */
export interface HttpDestinationOptions {
  /** The whole URL as the user gave it (RW1-S-01). Credentials in it are not used: see `authorization`. */
  readonly href: string;
  /** Headers to send beside the reserved ones. They contain no reserved one: the configuration refuses it. */
  readonly headers: Readonly<Record<string, string>>;
  /** More headers, names and values in turn, asked for each request as `authorization` is. */
  readonly moreHeaders?: () => Promise<readonly string[]>;
  /**
   * Gives the value of the `Authorization` header, or undefined for none; asked for each request, so that a
   * rotated credential is found. It settles by itself. When it fails, the outcome is `NO_CREDENTIALS`.
   */
  readonly authorization: (signal: AbortSignal) => Promise<string | undefined> | string | undefined;
  /** The header that says whose the rows of a request are, where that is to be said (RLY-11). */
  readonly tenantHeader?: string | undefined;
  /** Headers that sign a body together with the headers given; names and values in turn. As `authorization`. */
  readonly sign?: (
    body: Uint8Array,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ) => Promise<readonly string[]>;
  /** Told when a value of `authorization` was answered with 401: whether to send the request again, once, with a new one. */
  readonly renew?: (authorization: string) => boolean;
  /**
   * What connections are opened with; asked for each request, and connections that were opened with something
   * else are closed. When it fails, the outcome is `NO_CREDENTIALS`. Unset: what node does by itself.
   */
  readonly tls?: () => Promise<ClientTlsOptions>;
  /** How connections are opened. */
  readonly dial?: Dial;
  /** Whether to speak HTTP/2 to an `https:` URL whose server agrees (ALPN). */
  readonly http2?: boolean;
  /** The proxy that gets requests with a whole URL, for an `http:` URL: `dial` leads to it. */
  readonly forward?: ForwardProxy;
  /** Words for people in place of those of a network error, where there are better ones. */
  readonly explain?: (code: string, said: string) => string | undefined;
  /**
   * The time for a request, from connecting to the last byte of the answer (`remote_timeout`). One that a server hands
   * back unread, since it turns its connection over (HTTP/2), has it once more.
   */
  readonly remoteTimeoutMs: number;
  /** Name and version, as `product/version` (RW2-S-08). */
  readonly userAgent: string;
}

/** Shorter than the minute after which common load balancers drop an idle connection without a word. */
const keepAliveMs = 55_000;

/** How much of a refusal is kept as text. Prometheus reads as much (INT-07). */
const wordsBytes = 1024;

/** How much of an answer is read so that the connection can be used again; beyond it a new one costs less. */
const drainBytes = 65_536;

/** The types of the two messages: byte by byte, since receivers take one with a blank for another (RW2-S-05, INT-03). */
const contentTypes = {
  '1.0': 'application/x-protobuf',
  '2.0': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
} as const;

/** RW2-S-07. */
const versionHeaders = { '1.0': '0.1.0', '2.0': '2.0.0' } as const;

/** What a signature covers beside the host: what nobody on the way may change. */
function signedHeaders(version: WireVersion): Readonly<Record<string, string>> {
  return { 'Content-Encoding': 'snappy', 'Content-Type': contentTypes[version] };
}

const noBytes = Buffer.alloc(0);

const ignore = (): void => {};

/** What became of one request, and what it was authorized with. */
interface Sent {
  readonly outcome: Outcome;
  readonly authorization?: string | undefined;
}

/** Nothing was sent: the rows are as they were. */
const notSent: Outcome = { kind: 'aborted', maybeDelivered: false };

/**
 * The destination that speaks HTTP: one POST a request, over connections that stay open.
 *
 * A call has a connection to itself: it takes the one that was used last, or opens one. So there are as many as
 * calls under way at once, and those that a falling load leaves over close when they have been idle. By HTTP/2 the
 * calls share one, each with a stream of it to itself. It is done here, because pools (node's, undici's) and undici's
 * HTTP/2 cannot keep two promises:
 * - A call that is cut ends there and then, also while it still connects: nothing is sent behind its back.
 * - After its answer nothing reads the body. A receiver may refuse a request before it has read all of it; the
 *   rest is still queued in the socket then, and the caller fills the buffer anew. Such a connection is closed.
 *
 * An answer counts when it is complete, or longer than anybody reads: a connection that breaks in the body of a
 * 200 leaves the outcome unknown, and the rows are sent again (RLY-13).
 */
export class HttpDestination implements Destination {
  readonly #options: HttpDestinationOptions;
  readonly #origin: string;
  readonly #path: string;
  readonly #connect: (tls: ClientTlsOptions | undefined) => HttpConnection;
  readonly #sessions: Http2Sessions | undefined;
  /** By version, names and values in turn: what the user wants, then RW1-S-02 or RW2-S-03. */
  readonly #headers: Readonly<Record<WireVersion, readonly string[]>>;
  /** Open or not; the one used last is at the end. */
  readonly #idle: Connection[] = [];
  #calls = 0;
  #lastCallEnded: () => void = ignore;
  #closed: Promise<void> | undefined;

  /** Throws a `TypeError` of node's for an `href` that is no URL and for a header that HTTP does not allow. */
  constructor(options: HttpDestinationOptions) {
    this.#options = options;
    const url = new URL(options.href);
    this.#origin = url.origin;
    url.hash = '';
    this.#path = options.forward === undefined ? url.pathname + url.search : url.href;
    this.#headers = { '1.0': headersOf(options, '1.0'), '2.0': headersOf(options, '2.0') };
    const { hostname, host, protocol, port } = url;
    const target: DialTarget = { hostname: hostname.replace(/^\[|\]$/g, ''), protocol, port };
    const dial = options.dial ?? dialDirectly();
    if (options.http2 && protocol === 'https:') {
      const sessions = new Http2Sessions(url.origin, keepAliveMs, (tls, signal) =>
        dial({ ...target, http2: true }, tls, signal),
      );
      this.#sessions = sessions;
      this.#connect = (tls) => new NegotiatedConnection(sessions, tls, host, keepAliveMs);
    } else {
      this.#connect = (tls) => new Http1Connection(host, keepAliveMs, (signal) => dial(target, tls, signal));
    }
  }

  async post(
    body: Uint8Array,
    attempt: number,
    signal: AbortSignal,
    traits: RequestTraits = {},
  ): Promise<Outcome> {
    if (this.#closed !== undefined) return notSent;
    this.#calls += 1;
    try {
      return await this.#send(body, attempt, signal, traits);
    } finally {
      this.#calls -= 1;
      if (this.#calls === 0) this.#lastCallEnded();
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#drain();
    return this.#closed;
  }

  async #drain(): Promise<void> {
    if (this.#calls > 0) {
      await new Promise<void>((resolve) => {
        this.#lastCallEnded = resolve;
      });
    }
    for (const connection of this.#idle) connection.close();
    this.#sessions?.close();
  }

  /** Sends the request; again, once, when it was refused for a token that may just have been withdrawn. */
  async #send(
    body: Uint8Array,
    attempt: number,
    signal: AbortSignal,
    traits: RequestTraits,
  ): Promise<Outcome> {
    const first = await this.#sendOnce(body, attempt, signal, traits);
    const { outcome, authorization } = first;
    if (outcome.kind !== 'response' || outcome.status !== 401 || authorization === undefined) return outcome;
    if (!this.#options.renew?.(authorization)) return outcome;
    return (await this.#sendOnce(body, attempt, signal, traits)).outcome;
  }

  async #sendOnce(
    body: Uint8Array,
    attempt: number,
    signal: AbortSignal,
    { version = '1.0', tenant = '' }: RequestTraits,
  ): Promise<Sent> {
    // All calls may share a signal: beyond ten listeners node would suspect a leak.
    setMaxListeners(0, signal);
    const headers = [...this.#headers[version]];
    if (attempt > 0) headers.push('Retry-Attempt', String(attempt));
    const { tenantHeader } = this.#options;
    if (tenantHeader !== undefined && tenant !== '') headers.push(tenantHeader, tenant);
    let tls: ClientTlsOptions | undefined;
    let authorization: string | undefined;
    try {
      tls = await this.#options.tls?.();
      authorization = await this.#options.authorization(signal);
      if (authorization !== undefined) {
        validateHeaderValue('Authorization', authorization);
        headers.push('Authorization', authorization);
      }
      headers.push(...((await this.#options.sign?.(body, signedHeaders(version), signal)) ?? []));
      const more = (await this.#options.moreHeaders?.()) ?? [];
      for (let i = 0; i < more.length; i += 2) validateHeaderValue(more[i]!, more[i + 1]!);
      headers.push(...more);
      const toProxy = await this.#options.forward?.authorization();
      if (toProxy !== undefined) headers.push('Proxy-Authorization', toProxy);
    } catch (error) {
      if (signal.aborted) return { outcome: notSent };
      const words = describeError(error);
      return { outcome: { kind: 'network', code: 'NO_CREDENTIALS', words, maybeDelivered: false } };
    }
    if (signal.aborted) return { outcome: notSent };

    const request: HttpRequest = { method: 'POST', path: this.#path, headers, body };
    let outcome = await this.#exchange(tls, request, signal, version);
    // A server that turns a connection over says which requests it has not looked at: they are for the next connection.
    const turnedOver = outcome.kind === 'network' && outcome.code === 'HTTP2_GOAWAY';
    if (turnedOver && !signal.aborted) outcome = await this.#exchange(tls, request, signal, version);
    return { outcome, authorization };
  }

  async #exchange(
    tls: ClientTlsOptions | undefined,
    request: HttpRequest,
    signal: AbortSignal,
    version: WireVersion,
  ): Promise<Outcome> {
    const connection = this.#take(tls);
    const outcome = await connection.exchange(request, signal, version);
    if (connection.reusable) this.#idle.push(connection);
    else connection.close();
    return outcome;
  }

  /** The connection that was used last, unless it was opened with other certificates than `tls` has. */
  #take(tls: ClientTlsOptions | undefined): Connection {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.tls === tls) return idle;
      idle.close();
    }
    return new Connection(this.#origin, tls, this.#connect(tls), this.#options);
  }
}

/** The headers of requests of one version. Throws a `TypeError` of node's for one that HTTP does not allow. */
function headersOf(options: HttpDestinationOptions, version: WireVersion): string[] {
  const headers = Object.entries({
    ...options.headers,
    ...signedHeaders(version),
    'User-Agent': options.userAgent,
    'X-Prometheus-Remote-Write-Version': versionHeaders[version],
  });
  for (const [name, value] of headers) {
    validateHeaderName(name);
    validateHeaderValue(name, value);
  }
  return headers.flat();
}

/** What an exchange waits for, and what it is called when that does not come in time: as undici does, whose names stay. */
const timeoutCodes = {
  connection: 'UND_ERR_CONNECT_TIMEOUT',
  headers: 'UND_ERR_HEADERS_TIMEOUT',
  body: 'UND_ERR_BODY_TIMEOUT',
} as const;

/** One connection, and the handler of the one request that is on it. */
class Connection implements HttpHandler {
  readonly tls: ClientTlsOptions | undefined;
  readonly #origin: string;
  readonly #http: HttpConnection;
  #waitsFor: keyof typeof timeoutCodes = 'connection';
  #status = 0;
  #retryAfter: string | undefined;
  #redirect: string | undefined;
  #version: WireVersion = '1.0';
  #written: Written | undefined;
  #words = noBytes;
  #bytesRead = 0;
  #end: (outcome: Outcome) => void = ignore;
  readonly #options: HttpDestinationOptions;
  /**
   * The deadline of an exchange, and who listens for its end from outside: kept from one to the next, since both cost
   * more to set up than the rest of a small request. Between exchanges they find nothing to end.
   */
  #deadline: NodeJS.Timeout | undefined;
  #signal: AbortSignal | undefined;

  constructor(
    origin: string,
    tls: ClientTlsOptions | undefined,
    http: HttpConnection,
    options: HttpDestinationOptions,
  ) {
    this.tls = tls;
    this.#origin = origin;
    this.#http = http;
    this.#options = options;
  }

  /** Sends `request` and answers once, at the latest after `remoteTimeoutMs` or when `signal` aborts. */
  exchange(request: HttpRequest, signal: AbortSignal, version: WireVersion): Promise<Outcome> {
    this.#version = version;
    this.#written = undefined;
    this.#waitsFor = 'connection';
    this.#retryAfter = undefined;
    this.#redirect = undefined;
    this.#words = noBytes;
    this.#bytesRead = 0;
    return new Promise((resolve) => {
      this.#end = (outcome) => {
        this.#end = ignore;
        resolve(outcome);
      };
      if (this.#deadline === undefined)
        this.#deadline = setTimeout(this.#expire, this.#options.remoteTimeoutMs);
      else this.#deadline.refresh();
      this.#listenTo(signal);
      this.#http.send(request, this);
    });
  }

  readonly #expire = (): void => {
    const words = `no answer within ${this.#options.remoteTimeoutMs} ms`;
    this.#end(this.#failure(timeoutCodes[this.#waitsFor], words));
  };

  readonly #abort = (): void => {
    this.#end({ kind: 'aborted', maybeDelivered: this.#maybeDelivered });
  };

  #listenTo(signal: AbortSignal | undefined): void {
    if (signal === this.#signal) return;
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#signal = signal;
    if (signal === undefined) return;
    // All connections may share a signal: beyond ten listeners node would suspect a leak.
    setMaxListeners(0, signal);
    signal.addEventListener('abort', this.#abort);
  }

  /** Whether the last exchange has left nothing behind: no answer to come, no bytes of its body to send. */
  get reusable(): boolean {
    return this.#http.reusable;
  }

  /** Closes it at once and for good, whatever is under way on it. */
  close(): void {
    clearTimeout(this.#deadline);
    this.#listenTo(undefined);
    this.#http.close();
  }

  onConnect(): void {
    this.#waitsFor = 'headers';
  }

  onHeaders(answer: HttpAnswer): void {
    this.#waitsFor = 'body';
    this.#status = answer.statusCode!;
    // Of a 1.0 request nothing is to be read into the counts (RW2-S-11).
    if (this.#version === '2.0') this.#written = writtenOf(answer.headersDistinct);
    if (!this.#refused) return;
    // A header that was sent twice is a list.
    const headers = answer.headersDistinct;
    this.#retryAfter = headers['retry-after']?.[0];
    if (this.#status < 400) this.#redirect = headers.location?.[0];
  }

  onData(chunk: Buffer): void {
    this.#bytesRead += chunk.length;
    const room = wordsBytes - this.#words.length;
    if (this.#refused && room > 0) this.#words = Buffer.concat([this.#words, chunk.subarray(0, room)]);
    if (this.#bytesRead > drainBytes) this.#end(this.#response());
  }

  onComplete(): void {
    this.#end(this.#response());
  }

  onError(error: NodeJS.ErrnoException): void {
    const code = error.code ?? error.name;
    // An `AggregateError` (no address of several answered) has a code and no message.
    const said = describeError(error).trim() || code;
    const words = this.#options.explain?.(code, said) ?? said;
    this.#end(this.#failure(code, words, this.#maybeDelivered && !(error instanceof UnprocessedError)));
  }

  get #refused(): boolean {
    return this.#status >= 300;
  }

  /** Up to `onConnect` not a byte of the request has left. */
  get #maybeDelivered(): boolean {
    return this.#waitsFor !== 'connection';
  }

  #response(): Outcome {
    // `stream` keeps back a character that is cut in two at the end.
    const words = this.#words.length > 0 ? new TextDecoder().decode(this.#words, { stream: true }) : '';
    const there = this.#redirect === undefined ? undefined : placeOf(this.#redirect, this.#origin);
    return {
      kind: 'response',
      status: this.#status,
      retryAfter: this.#retryAfter,
      words: there === undefined ? words : `redirects to ${there}, ${notFollowed}: ${words}`,
      ...(this.#written === undefined ? {} : { written: this.#written }),
    };
  }

  #failure(code: string, words: string, maybeDelivered = this.#maybeDelivered): Outcome {
    return { kind: 'network', code, words, maybeDelivered };
  }
}

/** Of a redirect (RLY-10). */
const notFollowed = 'which is not followed, whatever `follow_redirects` says: give the right place as `url`';

/** Where a `Location` points to, without what may be secret in it: credentials and query. */
function placeOf(location: string, origin: string): string | undefined {
  if (!URL.canParse(location, origin)) return undefined;
  const { protocol, host, pathname } = new URL(location, origin);
  return `${protocol}//${host}${pathname}`.slice(0, 300);
}
