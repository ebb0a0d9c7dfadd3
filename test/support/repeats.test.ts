import assert from 'node:assert/strict';
import { test } from 'node:test';
import { repeatsOf } from './repeats.ts';
import type { Row } from './rows.ts';
import type { Answer, Delivery, Received } from './sink.ts';

const row = (at: number): Row => ({ series: '{}', kind: 'sample', at: BigInt(at), content: '' });

/** Requests as `[connection, rows, answer]`, stored in the order in which they came. */
function repeats(...list: [connection: number, rows: number[], answer?: Answer][]) {
  const deliveries = list.map(([connection, times, answer = {}], index): Delivery => {
    const rows = times.map(row);
    const request: Received = { index, connection, headers: {}, rows, metadata: [], version: '1.0' };
    return { request, rows, answer };
  });
  const { unanswered, ambiguous, evidence, needless } = repeatsOf({
    answers: deliveries.map(({ answer }) => answer),
    requests: deliveries.map(({ request }) => request),
    deliveries,
  });
  const indexes = (requests: readonly Received[]): number[] => requests.map(({ index }) => index);
  return {
    unanswered: indexes(unanswered),
    ambiguous: indexes(ambiguous),
    needless: needless.length,
    ...(evidence.length > 0 && { evidence: evidence.length }),
  };
}

test('what came once is no repeat', () => {
  assert.deepEqual(repeats([0, [1, 2]], [0, [3]]), { unanswered: [], ambiguous: [], needless: 0 });
});

test('the last request of a connection may come again on another', () => {
  assert.deepEqual(repeats([0, [1]], [0, [2]], [1, [2]]), { unanswered: [1], ambiguous: [], needless: 0 });
});

test('a request whose answer was read may not, on whichever connection', () => {
  assert.equal(repeats([0, [1]], [0, [2]], [1, [1]]).needless, 1);
  assert.equal(repeats([0, [1, 2]], [0, [1, 2]]).needless, 2);
});

test('after an error or a broken answer it may', () => {
  for (const answer of [
    { status: 500, store: true },
    { instead: 'reset', store: true },
  ] as const)
    assert.deepEqual(repeats([0, [1], answer], [0, [1]]), { unanswered: [], ambiguous: [0], needless: 0 });
});

test('the last of several arrivals counts', () => {
  assert.equal(repeats([0, [1], { status: 500, store: true }], [0, [1]], [0, [1]]).needless, 1);
});

test('the last row that was taken may come again alone after a row alone was refused', () => {
  const refused: Answer = { status: 400 };
  const only = { unanswered: [], ambiguous: [], needless: 0 };
  assert.deepEqual(repeats([0, [1, 2]], [0, [3], refused], [0, [2]]), { ...only, evidence: 1 });
  assert.deepEqual(repeats([0, [1, 2]], [0, [3], refused], [0, [2]], [0, [4], refused], [0, [2]]), {
    ...only,
    evidence: 2,
  });
});

test('no other row may, nor in company, nor without a refusal', () => {
  const refused: Answer = { status: 400 };
  assert.equal(repeats([0, [1, 2]], [0, [3], refused], [0, [1]]).needless, 1);
  assert.equal(repeats([0, [1, 2]], [0, [3], refused], [0, [2, 4]]).needless, 1);
  assert.equal(repeats([0, [1, 2]], [0, [3, 4], refused], [0, [2]]).needless, 1);
  assert.equal(repeats([0, [0], refused], [0, [1, 2]], [0, [2]]).needless, 1);
});
