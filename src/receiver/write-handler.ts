import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Appender } from '../appender/appender.ts';
import { QueueFullError } from '../filequeue/file-queue.ts';
import type { IngestReport } from '../protocol/ingest-report.ts';
import { decodedLength, type WriteVersion } from '../protocol/kernel.ts';
import { type IngestLimits, LimitError, type RequestLimitKey } from '../protocol/limits.ts';
import { SpillwayError } from '../runtime/errors.ts';
import { TokenBucket } from '../runtime/token-bucket.ts';
import { type Logger, type LogLevel, Repetition } from '../telemetry/log.ts';
import { type DoorReason, doorReasons } from '../telemetry/reasons.ts';
import {
  BodyAbortedError,
  BodyBuffer,
  BodyStalledError,
  InFlightBytes,
  NoRoomError,
  readBody,
} from './body.ts';
import { negotiate } from './negotiation.ts';
import { type Sender, type SenderLimits, Senders } from './senders.ts';
import { type TenantSource, tenantOf } from './tenants.ts';

export interface WriteHandlerOptions {
  readonly maxRequestBytes: number;
  readonly maxInFlightBytes: number;
  readonly bodyIdleMs: number;
  /** The same that the appenders have. */
  readonly limits: IngestLimits;
  readonly perSender: SenderLimits;
  /** Who a request is from, as a name. */
  readonly senderOf: (request: IncomingMessage) => string;
  readonly tenants?: TenantSource;
  /** A new transaction, or undefined while starting or stopping. */
  readonly appender: () => Appender | undefined;
  readonly logger: Logger;
  readonly now: () => number;
  readonly onRequest: (status: number, bytes: number, seconds: number) => void;
  /** A request was refused or put off by this limit. */
  readonly onLimited: (key: RequestLimitKey) => void;
}

/** How long a sender shall wait before it comes again, in seconds. Its own backoff goes on from there. */
const RETRY_AFTER_SECONDS = 5;
/** The longest that a sender over its rate is told to wait: a Prometheus does as it is told, however long it is. */
const MAX_RETRY_AFTER_SECONDS = 60;
/**
 * What a row takes in memory until it is on disk, in bytes, where that is more than its share of the body: a
 * forged sample has two bytes.
 */
const ROW_BYTES = 24;
/** Lines about refused requests: senders choose how they call themselves, and the log must not grow with it. */
const LOG_LINES = { perSecond: 1, burst: 30 };

interface Reply {
  readonly status: number;
  readonly message: string;
  readonly retryAfter?: number;
  /** The rest of the request is not worth reading. */
  readonly close?: true;
  /** How it is logged, where it is not as bad as a 5xx usually is. */
  readonly level?: LogLevel;
  /** Of a 2.0 request of which something is on disk. */
  readonly written?: IngestReport;
}

/**
 * `POST /api/v1/write`: a request is answered with 204 when all of its rows are on disk, after fsync (RW1-R-03,
 * RLY-01).
 *
 * What can never be taken is a 400 that names it (RW1-R-04, RW1-R-05, RW1-R-07); the valid rest of the request
 * is on disk by then (RW1-R-06). What may be taken later is a 503 with Retry-After (RW1-R-08, INT-08), and then
 * none of it is kept (RLY-03). Checks come in the order of section 9 of the requirements: method, type, encoding,
 * size, decompress, decode, validate, commit.
 *
 * Once it is known to be a 2.0 request, each answer says how much of it was written (RW2-R-07); those of 1.0 must not
 * (INT-06). What `relabel_configs` drops was taken, and counts as written: by a 2xx that says less, a sender would
 * know its data lost.
 *
 * Memory: a request is held against `maxInFlightBytes`, and against the share of its sender, by what has arrived
 * of it; then, until its rows are on disk, by what it decodes to. Only the last of the requests that find room may
 * go over it, by rows that are larger in memory than in the body.
 */
export class WriteHandler {
  readonly #options: WriteHandlerOptions;
  readonly #inFlight: InFlightBytes;
  readonly #senders: Senders;
  readonly #body: BodyBuffer = new BodyBuffer();
  readonly #repetition: Repetition;
  readonly #logLines: TokenBucket;
  #linesLeftOut = 0;

  constructor(options: WriteHandlerOptions) {
    this.#options = options;
    this.#inFlight = new InFlightBytes(options.maxInFlightBytes);
    this.#senders = new Senders(options.perSender, this.#inFlight, () => performance.now());
    this.#repetition = new Repetition(options.now);
    this.#logLines = new TokenBucket(LOG_LINES.perSecond, LOG_LINES.burst, performance.now());
  }

  /** Bytes of request bodies that are held at this moment. */
  get inFlightBytes(): number {
    return this.#inFlight.held;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = performance.now();
    const arrived = { bytes: 0 };
    const reply = await this.#write(request, response, arrived);
    this.#options.onRequest(reply?.status ?? 499, arrived.bytes, (performance.now() - started) / 1000);
    if (reply === undefined) return;
    const { status, message, retryAfter, close, written, level = status >= 500 ? 'error' : 'warn' } = reply;
    if (written !== undefined) setWritten(response, written);
    if (retryAfter !== undefined) response.setHeader('Retry-After', String(retryAfter));
    if (close) response.setHeader('Connection', 'close');
    if (status === 405) response.setHeader('Allow', 'POST');
    if (status === 204) {
      response.writeHead(204).end();
      return;
    }
    response.setHeader('Content-Type', 'text/plain; charset=utf-8');
    response.writeHead(status).end(`${message}\n`);
    this.#logRefusal(request, status, message, level);
  }

  /** The reply, or undefined when there is nobody left to answer. The size of the body goes to `arrived`. */
  #write(
    request: IncomingMessage,
    response: ServerResponse,
    arrived: { bytes: number },
  ): Reply | Promise<Reply | undefined> {
    if (request.method !== 'POST') return { status: 405, message: 'remote write is a POST' };
    const negotiated = negotiate(request.headers['content-type'], request.headers['content-encoding']);
    if (!negotiated.accepted) return { status: 415, message: negotiated.message };
    const { version } = negotiated;
    // Until there is more to say, and also if the answer comes from elsewhere, as after an error of ours.
    if (version === '2.0') setWritten(response, undefined);
    return this.#writeOf(this.#senders.enter(this.#options.senderOf(request)), request, version, arrived);
  }

  async #writeOf(
    sender: Sender,
    request: IncomingMessage,
    version: WriteVersion,
    arrived: { bytes: number },
  ): Promise<Reply | undefined> {
    const { maxRequestBytes, bodyIdleMs, limits, onLimited } = this.#options;
    const { inFlight } = sender;
    let held = 0;
    const holdAtLeast = (bytes: number, hold: 'take' | 'hold'): void => {
      if (bytes <= held) return;
      inFlight[hold](bytes - held);
      held = bytes;
    };
    try {
      const waitMs = this.#senders.waitMs(sender);
      if (waitMs > 0) return this.#tooFast(waitMs);
      const body = await readBody(request, { maxBytes: maxRequestBytes, idleMs: bodyIdleMs }, inFlight);
      held = body.length;
      arrived.bytes = held;
      const appender = this.#options.appender();
      if (appender === undefined) {
        const reply = unavailable('Spillway is starting or stopping; nothing was stored, send it again');
        return { ...reply, level: 'info' };
      }
      const { tenants } = this.#options;
      const tenant = tenants && tenantOf(request, tenants);
      if (tenant !== undefined) appender.setTenant(tenant);
      const bytes = this.#body.gather(body);
      holdAtLeast(decodedLength(bytes, limits), 'take');
      appender.appendRequest(bytes, version);
      const durable = appender.commit();
      const report = appender.report;
      if (report !== undefined) {
        const rows = rowsOf(report);
        this.#senders.charge(sender, rows);
        holdAtLeast(rows * ROW_BYTES + report.expandedBytes, 'hold');
      }
      await durable;
      const written = version === '2.0' ? { written: report! } : {};
      return report!.refused.size === 0
        ? { status: 204, message: '', ...written }
        : { status: 400, message: refusal(report!, limits), ...written };
    } catch (error) {
      if (error instanceof BodyAbortedError) return undefined;
      if (!(error instanceof SpillwayError)) throw error;
      if (error instanceof LimitError || error instanceof NoRoomError || error instanceof BodyStalledError) {
        onLimited(error.key);
      }
      // A limit at work: the agent is sound, and the sender loses nothing.
      if (error instanceof BodyStalledError) return { ...later(error), close: true, level: 'warn' };
      if (error instanceof NoRoomError) return { ...later(error, 1), level: 'warn' };
      // Said as an error once, by the keeper of the queue, and not for each sender.
      if (error instanceof QueueFullError) return { ...later(error), level: 'warn' };
      if (error.retryable) return later(error);
      const message = `${prefix(error, version)}${error.message}; nothing of the request was stored`;
      return { status: 400, message };
    } finally {
      inFlight.release(held);
      this.#senders.leave(sender);
    }
  }

  #tooFast(waitMs: number): Reply {
    this.#options.onLimited('per_sender.samples_per_second');
    const reply = unavailable(
      'this sender is over its rate (`receiver.per_sender.samples_per_second`); ' +
        'nothing of the request was stored, send it again',
      Math.min(MAX_RETRY_AFTER_SECONDS, Math.ceil(waitMs / 1000)),
    );
    return { ...reply, level: 'warn' };
  }

  #logRefusal(request: IncomingMessage, status: number, message: string, level: LogLevel): void {
    const sender = (request.headers['user-agent'] ?? 'unknown').slice(0, 200);
    const before = this.#repetition.tell(`${level} ${status} ${sender}`);
    if (before === undefined) return;
    const now = performance.now();
    if (this.#logLines.waitMs(now) > 0) {
      this.#linesLeftOut++;
      return;
    }
    this.#logLines.take(1, now);
    const linesLeftOut = this.#linesLeftOut;
    this.#linesLeftOut = 0;
    this.#options.logger.log(level, 'a write request was not taken, or not whole', {
      status,
      sender,
      from: request.socket.remoteAddress ?? '',
      told: message,
      ...(before > 0 ? { repeated: before } : {}),
      ...(linesLeftOut > 0 ? { linesLeftOut } : {}),
    });
  }
}

const WRITTEN = {
  samples: 'X-Prometheus-Remote-Write-Samples-Written',
  histograms: 'X-Prometheus-Remote-Write-Histograms-Written',
  exemplars: 'X-Prometheus-Remote-Write-Exemplars-Written',
} as const;

/** Says how many rows of a 2.0 request are on disk, and how many were dropped as we were told to (RW2-R-07). */
function setWritten(response: ServerResponse, report: IngestReport | undefined): void {
  const histogramsDropped = report?.droppedHistograms ?? 0;
  const exemplarsDropped = report?.droppedExemplars ?? 0;
  const samplesDropped = (report?.dropped ?? 0) - histogramsDropped - exemplarsDropped;
  response.setHeader(WRITTEN.samples, String((report?.samples ?? 0) + samplesDropped));
  response.setHeader(WRITTEN.histograms, String((report?.histograms ?? 0) + histogramsDropped));
  response.setHeader(WRITTEN.exemplars, String((report?.exemplars ?? 0) + exemplarsDropped));
}

function unavailable(message: string, retryAfter: number = RETRY_AFTER_SECONDS): Reply {
  return { status: 503, message, retryAfter };
}

function later(error: SpillwayError, retryAfter?: number): Reply {
  return unavailable(`${error.message}; nothing of the request was stored, send it again`, retryAfter);
}

/** All rows that a request had, also those that were refused or dropped: they were work, too. */
function rowsOf(report: IngestReport): number {
  let rows = report.samples + report.histograms + report.exemplars + report.metadata + report.dropped;
  for (const refused of report.refused.values()) rows += refused;
  return rows;
}

function prefix(error: SpillwayError, version: WriteVersion): string {
  return error.code === 'SNAPPY_INVALID'
    ? 'not a snappy block: '
    : error.code === 'PROTOBUF_MALFORMED'
      ? `not a remote write ${version} message: `
      : '';
}

/** The summary first, since senders keep the first kilobyte (INT-07): counts by reason, then a series. */
function refusal(report: IngestReport, limits: IngestLimits): string {
  const counts = [...report.refused].map(([reason, rows]) => `${rows} ${reason}`).join(', ');
  const kept = report.samples + report.histograms + report.exemplars + report.metadata;
  const first = report.firstRefused!;
  const limit = limitOf(first.reason, limits);
  return (
    `refused rows: ${counts}; the other ${kept} rows of the request are stored. ` +
    `First refused: ${first.what}: ${doorReasons[first.reason]}` +
    (limit === undefined ? '' : ` The limit is ${limit}.`)
  );
}

function limitOf(reason: DoorReason, limits: IngestLimits): number | undefined {
  if (reason === 'too_many_labels') return limits.labels;
  if (reason === 'label_name_too_long') return limits.nameBytes;
  return reason === 'label_value_too_long' ? limits.valueBytes : undefined;
}
