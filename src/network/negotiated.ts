import type { Socket } from 'node:net';
import { addAbortSignal } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { ClientTlsOptions } from './client-tls.ts';
import type { HttpConnection, HttpHandler, HttpRequest } from './http.ts';
import { Http1Connection } from './http1.ts';
import { type Http2Exchange, Http2Session } from './http2.ts';

/** Opens a connection of TLS that offers both versions of HTTP. Aborting destroys it, also when it is open. */
export type OpenEither = (tls: ClientTlsOptions | undefined, signal: AbortSignal) => Promise<Socket>;

/** A connection that is being opened, for all who wait for it. It is cut when the last of them has left. */
class Opening {
  readonly tls: ClientTlsOptions | undefined;
  readonly #cut = new AbortController();
  readonly #opened: Promise<Socket | Http2Session>;
  #waiting = 0;
  #doubtful = false;
  #socketTaken = false;

  constructor(
    tls: ClientTlsOptions | undefined,
    open: (signal: AbortSignal) => Promise<Socket | Http2Session>,
  ) {
    this.tls = tls;
    this.#opened = open(this.#cut.signal);
  }

  /** Whether one has left it: it may be dead, and whoever comes now is not to wait for it. */
  get doubtful(): boolean {
    return this.#doubtful;
  }

  /** What was opened: a session, for all, or a socket, for the first who asks. Rejects when `signal` aborts. */
  join(signal: AbortSignal): Promise<Socket | Http2Session | undefined> {
    this.#waiting += 1;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting -= 1;
        this.#doubtful = true;
        if (this.#waiting === 0) this.#cut.abort();
        reject(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#opened
        .finally(() => signal.removeEventListener('abort', leave))
        .then((opened) => {
          if (signal.aborted) return;
          if (opened instanceof Http2Session || !this.#socketTaken) resolve(opened);
          else resolve(undefined);
          this.#socketTaken = true;
        }, reject);
    });
  }
}

/**
 * The connections of one destination that speak HTTP/2, for all its calls together: one, and more only where the
 * server takes fewer requests on it than there are calls, or has turned it over.
 */
export class Http2Sessions {
  readonly #origin: string;
  readonly #keepAliveMs: number;
  readonly #open: OpenEither;
  readonly #sessions = new Set<Http2Session>();
  #opening: Opening | undefined;
  /** What the server agreed on last. With HTTP/1.1 every call opens a connection of its own, and waits for no other. */
  #speaks: 'h2' | 'http/1.1' = 'h2';

  constructor(origin: string, keepAliveMs: number, open: OpenEither) {
    this.#origin = origin;
    this.#keepAliveMs = keepAliveMs;
    this.#open = open;
  }

  /** A session with a place that is taken, or a socket to speak HTTP/1.1 on. */
  async acquire(tls: ClientTlsOptions | undefined, signal: AbortSignal): Promise<Http2Session | Socket> {
    for (;;) {
      signal.throwIfAborted();
      const session = this.#withRoom(tls);
      if (session !== undefined) {
        session.reserve();
        return session;
      }
      const opened = await (this.#underWay(tls) ?? this.#begin(tls)).join(signal);
      // Of a session others may have all places: then one more is opened.
      if (opened instanceof Http2Session) opened.assertAlive();
      else if (opened !== undefined) return opened;
    }
  }

  /** Closes all of them. */
  close(): void {
    for (const session of this.#sessions) session.close();
    this.#sessions.clear();
  }

  /** Also sees to it that those which were opened with other certificates come to their end. */
  #withRoom(tls: ClientTlsOptions | undefined): Http2Session | undefined {
    let found: Http2Session | undefined;
    for (const session of this.#sessions) {
      if (session.tls !== tls) session.retire();
      if (session.over) {
        session.close();
        this.#sessions.delete(session);
      } else if (session.hasRoom) found ??= session;
    }
    return found;
  }

  #underWay(tls: ClientTlsOptions | undefined): Opening | undefined {
    const opening = this.#opening;
    if (this.#speaks === 'http/1.1' || opening?.tls !== tls || opening?.doubtful) return undefined;
    return opening;
  }

  #begin(tls: ClientTlsOptions | undefined): Opening {
    const opening = new Opening(tls, async (signal) => {
      try {
        const socket = await this.#open(tls, signal);
        if ((socket as TLSSocket).alpnProtocol !== 'h2') {
          this.#speaks = 'http/1.1';
          return socket;
        }
        const session = await Http2Session.open(socket, this.#origin, tls, this.#keepAliveMs);
        this.#speaks = 'h2';
        this.#sessions.add(session);
        return session;
      } finally {
        if (this.#opening === opening) this.#opening = undefined;
      }
    });
    this.#opening = opening;
    return opening;
  }
}

/** Carries one request at a time by the version of HTTP that the server agrees on: in a session, or by HTTP/1.1. */
export class NegotiatedConnection implements HttpConnection {
  readonly #sessions: Http2Sessions;
  readonly #tls: ClientTlsOptions | undefined;
  readonly #host: string;
  readonly #http1: Http1Connection;
  /** Ends the wait for a connection. */
  readonly #cut = new AbortController();
  /** What the server wants to speak HTTP/1.1 on. */
  #socket: Socket | undefined;
  #exchange: Http2Exchange | undefined;
  /** A request waits for a connection: what the one before it has come to says nothing. */
  #waiting = false;
  #body = Buffer.alloc(0);

  /** `host` as in a URL. */
  constructor(sessions: Http2Sessions, tls: ClientTlsOptions | undefined, host: string, keepAliveMs: number) {
    this.#sessions = sessions;
    this.#tls = tls;
    this.#host = host;
    this.#http1 = new Http1Connection(host, keepAliveMs, async (signal) =>
      addAbortSignal(signal, this.#socket!),
    );
  }

  send(request: HttpRequest, handler: HttpHandler): void {
    if (this.#http1.connected) {
      this.#http1.send(request, handler);
      return;
    }
    this.#waiting = true;
    this.#sessions.acquire(this.#tls, this.#cut.signal).then(
      (way) => this.#sendBy(way, request, handler),
      (error: Error) => {
        this.#waiting = false;
        handler.onError(error);
      },
    );
  }

  get reusable(): boolean {
    if (this.#waiting) return false;
    return this.#exchange === undefined ? this.#http1.reusable : this.#exchange.complete;
  }

  close(): void {
    this.#cut.abort();
    this.#exchange?.cut();
    this.#http1.close();
  }

  #sendBy(way: Http2Session | Socket, request: HttpRequest, handler: HttpHandler): void {
    this.#waiting = false;
    if (!(way instanceof Http2Session)) {
      this.#exchange = undefined;
      this.#socket = way;
      if (this.#cut.signal.aborted) way.destroy();
      else this.#http1.send(request, handler);
    } else if (this.#cut.signal.aborted) {
      way.release();
    } else {
      const body = this.#copy(request.body);
      this.#exchange = way.send({ ...request, body }, this.#host, handler);
    }
  }

  /**
   * The body in memory of our own: the caller fills its buffer anew after an answer that came before all of it had left,
   * or a stream that was cut. Ours is used again only after an exchange that is complete, of which all has left.
   */
  #copy(body: Uint8Array): Buffer {
    if (this.#body.length < body.length) this.#body = Buffer.allocUnsafeSlow(body.length);
    this.#body.set(body);
    return this.#body.subarray(0, body.length);
  }
}
