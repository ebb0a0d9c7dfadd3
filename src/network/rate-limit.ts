import { TokenBucket } from '../runtime/token-bucket.ts';

export interface RateLimitSettings {
  /** Samples a second; undefined for no limit. */
  readonly samples: number | undefined;
  /** Bytes a second, of request bodies as they are sent; undefined for no limit. */
  readonly bytes: number | undefined;
}

/** What all loops of an endpoint may send together: averages of a second. A clock in, a decision out: no timer. */
export class RateLimit {
  readonly #samples: TokenBucket | undefined;
  readonly #bytes: TokenBucket | undefined;
  readonly #nowMs: () => number;

  /** `nowMs` is of a clock that never goes back. */
  constructor({ samples, bytes }: RateLimitSettings, nowMs: () => number) {
    const bucket = (perSecond: number | undefined): TokenBucket | undefined =>
      perSecond === undefined ? undefined : new TokenBucket(perSecond, perSecond, nowMs());
    this.#samples = bucket(samples);
    this.#bytes = bucket(bytes);
    this.#nowMs = nowMs;
  }

  /** How long until the next request may leave, in ms; 0 when it may now. */
  waitMs(): number {
    const now = this.#nowMs();
    return Math.max(this.#samples?.waitMs(now) ?? 0, this.#bytes?.waitMs(now) ?? 0);
  }

  /** A request leaves. It may have more than is left: those behind it wait the longer. */
  take(samples: number, bytes: number): void {
    const now = this.#nowMs();
    this.#samples?.take(samples, now);
    this.#bytes?.take(bytes, now);
  }
}
