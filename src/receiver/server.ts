import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ListenAddress } from '../config/addresses.ts';
import { describeError, SpillwayError } from '../runtime/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import type { AuthRefusal } from '../telemetry/reasons.ts';
import { browserRefusal } from './browsers.ts';
import type { Connections } from './connections.ts';
import type { Doors } from './doors.ts';
import { Refusals } from './refusals.ts';

/** The listener could not be opened. */
export class ListenError extends SpillwayError {
  readonly code = 'LISTEN_FAILED';
}

export type RouteHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
) => Promise<void> | void;

export interface HttpServerOptions {
  /** What bounds the connections. */
  readonly connections: Connections;
  readonly logger: Logger;
  /** TLS and authentication. Without doors it is plain HTTP, and everybody comes in. The server closes them. */
  readonly doors?: Doors | undefined;
  /** A browser would have changed something that it may not. */
  readonly onRefused?: (reason: AuthRefusal) => void;
}

/** What the paths of requests are relative to. */
const BASE = 'http://spillway';
/** What is under way when the listener closes has this long to end: writes are refused by then. */
const CLOSE_MS = 1000;

/**
 * The HTTP listener: lets requests in by its doors, finds the route, and sees to it that every request is
 * answered, whatever its handler does.
 */
export class HttpServer {
  readonly #server: Server;
  readonly #routes: ReadonlyMap<string, RouteHandler>;
  /** Of the routes without a query, as most requests ask for them: parsed once. */
  readonly #urls: ReadonlyMap<string, URL>;
  readonly #logger: Logger;
  readonly #doors: Doors | undefined;
  readonly #refusals: Refusals;
  #closed: Promise<void> | undefined;

  constructor(routes: ReadonlyMap<string, RouteHandler>, options: HttpServerOptions) {
    const { connections, logger, doors } = options;
    this.#routes = routes;
    this.#urls = new Map([...routes.keys()].map((path) => [path, new URL(path, BASE)]));
    this.#logger = logger;
    this.#doors = doors;
    this.#refusals = new Refusals(logger, Date.now, options.onRefused ?? (() => undefined));
    const serverOptions: ServerOptions = {
      headersTimeout: connections.headerTimeoutMs,
      // How often Node looks for requests that are over their time; by itself every 30 seconds.
      connectionsCheckingInterval: connections.checkIntervalMs,
      noDelay: true,
    };
    this.#server = doors?.createServer(serverOptions) ?? createServer(serverOptions);
    connections.guard(this.#server);
    this.#server.on('request', (request, response) => void this.#handle(request, response, false));
    // By itself Node asks for the body before anybody knows whether the request comes in.
    this.#server.on('checkContinue', (request, response) => void this.#handle(request, response, true));
  }

  /** Opens the listener; returns the URL it is reached at. Throws `ListenError`. */
  listen({ host, port }: ListenAddress): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (cause: NodeJS.ErrnoException) => {
        const what = `cannot listen on ${host || '*'}:${port}`;
        const taken = cause.code === 'EADDRINUSE' ? '; stop what has that port, or set `listen`' : '';
        reject(new ListenError(`${what}${taken}`, { host, port }, cause));
      });
      this.#server.listen(port, host === '' ? undefined : host, () => {
        // Of a listener that is open: a connection could not be accepted. The next one may be.
        this.#server.on('error', (error) => {
          this.#logger.log('error', 'a connection could not be accepted', { error: describeError(error) });
        });
        const address = this.#server.address() as AddressInfo;
        const shown = host === '' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
        this.#doors?.follow();
        const scheme = this.#doors?.config.tls === undefined ? 'http' : 'https';
        resolve(`${scheme}://${shown}:${address.port}`);
      });
    });
  }

  /** Takes no new connections, finishes what is being answered, closes the rest. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#server.closeAllConnections(), CLOSE_MS);
      // Called with an error when it never listened: then it is closed, too.
      this.#server.close(() => {
        clearTimeout(timer);
        resolve();
      });
    }).then(() => this.#doors?.close());
    return this.#closed;
  }

  /** `expectsContinue`: the client waits for a word before it sends the body. */
  async #handle(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Promise<void> {
    // A sender that goes away in the middle is no event; the handler sees it where it matters.
    response.on('error', () => undefined);
    // Node keeps a connection that was busy when the listener closed, for as long as any other.
    response.on('close', () => {
      if (this.#closed !== undefined) request.socket.destroySoon();
    });
    try {
      const target = request.url ?? '/';
      const url = this.#urls.get(target) ?? (URL.canParse(target, BASE) ? new URL(target, BASE) : undefined);
      // Before anything else, so that only those who come in are told what is there.
      const doors = this.#doors;
      if (doors !== undefined && !(await doors.admit(request, response, url?.pathname ?? ''))) return;
      const visitor = doors?.visitorOf(request);
      const refusal = browserRefusal(request.method, request.headers, visitor !== undefined);
      if (refusal !== undefined) {
        const path = url?.pathname ?? '';
        this.#refusals.refuse(request, response, refusal, { path, user: visitor?.user });
        return;
      }
      const route = url && this.#routes.get(url.pathname);
      if (url === undefined || route === undefined) {
        response
          .writeHead(404, { 'Content-Type': 'text/plain' })
          .end(`no such path: ${url?.pathname ?? target}\n`);
        return;
      }
      if (expectsContinue) response.writeContinue();
      await route(request, response, url);
    } catch (error) {
      this.#logger.log('error', 'a request could not be handled', {
        path: request.url ?? '',
        error: describeError(error),
      });
      if (!response.headersSent)
        response.writeHead(500, { 'Content-Type': 'text/plain' }).end('internal error\n');
      else response.destroy();
    }
  }
}
