import type { IncomingMessage } from 'node:http';
import { type DeadLetterStore, DeadLettersDamagedError, type StoredLetter } from '../ledger/dead-letters.ts';
import { describeError, SpillwayError } from '../runtime/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import type { EndpointReason } from '../telemetry/reasons.ts';
import { askerOf, type VisitorOf } from './access-route.ts';
import { answerJson, type Handler, refuseMethod } from './answers.ts';
import type { ResendStatus } from './document.ts';
import { integersAsJson } from './inspect.ts';
import {
  cursorText,
  isForAll,
  isReason,
  LetterQueryError,
  letterPage,
  MOST_LETTERS,
  parseCursor,
  parseQuery,
  wholeNumber,
} from './letter-query.ts';
import { letterObject } from './letter-text.ts';
import { readJson } from './read-json.ts';

/** All of it is below this path: what reads are GETs, what changes something are DELETEs and POSTs. */
export const deadLettersPath = '/api/v1/dead_letters';

/** A letter as it goes over HTTP with `raw=1`: bytes in base64, everything else as it is kept. */
export type RawLetter = Omit<StoredLetter, 'labels' | 'content'> & {
  readonly labels: string;
  readonly content: string;
};

/** What `POST .../refused` takes: letters that were sent again and refused again, and the new answer. */
export interface RefusedAgain {
  readonly ids: readonly number[];
  readonly reason: EndpointReason;
  readonly cause: string;
  readonly words: string;
  readonly atMs: number;
}

/** Which letters are sent again. */
export interface ResendQuery {
  readonly endpoint: string;
  readonly reason?: string | undefined;
  readonly cause?: string | undefined;
}

/** Letters cannot be sent again now: 409. */
export class ResendError extends SpillwayError {
  readonly code = 'LETTERS_NOT_RESENT';
}

/** Sends letters again, as the routes need it. */
export interface LetterResends {
  /** Begins. Throws `ResendError`, with nothing sent. */
  start(query: ResendQuery, user: string | undefined): ResendStatus;
  /** False when nothing is under way. */
  stop(endpoint: string): boolean;
}

export interface DeadLetterOptions {
  /** Undefined while the ledger is not open. */
  readonly store: () => DeadLetterStore | undefined;
  /** Those that are configured. */
  readonly endpoints: () => readonly string[];
  readonly resends: LetterResends;
  readonly visitor: VisitorOf;
  readonly logger: Logger;
}

/** Gives the JSON of the answer. */
type Action = (store: DeadLetterStore, request: IncomingMessage, url: URL) => Promise<object> | object;

/**
 * The dead letters of a running agent. `spillway dead-letters` is the client; a person can use them as well:
 *
 *     GET    /api/v1/dead_letters          a page of letters: endpoint, match, reason, cause, since, before (ms), order, after, limit
 *     GET    /api/v1/dead_letters/counts   letters by endpoint and answer, and which endpoints there are
 *     POST   /api/v1/dead_letters/resend   {endpoint, reason, cause}: the agent sends them again; the status says how far
 *     DELETE /api/v1/dead_letters/resend   endpoint: ends that
 *     DELETE /api/v1/dead_letters          deletes those of a page, with the same parameters; any by all=true
 *     POST   /api/v1/dead_letters/resent   {ids}: were sent again and taken, so they go
 *     POST   /api/v1/dead_letters/refused  {ids, reason, cause, words, atMs}: were sent again and refused again
 *
 * A page is `limit` letters that were looked at, and those of them that the query lets through; `next` is what to give
 * as `after` for the page behind it, and null at the end. What one call can ask for is bounded, since the thread that
 * answers is the one that receives. A POST must say that it is JSON: no browser sends that from another site unasked.
 */
export function deadLetterRoutes({
  store,
  endpoints,
  resends,
  visitor,
  logger,
}: DeadLetterOptions): [string, Handler][] {
  return [
    [
      deadLettersPath,
      route(store, {
        GET: listPage,
        DELETE: (letters, request, url) => {
          const { removed, next } = purgePage(letters, url);
          logger.log('warn', 'dead letters were deleted, as asked', {
            letters: removed,
            query: url.searchParams.toString(),
            ...askerOf(visitor, request),
          });
          return { removed, next };
        },
      }),
    ],
    [
      `${deadLettersPath}/counts`,
      route(store, { GET: (letters) => ({ endpoints: endpoints(), counts: letters.counts() }) }),
    ],
    [
      `${deadLettersPath}/resend`,
      route(store, {
        POST: async (_letters, request) => {
          const query = resendQueryOf(await readJson(request));
          return resends.start(query, visitor(request)?.user);
        },
        DELETE: (_letters, request, { searchParams }) => {
          const endpoint = searchParams.get('endpoint') ?? '';
          const stopped = resends.stop(endpoint);
          if (stopped) {
            const facts = { endpoint, ...askerOf(visitor, request) };
            logger.log('info', 'dead letters are not sent again any more, as asked', facts);
          }
          return { stopped };
        },
      }),
    ],
    [
      `${deadLettersPath}/resent`,
      route(store, {
        POST: async (letters, request) => {
          const { ids } = await readJson(request);
          return { removed: letters.remove(idsOf(ids), 'resent') };
        },
      }),
    ],
    [
      `${deadLettersPath}/refused`,
      route(store, {
        POST: async (letters, request) => {
          const body = await readJson(request);
          return { kept: letters.refusedAgain(idsOf(body.ids), answerOf(body)) };
        },
      }),
    ],
  ];
}

function route(store: () => DeadLetterStore | undefined, actions: Readonly<Record<string, Action>>): Handler {
  return async (request, response, url) => {
    const answer = (status: number, body: object): void => answerJson(response, status, body, integersAsJson);
    const { method = '' } = request;
    const action = Object.hasOwn(actions, method) ? actions[method] : undefined;
    if (action === undefined) {
      refuseMethod(request, response, Object.keys(actions).join(', '));
      return;
    }
    const letters = store();
    if (letters === undefined) {
      answer(503, { error: 'the ledger is not open: the agent is starting or stopping' });
      return;
    }
    try {
      answer(200, await action(letters, request, url));
    } catch (error) {
      if (!(error instanceof SpillwayError)) throw error;
      const status =
        error instanceof DeadLettersDamagedError ? 500 : error instanceof ResendError ? 409 : 400;
      answer(status, { error: describeError(error) });
    }
  };
}

const listPage: Action = (store, _request, { searchParams }) => {
  const order = searchParams.get('order') ?? 'arrival';
  if (order !== 'arrival' && order !== 'newest' && order !== 'time') {
    throw new LetterQueryError('order: expected arrival, newest or time', { order });
  }
  const query = parseQuery(searchParams);
  const { letters, next } = letterPage(store, query, order, parseCursor(searchParams), limitOf(searchParams));
  const raw = searchParams.get('raw') === '1';
  return { letters: letters.map(raw ? rawLetter : letterObject), next: next ? cursorText(next) : null };
};

function purgePage(
  store: DeadLetterStore,
  { searchParams }: URL,
): { readonly removed: number; readonly next: string | null } {
  const query = parseQuery(searchParams);
  if (isForAll(query) && searchParams.get('all') !== 'true') {
    throw new LetterQueryError('say which letters, or all=true');
  }
  const page = letterPage(store, query, 'arrival', parseCursor(searchParams), limitOf(searchParams));
  const ids = page.letters.map(({ id }) => id);
  return { removed: store.remove(ids, 'purged'), next: page.next ? cursorText(page.next) : null };
}

function limitOf(params: URLSearchParams): number {
  const limit = wholeNumber(params, 'limit') ?? MOST_LETTERS;
  if (limit === 0) throw new LetterQueryError('limit: expected 1 or more', { limit });
  return Math.min(limit, MOST_LETTERS);
}

function rawLetter(letter: StoredLetter): RawLetter {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  return { ...letter, labels: base64(letter.labels), content: base64(letter.content) };
}

/** The letter that `rawLetter` wrote. */
export function parseRawLetter(raw: RawLetter): StoredLetter {
  return {
    ...raw,
    labels: Buffer.from(raw.labels, 'base64'),
    content: Buffer.from(raw.content, 'base64'),
  };
}

function idsOf(ids: unknown): number[] {
  if (Array.isArray(ids) && ids.length <= MOST_LETTERS && ids.every(Number.isSafeInteger)) return ids;
  throw new LetterQueryError(`ids: expected at most ${MOST_LETTERS} whole numbers`);
}

function resendQueryOf({ endpoint, reason, cause }: Record<string, unknown>): ResendQuery {
  if (typeof endpoint !== 'string') throw new LetterQueryError('endpoint: expected the name of an endpoint');
  if (reason !== undefined && (typeof reason !== 'string' || !isReason(reason))) {
    throw new LetterQueryError('reason: expected one that there is');
  }
  if (cause !== undefined && typeof cause !== 'string') throw new LetterQueryError('cause: expected a text');
  return { endpoint, reason, cause };
}

function answerOf({ reason, cause, words, atMs }: Record<string, unknown>): Omit<RefusedAgain, 'ids'> {
  if (
    typeof reason !== 'string' ||
    !isReason(reason) ||
    typeof cause !== 'string' ||
    typeof words !== 'string' ||
    !Number.isSafeInteger(atMs)
  ) {
    throw new LetterQueryError('expected a reason, a cause, words, and atMs');
  }
  return { reason, cause, words, atMs: atMs as number };
}
