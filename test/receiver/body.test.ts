import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { LimitError } from '../../src/protocol/limits.ts';
import {
  type Body,
  BodyAbortedError,
  BodyBuffer,
  BodyStalledError,
  InFlightBytes,
  NoRoomError,
  readBody,
} from '../../src/receiver/body.ts';
import { atEnd } from '../support/cleanup.ts';
import { listenAnywhere } from '../support/ports.ts';
import { Progress } from '../support/progress.ts';
import { chunk, head, lastChunk, Wire } from './wire.ts';

interface Reading {
  readonly body: Promise<Body>;
  /** Bytes that came so far. */
  size: number;
  /** All of the request was read, by whomever, or its connection is gone. */
  over: boolean;
}

/** A server that reads bodies and answers with their length, or with the code of the error. */
class Reader {
  readonly inFlight: InFlightBytes;
  readonly readings: Reading[] = [];
  readonly #progress = new Progress();
  #url = '';

  readonly #idleMs: number;

  private constructor(room: number, idleMs: number) {
    this.inFlight = new InFlightBytes(room);
    this.#idleMs = idleMs;
  }

  static async start(t: TestContext, limit: number, room: number, idleMs = 60_000): Promise<Reader> {
    const reader = new Reader(room, idleMs);
    const server = createServer((request, response) => {
      const { body } = reader.#read(request, limit);
      body.then(
        (bytes) => response.end(String(bytes.length)),
        (error: { code: string }) => response.writeHead(400).end(error.code),
      );
    });
    reader.#url = `http://127.0.0.1:${await listenAnywhere(server)}`;
    atEnd(t, () => {
      server.closeAllConnections();
      server.close();
    });
    return reader;
  }

  open(t: TestContext): Promise<Wire> {
    return Wire.open(t, this.#url);
  }

  #read(request: IncomingMessage, limit: number): Reading {
    const reading: Reading = {
      body: readBody(request, { maxBytes: limit, idleMs: this.#idleMs }, this.inFlight),
      size: 0,
      over: false,
    };
    this.readings.push(reading);
    this.#progress.made();
    request.on('data', (part: Buffer) => {
      reading.size += part.length;
      this.#progress.made();
    });
    request.on('close', () => {
      reading.over = true;
      this.#progress.made();
    });
    return reading;
  }

  /** The next request, when `size` bytes of its body have come. */
  async reading(index: number, size = 0): Promise<Reading> {
    await this.until(`${size} bytes of request ${index}`, () => (this.readings[index]?.size ?? -1) >= size);
    return this.readings[index]!;
  }

  /** Resolves when the request is over. */
  async over(index: number): Promise<void> {
    await this.until(`the end of request ${index}`, () => this.readings[index]?.over === true);
  }

  async until(what: string, reached: () => boolean): Promise<void> {
    await this.#progress.until(() => what, reached);
  }
}

const bytes = (length: number): Buffer => Buffer.alloc(length, 'x');

describe('readBody', () => {
  it('reads a body with and without a declared length, in any number of pieces', async (t) => {
    const reader = await Reader.start(t, 100, 1000);
    const wire = await reader.open(t);
    wire.send(head(0));
    wire.send(head(100));
    wire.send(bytes(100));
    wire.send(head(3));
    wire.send('a');
    await reader.reading(2, 1);
    wire.send('bc');
    wire.send(head('chunked'));
    wire.send(chunk(bytes(60)));
    await reader.reading(3, 60);
    wire.send(chunk(bytes(40)));
    wire.send(lastChunk);
    wire.send(head('chunked'));
    wire.send(lastChunk);
    for (const length of ['0', '100', '3', '100', '0']) assert.equal((await wire.answer()).body, length);
    const whole = new BodyBuffer();
    assert.equal(Buffer.from(whole.gather(await reader.readings[2]!.body)).toString(), 'abc');
    // The caller holds the bytes until it releases them.
    assert.equal(reader.inFlight.held, 203);
  });

  it('counts what has come, not what is declared', async (t) => {
    const reader = await Reader.start(t, 100, 150);
    const [declared, chunked] = [await reader.open(t), await reader.open(t)];
    declared.send(head(100));
    await reader.reading(0);
    assert.equal(reader.inFlight.held, 0);
    declared.send(bytes(1));
    await reader.reading(0, 1);
    assert.equal(reader.inFlight.held, 1);
    chunked.send(head('chunked'));
    chunked.send(chunk(bytes(100)));
    chunked.send(lastChunk);
    assert.equal((await chunked.answer()).body, '100');
    assert.equal(reader.inFlight.held, 101);
  });

  it('gives up a body that stands still, not one that is only slow, and holds nothing of it', async (t) => {
    const reader = await Reader.start(t, 100, 1000, 2000);
    const [still, silent, slow] = [await reader.open(t), await reader.open(t), await reader.open(t)];
    still.send(head(100));
    still.send(bytes(99));
    silent.send(head('chunked'));
    slow.send(head(100));
    let rest = 100;
    const timer = setInterval(() => {
      if (rest-- > 0) slow.send(bytes(1));
    }, 30);
    atEnd(t, () => clearInterval(timer));
    for (const wire of [still, silent]) assert.equal((await wire.answer()).body, 'BODY_STALLED');
    assert.equal((await slow.answer()).body, '100');
    const errors = (await Promise.allSettled(reader.readings.map(({ body }) => body))).flatMap((settled) =>
      settled.status === 'rejected' ? [settled.reason as unknown] : [],
    );
    assert.equal(errors.length, 2);
    for (const error of errors) assert.ok(error instanceof BodyStalledError && error.retryable);
    assert.equal(reader.inFlight.held, 100);
  });

  it('refuses a declared length over the limit before a byte of it is read', async (t) => {
    const reader = await Reader.start(t, 100, 1000);
    const wire = await reader.open(t);
    wire.send(head(101));
    assert.equal((await wire.answer()).body, 'OVER_LIMIT');
    await assert.rejects(reader.readings[0]!.body, LimitError);
    assert.equal(reader.inFlight.held, 0);
    // The rest of it is read over, and the connection goes on.
    wire.send(bytes(101));
    wire.send(head(1));
    wire.send('x');
    assert.equal((await wire.answer()).body, '1');
  });

  it('refuses a body that turns out over the limit, and holds nothing of it', async (t) => {
    const reader = await Reader.start(t, 100, 1000);
    const wire = await reader.open(t);
    wire.send(head('chunked'));
    wire.send(chunk(bytes(100)));
    await reader.reading(0, 100);
    wire.send(chunk(bytes(1)));
    await assert.rejects((await reader.reading(0, 101)).body, LimitError);
    wire.send(chunk(bytes(500)));
    wire.send(lastChunk);
    assert.equal((await wire.answer()).body, 'OVER_LIMIT');
    await reader.over(0);
    assert.equal(reader.inFlight.held, 0);
    wire.send(head(1));
    wire.send('x');
    assert.equal((await wire.answer()).body, '1');
  });

  it('rejects when the connection breaks in the middle, and holds nothing of it', async (t) => {
    const reader = await Reader.start(t, 100, 1000);
    for (const [i, [first, part]] of [
      [head(70), bytes(30)],
      [head('chunked'), chunk(bytes(30))],
      [head('chunked'), Buffer.concat([chunk(bytes(30)), Buffer.from('no chunk\r\n')])],
    ].entries()) {
      const wire = await reader.open(t);
      wire.send(first!);
      wire.send(part!);
      const { body } = await reader.reading(i, 30);
      if (i < 2) wire.break();
      await assert.rejects(body, BodyAbortedError);
      await reader.over(i);
      assert.equal(reader.inFlight.held, 0);
    }
  });

  it('gives back once what a connection held that breaks after its body, before the answer', async (t) => {
    const inFlight = new InFlightBytes(1000);
    const progress = new Progress();
    const bodies: Promise<Body>[] = [];
    let closed = false;
    const server = createServer((request, response) => {
      bodies.push(readBody(request, { maxBytes: 100, idleMs: 60_000 }, inFlight));
      request.on('end', () => progress.made());
      response.on('close', () => {
        closed = true;
        progress.made();
      });
    });
    const url = `http://127.0.0.1:${await listenAnywhere(server)}`;
    atEnd(t, () => void server.close());
    const wire = await Wire.open(t, url);
    wire.send(head(70));
    wire.send(bytes(70));
    await progress.until(
      () => 'no request',
      () => bodies.length > 0,
    );
    const body = await bodies[0]!;
    wire.break();
    await progress.until(
      () => 'the break was not noticed',
      () => closed,
    );
    assert.equal(inFlight.held, 70);
    inFlight.release(body.length);
    assert.equal(inFlight.held, 0);
  });

  it('puts off what there is no room for, and takes it when there is room again', async (t) => {
    const reader = await Reader.start(t, 100, 100);
    const [first, declared, chunked] = [await reader.open(t), await reader.open(t), await reader.open(t)];
    first.send(head(60));
    first.send(bytes(60));
    assert.equal((await first.answer()).body, '60');

    declared.send(head(41));
    declared.send(bytes(41));
    assert.equal((await declared.answer()).body, 'NO_ROOM');
    await reader.over(1);
    assert.equal(reader.inFlight.held, 60);

    chunked.send(head('chunked'));
    chunked.send(chunk(bytes(40)));
    await reader.reading(2, 40);
    assert.equal(reader.inFlight.held, 100);
    chunked.send(chunk(bytes(1)));
    await assert.rejects(
      reader.readings[2]!.body,
      (error) => error instanceof NoRoomError && error.retryable,
    );
    assert.equal(reader.inFlight.held, 60);
    chunked.send(chunk(bytes(20)));
    chunked.send(lastChunk);
    assert.equal((await chunked.answer()).body, 'NO_ROOM');
    await reader.over(2);
    assert.equal(reader.inFlight.held, 60);

    reader.inFlight.release(60);
    declared.send(head(100));
    declared.send(bytes(100));
    assert.equal((await declared.answer()).body, '100');
    reader.inFlight.release(100);
    assert.equal(reader.inFlight.held, 0);
  });
});

describe('BodyBuffer', () => {
  const body = (...chunks: string[]): Body => ({
    chunks: chunks.map((chunk) => Buffer.from(chunk)),
    length: chunks.join('').length,
  });

  it('puts bodies together, short ones after long ones too', () => {
    const buffer = new BodyBuffer();
    const long = 'long '.repeat(1000);
    for (const chunks of [[], ['one'], ['a', '', 'b'], [long, 'end'], ['c', 'd'], [long, long, long]]) {
      assert.equal(Buffer.from(buffer.gather(body(...chunks))).toString(), chunks.join(''));
    }
  });

  it('puts a large one together in memory of its own', () => {
    const buffer = new BodyBuffer();
    const large = buffer.gather(body('x'.repeat(600_000), 'y'.repeat(600_000)));
    buffer.gather(body('z', 'z'));
    assert.equal(Buffer.from(large).toString(), 'x'.repeat(600_000) + 'y'.repeat(600_000));
  });
});
