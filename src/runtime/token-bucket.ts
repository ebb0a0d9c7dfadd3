/**
 * A token bucket whose price is known only after the fact: how many samples a request has is known when it was
 * taken. So a request passes while there is anything in the bucket, and what it turned out to bring is taken out,
 * below zero if need be: the average holds, and a request larger than the burst is late, not refused for ever.
 *
 * A value of a clock in, a decision out: no timer.
 */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #capacity: number;
  #tokens: number;
  #atMs: number;

  /** Starts full: `burst` tokens, and never more. `nowMs` is of a clock that never goes back. */
  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#capacity = burst;
    this.#tokens = burst;
    this.#atMs = nowMs;
  }

  /** How long until a request may pass, in ms; 0 when it may now. */
  waitMs(nowMs: number): number {
    this.#fill(nowMs);
    // One token is needed: at a rest of almost nothing the answer must not be a wait of almost nothing.
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1000);
  }

  /** Takes `tokens` out, which may leave less than nothing. */
  take(tokens: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#tokens -= tokens;
  }

  /** True when it is as full as a new one: then it may be forgotten. */
  isFull(nowMs: number): boolean {
    this.#fill(nowMs);
    return this.#tokens >= this.#capacity;
  }

  #fill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.#atMs);
    this.#atMs = Math.max(this.#atMs, nowMs);
    this.#tokens = Math.min(this.#capacity, this.#tokens + (elapsedMs * this.#perSecond) / 1000);
  }
}
