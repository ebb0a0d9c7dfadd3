import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeliveryWatch } from '../../src/endpoint/delivery-watch.ts';
import type { LoopFailure } from '../../src/network/loop-host.ts';

const retry: LoopFailure = {
  action: 'retry',
  cause: '5xx',
  answer: '503',
  words: 'busy',
  waitMs: 3000,
  asked: false,
};
const hold: LoopFailure = {
  ...retry,
  action: 'hold',
  cause: '401',
  answer: '401',
  words: 'who?',
  waitMs: 30_000,
};
const reject: LoopFailure = {
  action: 'reject',
  cause: '400',
  words: 'too long',
  rows: 3,
  reason: 'rejected',
};

function watching() {
  let nowMs = 1000;
  const watch = new DeliveryWatch(() => nowMs);
  const loops = [0, 1].map((index) => ({ index, failing: false }));
  return {
    watch,
    take: () => watch.take(loops),
    at: (ms: number) => {
      nowMs = ms;
    },
    fail: (index: number, failure: LoopFailure) => {
      loops[index]!.failing = true;
      watch.failed(index, failure);
    },
    recover: (index: number) => {
      loops[index]!.failing = false;
    },
  };
}

test('answers are counted, and told when there are new ones', () => {
  const { watch, take } = watching();
  assert.deepEqual(take()?.replies, {});
  assert.equal(take(), undefined);
  for (const answer of ['204', '204', 'ECONNREFUSED']) watch.answered(answer);
  assert.deepEqual(take()?.replies, { 204: 2, ECONNREFUSED: 1 });
  for (let i = 0; i < 100; i++) watch.answered(`E${i}`);
  const replies = take()!.replies;
  assert.equal(Object.keys(replies).length, 25);
  assert.equal(replies.other, 78);
});

test('a trouble is there from the first failure until no loop fails; the next try is that of the first loop', () => {
  const { take, at, fail, recover } = watching();
  fail(0, retry);
  at(2000);
  fail(1, { ...retry, waitMs: 500 });
  assert.deepEqual(take()?.trouble, {
    action: 'retry',
    cause: '5xx',
    answer: '503',
    words: 'busy',
    sinceMs: 1000,
    nextTryMs: 2500,
    asked: false,
  });
  recover(1);
  assert.deepEqual([take()?.trouble?.sinceMs, take()], [1000, undefined]);
  recover(0);
  assert.equal(take()?.trouble, undefined);
  at(9000);
  fail(0, retry);
  assert.equal(take()?.trouble?.sinceMs, 9000);
});

test('a hold is told before a retry', () => {
  const { take, fail } = watching();
  fail(0, retry);
  fail(1, hold);
  const trouble = take()?.trouble;
  assert.deepEqual([trouble?.action, trouble?.answer, trouble?.nextTryMs], ['hold', '401', 31_000]);
});

test('what is put aside for a tenant is an error, and no trouble of the endpoint', () => {
  const { watch, take } = watching();
  watch.failed(0, { ...hold, tenant: 'blue' });
  const report = take()!;
  assert.equal(report.trouble, undefined);
  assert.equal(report.errors[0]!.tenant, 'blue');
});

test('errors are counted by what is said but for its numbers; the last ones are kept, the newest first', () => {
  const { watch, take, at } = watching();
  for (let i = 0; i < 3; i++) {
    at(1000 + i);
    watch.failed(0, { ...reject, words: `line ${i}: too long` });
  }
  watch.failed(0, retry);
  const [newest, first] = take()!.errors;
  assert.equal(newest!.words, 'busy');
  assert.deepEqual(first, {
    action: 'reject',
    answer: '400',
    words: 'line 2: too long',
    times: 3,
    rows: 9,
    reason: 'rejected',
    firstMs: 1000,
    lastMs: 1002,
  });
  for (let i = 0; i < 20; i++)
    watch.failed(0, { ...retry, words: `${'x'.repeat(i)} ${'long '.repeat(200)}` });
  const { errors } = take()!;
  assert.equal(errors.length, 8);
  assert.ok(errors.every(({ words }) => words.length <= 300));
});
