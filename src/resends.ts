import { setImmediate } from 'node:timers/promises';
import type { EndpointConfig } from './config/endpoints.ts';
import { type Resent, resendStopText, sendLettersAgain } from './endpoint/resend-letters.ts';
import type { DeadLetterStore, LetterCursor, StoredLetter } from './ledger/dead-letters.ts';
import { describeError } from './runtime/errors.ts';
import { type LetterResends, ResendError, type ResendQuery } from './status/dead-letter-routes.ts';
import type { ResendStatus } from './status/document.ts';
import { letterPage, MOST_LETTERS } from './status/letter-query.ts';
import { countText, lettersText } from './status/words.ts';
import type { Logger } from './telemetry/log.ts';

export interface ResendsOptions {
  /** Undefined while the ledger is not open. */
  readonly store: () => DeadLetterStore | undefined;
  /** As it is configured now. */
  readonly endpoint: (name: string) => EndpointConfig | undefined;
  readonly userAgent: string;
  readonly logger: Logger;
  readonly now: () => number;
}

interface Job {
  readonly abort: AbortController;
  readonly startedMs: number;
  readonly total: number;
  soFar: Omit<Resent, 'stopped'>;
  done: { readonly atMs: number; readonly why: string | undefined } | undefined;
  ended: Promise<void>;
}

const nothing = { resent: 0, refused: 0, left: 0, unknown: 0 };

/**
 * Sends dead letters again from within the agent, for whoever asks at the page. One endpoint after another is at work
 * on its own, one job each. A job goes by the configuration that it began with; it and what the endpoint's thread
 * delivers meanwhile know nothing of each other, as with `spillway dead-letters resend`.
 */
export class Resends implements LetterResends {
  readonly #options: ResendsOptions;
  readonly #jobs = new Map<string, Job>();
  #closed = false;

  constructor(options: ResendsOptions) {
    this.#options = options;
  }

  /** Begins, and returns at once. Throws `ResendError`. */
  start(query: ResendQuery, user: string | undefined): ResendStatus {
    const { store, endpoint, now, logger } = this.#options;
    const { endpoint: name } = query;
    const letters = store();
    const config = endpoint(name);
    if (letters === undefined || this.#closed) {
      throw new ResendError('the ledger is not open: the agent is starting or stopping');
    }
    if (config === undefined) {
      throw new ResendError('no endpoint of this name is configured', { endpoint: name });
    }
    if (this.report(name)?.running === true) {
      throw new ResendError('its dead letters are being sent again already', { endpoint: name });
    }
    const startedMs = now();
    const job: Job = {
      abort: new AbortController(),
      startedMs,
      total: countOf(letters, query),
      soFar: nothing,
      done: undefined,
      ended: Promise.resolve(),
    };
    const facts = { endpoint: name, letters: job.total, ...(user === undefined ? {} : { user }) };
    logger.log('info', 'dead letters are sent again, as asked', facts);
    this.#jobs.set(name, job);
    job.ended = this.#run(job, letters, query, config);
    return statusOf(job);
  }

  /** Ends what is under way; false when nothing is. */
  stop(name: string): boolean {
    const job = this.#jobs.get(name);
    if (job === undefined || job.done !== undefined) return false;
    job.abort.abort();
    return true;
  }

  /** Of the last job of this endpoint; undefined when there was none since the start. */
  report(name: string): ResendStatus | undefined {
    const job = this.#jobs.get(name);
    return job && statusOf(job);
  }

  /** Ends all that is under way, before the ledger closes. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const name of this.#jobs.keys()) this.stop(name);
    await Promise.all([...this.#jobs.values()].map(({ ended }) => ended));
  }

  async #run(job: Job, store: DeadLetterStore, query: ResendQuery, endpoint: EndpointConfig): Promise<void> {
    const { userAgent, now, logger } = this.#options;
    const { signal } = job.abort;
    let why: string | undefined;
    try {
      const { stopped, ...counts } = await sendLettersAgain(
        {
          // What comes while it runs is left alone, or it might go on without an end.
          letters: lettersOf(store, { ...query, beforeMs: job.startedMs }, signal),
          resent: async (letters) => {
            store.remove(
              letters.map(({ id }) => id),
              'resent',
            );
          },
          refused: async ({ id }, { cause, words }) => {
            store.refusedAgain([id], { reason: 'rejected', cause, words, atMs: now() });
          },
        },
        {
          endpoint,
          userAgent,
          keepGoing: false,
          signal,
          onProgress: (counts) => {
            job.soFar = counts;
          },
        },
      );
      job.soFar = counts;
      why = stopped && resendStopText(stopped, '`spillway dead-letters resend --keep-going`');
    } catch (error) {
      why = `stopped by an error: ${describeError(error)}; what was on its way then may have been taken`;
    }
    job.done = { atMs: now(), why };
    const { resent, refused } = job.soFar;
    logger.log(why === undefined ? 'info' : 'warn', 'dead letters were sent again', {
      endpoint: endpoint.name,
      resent,
      refused_again: refused,
      ...(why === undefined ? {} : { why }),
    });
  }
}

async function* lettersOf(
  store: DeadLetterStore,
  query: ResendQuery & { readonly beforeMs: number },
  signal: AbortSignal,
): AsyncIterable<StoredLetter> {
  for (let after: LetterCursor | undefined; !signal.aborted; ) {
    const { letters, next } = letterPage(store, query, 'time', after, MOST_LETTERS);
    yield* letters;
    if (next === undefined) return;
    after = next;
    // Nothing but this lets go of the thread, which receives, where the letters of a page are not such as can be sent.
    await setImmediate();
  }
}

function countOf(store: DeadLetterStore, { endpoint, reason, cause }: ResendQuery): number {
  return store
    .counts()
    .filter((count) => count.endpoint === endpoint)
    .filter((count) => (reason ?? count.reason) === count.reason && (cause ?? count.cause) === count.cause)
    .reduce((sum, { letters }) => sum + letters, 0);
}

function statusOf({ startedMs, total, soFar, done }: Job): ResendStatus {
  const { resent, refused, unknown } = soFar;
  const again = refused > 0 ? `, ${countText(refused)} refused again` : '';
  const counts = `${countText(resent)} of ${lettersText(total)} taken${again}`;
  const says =
    done === undefined
      ? `Sending again: ${counts}.`
      : `Sent again: ${counts}${
          unknown > 0 ? `, ${countText(unknown)} stand for rows of which only the number is known` : ''
        }${done.why === undefined ? '' : `; ${done.why}`}.`;
  return {
    running: done === undefined,
    startedMs,
    endedMs: done?.atMs ?? null,
    total,
    resent,
    refused,
    says,
  };
}
