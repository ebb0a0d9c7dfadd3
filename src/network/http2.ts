import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { ClientTlsOptions } from './client-tls.ts';
import {
  ClosedError,
  type HttpAnswer,
  type HttpHandler,
  type HttpRequest,
  UnprocessedError,
} from './http.ts';

/** Bodies that wait for their turn count as memory of a session. How many there are is decided by the loops. */
const mostSessionMegabytes = 4096;

/** Of a frame (RFC 9113, 6.2): nothing more comes on this stream. */
const END_STREAM = 1;

/** Error codes of HTTP/2 by their number (RFC 9113, 7). */
const errorNames = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
] as const;

const REFUSED_STREAM = errorNames.indexOf('REFUSED_STREAM');
const CANCEL = errorNames.indexOf('CANCEL');

/** The peer gave up a request, or the connection under it, and said by which error. */
class ResetError extends Error {
  readonly code: string;

  constructor(what: 'the request' | 'the connection', code: number) {
    const name = errorNames[code] ?? 'UNKNOWN_ERROR';
    const hint = name === 'HTTP_1_1_REQUIRED' ? ': set `enable_http2: false`' : '';
    super(`the other side gave up ${what}: ${name}${hint}`);
    this.code = `HTTP2_${name}`;
  }
}

/**
 * One connection of HTTP/2, which carries many requests at once, each on a stream of its own: what becomes of one is
 * nothing to the others, unless the connection breaks.
 *
 * It is of use while it `hasRoom`. After that it carries what is under way to its end, and closes.
 */
export class Http2Session {
  /** What it was opened with. */
  readonly tls: ClientTlsOptions | undefined;
  readonly #session: ClientHttp2Session;
  readonly #socket: Socket;
  readonly #keepAliveMs: number;
  #streams = 0;
  #retired = false;
  /** Closes a session that has been idle for too long. */
  #idle: NodeJS.Timeout | undefined;
  /** What the peer said when it ended the connection: the last stream that it has looked at, and why. */
  #goaway: { readonly lastStream: number; readonly code: number } | undefined;

  private constructor(
    session: ClientHttp2Session,
    socket: Socket,
    tls: ClientTlsOptions | undefined,
    keepAliveMs: number,
  ) {
    this.tls = tls;
    this.#session = session;
    this.#socket = socket;
    this.#keepAliveMs = keepAliveMs;
    session.on('goaway', (code, lastStream) => {
      this.#goaway = { code, lastStream };
      this.retire();
    });
    // Each stream hears of it. Between requests nobody does, and the next one opens another connection.
    session.on('error', () => this.retire());
    session.on('close', () => this.retire());
    // Node waits for such a socket to end, which it may never do.
    socket.on('error', () => this.retire());
  }

  /**
   * Speaks HTTP/2 on `socket`, for requests to `origin`. Resolves when the peer has said how many it takes at once:
   * not a byte of a request has left until then. Without one it is closed after `keepAliveMs`.
   */
  static async open(
    socket: Socket,
    origin: string,
    tls: ClientTlsOptions | undefined,
    keepAliveMs: number,
  ): Promise<Http2Session> {
    // Loaded by whoever speaks it: nobody else pays for it.
    const { connect } = await import('node:http2');
    if (socket.destroyed) throw new ClosedError('the other side closed the connection at once');
    return await new Promise((resolve, reject) => {
      const session = connect(origin, {
        createConnection: () => socket,
        maxSessionMemory: mostSessionMegabytes,
        settings: { enablePush: false },
      });
      const opened = new Http2Session(session, socket, tls, keepAliveMs);
      session.once('remoteSettings', () => {
        if (opened.hasRoom) {
          opened.#rest();
          resolve(opened);
        } else {
          opened.retire();
          reject(new ClosedError('the other side speaks HTTP/2, and takes no request'));
        }
      });
      session.once('error', reject);
      socket.once('error', reject);
      session.once('close', () =>
        reject(new ClosedError('the other side closed the connection before a word of HTTP/2')),
      );
    });
  }

  /** Whether the peer takes one more request on this connection. */
  get hasRoom(): boolean {
    if (this.#retired || this.#session.closed || this.#session.destroyed) return false;
    return this.#streams < (this.#session.remoteSettings.maxConcurrentStreams ?? Number.POSITIVE_INFINITY);
  }

  /** Whether it is closed, or about to be, and carries nothing. */
  get over(): boolean {
    return this.#streams === 0 && (this.#retired || this.#session.closed || this.#session.destroyed);
  }

  /** Throws when it was closed as soon as it was opened. */
  assertAlive(): void {
    if (this.over) throw new ClosedError('the other side closed the connection before the request');
  }

  /** Takes a place, when it `hasRoom`: for a `send` or a `release`. */
  reserve(): void {
    this.#streams += 1;
    clearTimeout(this.#idle);
  }

  /** Gives a place back. */
  release(): void {
    this.#streams -= 1;
    this.#rest();
  }

  /** Sends `request` in a place that was taken; its body is not to be touched before `Http2Exchange.sent`. */
  send(request: HttpRequest, host: string, handler: HttpHandler): Http2Exchange {
    return new Http2Exchange(
      this,
      () => this.#session.request(headersOf(request, host)),
      request.body,
      handler,
    );
  }

  /** Takes no more requests, and closes when it carries none. */
  retire(): void {
    this.#retired = true;
    this.#rest();
  }

  /** Closes it at once and for good, whatever is under way on it. */
  close(): void {
    this.#retired = true;
    clearTimeout(this.#idle);
    this.#session.destroy();
    // When it has said goodbye: it would wait for a peer that does not read any more.
    setImmediate(() => this.#socket.destroy());
  }

  /** What it means that the stream `id` has failed with `error`, or has closed with `code` before its time. */
  failureOf(
    id: number | undefined,
    code: number,
    error: NodeJS.ErrnoException | undefined,
  ): NodeJS.ErrnoException {
    const goaway = this.#goaway;
    if (goaway !== undefined && id !== undefined && id > goaway.lastStream) {
      const words = 'the other side closed the connection, and has not looked at the request';
      return new UnprocessedError('HTTP2_GOAWAY', words);
    }
    const reset = error === undefined || error.code === 'ERR_HTTP2_STREAM_ERROR';
    // Node closes the streams of a session with the error that ends it.
    if (goaway !== undefined && goaway.code !== 0) return new ResetError('the connection', goaway.code);
    if (reset && code === REFUSED_STREAM) {
      return new UnprocessedError('HTTP2_REFUSED_STREAM', 'the other side does not take the request now');
    }
    if (!reset) {
      // Of errors of the connection node does not close all.
      this.retire();
      return error;
    }
    if (this.#session.destroyed) return new ClosedError('the other side closed the connection');
    return new ResetError('the request', code);
  }

  /** What it means that a request could not be begun. */
  refusalOf(error: NodeJS.ErrnoException): NodeJS.ErrnoException {
    if (!this.#session.closed && !this.#session.destroyed) return error;
    return new UnprocessedError('HTTP2_GOAWAY', 'the other side closed the connection before the request');
  }

  #rest(): void {
    clearTimeout(this.#idle);
    if (this.#streams > 0) return;
    if (this.#retired) this.close();
    else this.#idle = setTimeout(() => this.close(), this.#keepAliveMs).unref();
  }
}

/** One request on a stream of a session. */
export class Http2Exchange {
  readonly #session: Http2Session;
  readonly #handler: HttpHandler;
  readonly #stream: ClientHttp2Stream | undefined;
  #answered = false;
  #over = false;
  #complete = false;

  /** For `Http2Session.send`. */
  constructor(session: Http2Session, begin: () => ClientHttp2Stream, body: Uint8Array, handler: HttpHandler) {
    this.#session = session;
    this.#handler = handler;
    let stream: ClientHttp2Stream;
    try {
      stream = begin();
    } catch (error) {
      session.release();
      this.#over = true;
      handler.onError(session.refusalOf(error as NodeJS.ErrnoException));
      return;
    }
    this.#stream = stream;
    handler.onConnect();
    stream.on('response', (headers, flags) => {
      this.#answered = true;
      if (this.#over) return;
      handler.onHeaders(answerOf(headers));
      if ((flags & END_STREAM) !== 0) this.#end();
    });
    stream.on('data', (chunk: Buffer) => {
      if (!this.#over) handler.onData(chunk);
    });
    stream.on('end', () => {
      // Node ends a stream that was reset as well.
      if (this.#answered && !stream.destroyed && (stream.rstCode ?? 0) === 0) this.#end();
    });
    stream.on('error', (error) => this.#fail(error));
    stream.on('close', () => {
      session.release();
      this.#fail(undefined);
    });
    stream.end(body);
  }

  /** Whether all of the body has left: nobody reads it any more. */
  get sent(): boolean {
    return this.#stream === undefined || this.#stream.writableFinished;
  }

  /** Whether nothing is left of it: no answer to come, no bytes of its body to send. */
  get complete(): boolean {
    return this.#complete && this.sent;
  }

  /**
   * Ends it at once, if there is anything left of it. A connection on which a request waited in vain for a first word
   * may be dead, and takes no more.
   */
  cut(): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    if (!this.#over && !this.#answered) this.#session.retire();
    this.#over = true;
    if (stream.destroyed) return;
    stream.close(CANCEL);
    stream.destroy();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#complete = true;
    this.#handler.onComplete();
  }

  #fail(error: NodeJS.ErrnoException | undefined): void {
    if (this.#over) return;
    this.#over = true;
    const { id, rstCode = 0 } = this.#stream!;
    const failure = this.#session.failureOf(id, rstCode, error);
    // With the head of an answer in hand, it has been looked at.
    const looked = this.#answered && failure instanceof UnprocessedError;
    this.#handler.onError(looked ? new ClosedError('the other side closed the connection') : failure);
  }
}

function headersOf({ method, path, headers, body }: HttpRequest, host: string): OutgoingHttpHeaders {
  const lines: Record<string, string | string[]> = {
    ':method': method,
    ':scheme': 'https',
    ':authority': host,
    ':path': path,
    'content-length': String(body.length),
  };
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!.toLowerCase();
    const before = lines[name];
    lines[name] = before === undefined ? headers[i + 1]! : [before, headers[i + 1]!].flat();
  }
  return lines;
}

function answerOf(headers: IncomingHttpHeaders & { ':status'?: number | undefined }): HttpAnswer {
  return {
    statusCode: headers[':status'],
    // Node has put together what was sent twice.
    get headersDistinct() {
      return Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, [value].flat().map(String)]),
      );
    },
  };
}
