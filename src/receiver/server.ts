import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ListenAddress } from '../config/addresses.ts';
import { describeError, SpillwayError } from '../runtime/errors.ts';
import type { Logger } from '../telemetry/log.ts';

/** The listener could not be opened. */
export class ListenError extends SpillwayError {
  readonly code = 'LISTEN_FAILED';
}

export type RouteHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
) => Promise<void> | void;

/** Longer than any sender waits between requests, so that it is the sender that closes idle connections. */
const KEEP_ALIVE_MS = 120_000;

/**
 * The HTTP listener: finds the route, and sees to it that every request is answered, whatever its handler does.
 */
export class HttpServer {
  readonly #server: Server;
  readonly #routes: ReadonlyMap<string, RouteHandler>;
  readonly #logger: Logger;

  constructor(routes: ReadonlyMap<string, RouteHandler>, requestTimeoutMs: number, logger: Logger) {
    this.#routes = routes;
    this.#logger = logger;
    this.#server = createServer(
      {
        keepAliveTimeout: KEEP_ALIVE_MS,
        requestTimeout: requestTimeoutMs,
        headersTimeout: requestTimeoutMs,
        noDelay: true,
      },
      (request, response) => void this.#handle(request, response),
    );
  }

  /** Opens the listener; returns the URL it is reached at. Throws `ListenError`. */
  listen({ host, port }: ListenAddress): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (cause) => {
        reject(new ListenError(`cannot listen on ${host || '*'}:${port}`, { host, port }, cause));
      });
      this.#server.listen(port, host === '' ? undefined : host, () => {
        const address = this.#server.address() as AddressInfo;
        const shown = host === '' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
        resolve(`http://${shown}:${address.port}`);
      });
    });
  }

  /** Takes no new connections, finishes what is being answered, closes the rest. Idempotent. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
    });
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A sender that goes away in the middle is no event; the handler sees it where it matters.
    response.on('error', () => undefined);
    try {
      const url = new URL(request.url ?? '/', 'http://spillway');
      const route = this.#routes.get(url.pathname);
      if (route === undefined) {
        response.writeHead(404, { 'Content-Type': 'text/plain' }).end(`no such path: ${url.pathname}\n`);
        return;
      }
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
