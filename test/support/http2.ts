import { readFileSync } from 'node:fs';
import {
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { atEnd } from './cleanup.ts';
import { within } from './deadline.ts';
import { tlsFile } from './https.ts';
import { listenAnywhere } from './ports.ts';

/** A request as it came in; `session` counts the connections from 0. */
export interface Http2Request {
  readonly index: number;
  readonly session: number;
  readonly headers: IncomingHttpHeaders;
  readonly stream: ServerHttp2Stream;
}

/** Says what becomes of a request, whose body nobody has read yet. */
export type OnRequest = (request: Http2Request) => void | Promise<void>;

/** A real server of HTTP/2 over TLS on loopback, with a certificate of the test authority. */
export class Http2Server {
  readonly sessions: ServerHttp2Session[] = [];
  readonly requests: Http2Request[] = [];
  /** The common name in the certificate of the client, by connection. */
  readonly clients: (string | undefined)[] = [];
  onRequest: OnRequest = answer;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  /** `onHttp1` answers requests of HTTP/1.1, with `allowHTTP1`. */
  static async start(
    t: TestContext,
    options: SecureServerOptions & { readonly certificate?: string } = {},
    onHttp1: (request: Http2ServerRequest, response: Http2ServerResponse) => void = () => {},
  ): Promise<Http2Server> {
    const created = new Http2Server();
    const { certificate = 'server', ...more } = options;
    const server = createSecureServer({
      cert: readFileSync(tlsFile(`${certificate}.crt`)),
      key: readFileSync(tlsFile(`${certificate}.key`)),
      ...more,
    });
    const sockets = created.#sockets;
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    });
    server.on('session', (session) => {
      session.on('error', () => {});
      created.sessions.push(session);
      const certificate = (session.socket as TLSSocket).getPeerCertificate();
      created.clients.push([certificate?.subject?.CN].flat()[0]);
    });
    server.on('request', (request, response) => {
      if (request.httpVersion === '1.1') onHttp1(request, response);
    });
    server.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      const session = created.sessions.indexOf(stream.session as ServerHttp2Session);
      const request = { index: created.requests.length, session, headers, stream };
      created.requests.push(request);
      void created.onRequest(request);
    });
    created.#port = await listenAnywhere(server);
    atEnd(t, () => {
      created.cut();
      server.close();
    });
    return created;
  }

  /** Closes every connection without a word of HTTP/2. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  get port(): number {
    return this.#port;
  }

  /** The port is another one at each start, the host is not. */
  get url(): string {
    return `https://127.0.0.1:${this.#port}/push?a=b`;
  }
}

/** Reads the body, and says 204. */
export async function answer({ stream }: Http2Request): Promise<void> {
  await bodyOf(stream);
  if (!stream.destroyed) stream.respond({ ':status': 204 }, { endStream: true });
}

/** What came of the body until it ended, or was cut. */
export function bodyOf(stream: ServerHttp2Stream): Promise<Buffer> {
  const parts: Buffer[] = [];
  return new Promise((resolve) => {
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.once('end', () => resolve(Buffer.concat(parts)));
    stream.once('close', () => resolve(Buffer.concat(parts)));
  });
}

/** Settles when `what` is closed. */
export function closed(what: ServerHttp2Session | ServerHttp2Stream): Promise<void> {
  if (what.destroyed) return Promise.resolve();
  const done = new Promise<void>((resolve) => {
    what.once('close', () => resolve());
  });
  return within(() => 'it is not closed', done);
}
