import type {
  DeadLetterStore,
  LetterCursor,
  LetterFilter,
  LetterOrder,
  StoredLetter,
} from '../ledger/dead-letters.ts';
import { matches, parseSelector } from '../promql/selector.ts';
import { SpillwayError } from '../runtime/errors.ts';
import { type EndpointReason, endpointReasonNames, endpointReasons } from '../telemetry/reasons.ts';
import { letterLabels } from './letter-text.ts';
import { withinTime } from './within-time.ts';

/** Which letters: what the store knows of, and a selector over the labels. */
export interface LetterQuery extends LetterFilter {
  readonly match?: string | undefined;
}

/** Some of the letters of a query, and the place behind them; undefined at the end. */
export interface LetterPage {
  readonly letters: readonly StoredLetter[];
  readonly next: LetterCursor | undefined;
}

/** A query that came over HTTP is none. */
export class LetterQueryError extends SpillwayError {
  readonly code = 'BAD_LETTER_QUERY';
}

/** Most letters that are looked at for one page: they are held in memory, and the thread does nothing else. */
export const MOST_LETTERS = 1000;

/** Time for matching the label sets of a page, ms. */
const MATCH_MS = 500;

/**
 * Looks at up to `limit` letters behind `after`, and gives those that the selector of the query lets through: maybe
 * none, and yet there are more. Throws `SelectorError`, `SelectorTimeoutError`, and what the store throws.
 */
export function letterPage(
  store: DeadLetterStore,
  query: LetterQuery,
  order: LetterOrder,
  after: LetterCursor | undefined,
  limit: number,
): LetterPage {
  const selector = query.match === undefined ? undefined : parseSelector(query.match);
  const found = store.page(query, order, after, limit);
  const last = found.length < limit ? undefined : found.at(-1);
  const next = last && { timeMs: last.timeMs, id: last.id };
  if (selector === undefined) return { letters: found, next };
  const verdicts = new Map<number, boolean>();
  const accepted = (letter: StoredLetter): boolean => {
    const known = verdicts.get(letter.series);
    if (known !== undefined) return known;
    const verdict = matches(selector, letterLabels(letter.labels));
    verdicts.set(letter.series, verdict);
    return verdict;
  };
  return { letters: withinTime(MATCH_MS, () => found.filter(accepted)), next };
}

/** The query as parameters of a URL. */
export function queryParams(query: LetterQuery): URLSearchParams {
  const params = new URLSearchParams();
  for (const [name, property] of [...texts, ...times]) {
    const value = query[property];
    if (value !== undefined) params.set(name, String(value));
  }
  return params;
}

/** The reverse. Throws `LetterQueryError`. */
export function parseQuery(params: URLSearchParams): LetterQuery {
  const query: { -readonly [Key in keyof LetterQuery]: LetterQuery[Key] } = {};
  for (const [name, property] of texts) query[property] = params.get(name) ?? undefined;
  for (const [name, property] of times) query[property] = wholeNumber(params, name);
  if (query.reason !== undefined && !isReason(query.reason)) {
    throw new LetterQueryError(`reason: expected one of ${endpointReasonNames.join(', ')}`, {
      reason: query.reason,
    });
  }
  return query;
}

/** True for what a letter can have as its reason. */
export function isReason(text: string): text is EndpointReason {
  return Object.hasOwn(endpointReasons, text);
}

/** True when nothing is asked for: the query is for all letters. */
export function isForAll(query: LetterQuery): boolean {
  return queryParams(query).size === 0;
}

export function cursorText(cursor: LetterCursor): string {
  return `${cursor.timeMs}:${cursor.id}`;
}

/** Throws `LetterQueryError`. */
export function parseCursor(params: URLSearchParams): LetterCursor | undefined {
  const text = params.get('after');
  if (text === null) return undefined;
  const [, timeMs, id] = /^(-?\d{1,16}):(\d{1,16})$/.exec(text) ?? [];
  if (timeMs === undefined) throw new LetterQueryError('after: expected what `next` said', { after: text });
  return { timeMs: Number(timeMs), id: Number(id) };
}

/** Throws `LetterQueryError`. */
export function wholeNumber(params: URLSearchParams, name: string): number | undefined {
  const text = params.get(name);
  if (text === null) return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw new LetterQueryError(`${name}: expected a whole number`, { [name]: text });
  return Number(text);
}

const texts = [
  ['endpoint', 'endpoint'],
  ['match', 'match'],
  ['reason', 'reason'],
  ['cause', 'cause'],
] as const;

const times = [
  ['since', 'sinceMs'],
  ['before', 'beforeMs'],
] as const;
