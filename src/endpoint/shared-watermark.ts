import type { Watermark } from '../filequeue/segment-log.ts';

const OFFSET_BITS = 34n;
const OFFSET_MASK = (1n << OFFSET_BITS) - 1n;

/**
 * How far the queue is durable, in memory that the main thread writes and the endpoints read.
 *
 * Segment and offset are one atomic word, so a reader never sees one without the other. A message is sent only to
 * a worker that has said that it sleeps: never more than one is under way, and none while it is busy.
 */
export class SharedWatermark {
  readonly buffer: SharedArrayBuffer;
  readonly #words: BigInt64Array;
  readonly #flags: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(32)) {
    this.buffer = buffer;
    this.#words = new BigInt64Array(buffer, 0, 3);
    this.#flags = new Int32Array(buffer, 24, 1);
  }

  /** Main: publishes. Returns true when the worker sleeps and has to be woken by a message. */
  publish(watermark: Watermark, committedRows: number): boolean {
    Atomics.store(this.#words, 1, BigInt(committedRows));
    Atomics.store(this.#words, 0, (BigInt(watermark.segment) << OFFSET_BITS) | BigInt(watermark.offset));
    return Atomics.exchange(this.#flags, 0, 0) === 1;
  }

  /** Worker: how far the queue is durable. */
  read(): { segment: number; offset: number } {
    const word = Atomics.load(this.#words, 0);
    return { segment: Number(word >> OFFSET_BITS), offset: Number(word & OFFSET_MASK) };
  }

  /** Rows that were committed since the agent started. */
  get committedRows(): number {
    return Number(Atomics.load(this.#words, 1));
  }

  /** Worker: asks to be woken by the next `publish`. Call it before looking whether there is anything new. */
  sleep(): void {
    Atomics.store(this.#flags, 0, 1);
  }
}
