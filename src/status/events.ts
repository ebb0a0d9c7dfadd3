import type { IncomingMessage, ServerResponse } from 'node:http';
import { refuseMethod } from './answers.ts';
import type { HistoryDocument, StatusDocument } from './document.ts';

/** What is sent: made only when somebody listens. */
export interface EventSource {
  readonly document: () => StatusDocument;
  /** The whole of the last hour, or its last `steps`. */
  readonly history: (steps?: number) => HistoryDocument;
}

/** Who watches beyond this is told to come again later: connections are for senders first. */
export const MOST_LISTENERS = 16;
/** A browser connects again by itself; then its credentials are looked at again. */
const LONGEST_MS = 10 * 60_000;
/** Who has so many bytes outstanding does not read; it is cut off, and comes back when it does. */
const MOST_WAITING_BYTES = 256 * 1024;

/**
 * `GET /api/v1/events`: server-sent events, for the status page and whoever wants to watch.
 *
 *     event: history   at the beginning: the last hour, as `/api/v1/history` has it
 *     event: status    at the beginning and every two seconds, as `/api/v1/status` has it
 *     event: step      every ten seconds: what has come to the history since
 */
export class StatusEvents {
  readonly #source: EventSource;
  readonly #now: () => number;
  readonly #listeners = new Map<ServerResponse, { readonly untilMs: number }>();
  #closed = false;

  constructor(source: EventSource, now: () => number) {
    this.#source = source;
    this.#now = now;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== 'GET') {
      refuseMethod(request, response, 'GET');
      return;
    }
    if (this.#closed || this.#listeners.size >= MOST_LISTENERS) {
      const why = this.#closed ? 'the agent is stopping' : `${MOST_LISTENERS} watch already`;
      response
        .writeHead(503, { 'Content-Type': 'text/plain', 'Retry-After': '10' })
        .end(`no events: ${why}\n`);
      return;
    }
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      // nginx would keep events back until it has a buffer full of them.
      'X-Accel-Buffering': 'no',
    });
    const listener = { untilMs: this.#now() + LONGEST_MS };
    this.#listeners.set(response, listener);
    response.once('close', () => this.#listeners.delete(response));
    response.write('retry: 2000\n\n');
    response.write(eventText('history', this.#source.history()));
    response.write(eventText('status', this.#source.document()));
  }

  /** Tells everybody; `stepped`: a step of the history came with this tick. */
  tick(stepped: boolean): void {
    if (this.#listeners.size === 0) return;
    const text =
      (stepped ? eventText('step', this.#source.history(1)) : '') +
      eventText('status', this.#source.document());
    const now = this.#now();
    for (const [response, { untilMs }] of this.#listeners) {
      // Ended by an earlier tick and still here: it does not even take the end.
      if (response.writableEnded || response.writableLength > MOST_WAITING_BYTES) response.destroy();
      else if (now >= untilMs) response.end(text);
      else response.write(text);
    }
  }

  /** Says how things stand for the last time, and ends all streams; no more are begun. Idempotent. */
  close(): void {
    this.#closed = true;
    if (this.#listeners.size === 0) return;
    const text = eventText('status', this.#source.document());
    for (const response of this.#listeners.keys()) {
      if (response.writableEnded) response.destroy();
      else response.end(text);
    }
    this.#listeners.clear();
  }
}

/** JSON has no line breaks, so it is one line of data. */
function eventText(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
