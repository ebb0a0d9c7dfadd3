import { uncompress } from 'snappyjs';
import { decodeWriteRequestV1, type WriteRequestV1 } from '../protocol/schema.ts';
import { describeError } from '../runtime/errors.ts';
import type { Destination, Outcome } from './destination.ts';
import { type RecentLimits, RecentStore } from './recent-store.ts';

export interface RecentOptions extends RecentLimits {
  /** The SQLite file; it and its directory are made when the first request comes. */
  readonly file: string;
  /** The present, in ms since the epoch. */
  readonly now: () => number;
}

/** A body that declares more decoded bytes is refused before they are allocated (WIRE-02, INT-05). */
const maxDecodedBytes = 32 * 1024 * 1024;

/**
 * The built-in destination of the quick start: keeps what came of late in a small SQLite file, where
 * `spillway recent` finds it (status/recent-lookup.ts). Meant to be looked at, not to be a storage: the plain
 * decoder, samples one by one, on the thread that calls.
 *
 * It answers as a remote-write receiver would: 204 once the samples are on disk, 400 to a body that is not a
 * remote-write 1.0 request, 503 while the file cannot be written; then it tries anew at the next call.
 */
export class RecentDestination implements Destination {
  readonly #options: RecentOptions;
  #store: RecentStore | undefined;
  #closed = false;

  constructor(options: RecentOptions) {
    this.#options = options;
  }

  async post(body: Uint8Array, _attempt: number, signal: AbortSignal): Promise<Outcome> {
    if (signal.aborted || this.#closed) return { kind: 'aborted', maybeDelivered: false };
    const { file, now } = this.#options;
    let request: WriteRequestV1;
    try {
      request = decodeWriteRequestV1(uncompress(body, maxDecodedBytes));
    } catch (error) {
      return answer(400, `not a remote-write 1.0 request: ${describeError(error)}`);
    }
    try {
      this.#store ??= new RecentStore(file, this.#options);
      this.#store.write(request, Math.floor(now()));
    } catch (error) {
      return answer(503, `cannot write ${file}: ${describeError(error)}`);
    }
    return answer(204, '');
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#store?.close();
    this.#store = undefined;
  }
}

function answer(status: number, words: string): Outcome {
  return { kind: 'response', status, retryAfter: undefined, words: words.slice(0, 1024) };
}
