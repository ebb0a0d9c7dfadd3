/**
 * Which version of remote write a request is sent in: section 6 of the requirements as a pure state machine, without
 * clock and I/O. One for an endpoint, shared by its loops.
 *
 *     trying  --2.0 understood-->                      proved
 *     trying  --400, and the same rows taken as 1.0--> fallen
 *     any     --415, or a 2xx that counts nothing-->   fallen
 *     fallen  --an hour later, one request as 2.0-->   proved | fallen
 *
 * Only `auto` moves. A receiver understands 2.0 when it answers a 2.0 request with a `-Written` header; any other
 * header proves nothing (RW2-S-13). No answer, a 5xx and the like say nothing of the version either.
 */

export type WireVersion = '1.0' | '2.0';

/** `auto`: 2.0, and 1.0 when the receiver cannot. */
export type VersionSetting = WireVersion | 'auto';

/**
 * What an answer says of the version that it answers.
 *
 * - `understood`: a 2.0 request was read as such: a 2xx or 4xx with a `-Written` header.
 * - `unwritten`: the same, a 2xx that says that nothing was written.
 * - `unsupported`: 415, or a 2xx to a 2.0 request without any such header: it was read as an empty 1.0 one (RW2-S-12).
 * - `bad`: 400 without such a header. Receivers of 1.x may say so of a 2.0 body (RW2-S-15).
 * - `taken`: a 2xx to a 1.0 request.
 * - `silent`: anything else.
 */
export type VersionWord = 'understood' | 'unwritten' | 'unsupported' | 'bad' | 'taken' | 'silent';

/**
 * In which version a request is sent, and why: as all are (`standing`), to learn whether the receiver takes 2.0 by now
 * (`up`), since it answered 400 to the same rows as 2.0 (`down`), or since it did so to both (`refused`): then it is
 * the rows, and what becomes of them says nothing of the version.
 */
export interface Try {
  readonly version: WireVersion;
  readonly why: 'standing' | 'up' | 'down' | 'refused';
}

/** How the same rows are sent from here on; `atOnce` in place of what the answer says of the rows. */
export interface Next {
  readonly try: Try;
  readonly atOnce: boolean;
}

/** After a fallback 1.0 is kept for so long. */
export const STAY_MS: number = 60 * 60_000;

/** A probe that has had no word for so many attempts is taken back: 1.0 is known to work. */
const MOST_PROBE_ATTEMPTS = 3;

const one: Try = { version: '1.0', why: 'standing' };
const two: Try = { version: '2.0', why: 'standing' };
const up: Try = { version: '2.0', why: 'up' };
const down: Try = { version: '1.0', why: 'down' };
const refused: Try = { version: '1.0', why: 'refused' };

export class Negotiation {
  readonly setting: VersionSetting;
  #state: 'trying' | 'proved' | 'fallen';
  /** When the last word was that the receiver does not take 2.0. */
  #sinceMs: number;
  /** A request of some loop is out to learn more. */
  #probing = false;
  readonly #onChange: (fellBackMs: number | undefined) => void;

  /**
   * @param fellBackMs when an earlier process fell back to 1.0, ms since the epoch: a hint
   * @param onChange told when the version of `auto` changes: when it fell back, or undefined for 2.0
   */
  constructor(
    setting: VersionSetting,
    fellBackMs?: number,
    onChange: (fellBackMs: number | undefined) => void = () => undefined,
  ) {
    this.setting = setting;
    this.#onChange = onChange;
    this.#state = fellBackMs === undefined ? 'trying' : 'fallen';
    this.#sinceMs = fellBackMs ?? 0;
  }

  /** The version that requests have as a rule. */
  get version(): WireVersion {
    if (this.setting !== 'auto') return this.setting;
    return this.#state === 'fallen' ? '1.0' : '2.0';
  }

  /** How the next request is to be sent. Each request is asked for once; while it is tried, `again` has the word. */
  begin(nowMs: number): Try {
    if (this.version === '2.0') return two;
    if (this.setting !== 'auto' || this.#probing || !this.#isDue(nowMs)) return one;
    this.#probing = true;
    return up;
  }

  /** How the same rows are to be sent at the next attempt. */
  again(before: Try, attempts: number, nowMs: number): Try {
    if (this.setting !== 'auto') return before;
    if (before.why === 'standing') return this.begin(nowMs);
    if (before.why !== 'up' || attempts < MOST_PROBE_ATTEMPTS) return before;
    this.#fall(nowMs);
    return one;
  }

  /** Takes note of an answer. */
  hear(sent: Try, word: VersionWord, nowMs: number): Next {
    const stay: Next = { try: sent, atOnce: false };
    if (this.setting !== 'auto') return stay;
    switch (word) {
      case 'silent':
        return stay;
      case 'understood':
        // What was on its way when another loop fell back does not take it back: an hour is an hour.
        if (this.#state !== 'fallen' || sent.why === 'up') this.#prove();
        return { try: two, atOnce: false };
      case 'unwritten':
        return sent.why === 'up' ? this.#fall(nowMs) : stay;
      case 'unsupported':
        if (sent.version === '2.0') return this.#fall(nowMs);
        // It refused the same rows as 2.0 with a 400: so it was the rows.
        if (sent.why !== 'down') return stay;
        this.#prove();
        return { try: two, atOnce: true };
      case 'bad':
        if (sent.why === 'down') return { try: refused, atOnce: false };
        if (sent.version === '1.0' || (sent.why === 'standing' && this.#state === 'proved')) return stay;
        if (sent.why === 'standing' && this.#state === 'trying') return { try: down, atOnce: true };
        return this.#fall(nowMs);
      case 'taken':
        if (sent.why === 'down') this.#fall(nowMs);
        return stay;
      default:
        return word satisfies never;
    }
  }

  /**
   * The request that was sent so is left for later, after so many attempts in all. A probe that is refused (a gateway
   * that answers 403 to what it does not know) must not come back each time: it would never be taken back.
   */
  setAside(last: Try, attempts: number, nowMs: number): void {
    if (last.why === 'up' && attempts >= MOST_PROBE_ATTEMPTS) this.#fall(nowMs);
    this.end(last);
  }

  /** The request that was sent so is over, with or without an answer. */
  end(last: Try): void {
    if (last.why === 'up') this.#probing = false;
  }

  #isDue(nowMs: number): boolean {
    // A clock that was set back must not make it stay for longer.
    return nowMs < this.#sinceMs || nowMs - this.#sinceMs >= STAY_MS;
  }

  #prove(): void {
    this.#probing = false;
    if (this.#state === 'proved') return;
    const before = this.#state;
    this.#state = 'proved';
    if (before === 'fallen') this.#onChange(undefined);
  }

  #fall(nowMs: number): Next {
    this.#probing = false;
    this.#state = 'fallen';
    this.#sinceMs = nowMs;
    this.#onChange(nowMs);
    return { try: one, atOnce: true };
  }
}
