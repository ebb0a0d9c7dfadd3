import { Agent, ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
import { ClosedError, type HttpConnection, type HttpHandler, type HttpRequest } from './http.ts';

/** Opens a connection. Aborting destroys it, also when it is open. */
export type Open = (signal: AbortSignal) => Promise<Socket>;

/** How much sooner than its receiver says a connection is given up: a request must not meet the end on its way. */
const HINT_MARGIN_MS = 2000;

/**
 * One connection of HTTP/1.1 to an origin, opened when it is needed and again when it is gone; one request at a time.
 *
 * By node's own client, whose parser is compiled already: undici's is WebAssembly, that V8 optimises after the first
 * answers, which takes a quarter of a second of CPU and 30 MB (`npm run bench:steady`). Node's pool is passed by: this
 * is the pool of one request, the one that it is given.
 */
export class Http1Connection implements HttpConnection {
  readonly #host: string;
  readonly #open: Open;
  readonly #keepAliveMs: number;
  readonly #agent: OneSocket = new OneSocket();
  /** Destroys the socket, also one that still connects. One for each socket: a socket holds on to its signal for good. */
  #cut = new AbortController();
  #socket: Socket | undefined;
  #complete = false;
  /** Closes a connection that has been idle for too long. */
  #idle: NodeJS.Timeout | undefined;

  /** `host` as in a URL. An idle connection is kept for `keepAliveMs`, for less where the receiver says so. */
  constructor(host: string, keepAliveMs: number, open: Open) {
    this.#host = host;
    this.#keepAliveMs = keepAliveMs;
    this.#open = open;
  }

  send(request: HttpRequest, handler: HttpHandler): void {
    clearTimeout(this.#idle);
    this.#complete = false;
    this.#socket?.off('data', destroy);
    if (this.connected) {
      this.#exchange(this.#socket!, request, handler);
      return;
    }
    if (!this.#cut.signal.aborted) this.#cut = new AbortController();
    this.#open(this.#cut.signal).then(
      (opened) => {
        this.#socket = opened;
        this.#exchange(opened, request, handler);
      },
      (error: Error) => handler.onError(error),
    );
  }

  /** Whether the next request needs no new connection, as far as is known. */
  get connected(): boolean {
    const socket = this.#socket;
    return socket !== undefined && !socket.destroyed && socket.writable;
  }

  get reusable(): boolean {
    return this.#complete && this.#socket?.writableLength === 0;
  }

  close(): void {
    clearTimeout(this.#idle);
    this.#cut.abort();
  }

  #exchange(socket: Socket, { method, path, headers, body }: HttpRequest, handler: HttpHandler): void {
    let over = false;
    const fail = (error: NodeJS.ErrnoException): void => {
      if (over) return;
      over = true;
      // What node calls a hang-up is no error of a system call.
      const closed = error.code === 'ECONNRESET' && error.syscall === undefined;
      handler.onError(closed ? new ClosedError('the other side closed the connection') : error);
    };
    handler.onConnect();
    this.#agent.socket = socket;
    const sent = new ClientRequest({
      method,
      path,
      agent: this.#agent,
      headers: [
        'host',
        this.#host,
        'connection',
        'keep-alive',
        ...headers,
        'content-length',
        String(body.length),
      ],
    });
    sent.on('error', fail);
    // Whoever opened the connection may have read from it, and paused it when that was over.
    sent.on('socket', () => socket.resume());
    sent.on('upgrade', () => {
      socket.destroy();
      fail(new ClosedError('the other side has changed to a protocol that nobody asked for (101)'));
    });
    sent.on('response', (answer) => {
      handler.onHeaders(answer);
      answer.on('data', (chunk: Buffer) => handler.onData(chunk));
      answer.on('error', fail);
      answer.on('end', () => {
        if (over) return;
        over = true;
        this.#complete = true;
        this.#rest(socket, sent.shouldKeepAlive ? answer.headers['keep-alive'] : 'timeout=0');
        handler.onComplete();
      });
    });
    sent.end(body);
  }

  /** Keeps the connection for the next request, for as long as its receiver does. */
  #rest(socket: Socket, hint: unknown): void {
    const seconds = /\btimeout=(\d+)/i.exec(String(hint))?.[1];
    const hintMs = seconds === undefined ? Number.POSITIVE_INFINITY : Number(seconds) * 1000 - HINT_MARGIN_MS;
    const idleMs = Math.min(this.#keepAliveMs, hintMs);
    if (idleMs <= 0) {
      socket.destroy();
      return;
    }
    // What comes without a request must not be taken for the answer to the next one.
    socket.on('data', destroy);
    this.#idle = setTimeout(() => socket.destroy(), idleMs).unref();
  }
}

function destroy(this: Socket): void {
  this.destroy();
}

/** In place of node's pool of connections: gives each request the one that it is to have. */
class OneSocket extends Agent {
  socket!: Socket;

  constructor() {
    super({ keepAlive: true });
  }

  // Not among the types, but what every agent of others overrides.
  addRequest(request: ClientRequest): void {
    request.onSocket(this.socket);
  }
}
