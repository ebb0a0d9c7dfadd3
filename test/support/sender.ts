import type { TestContext } from 'node:test';
import { compress } from 'snappyjs';
import { Client } from 'undici';
import { decodeWriteRequestV1, encodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { atEnd } from './cleanup.ts';
import { deadlineMs } from './deadline.ts';
import type { Message } from './messages.ts';
import { encodeBodyV2, inV2, v2Headers } from './messages-v2.ts';
import { type Row, rowsOf } from './rows.ts';

export interface Reply {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}

/** The headers of a remote-write 1.0 request (RW1-S-02). */
export const v1Headers: Record<string, string> = {
  'content-encoding': 'snappy',
  'content-type': 'application/x-protobuf',
  'user-agent': 'spillway-test/1',
  'x-prometheus-remote-write-version': '0.1.0',
};

/**
 * One connection of a remote-write sender, with one request on its way at a time. It never sends a row twice,
 * and remembers what it was told about each.
 */
export class Sender {
  /** Rows of requests that were answered 204. */
  readonly acknowledged: Row[] = [];
  /** Rows of requests that were answered otherwise. */
  readonly refused: Row[] = [];
  /** Requests whose connection broke before the answer: their rows may have been taken, or not. */
  readonly unknown: Row[][] = [];
  readonly #client: Client;
  readonly #path: string;
  readonly #headers: Record<string, string>;

  /** `headers` go with every request that is not posted with its own. */
  constructor(t: TestContext, baseUrl: string, path = '/api/v1/write', headers: Record<string, string> = {}) {
    this.#headers = { ...v1Headers, ...headers };
    this.#client = new Client(baseUrl, {
      pipelining: 1,
      headersTimeout: deadlineMs,
      bodyTimeout: deadlineMs,
    });
    this.#path = path;
    atEnd(t, () => this.#client.destroy());
  }

  /** Sends the request and returns the answer; undefined when there was none. */
  async write(message: Message, version: '1.0' | '2.0' = '1.0'): Promise<Reply | undefined> {
    const raw = encodeWriteRequestV1(message);
    const whole = decodeWriteRequestV1(raw);
    const rows = rowsOf(whole);
    let reply: Reply;
    try {
      reply =
        version === '1.0'
          ? await this.post(compress(raw))
          : await this.post(encodeBodyV2(inV2(whole)), { ...this.#headers, ...v2Headers });
    } catch {
      this.unknown.push(rows);
      return undefined;
    }
    for (const row of rows) (reply.status === 204 ? this.acknowledged : this.refused).push(row);
    return reply;
  }

  /** Sends bytes as they are. What became of them is not remembered. Rejects when the connection breaks. */
  async post(body: Uint8Array, headers: Record<string, string> = this.#headers): Promise<Reply> {
    const response = await this.#client.request({ method: 'POST', path: this.#path, headers, body });
    return { status: response.statusCode, headers: response.headers, body: await response.body.text() };
  }
}

/** The body of a remote-write 1.0 request. */
export function encodeBody(message: Message): Uint8Array {
  return compress(encodeWriteRequestV1(message));
}
