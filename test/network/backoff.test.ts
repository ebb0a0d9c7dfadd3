import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { backoffMs } from '../../src/network/backoff.ts';

const defaults = { minBackoffMs: 30, maxBackoffMs: 5000 };
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test('the steps double from the minimum to the cap', () => {
  const shortest = [0, 1, 2, 3, 7, 8, 9].map((attempt) => backoffMs(attempt, defaults, 0));
  assert.deepEqual(shortest, [15, 30, 60, 120, 1920, 4500, 4500]);
});

test('below the cap a wait is half fixed, half random; at it, the cap +-10 %', () => {
  assert.equal(backoffMs(3, defaults, 0.5), 180);
  assert.equal(Math.round(backoffMs(3, defaults, 0.999_999)), 240);
  assert.equal(backoffMs(20, defaults, 0.5), 5000);
  assert.equal(Math.round(backoffMs(20, defaults, 0.999_999)), 5500);
});

test('a minimum of 0 counts as 1 ms, and the waits grow all the same', () => {
  const waits = [0, 1, 2, 3].map((attempt) =>
    backoffMs(attempt, { minBackoffMs: 0, maxBackoffMs: 5000 }, 0.5),
  );
  assert.deepEqual(waits, [1, 1.5, 3, 6]);
});

test('no wait is shorter than 0.8 of the one before, than 1 ms, or longer than 1.1 of the cap (RW1-S-17)', () => {
  const settings = fc.record({
    minBackoffMs: fc.double({ min: 0, max: 1e4, noNaN: true }),
    maxBackoffMs: fc.double({ min: 1, max: 1e5, noNaN: true }),
  });
  fc.assert(
    fc.property(settings, fc.nat(2000), random, random, (backoff, attempt, first, second) => {
      const before = backoffMs(attempt, backoff, first);
      const after = backoffMs(attempt + 1, backoff, second);
      assert.ok(after >= 0.8 * before, `${after} after ${before}`);
      assert.ok(before >= 1);
      assert.ok(before <= Math.max(1, backoff.maxBackoffMs) * 1.1);
    }),
  );
});

// remote-write.md, section 9: three attempts in 20 s, each wait from 1 ms to 60 s.
test('the official sender tests are met with the defaults', () => {
  fc.assert(
    fc.property(random, random, fc.nat(1000), (first, second, attempt) => {
      assert.ok(backoffMs(0, defaults, first) + backoffMs(1, defaults, second) < 20_000);
      assert.ok(backoffMs(attempt, defaults, first) <= 60_000);
    }),
  );
});
