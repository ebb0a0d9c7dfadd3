import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { uncompress } from 'snappyjs';
import { decodeWriteRequestV1, type WriteRequestV1 } from '../../src/protocol/schema.ts';
import { Arrivals } from './arrivals.ts';
import { atEnd } from './cleanup.ts';
import { faultsOf } from './conformance.ts';
import { listen, listenAnywhere } from './ports.ts';
import { Progress } from './progress.ts';
import { describeRow, type MetadataText, metadataOf, type Row, rowsOf } from './rows.ts';

/** What the sink does with a request. */
export interface Answer {
  /** 204 if not given. */
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** Between reading the request and storing it. */
  readonly delayMs?: number;
  /** Breaks the connection instead of answering, or in the middle of the answer; or never answers at all. */
  readonly instead?: 'reset' | 'reset-mid-answer' | 'hang';
  /** Whether the rows are stored, or which of them. If not given: when the status is 2xx and nothing happens instead. */
  readonly store?: boolean | ((row: Row) => boolean);
}

export interface Received {
  /** Counts the requests from 0. */
  readonly index: number;
  /** Counts the connections from 0: which of them it came by. */
  readonly connection: number;
  readonly headers: IncomingHttpHeaders;
  readonly rows: readonly Row[];
  readonly metadata: readonly MetadataText[];
}

/** Rows that were stored, and what their sender was told. */
export interface Delivery {
  readonly request: Received;
  readonly rows: readonly Row[];
  readonly answer: Answer;
}

/** Says how to answer; a promise holds the request until then. `body` is the request as it was on the wire. */
export type Script = (request: Received, body: Uint8Array) => Answer | Promise<Answer>;

/**
 * A remote-write 1.0 receiver on a real socket that checks all that it is sent.
 *
 * What it stores is in `arrivals`; what a sender must not do (headers, order of labels, broken bytes) is in
 * `faults`, and fails the test at its end. A script decides how each request is answered. It can be stopped
 * (connections are refused) and started again on the same port.
 */
export class Sink {
  readonly arrivals = new Arrivals();
  readonly metadata: MetadataText[] = [];
  readonly faults: string[] = [];
  /** How the next requests are answered; the default stores them and says 204. */
  script: Script = () => ({});
  /** Every request that was read, answered or not. */
  readonly requests: Received[] = [];
  /** What the script said to them, by their index. */
  readonly answers: (Answer | undefined)[] = [];
  /** What was stored, in the order in which it was. */
  readonly deliveries: Delivery[] = [];
  readonly #connections = new WeakMap<Socket, number>();
  #connectionCount = 0;
  readonly #progress = new Progress();
  #server: Server | undefined;
  #port = 0;

  static async start(t: TestContext, script?: Script): Promise<Sink> {
    const sink = new Sink();
    if (script !== undefined) sink.script = script;
    sink.#server = sink.#create();
    sink.#port = await listenAnywhere(sink.#server);
    atEnd(t, async () => {
      await sink.stop();
      if (sink.faults.length > 0)
        throw new Error(`the sink was sent:\n${sink.faults.slice(0, 10).join('\n')}`);
    });
    return sink;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/api/v1/write`;
  }

  /** Closes the port and every connection; what is being answered is cut. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  /** Listens again where it listened before. */
  async restart(): Promise<void> {
    this.#server = this.#create();
    await listen(this.#server, this.#port);
  }

  /** Resolves when `reached` holds; looks again after each request. `what` says what it waits for. */
  async waitFor(what: string, reached: () => boolean): Promise<void> {
    await this.#progress.until(
      () => `${what}: the sink has ${this.arrivals.count} rows from ${this.requests.length} requests`,
      reached,
    );
  }

  /** Resolves when every one of `rows` has arrived. */
  async waitForRows(rows: readonly Row[]): Promise<void> {
    let next = 0;
    const reached = (): boolean => {
      while (next < rows.length && this.arrivals.has(rows[next]!)) next++;
      return next === rows.length;
    };
    const describe = (): string => {
      const missing = rows.filter((row) => !this.arrivals.has(row));
      const some = missing.slice(0, 5).map(describeRow).join('\n');
      return `${missing.length} of ${rows.length} rows have not arrived, among them\n${some}`;
    };
    await this.#progress.until(describe, reached);
  }

  #create(): Server {
    return createServer((request, response) => {
      this.#take(request, response).catch((error: unknown) => {
        // A connection that its peer or `stop` cut while the request was read: nothing arrived.
        if (!request.destroyed) this.faults.push(String(error));
      });
    });
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    let message: WriteRequestV1;
    try {
      message = decodeWriteRequestV1(uncompress(body));
    } catch (error) {
      this.faults.push(`a body that does not decode: ${error}`);
      response.writeHead(400).end();
      return;
    }
    this.faults.push(...faultsOf(request, message));
    const received = {
      index: this.requests.length,
      connection: this.#connectionOf(request.socket),
      headers: request.headers,
      rows: rowsOf(message),
      metadata: metadataOf(message),
    };
    this.requests.push(received);
    this.#progress.made();
    const answer = await this.script(received, body);
    this.answers[received.index] = answer;
    await this.#answer(received, answer, response);
    this.#progress.made();
  }

  #connectionOf(socket: Socket): number {
    const known = this.#connections.get(socket);
    if (known !== undefined) return known;
    this.#connections.set(socket, this.#connectionCount);
    return this.#connectionCount++;
  }

  async #answer(received: Received, answer: Answer, response: ServerResponse): Promise<void> {
    const { status = 204, headers, body, delayMs, instead } = answer;
    if (delayMs !== undefined) await sleep(delayMs);
    const store = answer.store ?? (instead === undefined && status < 300);
    if (store !== false) {
      const rows = store === true ? received.rows : received.rows.filter(store);
      this.arrivals.add(rows);
      this.deliveries.push({ request: received, rows, answer });
      this.metadata.push(...received.metadata);
    }
    switch (instead) {
      case undefined:
        response.writeHead(status, headers).end(body);
        break;
      case 'reset':
        response.socket?.resetAndDestroy();
        break;
      case 'reset-mid-answer':
        response.writeHead(status, { ...headers, 'content-length': '1000' });
        response.write('cut off', () => response.socket?.resetAndDestroy());
        break;
      case 'hang':
        break;
      default:
        instead satisfies never;
    }
  }
}
