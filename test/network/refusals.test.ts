import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Refusal, Refusals } from '../../src/network/refusals.ts';

const alone: Refusal = { fault: 'unclear', rows: 1, row: 7, series: 70 };

test('a row alone is given up when something was taken after its refusal, and it is refused again', () => {
  const refusals = new Refusals(true);
  assert.equal(refusals.judge(alone, 5), 'ask');
  assert.equal(refusals.judge(alone, 5), 'ask');
  assert.equal(refusals.judge(alone, 6), 'reject');
});

test('what was taken before another row was refused says nothing about that row', () => {
  const refusals = new Refusals(true);
  assert.equal(refusals.judge(alone, 5), 'ask');
  assert.equal(refusals.judge({ ...alone, row: 8, series: 80 }, 6), 'ask');
  assert.equal(refusals.judge({ ...alone, row: 8, series: 80 }, 7), 'reject');
});

test('in a run of bad rows evidence serves more and more of them, up to eight', () => {
  const refusals = new Refusals(true);
  let taken = 0;
  const given: number[] = [];
  for (let row = 0, free = 0; given.length < 12; row++) {
    const verdict = refusals.judge({ ...alone, row, series: 100 + row }, taken);
    if (verdict === 'reject') {
      free++;
      continue;
    }
    given.push(free);
    free = 0;
    assert.equal(refusals.judge({ ...alone, row, series: 100 + row }, ++taken), 'reject');
  }
  assert.deepEqual(given, [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8]);
  refusals.taken(0);
  assert.equal(refusals.judge({ ...alone, row: 1e6, series: 5 }, taken), 'ask');
});

test('a series that was given up three times needs no evidence, until one of it is taken', () => {
  const refusals = new Refusals(true);
  for (let time = 1; time <= 3; time++) {
    assert.equal(refusals.isSuspect(70), time > 2, `time ${time}`);
    assert.equal(refusals.judge({ ...alone, row: time }, 5), 'ask');
    refusals.gaveUp(70);
  }
  assert.equal(refusals.judge({ ...alone, row: 4 }, 5), 'reject');
  assert.equal(refusals.judge({ ...alone, row: 4, series: 71 }, 5), 'ask');
  refusals.taken(70);
  assert.equal(refusals.isSuspect(70), false);
  assert.equal(refusals.judge({ ...alone, row: 5 }, 5), 'ask');
});

test('of bad series the 1024 latest are remembered', () => {
  const refusals = new Refusals(true);
  for (let series = 1; series <= 1025; series++) for (let i = 0; i < 3; i++) refusals.gaveUp(series);
  assert.equal(refusals.isSuspect(1), false);
  assert.equal(refusals.isSuspect(2), true);
  assert.equal(refusals.isSuspect(1025), true);
});

test('requests are halved and doubled', () => {
  const refusals = new Refusals(true);
  assert.equal(refusals.limit, Number.POSITIVE_INFINITY);
  assert.equal(refusals.judge({ ...alone, rows: 9 }, 0), 'halve');
  assert.equal(refusals.limit, 5);
  refusals.taken(0);
  assert.equal(refusals.limit, 10);
});

test('after a 413 they stay below what was too large, for 64 requests', () => {
  const refusals = new Refusals(true);
  assert.equal(refusals.judge({ ...alone, fault: 'size', rows: 100 }, 0), 'halve');
  for (let i = 0; i < 63; i++) refusals.taken(0);
  assert.equal(refusals.limit, 50);
  refusals.taken(0);
  assert.equal(refusals.limit, 100);
});

test('10 000 old rows in a row are tried alone; then all together', () => {
  const most = 10_000;
  const refusals = new Refusals(true);
  const old: Refusal = { ...alone, fault: 'old' };
  refusals.judge({ ...old, rows: 2 }, 0);
  for (let i = 0; i < most; i++) assert.equal(refusals.judge({ ...old, row: i }, 0), 'reject');
  assert.equal(refusals.limit, 1);
  assert.equal(refusals.judge(old, 0), 'reject');
  assert.equal(refusals.limit, Number.POSITIVE_INFINITY);
  assert.equal(refusals.judge({ ...old, rows: 1000 }, 0), 'reject');
  refusals.taken(0);
  assert.equal(refusals.judge({ ...old, rows: 1000 }, 0), 'halve', 'one that is taken begins anew');
});

test('strict: everything is given up at once', () => {
  const refusals = new Refusals(false);
  for (const fault of ['old', 'size', 'unclear'] as const) {
    assert.equal(refusals.judge({ ...alone, fault, rows: 100 }, 0), 'reject');
  }
  assert.equal(refusals.limit, Number.POSITIVE_INFINITY);
});
