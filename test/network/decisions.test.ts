import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs } from '../../src/network/backoff.ts';
import { type Answer, type Decision, decide, maxRetryAfterMs } from '../../src/network/decisions.ts';
import { settings as atOnce, network, response } from './support/outcomes.ts';

const settings = { ...atOnce, minBackoffMs: 30, maxBackoffMs: 5000 };
const strict = { ...settings, retryOn408: false, holdOn4xx: false, splitRefused: false };
const random = 0.25;
const now = Date.UTC(2026, 7, 9);
const fresh = { attempt: 0, resent: false };
const resent = { attempt: 0, resent: true };

/** A decision in a few words, without its wait. */
function brief(decision: Decision): string {
  switch (decision.action) {
    case 'settle':
      return 'settle';
    case 'reject':
      return `reject ${decision.reason}`;
    case 'retry':
    case 'hold':
      return `${decision.action} ${decision.cause}${decision.maybeDelivered ? ', maybe delivered' : ''}`;
  }
}

const byStatus: [statuses: number[], decision: string, strictly: string][] = [
  [[200, 202, 204, 299], 'settle', 'settle'],
  [[300, 301, 302, 304, 307, 308], 'hold 3xx', 'hold 3xx'],
  [[401], 'hold 401', 'reject rejected'],
  [[403], 'hold 403', 'reject rejected'],
  [[404], 'hold 404', 'reject rejected'],
  [[407], 'hold 407', 'reject rejected'],
  [[415], 'hold 415', 'reject rejected'],
  [[408], 'retry 408, maybe delivered', 'reject rejected'],
  [[429], 'retry 429, maybe delivered', 'retry 429, maybe delivered'],
  [[400, 402, 405, 409, 410, 413, 418, 422, 451, 499], 'reject rejected', 'reject rejected'],
  [[500, 501, 502, 503, 504, 507, 599], 'retry 5xx, maybe delivered', 'retry 5xx, maybe delivered'],
];

for (const [statuses, decision, strictly] of byStatus) {
  for (const status of statuses) {
    test(`${status}: ${decision}; strictly: ${strictly} (RW1-S-16, RW1-S-18, RW2-S-16, RLY-09)`, () => {
      assert.equal(brief(decide(response(status), fresh, settings, random, now)), decision);
      assert.equal(brief(decide(response(status), fresh, strict, random, now)), strictly);
    });
  }
}

test('429 is rejected where it must not be retried (RW1-S-19, RW2-S-18)', () => {
  const decision = decide(response(429, 'slow down'), fresh, { ...settings, retryOn429: false }, random, now);
  assert.deepEqual(decision, { action: 'reject', reason: 'rejected', words: 'slow down', fault: 'unclear' });
});

const byCode: [decision: string, ...codes: string[]][] = [
  [
    'retry network',
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'EHOSTUNREACH',
    'UND_ERR_SOCKET',
    'HPE_INVALID_CONSTANT',
  ],
  [
    'retry timeout',
    'UND_ERR_CONNECT_TIMEOUT',
    'UND_ERR_HEADERS_TIMEOUT',
    'UND_ERR_BODY_TIMEOUT',
    'ETIMEDOUT',
  ],
  ['hold dns', 'ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL'],
  [
    'hold tls',
    'CERT_HAS_EXPIRED',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'ERR_SSL_WRONG_VERSION_NUMBER',
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    'EPROTO',
    'INVALID_PURPOSE',
  ],
  ['hold credentials', 'NO_CREDENTIALS'],
];

for (const [decision, ...codes] of byCode) {
  for (const code of codes) {
    test(`${code}: ${decision}`, () => {
      assert.equal(brief(decide(network(code, false), fresh, settings, random, now)), decision);
      const unsure = brief(decide(network(code, true), fresh, strict, random, now));
      assert.equal(unsure, `${decision}, maybe delivered`);
    });
  }
}

function waitMs(answer: Answer, attempt: number): number {
  const decision = decide(answer, { attempt, resent: false }, settings, random, now);
  assert.ok(decision.action === 'retry' || decision.action === 'hold', decision.action);
  return decision.waitMs;
}

test('waits grow with the attempts, without an end (RW1-S-17, RW2-S-19)', () => {
  for (const attempt of [0, 1, 5, 100, 100_000]) {
    const expected = backoffMs(attempt, settings, random);
    for (const answer of [response(503), response(401), response(302), network('ECONNRESET', true)]) {
      assert.equal(waitMs(answer, attempt), expected);
    }
  }
});

test('Retry-After replaces the wait of a retry and of a hold, within bounds (RW2-S-20)', () => {
  assert.equal(waitMs(response(503, '', '7'), 0), 7000);
  assert.equal(waitMs(response(429, '', 'Sun, 09 Aug 2026 00:00:02 GMT'), 12), 2000);
  assert.equal(waitMs(response(403, '', '7'), 0), 7000);
  assert.equal(waitMs(response(503, '', '86400'), 0), maxRetryAfterMs);
  assert.equal(waitMs(response(503, '', '0'), 4), backoffMs(4, settings, random));
  assert.equal(waitMs(response(503, '', 'soon'), 4), backoffMs(4, settings, random));
});

test('Retry-After is never shorter than the minimum of the backoff', () => {
  const slow = { ...settings, minBackoffMs: 3000 };
  const decision = decide(response(503, '', '1'), fresh, slow, random, now);
  assert.deepEqual(decision, {
    action: 'retry',
    waitMs: 3000,
    asked: true,
    cause: '5xx',
    maybeDelivered: true,
  });
});

const duplicates: [status: number, words: string][] = [
  // Prometheus
  [400, 'out of order sample'],
  [400, 'duplicate sample for timestamp'],
  [400, 'duplicate sample for timestamp 1700000000000; overrides not allowed: existing 1, new value 2'],
  [400, 'too old sample'],
  [400, 'out of bounds'],
  // Mimir
  [
    400,
    'failed pushing to ingester: user=1: the sample has been rejected because another sample with a more recent timestamp has already been ingested and out-of-order samples are not allowed (err-mimir-sample-out-of-order).',
  ],
  [
    400,
    'another sample with the same timestamp, but a different value (err-mimir-sample-duplicate-timestamp)',
  ],
  [400, 'beyond the out-of-order time window of 2h (err-mimir-sample-timestamp-too-old)'],
  [400, 'received a sample whose timestamp is too far in the past (err-mimir-too-far-in-past)'],
  // Cortex
  [400, 'user=1: err: out of order sample. timestamp=2026-08-09T00:00:00Z, series={__name__="up"}'],
  [400, 'timestamp too old: 1700000000000 metric: "up"'],
  // Thanos
  [409, 'add 12 samples: out of order sample'],
  // Case-blind
  [400, 'Out Of Order Sample'],
];

for (const [status, words] of duplicates) {
  test(`a duplicate when resent, old when fresh: ${status} ${words} (RLY-13)`, () => {
    const loss = decide(response(status, words), fresh, settings, random, now);
    assert.deepEqual(loss, { action: 'reject', reason: 'rejected', words, fault: 'old' });
    assert.deepEqual(decide(response(status, words), fresh, strict, random, now), loss);
    const duplicate = decide(response(status, words), resent, settings, random, now);
    assert.deepEqual(duplicate, { action: 'reject', reason: 'duplicate', words, fault: 'old' });
  });
}

const losses = [
  '',
  'conflict',
  'out of order labels',
  'add 3 series: out-of-order labels',
  'duplicate labels',
  'label name "job" is not unique: invalid sample',
  'label value too long: told you',
  'snappy: corrupt input',
  'conflicting schema version',
  'received a sample whose timestamp is too far in the future (err-mimir-too-far-in-future)',
];

for (const words of losses) {
  test(`a loss, even when resent: "${words}"`, () => {
    const decision = decide(response(400, words), resent, settings, random, now);
    assert.deepEqual(decision, { action: 'reject', reason: 'rejected', words, fault: 'unclear' });
  });
}

test('413 says that the request is too large, whatever its words', () => {
  const decision = decide(response(413, 'no'), fresh, settings, random, now);
  assert.deepEqual(decision, { action: 'reject', fault: 'size', reason: 'rejected', words: 'no' });
});

const counts = (samples: number, histograms = 0, exemplars = 0) => ({ samples, histograms, exemplars });
const sentV2 = { attempt: 0, resent: false, version: '2.0', kinds: [5, 2, 1, 0] } as const;

/** A decision about a 2.0 request in a few words. */
function briefV2(decision: Decision): string {
  if (decision.action !== 'settle' || decision.missing === undefined) return brief(decision);
  return `settle, ${decision.reason} ${decision.missing.join(' ')}`;
}

const old = 'out of order sample';
const byCounts: [
  id: string,
  status: number,
  written: ReturnType<typeof counts> | undefined,
  words: string,
  decision: string,
  strictly: string,
][] = [
  ['RW2-S-11', 204, counts(5, 2, 1), '', 'settle', 'settle'],
  ['RLY-12', 204, counts(5, 2, 0), '', 'settle, not_written 0 0 1 0', 'settle, not_written 0 0 1 0'],
  ['RLY-12', 400, counts(3, 2, 1), 'bad', 'settle, not_written 2 0 0 0', 'settle, not_written 2 0 0 0'],
  ['RLY-12', 400, counts(5, 2, 1), 'bad', 'settle', 'settle'],
  ['RLY-12', 400, counts(0), old, 'settle, not_written 5 2 1 0', 'settle, not_written 5 2 1 0'],
  ['RLY-12', 400, counts(0), 'limit', 'reject rejected', 'reject rejected'],
  ['RLY-12', 413, counts(0), 'too large', 'reject rejected', 'reject rejected'],
  ['RW2-S-12', 204, undefined, '', 'hold unread', 'reject rejected'],
  ['section 6, nothing written', 204, counts(0), '', 'reject rejected', 'reject rejected'],
  ['RW2-S-16', 400, undefined, 'bad', 'reject rejected', 'reject rejected'],
  ['RW2-S-19', 503, counts(3), '', 'retry 5xx, maybe delivered', 'retry 5xx, maybe delivered'],
  ['RW2-S-18', 429, counts(3), '', 'retry 429, maybe delivered', 'retry 429, maybe delivered'],
  ['RW2-S-17', 415, undefined, '', 'hold 415', 'reject rejected'],
];

for (const [id, status, written, words, decision, strictly] of byCounts) {
  const said = written === undefined ? 'no counts' : Object.values(written).join(' ');
  test(`${id}: 2.0 -> ${status}, ${said}${words && `, ${words}`}: ${decision}`, () => {
    const answer: Answer = { kind: 'response', status, retryAfter: undefined, words, written };
    assert.equal(briefV2(decide(answer, sentV2, settings, random, now)), decision);
    assert.equal(briefV2(decide(answer, sentV2, strict, random, now)), strictly);
  });
}

test('RW2-S-11: counts with the answer to a 1.0 request mean nothing', () => {
  const answer: Answer = {
    kind: 'response',
    status: 204,
    retryAfter: undefined,
    words: '',
    written: counts(0),
  };
  assert.equal(brief(decide(answer, fresh, settings, random, now)), 'settle');
});

test('RLY-13: what a request of unknown outcome did not get in again since it is old is a duplicate', () => {
  const answer: Answer = {
    kind: 'response',
    status: 400,
    retryAfter: undefined,
    words: old,
    written: counts(3, 2, 1),
  };
  const decision = decide(answer, { ...sentV2, resent: true }, settings, random, now);
  assert.equal(briefV2(decision), 'settle, duplicate 2 0 0 0');
});
