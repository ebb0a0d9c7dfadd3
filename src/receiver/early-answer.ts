import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** A body of this size is read over, since a connection that stays open costs less than a new one. */
const SMALL_BODY = 65_536;
/** How much of a body, and how long, is read over before the connection is closed. */
const LINGER_BYTES = 1024 * 1024;
const LINGER_MS = 1000;

/**
 * Answers a request whose body nobody wants, complete with `headers` and `text`. The body of somebody who was not
 * let in must not cost us its reading; yet a connection that is closed while data comes in is reset, and the
 * client may never see the answer. So behind a large body, or one of unknown size, the connection is closed, but
 * only after it had the time to be read.
 */
export function answerEarly(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  headers: OutgoingHttpHeaders,
  text: string,
): void {
  const full = {
    ...headers,
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
  };
  const chunked = request.headers['transfer-encoding'] !== undefined;
  if (!chunked && Number(request.headers['content-length'] ?? 0) <= SMALL_BODY) {
    response.writeHead(status, full).end(text);
    return;
  }
  response.writeHead(status, { ...full, Connection: 'close' });
  response.write(text);
  let bytes = 0;
  const end = (): void => {
    clearTimeout(timer);
    request.pause();
    response.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > LINGER_BYTES) end();
  });
  request.on('end', end);
  request.on('error', () => undefined);
  response.on('close', () => clearTimeout(timer));
}
