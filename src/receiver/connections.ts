import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Logger, Repetition } from '../telemetry/log.ts';
import type { ClosedReason } from '../telemetry/reasons.ts';

/** Limits of connections; see `receiver:` in the options table. */
export interface ConnectionLimits {
  readonly requestTimeoutMs: number;
  readonly headerTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxConnections: number;
}

/** How long a sender that was too slow shall wait, in seconds. */
const RETRY_AFTER_SECONDS = 5;

/**
 * Bounds what connections take: how many there are, and how long each may take over a request, or over nothing.
 *
 * Over the limit the connection gives way that has waited longest without having made one request: a flood of empty
 * connections pushes itself out, while a sender that works is not touched, and one that comes is let in. When all
 * have made requests, it is the new one that is closed.
 *
 * A request that does not come to its end in time is told 503 with Retry-After, where Node says 408: a Prometheus
 * drops what was answered with a 4xx, and a slow network is no reason to lose data.
 */
export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #logger: Logger;
  readonly #onClosed: (reason: ClosedReason) => void;
  readonly #repetition: Repetition;
  /** Connections without a request so far, the oldest first, by the address of their other side. */
  readonly #untried = new Map<string, Socket>();
  readonly #answers = new WeakMap<Duplex, ServerResponse>();
  #open = 0;

  constructor(
    limits: ConnectionLimits,
    logger: Logger,
    now: () => number,
    onClosed: (reason: ClosedReason) => void,
  ) {
    this.#limits = limits;
    this.#logger = logger;
    this.#onClosed = onClosed;
    this.#repetition = new Repetition(now);
  }

  /** Connections that are open. */
  get open(): number {
    return this.#open;
  }

  /** How long the head of a request may take to arrive. */
  get headerTimeoutMs(): number {
    return Math.min(this.#limits.headerTimeoutMs, this.#limits.requestTimeoutMs);
  }

  /** How often requests that are over their time are to be looked for. */
  get checkIntervalMs(): number {
    return Math.min(this.#limits.requestTimeoutMs, this.#limits.headerTimeoutMs, 1000);
  }

  /** Bounds the connections of `server`, which may be one of TLS; to be called before it listens. */
  guard(server: Server): void {
    const { requestTimeoutMs, idleTimeoutMs } = this.#limits;
    server.requestTimeout = requestTimeoutMs;
    server.headersTimeout = this.headerTimeoutMs;
    server.keepAliveTimeout = idleTimeoutMs;
    // Of one that is being answered: who does not read, or is gone without a word, is not waited for.
    server.timeout = idleTimeoutMs;
    server.on('connection', (socket: Socket) => this.#opened(socket));
    server.on('request', (request, response) => {
      if (this.#untried.size > 0) this.#untried.delete(peerOf(request.socket));
      this.#answers.set(request.socket, response);
    });
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#failed(error, socket));
  }

  #opened(socket: Socket): void {
    const peer = peerOf(socket);
    this.#open++;
    socket.once('close', () => {
      this.#open--;
      if (this.#untried.get(peer) === socket) this.#untried.delete(peer);
    });
    if (this.#open > this.#limits.maxConnections) {
      const [oldest] = this.#untried;
      if (oldest !== undefined) this.#untried.delete(oldest[0]);
      (oldest?.[1] ?? socket).destroy();
      this.#onClosed('too_many');
      this.#tell('there are more connections than `receiver.max_connections`; some are closed', {
        limit: this.#limits.maxConnections,
        from: socket.remoteAddress ?? '',
      });
      if (oldest === undefined) return;
    }
    this.#untried.set(peer, socket);
  }

  /** A connection on which no request can be read any more. */
  #failed(error: NodeJS.ErrnoException, socket: Duplex): void {
    // A connection that broke is what its other side wanted.
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const late = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
    this.#onClosed(late ? 'timeout' : 'malformed');
    // In the middle of an answer there is nothing that could be said.
    const answer = this.#answers.get(socket);
    if (answer === undefined || !answer.headersSent || answer.writableFinished) {
      const [status, text] = late
        ? ['503 Service Unavailable', 'the request did not arrive in time; send it again']
        : error.code === 'HPE_HEADER_OVERFLOW'
          ? ['431 Request Header Fields Too Large', 'the headers are too large']
          : ['400 Bad Request', 'this is not HTTP/1.1'];
      const retry = late ? `Retry-After: ${RETRY_AFTER_SECONDS}\r\n` : '';
      socket.write(
        `HTTP/1.1 ${status}\r\nConnection: close\r\n${retry}Content-Type: text/plain\r\n` +
          `Content-Length: ${Buffer.byteLength(text) + 1}\r\n\r\n${text}\n`,
      );
    }
    socket.destroy(error);
  }

  #tell(message: string, facts: Record<string, string | number>): void {
    const before = this.#repetition.tell(message);
    if (before === undefined) return;
    this.#logger.log('warn', message, { ...facts, ...(before > 0 ? { repeated: before } : {}) });
  }
}

/** A name for the other side: the same for a TLS connection and for the one that carries it. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}|${remotePort}`;
}
