import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { Client, type Dispatcher } from 'undici';
import { Appender } from '../../src/appender/appender.ts';
import type { FileQueue } from '../../src/filequeue/file-queue.ts';
import { createWasmKernel } from '../../src/protocol/kernel.ts';
import { type IngestLimits, noLimits } from '../../src/protocol/limits.ts';
import { encodeWriteRequestV1, type WriteRequestV1 } from '../../src/protocol/schema.ts';
import { SnappyCompressor } from '../../src/protocol/snappy.ts';
import { HttpServer } from '../../src/receiver/server.ts';
import { WriteHandler } from '../../src/receiver/write-handler.ts';
import { openQueue } from '../filequeue/queue.ts';
import { readAll } from '../filequeue/read-back.ts';
import { noSenderLimits, wideConnections } from '../receiver/wide.ts';
import { ExactScratch } from '../reference/exact-scratch.ts';
import { OddWriter } from '../reference/odd-writer.ts';
import { anyRequest } from '../reference/requests.ts';
import { loadCaptures, v1Captures } from '../support/captures.ts';
import { Random } from '../support/random.ts';
import { v1Headers } from '../support/sender.ts';
import { mutated, topLevelFields } from './mutation.ts';
import { type Fuzz, runFuzz } from './script.ts';

/*
 * Fuzzes the receiver through a real socket: mutated captures and messages, compressed or not, whole or in chunks,
 * to a listener with small limits and a real queue. Every one is answered with 204 or 400; nothing is logged as
 * an error of ours; no byte stays in flight; and what was taken is on disk, as many rows as were said, readable.
 *
 *     SECONDS=3600 node build/test/fuzz/receiver.js        new seed, printed; stops at the first failure
 *     SEED=7 ROUND=123 node build/test/fuzz/receiver.js    that round alone
 */
const MAX_DECODED = 1 << 20;
const limits: IngestLimits = {
  ...noLimits,
  decodedBytes: MAX_DECODED,
  series: 20,
  rows: 60,
  labels: 12,
  nameBytes: 40,
  valueBytes: 200,
};
/** Requests of a round: they are sent side by side, and so share commits. */
const LANES = 8;
/** What is on disk is read again after so many rounds, and a new queue begun. */
const ROUNDS_OF_A_QUEUE = 500;

export class ReceiverFuzz implements Fuzz {
  readonly #seed: number;
  readonly #dir: string;
  readonly #series: readonly Uint8Array[];
  readonly #messages: readonly WriteRequestV1[];
  readonly #compressor: SnappyCompressor = new SnappyCompressor();
  readonly #errors: string[] = [];
  readonly #handler: WriteHandler;
  readonly #server: HttpServer;
  readonly #clients: Client[] = [];
  #queue: FileQueue | undefined;
  #queues = 0;
  #rounds = 0;
  /** Rows that the present queue was said to have taken. */
  #taken = 0;

  private constructor(seed: number, series: readonly Uint8Array[]) {
    this.#seed = seed;
    this.#series = series;
    this.#messages = fc.sample(anyRequest, { seed, numRuns: 200 });
    this.#dir = mkdtempSync(join(tmpdir(), 'spillway-fuzz-receiver-'));
    const kernel = createWasmKernel();
    const logger = {
      log: (level: string, message: string, facts: object = {}): void => {
        if (level === 'error') this.#errors.push(`${message} ${JSON.stringify(facts)}`);
      },
    };
    this.#handler = new WriteHandler({
      maxRequestBytes: MAX_DECODED,
      maxInFlightBytes: 2 * LANES * MAX_DECODED,
      bodyIdleMs: 60_000,
      limits,
      perSender: noSenderLimits,
      senderOf: () => 'fuzz',
      appender: () =>
        new Appender({
          queue: this.#queue!,
          kernel,
          limits,
          onReport: (report) => {
            this.#taken += report.samples + report.histograms + report.exemplars + report.metadata;
          },
        }),
      logger,
      now: Date.now,
      onRequest: () => undefined,
      onLimited: () => undefined,
    });
    const routes = new Map([
      [
        '/api/v1/write',
        (...[req, res]: Parameters<WriteHandler['handle']>) => this.#handler.handle(req, res),
      ],
    ]);
    this.#server = new HttpServer(routes, { connections: wideConnections(), logger });
  }

  static async open(seed: number): Promise<ReceiverFuzz> {
    const captures = await Promise.all(v1Captures.map(loadCaptures));
    const series = captures.flat().flatMap(({ raw }) => topLevelFields(raw));
    const fuzz = new ReceiverFuzz(seed, series);
    const url = await fuzz.#server.listen({ host: '127.0.0.1', port: 0 });
    for (let i = 0; i < LANES; i++) fuzz.#clients.push(new Client(url));
    await fuzz.#nextQueue();
    return fuzz;
  }

  async round(number: number): Promise<void> {
    const random = new Random(this.#seed + Math.imul(number, 0x9e3779b1));
    const bodies = this.#clients.map(() => this.#body(random));
    const chunked = bodies.map((body) => (random.next() < 0.3 ? inChunks(random, body) : undefined));
    const answers = await Promise.all(
      bodies.map(async (body, i) => {
        const options: Dispatcher.RequestOptions = {
          method: 'POST',
          path: '/api/v1/write',
          headers: v1Headers,
          body: chunked[i] ? Readable.from(chunked[i]) : body,
        };
        const { statusCode, body: answer } = await this.#clients[i]!.request(options);
        return { status: statusCode, text: await answer.text() };
      }),
    );
    for (const { status, text } of answers) assert.ok(status === 204 || status === 400, `${status} ${text}`);
    assert.deepEqual(this.#errors, []);
    assert.equal(this.#handler.inFlightBytes, 0);
    if (++this.#rounds % ROUNDS_OF_A_QUEUE === 0) await this.#nextQueue();
  }

  async close(): Promise<void> {
    try {
      await Promise.all(this.#clients.map((client) => client.destroy()));
      await this.#server.close();
      await this.#check();
    } finally {
      rmSync(this.#dir, { recursive: true });
    }
  }

  async #nextQueue(): Promise<void> {
    await this.#check();
    this.#taken = 0;
    this.#queue = (await openQueue(join(this.#dir, `${this.#queues++}`), { roll: { series: 500 } })).queue;
  }

  /** What was said to be taken is on disk, and can be read. */
  async #check(): Promise<void> {
    const queue = this.#queue;
    if (queue === undefined) return;
    await queue.close();
    assert.equal(readAll(queue.dir, queue.segments).length, this.#taken);
    rmSync(queue.dir, { recursive: true });
  }

  #body(random: Random): Uint8Array {
    const raw = mutated(random, this.#message(random));
    if (random.next() < 0.02) return raw;
    const packed = new ExactScratch();
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    const end = this.#compressor.compress(raw, view, raw.length, packed, 0);
    const body = packed.bytes.slice(0, end);
    return random.next() < 0.2 ? mutated(random, body) : body;
  }

  /** A request of some series of the captures, or a made one in an odd encoding; at times over a limit. */
  #message(random: Random): Uint8Array {
    if (random.next() < 0.5) {
      const from = random.int(0, this.#series.length);
      return Buffer.concat(this.#series.slice(from, from + random.int(1, random.next() < 0.1 ? 40 : 8)));
    }
    const message = this.#messages[random.int(0, this.#messages.length)]!;
    const raw = random.next() < 0.7 ? new OddWriter(random).request(message) : encodeWriteRequestV1(message);
    return random.next() < 0.1 ? Buffer.concat(new Array<Uint8Array>(random.int(1, 20)).fill(raw)) : raw;
  }
}

function inChunks(random: Random, body: Uint8Array): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < body.length; ) {
    const size = 1 + random.int(0, random.next() < 0.5 ? 50 : 2000);
    chunks.push(body.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

if (process.argv[1] === import.meta.filename) await runFuzz(ReceiverFuzz.open);
