import assert from 'node:assert/strict';
import { test } from 'node:test';
import { History, STEP_MS, STEPS } from '../../src/status/history.ts';

const none = { deliveredPerSecond: 0, lostPerSecond: 0, backlogRows: 0, lagSeconds: 0 };

function step(i: number, ...names: string[]) {
  const values = { ...none, deliveredPerSecond: i, lostPerSecond: i === 5 ? 0.3 : 0 };
  return {
    atMs: i * STEP_MS,
    receivedPerSecond: i / 3,
    walBytes: 100 * i,
    lostRows: i === 5 ? 6 : 0,
    endpoints: new Map(names.map((name) => [name, values])),
  };
}

test('an hour is kept, whatever comes, and the newest is the last', () => {
  const history = new History();
  assert.deepEqual(history.document().atMs, []);
  for (let i = 0; i < STEPS + 7; i++) history.add(step(i, 'a'));
  const { atMs, receivedPerSecond, endpoints } = history.document();
  assert.equal(atMs.length, STEPS);
  assert.deepEqual([atMs[0], atMs.at(-1)], [7 * STEP_MS, (STEPS + 6) * STEP_MS]);
  assert.equal(receivedPerSecond[1], 2.67);
  assert.equal(endpoints.a!.deliveredPerSecond.at(-1), STEPS + 6);
  assert.deepEqual(history.document(2).walBytes, [100 * (STEPS + 5), 100 * (STEPS + 6)]);
});

test('an endpoint has nothing for the time when it was not there, and is forgotten an hour after it left', () => {
  const history = new History();
  history.add(step(0, 'a'));
  history.add(step(1, 'a', 'b'));
  history.add(step(2, 'b'));
  const { endpoints } = history.document();
  assert.deepEqual(endpoints.a!.deliveredPerSecond, [0, 1, null]);
  assert.deepEqual(endpoints.b!.deliveredPerSecond, [null, 1, 2]);
  for (let i = 3; i < STEPS + 2; i++) history.add(step(i, 'b'));
  assert.deepEqual(Object.keys(history.document().endpoints), ['b']);
});

test('what was lost is known for an hour', () => {
  const history = new History();
  for (let i = 0; i < STEPS + 5; i++) history.add(step(i, 'a', 'b'));
  const at = (i: number): number => history.lostLastHour(i * STEP_MS);
  assert.equal(at(STEPS + 4), 6);
  // Also when no step has come since: the process stood still.
  assert.equal(at(STEPS + 5), 0);
  history.add(step(STEPS + 5, 'a', 'b'));
  assert.equal(at(STEPS + 5), 0);
});
