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
import { decodeWriteRequestV1, decodeWriteRequestV2 } from '../../src/protocol/schema.ts';
import { Arrivals } from './arrivals.ts';
import { atEnd } from './cleanup.ts';
import { faultsOf, faultsOfV2 } from './conformance.ts';
import { listen, listenAnywhere } from './ports.ts';
import { Progress } from './progress.ts';
import { describeRow, type MetadataText, metadataOf, type Row, rowsOf } from './rows.ts';
import { rowsOfV2, type SaidV2 } from './rows-v2.ts';

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
  /** What a 2.0 request is told of what was written. If not given: what was stored; with `false`, nothing. */
  readonly written?: Written | false;
}

/** What `-Written` headers say. */
export interface Written {
  readonly samples?: number;
  readonly histograms?: number;
  readonly exemplars?: number;
}

export interface Received {
  /** Counts the requests from 0. */
  readonly index: number;
  /** Counts the connections from 0: which of them it came by. */
  readonly connection: number;
  readonly headers: IncomingHttpHeaders;
  readonly rows: readonly Row[];
  readonly metadata: readonly MetadataText[];
  readonly version: '1.0' | '2.0';
  /** What a 2.0 request says beyond 1.0. */
  readonly said?: SaidV2;
}

/**
 * Which versions a sink knows. Without 2.0 it reads a 2.0 body as an empty 1.0 one and says 204, as Prometheus 2.42
 * does (INT-15), or refuses it.
 */
export type Knows = 'both' | '1.0, and answers 204' | '1.0, and answers 400' | '1.0, and answers 415' | '2.0';

/** Rows that were stored, and what their sender was told. */
export interface Delivery {
  readonly request: Received;
  readonly rows: readonly Row[];
  readonly answer: Answer;
}

/** Says how to answer; a promise holds the request until then. `body` is the request as it was on the wire. */
export type Script = (request: Received, body: Uint8Array) => Answer | Promise<Answer>;

/**
 * A remote-write receiver on a real socket that checks all that it is sent.
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
  knows: Knows = 'both';
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
        if (request.complete) this.faults.push(String(error));
      });
    });
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    const version = request.headers['content-type']?.includes('write.v2') ? '2.0' : '1.0';
    const read = version === '2.0' ? readV2 : readV1;
    let content: Pick<Received, 'rows' | 'metadata' | 'said'>;
    try {
      content = read(request, uncompress(body), this.faults);
    } catch (error) {
      this.faults.push(`a body that does not decode: ${error}`);
      response.writeHead(400).end();
      return;
    }
    const received = {
      index: this.requests.length,
      connection: this.#connectionOf(request.socket),
      headers: request.headers,
      version,
      ...content,
    } as const;
    this.requests.push(received);
    this.#progress.made();
    const answer = this.#refusal(version) ?? (await this.script(received, body));
    this.answers[received.index] = answer;
    await this.#answer(received, answer, response);
    this.#progress.made();
  }

  /** The answer to a version that it does not know. */
  #refusal(version: '1.0' | '2.0'): Answer | undefined {
    if (this.knows === 'both' || this.knows.startsWith(version)) return undefined;
    const status = Number(this.knows.split(' ').at(-1));
    return { status: version === '1.0' ? 415 : status, store: false, written: false };
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
    let counts = received.version === '2.0' && answer.written !== false ? countsOf([]) : {};
    if (store !== false) {
      const rows = store === true ? received.rows : received.rows.filter(store);
      if (received.version === '2.0' && answer.written === undefined) counts = countsOf(rows);
      this.arrivals.add(rows);
      this.deliveries.push({ request: received, rows, answer });
      this.metadata.push(...received.metadata);
    }
    if (typeof answer.written === 'object') counts = headersOf(answer.written);
    switch (instead) {
      case undefined:
        response.writeHead(status, { ...counts, ...headers }).end(body);
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

function readV1(request: IncomingMessage, raw: Uint8Array, faults: string[]) {
  const message = decodeWriteRequestV1(raw);
  faults.push(...faultsOf(request, message));
  return { rows: rowsOf(message), metadata: metadataOf(message) };
}

function readV2(request: IncomingMessage, raw: Uint8Array, faults: string[]) {
  const message = decodeWriteRequestV2(raw);
  const found = faultsOfV2(request, message);
  faults.push(...found);
  return { ...rowsOfV2(message), metadata: [] };
}

function countsOf(rows: readonly Row[]): Record<string, string> {
  const of = (kind: Row['kind']): number => rows.filter((row) => row.kind === kind).length;
  return headersOf({ samples: of('sample'), histograms: of('histogram'), exemplars: of('exemplar') });
}

function headersOf({ samples = 0, histograms = 0, exemplars = 0 }: Written): Record<string, string> {
  const name = (kind: string): string => `X-Prometheus-Remote-Write-${kind}-Written`;
  return {
    [name('Samples')]: String(samples),
    [name('Histograms')]: String(histograms),
    [name('Exemplars')]: String(exemplars),
  };
}
