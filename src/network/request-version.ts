import type { EmitterV2 } from '../protocol/emitter-v2.ts';
import type { Outcome } from './destination.ts';
import type { Negotiation, Try, VersionWord, WireVersion } from './version.ts';
import { versionWord } from './written.ts';

/** What the loops of an endpoint need to speak remote write 2.0; they share it. */
export interface SpeaksV2 {
  readonly negotiation: Negotiation;
  readonly emitter: EmitterV2;
}

/** The version of the request that a loop has under way. Without `v2` it is always 1.0. */
export class RequestVersion {
  readonly #v2: SpeaksV2 | undefined;
  #try: Try | undefined;

  constructor(v2: SpeaksV2 | undefined) {
    this.#v2 = v2;
  }

  get current(): WireVersion {
    return this.#try?.version ?? '1.0';
  }

  /** The version that requests have as a rule. */
  get standing(): WireVersion {
    return this.#v2?.negotiation.version ?? '1.0';
  }

  /** Chooses for the next attempt; true when it is another one than before. Metadata is a matter of 1.0 (INT-10). */
  choose(metadata: boolean, attempts: number, nowMs: number): boolean {
    const before = this.current;
    const negotiation = this.#v2?.negotiation;
    if (negotiation === undefined || metadata) this.end();
    else if (this.#try === undefined) this.#try = negotiation.begin(nowMs);
    else this.#try = negotiation.again(this.#try, attempts, nowMs);
    return this.current !== before;
  }

  /** Takes note of an answer. What it returns, if anything, is why the same rows go at once in another version. */
  hear(outcome: Outcome, nowMs: number): VersionWord | undefined {
    if (this.#v2 === undefined || this.#try === undefined || outcome.kind !== 'response') return undefined;
    const word = versionWord(this.#try.version, outcome.status, outcome.written);
    const next = this.#v2.negotiation.hear(this.#try, word, nowMs);
    this.#try = next.try;
    return next.atOnce ? word : undefined;
  }

  /** The request is left for later, after so many attempts in all; its next one chooses anew. */
  setAside(attempts: number, nowMs: number): void {
    if (this.#try !== undefined) this.#v2?.negotiation.setAside(this.#try, attempts, nowMs);
    this.#try = undefined;
  }

  /** The request is over. */
  end(): void {
    if (this.#try !== undefined) this.#v2?.negotiation.end(this.#try);
    this.#try = undefined;
  }
}
