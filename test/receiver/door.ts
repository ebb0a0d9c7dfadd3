import type { TestContext } from 'node:test';
import type { Appender } from '../../src/appender/appender.ts';
import type { IngestLimits, RequestLimitKey } from '../../src/protocol/limits.ts';
import { senderOf } from '../../src/receiver/senders.ts';
import { HttpServer } from '../../src/receiver/server.ts';
import { WriteHandler } from '../../src/receiver/write-handler.ts';
import type { SeriesGate } from '../../src/serialization/dictionary.ts';
import { type Appending, appending } from '../appender/appending.ts';
import { atEnd } from '../support/cleanup.ts';
import { Progress } from '../support/progress.ts';
import { v1Headers } from '../support/sender.ts';
import { logLines } from './log-lines.ts';
import { noSenderLimits, wideConnections } from './wide.ts';
import { type Answer, head, Wire } from './wire.ts';

export interface Told {
  readonly status: number;
  readonly bytes: number;
}

/** A listener whose write path leads into a real queue. */
export interface Door extends Appending {
  readonly handler: WriteHandler;
  readonly lines: readonly string[];
  /** What was told of requests, in order. */
  readonly told: readonly Told[];
  /** Limits that requests met, in order. */
  readonly limited: readonly RequestLimitKey[];
  running: boolean;
  now: number;
  open(): Promise<Wire>;
  /** Resolves when that many requests were told of. */
  untilTold(count: number): Promise<void>;
}

export async function door(
  t: TestContext,
  {
    maxRequestBytes = 2 ** 20,
    maxInFlightBytes = 2 ** 24,
    bodyIdleMs = 60_000,
    perSender = noSenderLimits,
    limits = {} as Partial<IngestLimits>,
    gate = undefined as SeriesGate | undefined,
  } = {},
): Promise<Door> {
  const queue = await appending(t, { decodedBytes: 2 ** 20, ...limits }, gate);
  const { logger, lines } = logLines();
  const told: Told[] = [];
  const limited: RequestLimitKey[] = [];
  const progress = new Progress();
  const handler = new WriteHandler({
    maxRequestBytes,
    maxInFlightBytes,
    bodyIdleMs,
    limits: queue.target.limits,
    perSender,
    senderOf: (request) => senderOf(request, 'x-sender'),
    appender: (): Appender | undefined => (result.running ? queue.begin() : undefined),
    logger,
    now: () => result.now,
    onRequest: (status, bytes) => {
      told.push({ status, bytes });
      progress.made();
    },
    onLimited: (key) => limited.push(key),
  });
  const server = new HttpServer(new Map([['/api/v1/write', (req, res) => handler.handle(req, res)]]), {
    connections: wideConnections(),
    logger,
  });
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  atEnd(t, () => server.close());
  const result: Door = {
    ...queue,
    handler,
    lines,
    told,
    limited,
    running: true,
    now: 0,
    open: () => Wire.open(t, url),
    untilTold: (count) =>
      progress.until(
        () => `${count} requests`,
        () => told.length >= count,
      ),
  };
  return result;
}

export async function post(
  wire: Wire,
  body: Uint8Array,
  headers: Record<string, string> = v1Headers,
): Promise<Answer> {
  wire.send(head(body.length, headers));
  wire.send(body);
  return await wire.answer();
}
