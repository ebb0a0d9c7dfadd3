import { randomInt } from 'node:crypto';
import type { TestContext } from 'node:test';

/** Pseudo-random choices of a test (mulberry32): the same seed makes the same ones. */
export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed: number) {
    this.seed = seed;
    this.#state = seed;
  }

  /** Takes the seed from SEED, or a new one, and prints the command that replays it. */
  static of(t: TestContext): Random {
    const seed = process.env.SEED === undefined ? randomInt(2 ** 32) : Number(process.env.SEED);
    t.diagnostic(`replay with SEED=${seed}`);
    return new Random(seed);
  }

  /** Choices for part `n` of a test, which depend on the seed and `n` alone: a part can be replayed by itself. */
  part(n: number): Random {
    return new Random((this.seed ^ Math.imul(n + 1, 0x9e3779b1)) >>> 0);
  }

  /** At least 0, below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let x = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from `low` up to, not including, `high`. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low));
  }
}
