import { readFileSync } from 'node:fs';
import { createServer, request as forward, type IncomingHttpHeaders, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { atEnd } from './cleanup.ts';
import { tlsFile } from './https.ts';
import { listenAnywhere } from './ports.ts';

/** What a proxy was asked for. */
export interface Asked {
  readonly method: string;
  /** As it stood in the request: `host:port` of a tunnel, or a whole URL. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
}

export interface ProxyOptions {
  /** `user:password` that it wants; by default it takes anybody. */
  readonly credentials?: string;
  /** Whether it speaks TLS itself. */
  readonly tls?: boolean;
  /** Where `host:port` is to be found; by default there. */
  readonly routes?: Readonly<Record<string, number>>;
  /** Instead of opening a tunnel. */
  readonly instead?: (socket: Duplex) => void;
}

/** A real HTTP proxy on loopback: tunnels (CONNECT), and requests with a whole URL. */
export class TestProxy {
  readonly asked: Asked[] = [];
  readonly #options: ProxyOptions;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  private constructor(options: ProxyOptions) {
    this.#options = options;
  }

  static async start(t: TestContext, options: ProxyOptions = {}): Promise<TestProxy> {
    const proxy = new TestProxy(options);
    const server: Server = options.tls
      ? createTlsServer({
          cert: readFileSync(tlsFile('server.crt')),
          key: readFileSync(tlsFile('server.key')),
        })
      : createServer();
    server.on('connection', (socket) => proxy.#own(socket));
    server.on('connect', (request, socket) => {
      if (!proxy.#admits(request.method!, request.url!, request.headers)) {
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
        return;
      }
      if (options.instead !== undefined) {
        options.instead(socket);
        return;
      }
      const far = connect(...proxy.#route(request.url!), () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        far.pipe(socket).pipe(far);
      });
      proxy.#own(far);
      far.on('error', () => socket.destroy());
      socket.on('error', () => far.destroy());
    });
    server.on('request', (request, response) => {
      if (!proxy.#admits(request.method!, request.url!, request.headers)) {
        response.writeHead(407).end('who are you?');
        return;
      }
      const { host, pathname, search } = new URL(request.url!);
      const [port, hostname] = proxy.#route(host.includes(':') ? host : `${host}:80`);
      const { 'proxy-authorization': _, ...headers } = request.headers;
      const far = forward(
        { port, hostname, path: pathname + search, method: request.method, headers },
        (answer) => {
          response.writeHead(answer.statusCode!, answer.headers);
          answer.pipe(response);
        },
      );
      far.on('error', () => response.writeHead(502).end());
      request.pipe(far);
    });
    proxy.#port = await listenAnywhere(server);
    atEnd(t, () => {
      for (const socket of proxy.#sockets) socket.destroy();
      server.close();
    });
    return proxy;
  }

  /** With `userinfo`, `user:password`, if it is given. */
  url(userinfo?: string): string {
    const at = userinfo === undefined ? '' : `${userinfo}@`;
    return `${this.#options.tls ? 'https' : 'http'}://${at}127.0.0.1:${this.#port}`;
  }

  #own(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
  }

  #admits(method: string, target: string, headers: IncomingHttpHeaders): boolean {
    this.asked.push({ method, target, headers });
    const { credentials } = this.#options;
    if (credentials === undefined) return true;
    return headers['proxy-authorization'] === `Basic ${Buffer.from(credentials).toString('base64')}`;
  }

  #route(authority: string): [port: number, host: string] {
    const routed = this.#options.routes?.[authority];
    const { hostname, port } = new URL(`http://${authority}`);
    return routed === undefined ? [Number(port || 80), hostname] : [routed, '127.0.0.1'];
  }
}
