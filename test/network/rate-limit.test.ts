import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateLimit } from '../../src/network/rate-limit.ts';

test('the scarcer of samples and bytes says how long to wait', () => {
  let now = 0;
  const limit = new RateLimit({ samples: 100, bytes: 1000 }, () => now);
  assert.equal(limit.waitMs(), 0);
  limit.take(300, 10);
  // 200 samples too many, and one is needed.
  assert.equal(limit.waitMs(), 2010);
  limit.take(0, 5990);
  assert.equal(limit.waitMs(), 5001);
  now = 5001;
  assert.equal(limit.waitMs(), 0);
});

test('without limits nobody waits', () => {
  const limit = new RateLimit({ samples: undefined, bytes: undefined }, () => 0);
  limit.take(1e9, 1e12);
  assert.equal(limit.waitMs(), 0);
});
