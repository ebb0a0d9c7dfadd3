import type { EndpointConfig } from '../config/endpoints.ts';
import type { StoredLetter } from '../ledger/dead-letters.ts';
import { createDestination } from '../network/create-destination.ts';
import { PARTIAL } from '../network/dead-letter.ts';
import { Resender, type ResendStop } from '../network/resend.ts';
import { packageVersion } from '../runtime/version.ts';
import type { LetterQuery } from '../status/letter-query.ts';
import { type DeadLetterSource, lettersOf } from './dead-letter-source.ts';

export interface Resent {
  /** Taken, and no dead letters any more. */
  readonly resent: number;
  /** Refused again; they stay, with the new words. */
  readonly refused: number;
  /** Letters of the query that were not sent, or of which it is not known whether they were taken. */
  readonly left: number;
  /** Of those, letters that stand for rows of which only the number is known: there is nothing to send. */
  readonly unknown: number;
  /** Why it ended before all was sent, for people. */
  readonly stopped: string | undefined;
}

/** So many letters refused in a row, with nothing taken between them: the others will hardly fare better. */
const MOST_REFUSALS = 100;

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
  const { queueConfig, metadataConfig } = endpoint;
  const until = { beforeMs: Math.min(query.beforeMs ?? Number.POSITIVE_INFINITY, Date.now()) };
  await source.checkMayChange();
  const destination = createDestination(endpoint, `Spillway/${packageVersion()}`);
  let found = 0;
  let resent = 0;
  let refused = 0;
  let unknown = 0;
  const resender = new Resender<StoredLetter>({
    destination,
    settings: {
      minBackoffMs: queueConfig.minBackoffMs,
      maxBackoffMs: queueConfig.maxBackoffMs,
      retryOn429: true,
      retryOn408: true,
      holdOn4xx: true,
      splitRefused: true,
    },
    version: endpoint.messageVersion,
    maxSamplesPerSend: queueConfig.maxSamplesPerSend,
    maxMetadataPerSend: metadataConfig.maxSamplesPerSend,
    mostRefusals: keepGoing ? Number.POSITIVE_INFINITY : MOST_REFUSALS,
    now: Date.now,
    taken: async (letters) => {
      await source.resent(letters.map(({ id }) => id));
      resent += letters.length;
    },
    refused: async ({ id }, { cause, words }) => {
      await source.refused({ ids: [id], reason: 'rejected', cause, words, atMs: Date.now() });
      refused++;
    },
  });
  try {
    for await (const letter of lettersOf(source, { ...query, ...until, endpoint: endpoint.name }, 'time')) {
      found++;
      if (letter.kind === PARTIAL) unknown++;
      else if (resender.stopped === undefined) await resender.add(letter);
    }
    await resender.finish();
  } finally {
    await destination.close();
  }
  return { resent, refused, left: found - resent - refused, unknown, stopped: stopText(resender.stopped) };
}

function stopText(stop: ResendStop | undefined): string | undefined {
  if (stop === undefined) return undefined;
  const said = `${stop.cause}${stop.words === '' ? '' : `: ${stop.words.trim()}`}`;
  switch (stop.action) {
    case 'retry':
      return `stopped, the endpoint cannot take them now (${said}); nothing is lost, try again later`;
    case 'hold':
      return `stopped, the endpoint does not let us in (${said}); nothing is lost, mend that and try again`;
    case 'refused':
      return (
        `stopped, ${MOST_REFUSALS} letters were refused again with none taken between them, the last with ` +
        `${said}; nothing is lost, --keep-going tries the others as well`
      );
    default:
      return stop.action satisfies never;
  }
}
