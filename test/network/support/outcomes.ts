import assert from 'node:assert/strict';
import type { Answer, DecisionSettings } from '../../../src/network/decisions.ts';
import type { Outcome } from '../../../src/network/destination.ts';

/** What is decided by default, without a wait. */
export const settings: DecisionSettings = {
  minBackoffMs: 1,
  maxBackoffMs: 1,
  retryOn429: true,
  retryOn408: true,
  holdOn4xx: true,
  splitRefused: true,
};

export const ok: Answer = response(204);

export function response(status: number, words = '', retryAfter?: string): Answer {
  return { kind: 'response', status, retryAfter, words };
}

export function network(code = 'ECONNRESET', maybeDelivered = true): Answer {
  return { kind: 'network', code, words: `it said ${code}`, maybeDelivered };
}

/** The outcome without the words for a request that was not answered, which are the platform's. */
export function facts(outcome: Outcome): object {
  if (outcome.kind !== 'network') return outcome;
  assert.notEqual(outcome.words, '');
  return { code: outcome.code, maybeDelivered: outcome.maybeDelivered };
}
