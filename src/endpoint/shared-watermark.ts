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
 * it is busy.
 */
export class SharedWatermark {
  readonly buffer: SharedArrayBuffer;
  readonly #numbers: BigInt64Array;
  /** Whether the worker sleeps; the version. */
  readonly #flags: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(40)) {
    this.buffer = buffer;
    this.#numbers = new BigInt64Array(buffer, 0, 4);
    this.#flags = new Int32Array(buffer, 32, 2);
  }

  /** Main: publishes. Returns true when the worker sleeps and has to be woken by a message. */
  publish(watermark: Watermark, committedRows: number): boolean {
    Atomics.add(this.#flags, 1, 1);
    [watermark.segment, watermark.offset, watermark.rows, committedRows].forEach((number, i) => {
      Atomics.store(this.#numbers, i, BigInt(number));
    });
    Atomics.add(this.#flags, 1, 1);
    return Atomics.exchange(this.#flags, 0, 0) === 1;
  }

  /** Worker: how far the queue is durable. */
  read(): Published {
    for (;;) {
      const version = Atomics.load(this.#flags, 1);
      const [segment, offset, rows, committedRows] = [0, 1, 2, 3].map((i) =>
        Number(Atomics.load(this.#numbers, i)),
      ) as [number, number, number, number];
      if (version % 2 === 0 && Atomics.load(this.#flags, 1) === version) {
        return { segment, offset, rows, committedRows };
      }
    }
  }

  /** Worker: asks to be woken by the next `publish`. Call it before looking whether there is anything new. */
  sleep(): void {
    Atomics.store(this.#flags, 0, 1);
  }
}
