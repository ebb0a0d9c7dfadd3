import type { IncomingMessage } from 'node:http';
import { LimitError, type RequestLimitKey } from '../protocol/limits.ts';
import { SpillwayError } from '../runtime/errors.ts';

/** There is no room for the body among those that are being read: the sender shall come again (INT-08). */
export class NoRoomError extends SpillwayError {
  readonly code = 'NO_ROOM';
  override readonly retryable = true;
  /** The limit that is in the way. */
  readonly key: RequestLimitKey;

  constructor(key: RequestLimitKey) {
    super(`too many bytes of requests are under way (\`receiver.${key}\`)`, { key });
    this.key = key;
  }
}

/** The body stands still for longer than `receiver.body_idle_timeout`. */
export class BodyStalledError extends SpillwayError {
  readonly code = 'BODY_STALLED';
  override readonly retryable = true;
  readonly key = 'body_idle_timeout';
}

/** The connection ended before the body did. There is nobody to answer. */
export class BodyAbortedError extends SpillwayError {
  readonly code = 'BODY_ABORTED';
}

/** How many bytes of requests may be held at once: by one sender, and with `within` also by all of them. */
export class InFlightBytes {
  readonly #limit: number;
  readonly #key: RequestLimitKey;
  readonly #within: InFlightBytes | undefined;
  #held = 0;

  constructor(limit: number, key: RequestLimitKey = 'max_in_flight_bytes', within?: InFlightBytes) {
    this.#limit = limit;
    this.#key = key;
    this.#within = within;
  }

  get held(): number {
    return this.#held;
  }

  /** Throws `NoRoomError` when there is no room for `bytes` more. */
  check(bytes: number): void {
    if (this.#held + bytes > this.#limit) throw new NoRoomError(this.#key);
    this.#within?.check(bytes);
  }

  /** Takes `bytes`; throws `NoRoomError` when they are not to be had. */
  take(bytes: number): void {
    this.check(bytes);
    this.hold(bytes);
  }

  /** Takes `bytes` that are there already, over the limit if need be: then it is the next one that waits. */
  hold(bytes: number): void {
    this.#held += bytes;
    this.#within?.hold(bytes);
  }

  release(bytes: number): void {
    this.#held -= bytes;
    this.#within?.release(bytes);
  }
}

export interface BodyLimits {
  /** Of the body as it arrives, in bytes. */
  readonly maxBytes: number;
  /** How long it may stand still, in ms. */
  readonly idleMs: number;
}

/** A body as it came, in pieces. */
export interface Body {
  readonly chunks: readonly Uint8Array[];
  /** In bytes. */
  readonly length: number;
}

/** Larger bodies are rare, and put together in memory of their own. */
const MOST_KEPT = 1 << 20;

/**
 * Puts bodies together in memory that is kept: seventy kilobytes of garbage a request would be a garbage collection of
 * the whole heap every few hundred of them, since V8 counts them in.
 */
export class BodyBuffer {
  #bytes: Uint8Array = new Uint8Array(0);

  /** The body in one piece: a view that the next call overwrites. */
  gather({ chunks, length }: Body): Uint8Array {
    if (chunks.length === 1) return chunks[0]!;
    if (this.#bytes.length < length) {
      const room = new Uint8Array(Math.min(MOST_KEPT, length + (length >>> 2)));
      if (room.length < length) return Buffer.concat(chunks, length);
      this.#bytes = room;
    }
    let at = 0;
    for (const chunk of chunks) {
      this.#bytes.set(chunk, at);
      at += chunk.length;
    }
    return this.#bytes.subarray(0, length);
  }
}

/**
 * Reads a request body. What has arrived of it is counted in `inFlight`; the caller releases `length` bytes when it
 * is done with them. Rejects with `LimitError`, `NoRoomError`, `BodyStalledError`, `BodyAbortedError`.
 *
 * A length that is only declared is not counted: a sender that announces 32 MiB and then sends a byte a second
 * would keep everybody out who sends in earnest. It is refused, though, when there is no room for it now.
 */
export function readBody(
  request: IncomingMessage,
  { maxBytes, idleMs }: BodyLimits,
  inFlight: InFlightBytes,
): Promise<Body> {
  return new Promise((resolve, reject) => {
    const declared = Number(request.headers['content-length'] ?? 0);
    if (declared > maxBytes) throw tooLarge(declared, maxBytes);
    inFlight.check(declared);
    const chunks: Buffer[] = [];
    let size = 0;
    let settled = false;
    const settle = (): void => {
      settled = true;
      clearTimeout(timer);
    };
    const fail = (error: Error): void => {
      // What comes behind the failure, as the end of a body that is read over, changes nothing any more.
      if (settled) return;
      settle();
      inFlight.release(size);
      chunks.length = 0;
      request.off('data', onData);
      request.resume();
      reject(error);
    };
    const timer = setTimeout(() => {
      fail(new BodyStalledError('the body stands still (`receiver.body_idle_timeout`)', { idleMs }));
    }, idleMs);
    const onData = (chunk: Buffer): void => {
      timer.refresh();
      try {
        if (size + chunk.length > maxBytes) throw tooLarge(size + chunk.length, maxBytes);
        inFlight.take(chunk.length);
        size += chunk.length;
        chunks.push(chunk);
      } catch (error) {
        fail(error as Error);
      }
    };
    const aborted = (): void => fail(new BodyAbortedError('the connection ended in the middle of the body'));
    request.on('data', onData);
    request.on('end', () => {
      if (settled) return;
      settle();
      resolve({ chunks, length: size });
    });
    request.on('error', aborted);
    request.on('aborted', aborted);
  });
}

function tooLarge(bytes: number, limit: number): LimitError {
  return new LimitError(`has a body of ${bytes} bytes or more`, limit, 'max_request_bytes');
}
