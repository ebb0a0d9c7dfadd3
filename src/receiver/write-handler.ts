import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Appender } from '../appender/appender.ts';
import type { IngestReport } from '../protocol/ingest-v1.ts';
import { SpillwayError } from '../runtime/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import { Repetition } from '../telemetry/log.ts';
import { doorReasons } from '../telemetry/reasons.ts';
import { BodyAbortedError, InFlightBytes, NoRoomError, readBody } from './body.ts';
import { negotiate } from './negotiation.ts';

export interface WriteHandlerOptions {
  readonly maxRequestBytes: number;
  readonly maxInFlightBytes: number;
  /** A new transaction, or undefined while starting or stopping. */
  readonly appender: () => Appender | undefined;
  readonly logger: Logger;
  readonly now: () => number;
  readonly onRequest: (status: number, bytes: number, seconds: number) => void;
}

/** How long a sender shall wait before it comes again, in seconds. Its own backoff goes on from there. */
const RETRY_AFTER_SECONDS = 5;

interface Reply {
  readonly status: number;
  readonly message: string;
  readonly retryAfter?: number;
}

/**
 * `POST /api/v1/write`: a request is answered with 204 when all of its rows are on disk, after fsync (RW1-R-03,
 * RLY-01).
 *
 * What can never be taken is a 400 that names it (RW1-R-04, RW1-R-05, RW1-R-07); the valid rest of the request
 * is on disk by then (RW1-R-06). What may be taken later is a 503 with Retry-After (RW1-R-08, INT-08), and then
 * none of it is kept (RLY-03). Checks come in the order of section 9 of the requirements: method, type, encoding,
 * size, decompress, decode, validate, commit. 1.0 requests get no `-Written` headers (INT-06).
 */
export class WriteHandler {
  readonly #options: WriteHandlerOptions;
  readonly #inFlight: InFlightBytes;
  readonly #repetition: Repetition;

  constructor(options: WriteHandlerOptions) {
    this.#options = options;
    this.#inFlight = new InFlightBytes(options.maxInFlightBytes);
    this.#repetition = new Repetition(options.now);
  }

  /** Bytes of request bodies that are held at this moment. */
  get inFlightBytes(): number {
    return this.#inFlight.held;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = performance.now();
    let bytes = 0;
    const reply = await this.#write(request, (size) => {
      bytes = size;
    });
    this.#options.onRequest(reply?.status ?? 499, bytes, (performance.now() - started) / 1000);
    if (reply === undefined) return;
    const { status, message, retryAfter } = reply;
    if (retryAfter !== undefined) response.setHeader('Retry-After', String(retryAfter));
    if (status === 405) response.setHeader('Allow', 'POST');
    if (status === 204) {
      response.writeHead(204).end();
      return;
    }
    response.setHeader('Content-Type', 'text/plain; charset=utf-8');
    response.writeHead(status).end(`${message}\n`);
    this.#logRefusal(request, status, message);
  }

  /** The reply, or undefined when there is nobody left to answer. */
  async #write(request: IncomingMessage, onBytes: (size: number) => void): Promise<Reply | undefined> {
    if (request.method !== 'POST') return { status: 405, message: 'remote write is a POST' };
    const negotiated = negotiate(request.headers['content-type'], request.headers['content-encoding']);
    if (!negotiated.accepted) return { status: 415, message: negotiated.message };
    let held = 0;
    try {
      const body = await readBody(request, this.#options.maxRequestBytes, this.#inFlight);
      held = body.length;
      onBytes(held);
      const appender = this.#options.appender();
      if (appender === undefined) {
        return unavailable('Spillway is starting or stopping; nothing was stored, send it again');
      }
      appender.appendRequest(body);
      await appender.commit();
      const report = appender.report!;
      return report.refused.size === 0
        ? { status: 204, message: '' }
        : { status: 400, message: refusal(report) };
    } catch (error) {
      if (error instanceof BodyAbortedError) return undefined;
      if (error instanceof NoRoomError) return unavailable(error.message, 1);
      if (!(error instanceof SpillwayError)) throw error;
      if (error.retryable)
        return unavailable(`${error.message}; nothing of the request was stored, send it again`);
      return { status: 400, message: `${prefix(error)}${error.message}; nothing of the request was stored` };
    } finally {
      this.#inFlight.release(held);
    }
  }

  #logRefusal(request: IncomingMessage, status: number, message: string): void {
    const sender = request.headers['user-agent'] ?? 'unknown';
    const before = this.#repetition.tell(`${status} ${sender}`);
    if (before === undefined) return;
    this.#options.logger.log(
      status >= 500 ? 'error' : 'warn',
      'a write request was not taken, or not whole',
      {
        status,
        sender,
        from: request.socket.remoteAddress ?? '',
        told: message,
        ...(before > 0 ? { repeated: before } : {}),
      },
    );
  }
}

function unavailable(message: string, retryAfter: number = RETRY_AFTER_SECONDS): Reply {
  return { status: 503, message, retryAfter };
}

function prefix(error: SpillwayError): string {
  return error.code === 'SNAPPY_INVALID'
    ? 'not a snappy block: '
    : error.code === 'PROTOBUF_MALFORMED'
      ? 'not a remote write 1.0 message: '
      : '';
}

/** The summary first, since senders keep the first kilobyte (INT-07): counts by reason, then a series. */
function refusal(report: IngestReport): string {
  const counts = [...report.refused].map(([reason, rows]) => `${rows} ${reason}`).join(', ');
  const kept = report.samples + report.histograms + report.exemplars + report.metadata;
  const first = report.firstRefused!;
  return (
    `refused rows: ${counts}; the other ${kept} rows of the request are stored. ` +
    `First refused: ${first.what}: ${doorReasons[first.reason]}`
  );
}
