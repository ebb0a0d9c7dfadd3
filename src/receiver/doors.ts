import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, type Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import type { Access } from '../config/entries.ts';
import { asksForCredentials, authenticates, type ListenerTls, type WebConfig } from '../config/web-config.ts';
import { type Logger, Repetition } from '../telemetry/log.ts';
import type { AuthRefusal } from '../telemetry/reasons.ts';
import { type Admission, Gate } from './gate.ts';
import { handshakeWords } from './handshake-words.ts';
import { asksTheSame, clientRefusal, putInForce, tlsOptions } from './listener-tls.ts';
import { Refusals } from './refusals.ts';
import { WebConfigFile } from './web-config-file.ts';

export interface DoorsOptions {
  /** The web configuration file, absolute. */
  readonly file: string;
  readonly logger: Logger;
  readonly now: () => number;
  readonly onRefused: (reason: AuthRefusal) => void;
  /** How often the files are looked at, once a second by default. */
  readonly lookMs?: number;
  /** Another web configuration is in force. */
  readonly onReload: () => void;
}

/** For a client that is told to come again because of too many passwords, in seconds. */
const RETRY_AFTER_SECONDS = 1;

/** Who has come in. */
export interface Visitor {
  /** Whose credentials they are; undefined of a certificate. */
  readonly user: string | undefined;
  readonly access: Access;
}

/**
 * The doors of the listener, as the web configuration file has them: TLS, certificates of clients, credentials.
 *
 * What a connection must have is asked in its handshake; what a request must have, by its head, before anything
 * of its body is read. A change of credentials counts for the next request. A change of TLS ends the connections
 * of before, each with its next answer; those that are idle at once when it is clients who are asked for more.
 */
export class Doors {
  readonly #options: DoorsOptions;
  readonly #web: WebConfigFile;
  readonly #gate: Gate;
  readonly #repetition: Repetition;
  readonly #refusals: Refusals;
  /** Under which settings a TLS connection came in. */
  readonly #cameInUnder = new WeakMap<Socket, ListenerTls>();
  /** By whose credentials a request came in. */
  readonly #visitors = new WeakMap<IncomingMessage, Visitor>();
  #server: HttpsServer | undefined;
  #tls: ListenerTls | undefined;

  /** Throws `ConfigFileError` or `ConfigError`. */
  constructor(options: DoorsOptions) {
    const { file, logger, now, lookMs } = options;
    this.#options = options;
    this.#web = new WebConfigFile({ file, logger, lookMs, onReload: () => this.#reloaded() });
    this.#gate = new Gate(() => this.#web.current);
    this.#repetition = new Repetition(now);
    this.#refusals = new Refusals(logger, now, options.onRefused);
  }

  /** What is in force. */
  get config(): WebConfig {
    return this.#web.current;
  }

  /** Whether the files, as they are now, could not be put in force. */
  get failing(): boolean {
    return this.#web.failing;
  }

  /** A server of the kind that the configuration asks for; once, and before `follow`. */
  createServer(options: ServerOptions): Server {
    const { tls } = this.config;
    this.#tls = tls;
    if (tls === undefined) return createServer(options);
    const server = createTlsServer({
      ...options,
      ...tlsOptions(tls),
      handshakeTimeout: options.headersTimeout,
    });
    // Before node's own listener, which begins to read requests.
    server.prependListener('secureConnection', (socket) => this.#cameIn(socket));
    server.on('tlsClientError', (error, socket) => this.#handshakeFailed(error, socket));
    this.#server = server;
    return server;
  }

  /** Follows the files from now on, until `close`. */
  follow(): void {
    this.#web.follow();
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await this.#web.close();
    await this.#gate.close();
  }

  /** Whether the request comes in; otherwise it is answered. Throws `PasswordWorkerError`. */
  async admit(request: IncomingMessage, response: ServerResponse, path: string): Promise<boolean> {
    if (this.#cameInUnder.get(request.socket) !== this.#tls) response.shouldKeepAlive = false;
    const admission = await this.#gate.admit(request, path);
    if (admission.admitted) {
      const { name: user, access = 'all' } = admission;
      // A probe comes in without credentials where others have to have some.
      // Nor has a connection of before certificates were asked for shown one.
      const byCertificate =
        authenticates(this.config) &&
        !asksForCredentials(this.config) &&
        (request.socket as TLSSocket).authorized === true;
      if (user !== undefined || byCertificate) this.#visitors.set(request, { user, access });
      return true;
    }
    this.#refuse(request, response, path, admission);
    return false;
  }

  /** Who a request came in for; undefined where nobody is asked who they are. */
  visitorOf(request: IncomingMessage): Visitor | undefined {
    return this.#visitors.get(request);
  }

  #refuse(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    { reason, name: user }: Admission & { admitted: false },
  ): void {
    const unknown = reason === 'no_credentials' || reason === 'wrong_credentials';
    const more = {
      ...(unknown ? { 'WWW-Authenticate': this.#gate.challenges() } : {}),
      ...(reason === 'busy' ? { 'Retry-After': String(RETRY_AFTER_SECONDS) } : {}),
    };
    this.#refusals.refuse(request, response, reason, { path, user, more });
  }

  #cameIn(socket: TLSSocket): void {
    const tls = this.#tls!;
    const refusal = clientRefusal(socket, tls);
    if (refusal === undefined) {
      this.#cameInUnder.set(socket, tls);
      return;
    }
    const from = socket.remoteAddress ?? '';
    this.#say('warn', `certificate ${from}`, 'a connection was not let in', { from, why: refusal });
    socket.destroy();
  }

  #handshakeFailed(error: Error, socket: TLSSocket): void {
    const code = (error as NodeJS.ErrnoException).code ?? error.name;
    // Whoever only looks whether the port is open, as probes do, goes away in the middle.
    const level = code === 'ECONNRESET' ? 'debug' : 'warn';
    const from = socket.remoteAddress ?? '';
    this.#say(level, `handshake ${code} ${from}`, 'a TLS handshake failed; the client has to see to it', {
      from,
      code,
      error: handshakeWords(code, error),
    });
  }

  #say(level: 'debug' | 'warn', key: string, message: string, facts: Record<string, string | number>): void {
    const before = this.#repetition.tell(key);
    if (before === undefined) return;
    this.#options.logger.log(level, message, { ...facts, ...(before > 0 ? { repeated: before } : {}) });
  }

  #reloaded(): void {
    const before = this.#tls;
    const { tls } = this.config;
    if (this.#server !== undefined && before !== undefined && tls !== undefined) {
      if (!isDeepStrictEqual(tls, before)) {
        this.#tls = tls;
        putInForce(this.#server, tls);
        if (!asksTheSame(tls, before)) this.#server.closeIdleConnections();
      }
    }
    this.#options.onReload();
  }
}
