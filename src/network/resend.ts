import { compress } from 'snappyjs';
import { METADATA } from '../serialization/rows.ts';
import type { DeadLetter } from './dead-letter.ts';
import { type DecisionSettings, decide } from './decisions.ts';
import type { Destination } from './destination.ts';
import { lettersMessage } from './letters-message.ts';

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
  readonly maxSamplesPerSend: number;
  readonly maxMetadataPerSend: number;
  /** Letters refused one by one, with nothing taken between them, after which it is not worth going on. */
  readonly mostRefusals: number;
  now(): number;
  /** The endpoint has these letters: to be noted before more are sent. */
  taken(letters: readonly Letter[]): Promise<void>;
  /** The endpoint does not want this letter, again. */
  refused(letter: Letter, refusal: Refusal): Promise<void>;
}

/** Letters that wait for others of their tenant, at most. */
const MOST_QUEUED = 50_000;

function isRows(key: string): boolean {
  return key.startsWith('rows ');
}

/** Why sending again came to an end before all was sent. `cause` is short and stable, as in decisions.ts. */
export interface ResendStop extends Refusal {
  readonly action: 'retry' | 'hold' | 'refused';
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
  #refusals = 0;
  /** Set once: nothing is sent any more. */
  stopped: ResendStop | undefined;

  constructor(host: ResendHost<Letter>) {
    this.#host = host;
  }

  /** Queues a letter, and sends when there is enough for a request. */
  async add(letter: Letter): Promise<void> {
    const metadata = letter.kind === METADATA;
    const key = `${metadata ? 'metadata' : 'rows'} ${letter.tenant}`;
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
    const keys = [...this.#queues.keys()].sort((a, b) => Number(isRows(a)) - Number(isRows(b)));
    const queues = keys.map((key) => this.#queues.get(key)!);
    this.#queues.clear();
    this.#queued = 0;
    for (const queue of queues) await this.#send(queue);
  }

  async #send(letters: readonly Letter[]): Promise<void> {
    if (letters.length === 0 || this.stopped !== undefined) return;
    const { destination, settings, now } = this.#host;
    const body = compress(lettersMessage(letters));
    const outcome = await destination.post(body, 0, new AbortController().signal, letters[0]!.tenant);
    if (outcome.kind === 'aborted') throw new Error('nobody has aborted the request');
    const decision = decide(outcome, { attempt: 0, resent: false }, settings, 0, now());
    const { words } = outcome;
    switch (decision.action) {
      case 'settle':
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
}
