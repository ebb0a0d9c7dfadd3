import type { IncomingMessage } from 'node:http';
import { SpillwayError } from '../runtime/errors.ts';

/** The body is larger than `receiver.max_request_bytes`. */
export class BodyTooLargeError extends SpillwayError {
  readonly code = 'BODY_TOO_LARGE';
}

/** There is no room for the body among those that are being read: the sender shall come again (INT-08). */
export class NoRoomError extends SpillwayError {
  readonly code = 'NO_ROOM';
  override readonly retryable = true;
}

/** The connection ended before the body did. There is nobody to answer. */
export class BodyAbortedError extends SpillwayError {
  readonly code = 'BODY_ABORTED';
}

/** How many bytes of bodies may be held at once. */
export class InFlightBytes {
  readonly #limit: number;
  #held = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get held(): number {
    return this.#held;
  }

  /** Takes `bytes`; throws `NoRoomError` when they are not to be had. */
  take(bytes: number): void {
    if (this.#held + bytes > this.#limit) {
      throw new NoRoomError('too many bytes of requests are under way; send it again', {
        limit: this.#limit,
      });
    }
    this.#held += bytes;
  }

  release(bytes: number): void {
    this.#held -= bytes;
  }
}

/**
 * Reads a request body of at most `limit` bytes. What it holds is counted in `inFlight`; the caller releases
 * `length` bytes when it is done with them. Throws `BodyTooLargeError`, `NoRoomError`, `BodyAbortedError`.
 */
export async function readBody(
  request: IncomingMessage,
  limit: number,
  inFlight: InFlightBytes,
): Promise<Uint8Array> {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > limit) {
    throw new BodyTooLargeError(`the body of ${declared} bytes is over the limit of ${limit}`, { limit });
  }
  let taken = declared;
  inFlight.take(taken);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let settled = false;
    const fail = (error: Error): void => {
      // What comes behind the failure, as the end of a body that is read over, changes nothing any more.
      if (settled) return;
      settled = true;
      inFlight.release(taken);
      chunks.length = 0;
      request.off('data', onData);
      request.resume();
      reject(error);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      try {
        if (size > limit) {
          throw new BodyTooLargeError(`the body is over the limit of ${limit} bytes`, { limit });
        }
        if (size > taken) {
          inFlight.take(size - taken);
          taken = size;
        }
        chunks.push(chunk);
      } catch (error) {
        fail(error as Error);
      }
    };
    const aborted = (): void => fail(new BodyAbortedError('the connection ended in the middle of the body'));
    request.on('data', onData);
    request.on('end', () => {
      if (settled) return;
      settled = true;
      inFlight.release(taken - size);
      resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size));
    });
    request.on('error', aborted);
    request.on('aborted', aborted);
  });
}
