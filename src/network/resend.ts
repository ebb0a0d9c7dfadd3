import { compress } from 'snappyjs';
import { EXEMPLAR, METADATA } from '../serialization/rows.ts';
import type { DeadLetter } from './dead-letter.ts';
import { type Decision, type DecisionSettings, decide } from './decisions.ts';
import type { Destination, Outcome } from './destination.ts';
import { lettersMessage } from './letters-message.ts';
import { lettersMessageV2 } from './letters-message-v2.ts';
import { Negotiation, type Try, type VersionSetting } from './version.ts';
import { versionWord } from './written.ts';

/** What one receiver said to one letter. */
export interface Refusal {
  /** The status, for example `400`. */
  readonly cause: string;
  /** The receiver's own words, at most 1024 bytes. */
  readonly words: string;
}

/** What a `Resender` needs of its surroundings; `Letter` is whatever they know a letter by. */
export interface ResendHost<Letter extends DeadLetter> {
  readonly destination: Destination;
  readonly settings: DecisionSettings;
  /** The version of remote write that is sent; 1.0 if not given. Metadata and exemplars by themselves go as 1.0. */
  readonly version?: VersionSetting;
  readonly maxSamplesPerSend: number;
  readonly maxMetadataPerSend: number;
  /** Letters refused one by one, with nothing taken between them, after which it is not worth going on. */
  readonly mostRefusals: number;
  /** Somebody wants it to end: what is on its way is given up, and may have been taken. */
  readonly signal?: AbortSignal;
  now(): number;
  /** The endpoint has these letters: to be noted before more are sent. */
  taken(letters: readonly Letter[]): Promise<void>;
  /** The endpoint does not want this letter, again. */
  refused(letter: Letter, refusal: Refusal): Promise<void>;
}

/** Letters that wait for others of their tenant, at most. */
const MOST_QUEUED = 50_000;

/** In which order the rest is sent: over 2.0 an exemplar goes behind the row of its series. */
const order = ['metadata', 'rows', 'exemplars'];

function rankOf(key: string): number {
  return order.indexOf(key.slice(0, key.indexOf(' ')));
}

/** Why sending again came to an end before all was sent. `cause` is short and stable, as in decisions.ts. */
export interface ResendStop extends Refusal {
  readonly action: 'retry' | 'hold' | 'refused' | 'asked';
}

/**
 * Sends dead letters again, in the order in which they are given, in full requests; metadata in its own (INT-10), and
 * so is what is of each tenant.
 *
 * A request that is refused is cut in two, and so on down to the letters that are at fault: at most two requests a
 * letter. An answer that says nothing about the letters (an endpoint that is down, busy, or does not let us in) ends
 * it: somebody is waiting for the outcome, and can come again. Letters that were on their way then may have been
 * taken; they are kept, so the worst that can happen is that a receiver is sent them twice.
 */
export class Resender<Letter extends DeadLetter> {
  readonly #host: ResendHost<Letter>;
  /** By kind and tenant: a request has neither of two. In the order of their first letters. */
  readonly #queues: Map<string, Letter[]> = new Map();
  #queued = 0;
  readonly #negotiation: Negotiation;
  #refusals = 0;
  /** Set once: nothing is sent any more. */
  stopped: ResendStop | undefined;

  constructor(host: ResendHost<Letter>) {
    this.#host = host;
    this.#negotiation = new Negotiation(host.version ?? '1.0');
  }

  /** Queues a letter, and sends when there is enough for a request. */
  async add(letter: Letter): Promise<void> {
    const metadata = letter.kind === METADATA;
    // Over 2.0 an exemplar does not go without a row of its series.
    const apart = letter.kind === EXEMPLAR && this.#negotiation.setting !== '1.0';
    const key = `${metadata ? 'metadata' : apart ? 'exemplars' : 'rows'} ${letter.tenant}`;
    const queue = this.#queues.get(key) ?? [];
    this.#queues.set(key, queue);
    queue.push(letter);
    this.#queued++;
    const { maxSamplesPerSend, maxMetadataPerSend } = this.#host;
    if (queue.length >= (metadata ? maxMetadataPerSend : maxSamplesPerSend)) {
      this.#queues.delete(key);
      this.#queued -= queue.length;
      await this.#send(queue);
    } else if (this.#queued >= MOST_QUEUED) await this.finish();
  }

  /** Sends what is queued. */
  async finish(): Promise<void> {
    const keys = [...this.#queues.keys()].sort((a, b) => rankOf(a) - rankOf(b));
    const queues = keys.map((key) => this.#queues.get(key)!);
    this.#queues.clear();
    this.#queued = 0;
    for (const queue of queues) await this.#send(queue);
  }

  async #send(letters: readonly Letter[]): Promise<void> {
    if (letters.length === 0 || this.stopped !== undefined) return;
    const answered = await this.#post(letters);
    if (answered === undefined) {
      this.stopped = { action: 'asked', cause: '', words: '' };
      return;
    }
    const { outcome, decision } = answered;
    const { words } = outcome;
    switch (decision.action) {
      case 'settle':
        // Some were written, and it is not known which: as a refusal, since over 2.0 what comes twice does no harm.
        if (decision.missing !== undefined) break;
        this.#refusals = 0;
        await this.#host.taken(letters);
        return;
      case 'retry':
      case 'hold':
        this.stopped = { action: decision.action, cause: decision.cause, words };
        return;
      case 'reject':
        break;
      default:
        decision satisfies never;
    }
    if (letters.length > 1) {
      const half = Math.ceil(letters.length / 2);
      await this.#send(letters.slice(0, half));
      await this.#send(letters.slice(half));
      return;
    }
    const cause = outcome.kind === 'response' ? String(outcome.status) : outcome.code;
    await this.#host.refused(letters[0]!, { cause, words });
    if (++this.#refusals >= this.#host.mostRefusals) this.stopped = { action: 'refused', cause, words };
  }

  /** Sends a request of these letters, in the version that the endpoint turns out to take. Undefined: aborted. */
  async #post(letters: readonly Letter[]): Promise<{ outcome: Answered; decision: Decision } | undefined> {
    const { destination, settings, now, signal = new AbortController().signal } = this.#host;
    if (signal.aborted) return undefined;
    const { kind, tenant } = letters[0]!;
    const asV1 = kind === METADATA || kind === EXEMPLAR;
    let how: Try = asV1 ? { version: '1.0', why: 'standing' } : this.#negotiation.begin(now());
    for (;;) {
      const { version } = how;
      const body = compress(version === '2.0' ? lettersMessageV2(letters) : lettersMessage(letters));
      const outcome = await destination.post(body, 0, signal, { version, tenant });
      if (outcome.kind === 'aborted') return undefined;
      const kinds = [0, 0, 0, 0];
      for (const letter of letters) kinds[letter.kind]!++;
      const decision = decide(outcome, { attempt: 0, resent: false, version, kinds }, settings, 0, now());
      if (outcome.kind !== 'response' || asV1) return { outcome, decision };
      const next = this.#negotiation.hear(how, versionWord(version, outcome.status, outcome.written), now());
      if (!next.atOnce) return { outcome, decision };
      how = next.try;
    }
  }
}

type Answered = Exclude<Outcome, { kind: 'aborted' }>;
