import assert from 'node:assert/strict';
import { test } from 'node:test';
import { retryAfterMs } from '../../src/network/retry-after.ts';

// HTTP dates are in GMT wherever we run.
process.env.TZ = 'Asia/Tokyo';

const now = Date.UTC(2026, 7, 9, 12, 0, 0);
const max = 300_000;

const table: [header: string | undefined, wait: number | undefined][] = [
  // Seconds
  ['1', 1000],
  ['120', 120_000],
  [' 7 ', 7000],
  ['300', max],
  ['301', max],
  ['99999999999999999999999', max],
  ['0', undefined],
  ['-5', undefined],
  ['1.5', undefined],
  ['1e3', undefined],
  ['5 s', undefined],
  // Dates, in the three forms of RFC 9110
  ['Sun, 09 Aug 2026 12:00:30 GMT', 30_000],
  ['Sunday, 09-Aug-26 12:00:30 GMT', 30_000],
  ['Sun Aug  9 12:00:30 2026', 30_000],
  ['Mon, 10 Aug 2026 12:00:00 GMT', max],
  ['Sun, 09 Aug 2026 12:00:00 GMT', undefined],
  ['Sun, 09 Aug 2026 11:59:59 GMT', undefined],
  ['Sun, 09 Foo 2026 12:00:30 GMT', undefined],
  // Dates, but not HTTP's
  ['2026-08-09T12:00:30Z', undefined],
  ['2026-08-09 12:00:30', undefined],
  ['9 Aug 2026 12:00:30 GMT', undefined],
  // Junk
  [undefined, undefined],
  ['', undefined],
  ['soon', undefined],
  ['Sunday', undefined],
];

for (const [header, wait] of table) {
  test(`Retry-After: ${header} (RW2-S-20)`, () => {
    assert.equal(retryAfterMs(header, now, max), wait);
  });
}
