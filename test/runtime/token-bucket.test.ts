import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TokenBucket } from '../../src/runtime/token-bucket.ts';
import { Random } from '../support/random.ts';

describe('TokenBucket', () => {
  it('lets pass while there is anything in it, then says how long to wait', () => {
    const bucket = new TokenBucket(100, 1000, 0);
    bucket.take(999, 0);
    assert.equal(bucket.waitMs(0), 0);
    bucket.take(501, 0);
    // 500 below nothing, and one token to begin with.
    assert.equal(bucket.waitMs(0), 5010);
    assert.equal(bucket.waitMs(5000), 10);
    assert.equal(bucket.waitMs(5010), 0);
  });

  it('holds no more than its burst, however long it rests, and survives a clock that goes back', () => {
    const bucket = new TokenBucket(100, 1000, 1000);
    assert.ok(bucket.isFull(1_000_000));
    bucket.take(1000, 1_000_000);
    assert.ok(!bucket.isFull(1_000_000));
    assert.equal(bucket.waitMs(999_000), 10);
    assert.equal(bucket.waitMs(1_000_010), 0);
  });

  it('holds the rate on average, whatever requests bring and whenever they come', (t) => {
    const random = Random.of(t);
    const rate = 1000;
    const burst = 5000;
    const largest = 20_000;
    const bucket = new TokenBucket(rate, burst, 0);
    let now = 0;
    let taken = 0;
    for (let i = 0; i < 20_000; i++) {
      now += random.int(0, 100);
      if (bucket.waitMs(now) > 0) continue;
      const rows = random.int(0, largest);
      bucket.take(rows, now);
      taken += rows;
      assert.ok(taken <= burst + (now * rate) / 1000 + largest, `${taken} rows after ${now} ms`);
    }
    assert.ok(taken >= (now * rate) / 1000 - burst, `only ${taken} rows after ${now} ms`);
  });
});
