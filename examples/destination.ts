/**
 * A destination: appends every request to a file, as lines of JSON, and says 204 once they are synced.
 *
 * What it answers decides what is settled: a 2xx if and only if the data is committed, since Spillway lets go of it
 * then. It throws nothing for what a disk or a peer does, and keeps nothing of `body`, whose buffer is used again.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { uncompress } from 'snappyjs';
import type { Destination, Outcome } from '../src/network/destination.ts';
import { decodeWriteRequestV1 } from '../src/protocol/schema.ts';
import { describeError } from '../src/runtime/errors.ts';

/** More decoded bytes are refused before memory is taken. */
const MOST_DECODED_BYTES = 32 * 1024 * 1024;

export class JsonLines implements Destination {
  readonly #path: string;
  #file: FileHandle | undefined;
  /** The end of what is synced. A request that came half is cut off there. */
  #end = 0;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(path: string) {
    this.#path = path;
  }

  post(body: Uint8Array, _attempt: number, signal: AbortSignal): Promise<Outcome> {
    if (signal.aborted || this.#closed) return Promise.resolve({ kind: 'aborted', maybeDelivered: false });
    let lines: string;
    try {
      lines = linesOf(body);
    } catch (error) {
      return Promise.resolve(answer(400, describeError(error))); // wrong for good: not to be sent again
    }
    // Loops call at once; one after the other here, so that lines do not mix.
    const written = this.#last.then(() => this.#write(lines));
    this.#last = written;
    return written;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #write(lines: string): Promise<Outcome> {
    try {
      if (this.#file === undefined) {
        this.#file = await open(this.#path, 'a+');
        this.#end = (await this.#file.stat()).size;
      }
      await this.#file.truncate(this.#end);
      await this.#file.appendFile(lines);
      await this.#file.sync();
      this.#end += Buffer.byteLength(lines);
      return answer(204, '');
    } catch (error) {
      return answer(503, describeError(error)); // may be right later: sent again, nothing is lost
    }
  }
}

function linesOf(body: Uint8Array): string {
  const { timeseries } = decodeWriteRequestV1(uncompress(body, MOST_DECODED_BYTES));
  return timeseries
    .flatMap(({ labels, samples }) => {
      const pairs = Object.fromEntries(labels.map(({ name, value }) => [name, value]));
      // JSON has no NaN, and no 64-bit numbers: the bits, as text.
      return samples.map(({ timestamp, valueBits }) =>
        JSON.stringify({ labels: pairs, at: `${timestamp}`, bits: valueBits.toString(16).padStart(16, '0') }),
      );
    })
    .map((line) => `${line}\n`)
    .join('');
}

function answer(status: number, words: string): Outcome {
  return { kind: 'response', status, retryAfter: undefined, words };
}
