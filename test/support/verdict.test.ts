import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arrivals } from './arrivals.ts';
import type { Row } from './rows.ts';
import { assertNoLoss, type Sent } from './verdict.ts';

const row = (at: number): Row => ({
  series: '{__name__="up"}',
  kind: 'sample',
  at: BigInt(at),
  content: `${at}`,
});

const sent: Sent = {
  acknowledged: [row(1), row(2), row(6)],
  refused: [row(3)],
  unknown: [[row(4), row(5)]],
};

function judge(...times: number[]): void {
  const arrivals = new Arrivals();
  arrivals.add(times.map(row));
  assertNoLoss(sent, arrivals);
}

test('an unanswered request may arrive or not, and anything may arrive twice', () => {
  judge(1, 2, 6);
  judge(1, 2, 4, 5, 6);
  judge(1, 2, 1, 2, 4, 5, 6, 4);
});

test('each broken promise is found, and named', () => {
  assert.throws(() => judge(1, 6), /1 rows acknowledged and lost.*2/s);
  assert.throws(() => judge(2, 1, 6), /arrived after a newer row/);
  assert.throws(() => judge(1, 2, 3, 6), /refused and delivered/);
  assert.throws(() => judge(1, 2, 4, 6), /1 rows of a request of 2 arrived/);
  assert.throws(() => judge(1, 2, 6, 7), /never sent/);
});
