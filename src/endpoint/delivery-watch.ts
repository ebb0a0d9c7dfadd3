import type { LoopFailure } from '../network/loop-host.ts';
import { sameWords } from '../network/same-words.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';

/** How an endpoint answers, as its thread sees it. Bounded, whatever a receiver says; times are ms since the epoch. */
export interface DeliveryReport {
  /** Answers by status, or by the code of the network's error, since the thread started. */
  readonly replies: Readonly<Record<string, number>>;
  /** What was not taken and why, the last one first. */
  readonly errors: readonly ToldError[];
  /** What keeps at least one loop from delivering; undefined when nothing does. */
  readonly trouble: Trouble | undefined;
}

/** One thing that a receiver, or the network, has said; told again it is counted. */
export interface ToldError {
  readonly action: LoopFailure['action'];
  /** The status, or the code of the network's error. */
  readonly answer: string;
  /** In the receiver's own words, cut to `WORDS_LENGTH` characters. */
  readonly words: string;
  readonly times: number;
  /** Rows that were given up. */
  readonly rows: number;
  readonly reason?: EndpointReason;
  readonly tenant?: string;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** A request that fails and is tried again. */
export interface Trouble {
  readonly action: 'retry' | 'hold';
  /** As in decisions.ts. */
  readonly cause: string;
  /** The status, or the code of the network's error. */
  readonly answer: string;
  readonly words: string;
  /** Since when some loop has been failing without a break. */
  readonly sinceMs: number;
  /** When the first of them tries again. */
  readonly nextTryMs: number;
  /** The endpoint has asked for that wait. */
  readonly asked: boolean;
}

/** Different statuses and codes that are counted by themselves. */
const MOST_REPLIES = 24;
const MOST_ERRORS = 8;
const WORDS_LENGTH = 300;

/** A loop as this needs it. */
interface WatchedLoop {
  readonly index: number;
  readonly failing: boolean;
}

type Stuck = Extract<LoopFailure, { action: 'retry' | 'hold' }> & { readonly nextTryMs: number };

/** Gathers what main, and so the status page, is told of the answers of an endpoint. */
export class DeliveryWatch {
  readonly #now: () => number;
  readonly #replies = new Map<string, number>();
  /** The last one is at the end. */
  readonly #errors = new Map<string, ToldError>();
  readonly #stuck = new Map<number, Stuck>();
  #sinceMs: number | undefined;
  #changed = true;

  constructor(now: () => number) {
    this.#now = now;
  }

  answered(answer: string): void {
    const key = this.#replies.has(answer) || this.#replies.size < MOST_REPLIES ? answer : 'other';
    this.#replies.set(key, (this.#replies.get(key) ?? 0) + 1);
    this.#changed = true;
  }

  failed(loop: number, failure: LoopFailure): void {
    const now = this.#now();
    this.#changed = true;
    this.#note(failure, now);
    // What is put aside for one tenant leaves its loop to the others.
    if (failure.action === 'reject' || failure.tenant !== undefined) return;
    this.#sinceMs ??= now;
    this.#stuck.set(loop, { ...failure, nextTryMs: now + failure.waitMs });
  }

  /** What has changed since it was last taken; undefined when nothing has. `loops` are those that there are now. */
  take(loops: readonly WatchedLoop[]): DeliveryReport | undefined {
    for (const index of this.#stuck.keys()) {
      if (loops.find((loop) => loop.index === index)?.failing === true) continue;
      this.#stuck.delete(index);
      this.#changed = true;
    }
    if (this.#stuck.size === 0) this.#sinceMs = undefined;
    if (!this.#changed) return undefined;
    this.#changed = false;
    return {
      replies: Object.fromEntries(this.#replies),
      errors: [...this.#errors.values()].reverse(),
      trouble: this.#trouble(),
    };
  }

  #note(failure: LoopFailure, now: number): void {
    const { action, words } = failure;
    const answer = answerTo(failure);
    const reason = action === 'reject' ? failure.reason : undefined;
    const tenant = action === 'reject' ? undefined : failure.tenant;
    const said = words.slice(0, WORDS_LENGTH);
    const key = JSON.stringify([action, answer, reason, tenant, sameWords(words)]);
    const before = this.#errors.get(key);
    this.#errors.delete(key);
    this.#errors.set(key, {
      action,
      answer,
      words: said,
      times: (before?.times ?? 0) + 1,
      rows: (before?.rows ?? 0) + (action === 'reject' ? failure.rows : 0),
      ...(reason === undefined ? {} : { reason }),
      ...(tenant === undefined ? {} : { tenant }),
      firstMs: before?.firstMs ?? now,
      lastMs: now,
    });
    if (this.#errors.size > MOST_ERRORS) this.#errors.delete(this.#errors.keys().next().value!);
  }

  #trouble(): Trouble | undefined {
    let first: Stuck | undefined;
    for (const stuck of this.#stuck.values()) {
      // A door that is shut needs somebody, so it is told rather than a failure that may pass by itself.
      const better =
        first === undefined ||
        (stuck.action === first.action ? stuck.nextTryMs < first.nextTryMs : stuck.action === 'hold');
      if (better) first = stuck;
    }
    if (first === undefined) return undefined;
    const { action, cause, words, nextTryMs, asked } = first;
    return {
      action,
      cause,
      answer: answerTo(first),
      words: words.slice(0, WORDS_LENGTH),
      sinceMs: this.#sinceMs!,
      nextTryMs,
      asked,
    };
  }
}

function answerTo(failure: LoopFailure): string {
  return failure.action === 'reject' ? failure.cause : failure.answer;
}
