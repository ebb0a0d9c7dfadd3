import type { Watermark } from '../filequeue/segment-log.ts';

/** How far the queue is durable, and how many rows that makes since the agent started: of one moment. */
export interface Published extends Watermark {
  readonly committedRows: number;
}

/**
 * How far the queue is durable, in memory that the main thread writes and the endpoints read.
 *
 * The version is odd while main writes: a reader that sees it change reads again, so all numbers are of one moment. A
 * message is sent only to a worker that has said that it sleeps: never more than one is under way, and none while
 * it looks by itself.
 */
export class SharedWatermark {
  readonly buffer: SharedArrayBuffer;
  /** Two words a number, low half first. */
  readonly #numbers: Int32Array;
  /** Whether the worker sleeps; the version. */
  readonly #flags: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(40)) {
    this.buffer = buffer;
    this.#numbers = new Int32Array(buffer, 0, 8);
    this.#flags = new Int32Array(buffer, 32, 2);
  }

  /** Main: publishes. Returns true when the worker sleeps and has to be woken by a message. */
  publish(watermark: Watermark, committedRows: number): boolean {
    Atomics.add(this.#flags, 1, 1);
    this.#put(0, watermark.segment);
    this.#put(1, watermark.offset);
    this.#put(2, watermark.rows);
    this.#put(3, committedRows);
    Atomics.add(this.#flags, 1, 1);
    return Atomics.exchange(this.#flags, 0, 0) === 1;
  }

  /** Worker: how far the queue is durable. */
  read(): Published {
    for (;;) {
      const version = Atomics.load(this.#flags, 1);
      const published = {
        segment: this.#get(0),
        offset: this.#get(1),
        rows: this.#get(2),
        committedRows: this.#get(3),
      };
      if (version % 2 === 0 && Atomics.load(this.#flags, 1) === version) return published;
    }
  }

  /** Worker: asks to be woken by the next `publish`. Call it before looking whether there is anything new. */
  sleep(): void {
    Atomics.store(this.#flags, 0, 1);
  }

  /** Worker: it will look by itself, and need not be woken. */
  stayAwake(): void {
    Atomics.store(this.#flags, 0, 0);
  }

  #put(i: number, value: number): void {
    Atomics.store(this.#numbers, 2 * i, value | 0);
    Atomics.store(this.#numbers, 2 * i + 1, Math.floor(value / 2 ** 32));
  }

  #get(i: number): number {
    return Atomics.load(this.#numbers, 2 * i + 1) * 2 ** 32 + (Atomics.load(this.#numbers, 2 * i) >>> 0);
  }
}
