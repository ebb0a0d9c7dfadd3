import type { EndpointConfig } from '../config/endpoints.ts';
import {
  type Resent as ResentLetters,
  resendStopText,
  sendLettersAgain,
} from '../endpoint/resend-letters.ts';
import { packageVersion } from '../runtime/version.ts';
import type { LetterQuery } from '../status/letter-query.ts';
import { type DeadLetterSource, lettersOf } from './dead-letter-source.ts';

export interface Resent extends Omit<ResentLetters, 'stopped'> {
  /** Why it ended before all was sent, for people. */
  readonly stopped: string | undefined;
}

/**
 * Sends the letters of `endpoint` that `query` lets through again, oldest sample first, by the settings and with the
 * credentials of that endpoint, from this process. What is taken is no dead letter any more. What comes while it runs
 * is left alone, or a receiver that refuses what the agent sends would keep it going without an end. Throws
 * `CommandError`, with nothing sent, when the letters may not be changed.
 */
export async function resendLetters(
  source: DeadLetterSource,
  query: LetterQuery,
  endpoint: EndpointConfig,
  keepGoing: boolean,
): Promise<Resent> {
  const until = { beforeMs: Math.min(query.beforeMs ?? Number.POSITIVE_INFINITY, Date.now()) };
  await source.checkMayChange();
  const done = await sendLettersAgain(
    {
      letters: lettersOf(source, { ...query, ...until, endpoint: endpoint.name }, 'time'),
      resent: (letters) => source.resent(letters.map(({ id }) => id)),
      refused: ({ id }, { cause, words }) =>
        source.refused({ ids: [id], reason: 'rejected', cause, words, atMs: Date.now() }),
    },
    { endpoint, userAgent: `Spillway/${packageVersion()}`, keepGoing, countsLeft: true },
  );
  return { ...done, stopped: done.stopped && resendStopText(done.stopped, '--keep-going') };
}
