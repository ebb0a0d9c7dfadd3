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
    const request: Received = { index, connection, headers: {}, rows, metadata: [] };
    return { request, rows, answer };
  });
  const { unanswered, ambiguous, needless } = repeatsOf({
    requests: deliveries.map(({ request }) => request),
    deliveries,
  });
  const indexes = (requests: readonly Received[]): number[] => requests.map(({ index }) => index);
  return { unanswered: indexes(unanswered), ambiguous: indexes(ambiguous), needless: needless.length };
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
