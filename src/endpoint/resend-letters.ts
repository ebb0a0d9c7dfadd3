import type { EndpointConfig } from '../config/endpoints.ts';
import type { StoredLetter } from '../ledger/dead-letters.ts';
import { createDestination } from '../network/create-destination.ts';
import { PARTIAL } from '../network/dead-letter.ts';
import { type Refusal, Resender, type ResendStop } from '../network/resend.ts';

/** The books of the letters, wherever they are kept. */
export interface LetterBooks {
  /** What to send, oldest sample first. */
  readonly letters: AsyncIterable<StoredLetter>;
  /** These were taken: they are no dead letters any more. */
  resent(letters: readonly StoredLetter[]): Promise<void>;
  /** This one was refused again; it stays, with the new words. */
  refused(letter: StoredLetter, refusal: Refusal): Promise<void>;
}

export interface ResendOptions {
  readonly endpoint: EndpointConfig;
  readonly userAgent: string;
  /** Goes on though nothing is taken any more. */
  readonly keepGoing: boolean;
  /** Reads on when nothing is sent any more, so that `left` counts all that there are. */
  readonly countsLeft?: boolean;
  /** Ends it; what is on its way then may have been taken, and stays all the same. */
  readonly signal?: AbortSignal;
  /** What there is so far, after each answer. */
  readonly onProgress?: (resent: Omit<Resent, 'stopped'>) => void;
}

export interface Resent {
  /** Taken, and no dead letters any more. */
  readonly resent: number;
  /** Refused again; they stay, with the new words. */
  readonly refused: number;
  /** Letters that were read and not sent, or of which it is not known whether they were taken. */
  readonly left: number;
  /** Of those, letters that stand for rows of which only the number is known: there is nothing to send. */
  readonly unknown: number;
  /** Why it ended before all was sent. */
  readonly stopped: ResendStop | undefined;
}

/** So many letters refused in a row, with nothing taken between them: the others will hardly fare better. */
export const MOST_REFUSALS = 100;

/**
 * Sends letters again, by the settings and with the credentials of their endpoint. Rejects with what the books reject
 * with: then what was on its way may have been taken.
 */
export async function sendLettersAgain(books: LetterBooks, options: ResendOptions): Promise<Resent> {
  const { endpoint, userAgent, keepGoing, countsLeft = false, signal, onProgress } = options;
  const { queueConfig, metadataConfig } = endpoint;
  let found = 0;
  let resent = 0;
  let refused = 0;
  let unknown = 0;
  const soFar = () => ({ resent, refused, left: found - resent - refused, unknown });
  const destination = createDestination(endpoint, userAgent);
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
    ...(signal === undefined ? {} : { signal }),
    now: Date.now,
    taken: async (letters) => {
      await books.resent(letters);
      resent += letters.length;
      onProgress?.(soFar());
    },
    refused: async (letter, refusal) => {
      await books.refused(letter, refusal);
      refused++;
      onProgress?.(soFar());
    },
  });
  try {
    for await (const letter of books.letters) {
      found++;
      if (letter.kind === PARTIAL) unknown++;
      else if (resender.stopped === undefined) await resender.add(letter);
      if (signal?.aborted === true || (resender.stopped !== undefined && !countsLeft)) break;
    }
    await resender.finish();
  } finally {
    await destination.close();
  }
  return { ...soFar(), stopped: resender.stopped };
}

/** Why it ended early, for people; `more` is how to go on all the same. */
export function resendStopText(stop: ResendStop, more: string): string {
  const said = `${stop.cause}${stop.words === '' ? '' : `: ${stop.words.trim()}`}`;
  switch (stop.action) {
    case 'retry':
      return `stopped, the endpoint cannot take them now (${said}); nothing is lost, try again later`;
    case 'hold':
      return `stopped, the endpoint does not let us in (${said}); nothing is lost, mend that and try again`;
    case 'refused':
      return (
        `stopped, ${MOST_REFUSALS} letters were refused again with none taken between them, the last with ` +
        `${said}; nothing is lost, ${more} tries the others as well`
      );
    case 'asked':
      return 'stopped, as asked; nothing is lost, what was on its way then may be sent twice';
    default:
      return stop.action satisfies never;
  }
}
