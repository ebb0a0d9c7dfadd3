import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { atEnd } from '../support/cleanup.ts';
import { Progress } from '../support/progress.ts';
import { v1Headers } from '../support/sender.ts';

export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A connection on which a test writes HTTP byte by byte. */
export class Wire {
  readonly #socket: Socket;
  readonly #progress = new Progress();
  #received: Buffer = Buffer.alloc(0);
  #closed = false;
  /** Interim answers so far, such as 100 Continue; `answer` passes over them. */
  interim = 0;

  /** Connects to an `http://127.0.0.1:port` URL. */
  static async open(t: TestContext, url: string): Promise<Wire> {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    const wire = new Wire(socket);
    atEnd(t, () => {
      socket.destroy();
    });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return wire;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#progress.made();
    });
    // A reset is an end as well.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#closed = true;
      this.#progress.made();
    });
  }

  send(part: string | Uint8Array): void {
    this.#socket.write(part);
  }

  /** Breaks the connection. */
  break(): void {
    this.#socket.resetAndDestroy();
  }

  /** The next answer on this connection. Rejects when the other side closes it before. */
  async answer(): Promise<Answer> {
    let answer: Answer | undefined;
    await this.#progress.until(
      () => `no answer, only ${JSON.stringify(this.#received.toString())}`,
      () => {
        answer = this.#take();
        if (answer === undefined && this.#closed) throw new Error('closed without an answer');
        return answer !== undefined;
      },
    );
    return answer!;
  }

  /** Resolves when the connection has ended. */
  async closed(): Promise<void> {
    await this.#progress.until(
      () => 'the connection stays open',
      () => this.#closed,
    );
  }

  #take(): Answer | undefined {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    const [first, ...lines] = this.#received.toString('latin1', 0, end).split('\r\n');
    const status = Number(first!.split(' ')[1]);
    const headers = Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    let at = end + 4;
    let body = '';
    if (headers['transfer-encoding'] === 'chunked') {
      for (;;) {
        const line = this.#received.indexOf('\r\n', at);
        if (line < 0) return undefined;
        const size = Number.parseInt(this.#received.toString('latin1', at, line), 16);
        if (this.#received.length < line + 4 + size) return undefined;
        body += this.#received.toString('utf8', line + 2, line + 2 + size);
        at = line + 4 + size;
        if (size === 0) break;
      }
    } else {
      const length = status === 204 ? 0 : Number(headers['content-length'] ?? 0);
      if (this.#received.length < at + length) return undefined;
      body = this.#received.toString('utf8', at, at + length);
      at += length;
    }
    this.#received = this.#received.subarray(at);
    if (status < 200) {
      this.interim++;
      return this.#take();
    }
    return { status, headers, body };
  }
}

/** The head of a write request, with a body of `length` bytes, or in chunks. */
export function head(length: number | 'chunked', more: Record<string, string> = v1Headers): string {
  return [
    'POST /api/v1/write HTTP/1.1',
    'Host: spillway',
    ...Object.entries(more).map(([name, value]) => `${name}: ${value}`),
    length === 'chunked' ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`,
    '\r\n',
  ].join('\r\n');
}

/** A chunk of a body; an empty one ends it. */
export function chunk(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}

export const lastChunk: Uint8Array = chunk(new Uint8Array(0));
