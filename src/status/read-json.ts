import type { IncomingMessage } from 'node:http';
import { SpillwayError } from '../runtime/errors.ts';

/** The body of a request is not what the route takes: 400. */
export class BodyError extends SpillwayError {
  readonly code = 'BAD_BODY';
}

/** Enough for the ids of as many letters as a page has, and the words of a receiver. */
const MOST_BYTES = 64 * 1024;

/**
 * The object in the body of a request. It must be said to be JSON: no browser sends that from another site unasked.
 * Rejects with `BodyError`.
 */
export async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  if (request.headers['content-type']?.split(';')[0] !== 'application/json') {
    throw new BodyError('Content-Type: expected application/json');
  }
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MOST_BYTES) throw new BodyError(`the body is longer than ${MOST_BYTES} bytes`);
    parts.push(part);
  }
  try {
    const body = JSON.parse(Buffer.concat(parts).toString()) as unknown;
    if (typeof body === 'object' && body !== null) return body as Record<string, unknown>;
  } catch (cause) {
    throw new BodyError('the body is not JSON', {}, cause);
  }
  throw new BodyError('the body is not an object');
}
