import { Agent, ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { DialTarget } from './dial.ts';

/** Beside `connection` and `content-length`, all that is sent is in `headers`. */
export interface Http1Request {
  readonly method: string;
  /** A path with its query, or for a proxy a whole URL. */
  readonly path: string;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  readonly body: Uint8Array;
}

/** Who hears what becomes of a request: at last of its end or of an error, and of nothing after that. */
export interface Http1Handler {
  /** Up to this moment not a byte of the request has left. */
  onConnect(): void;
  /** Of the final answer, without those that come before it (103). */
  onHeaders(answer: IncomingMessage): void;
  onData(chunk: Buffer): void;
  onComplete(): void;
  onError(error: NodeJS.ErrnoException): void;
}

/** Opens a connection to `target`. Whoever opens it may destroy it at any moment. */
export type Connect = (target: DialTarget) => Promise<Socket>;

/** How much sooner than its receiver says a connection is given up: a request must not meet the end on its way. */
const HINT_MARGIN_MS = 2000;

/** The peer ended the connection, or what it is for, before its answer was complete. The code is the one that logs have always had. */
class ClosedError extends Error {
  readonly code = 'UND_ERR_SOCKET';
}

/**
 * One connection of HTTP/1.1 to an origin, opened when it is needed and again when it is gone; one request at a time.
 *
 * By node's own client, whose parser is compiled already: undici's is WebAssembly, that V8 optimises after the first
 * answers, which takes a quarter of a second of CPU and 30 MB (`npm run bench:steady`). Node's pool is passed by: this
 * is the pool of one request, the one that it is given.
 */
export class Http1Connection {
  readonly #target: DialTarget;
  readonly #host: string;
  readonly #connect: Connect;
  readonly #keepAliveMs: number;
  readonly #agent: OneSocket = new OneSocket();
  #socket: Socket | undefined;
  /** Closes a connection that has been idle for too long. */
  #idle: NodeJS.Timeout | undefined;

  /** An idle connection is kept for `keepAliveMs`, for less where the receiver says so. */
  constructor(origin: string, keepAliveMs: number, connect: Connect) {
    const { hostname, host, protocol, port } = new URL(origin);
    this.#target = { hostname: hostname.replace(/^\[|\]$/g, ''), protocol, port };
    this.#host = host;
    this.#keepAliveMs = keepAliveMs;
    this.#connect = connect;
  }

  /** Sends `request`; `handler` hears of everything else. To be called when it has heard of the end of the last one. */
  send(request: Http1Request, handler: Http1Handler): void {
    clearTimeout(this.#idle);
    const socket = this.#socket?.off('data', destroy);
    if (socket !== undefined && !socket.destroyed && socket.writable) {
      this.#exchange(socket, request, handler);
      return;
    }
    this.#connect(this.#target).then(
      (opened) => {
        this.#socket = opened;
        this.#exchange(opened, request, handler);
      },
      (error: Error) => handler.onError(error),
    );
  }

  #exchange(socket: Socket, { method, path, headers, body }: Http1Request, handler: Http1Handler): void {
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

  /** Nothing is kept. The socket, and a request that is on it, are the caller's to end. */
  forget(): void {
    clearTimeout(this.#idle);
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
