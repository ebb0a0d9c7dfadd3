/**
 * What carries a request to a server and its answer back, whichever version of HTTP that is: http1.ts, and
 * negotiated.ts for whoever wants HTTP/2.
 */

/** Beside `content-length` and what a version of HTTP has for itself, all that is sent is in `headers`. */
export interface HttpRequest {
  readonly method: string;
  /** A path with its query, or for a proxy a whole URL. */
  readonly path: string;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  readonly body: Uint8Array;
}

/** The head of an answer. */
export interface HttpAnswer {
  readonly statusCode?: number | undefined;
  /** By lower-case names; a header that was sent twice is a list. */
  readonly headersDistinct: NodeJS.Dict<string[]>;
}

/** Who hears what becomes of a request: at last of its end or of an error, and of nothing after that. */
export interface HttpHandler {
  /** Up to this moment not a byte of the request has left. */
  onConnect(): void;
  /** Of the final answer, without those that come before it (103). */
  onHeaders(answer: HttpAnswer): void;
  onData(chunk: Buffer): void;
  onComplete(): void;
  /** An `UnprocessedError` says that the request was sent in vain. */
  onError(error: NodeJS.ErrnoException): void;
}

/** Carries one request at a time, over a connection that it opens when it is needed and keeps for the next. */
export interface HttpConnection {
  /** Sends `request`; `handler` hears of everything else. To be called when it has heard of the end of the last one. */
  send(request: HttpRequest, handler: HttpHandler): void;
  /** Whether the last request has left nothing behind: no answer to come, no bytes of its body to send. */
  readonly reusable: boolean;
  /** Ends at once and for good what is under way, and lets go of everything. */
  close(): void;
}

/** The peer ended the connection, or what it is for, before its answer was complete. The code is the one that logs have always had. */
export class ClosedError extends Error {
  readonly code = 'UND_ERR_SOCKET';
}

/** The peer says that it has not looked at the request, though it was sent (RFC 9113, 8.7): nothing of it is delivered. */
export class UnprocessedError extends Error {
  readonly code: 'HTTP2_GOAWAY' | 'HTTP2_REFUSED_STREAM';

  constructor(code: UnprocessedError['code'], message: string) {
    super(message);
    this.code = code;
  }
}
