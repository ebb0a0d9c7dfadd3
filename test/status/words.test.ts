import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bytesText,
  clockText,
  countText,
  durationText,
  rateText,
  samplesText,
} from '../../src/status/words.ts';

test('numbers are said as people say them', () => {
  const cases: readonly [string, string][] = [
    [durationText(0), '0 s'],
    [durationText(0.44), '0.4 s'],
    [durationText(9.96), '10 s'],
    [durationText(89.4), '89 s'],
    [durationText(840), '14 min'],
    [durationText(89.6 * 60), '90 min'],
    [durationText(2 * 3600 + 300), '2 h 5 min'],
    [durationText(2 * 3600 + 3599), '3 h'],
    [durationText(14.4 * 3600), '14 h'],
    [durationText(76 * 3600), '3 d 4 h'],
    [durationText(40 * 86_400), '40 d'],
    [durationText(-5), '0 s'],
    [countText(0), '0'],
    [countText(12_345.4), '12,345'],
    [countText(1_234_000), '1.23 million'],
    [countText(45_670_000), '45.7 million'],
    [countText(3.21e9), '3.21 billion'],
    [rateText(0), '0/s'],
    [rateText(0.31), '0.3/s'],
    [rateText(42.4), '42/s'],
    [bytesText(512), '512 B'],
    [bytesText(1.5 * 2 ** 20), '1.5 MiB'],
    [bytesText(1020), '1 KiB'],
    [bytesText(20 * 2 ** 30), '20 GiB'],
    [bytesText(5000 * 2 ** 40), '5000 TiB'],
    [samplesText(1), '1 sample'],
    [samplesText(2), '2 samples'],
  ];
  for (const [said, expected] of cases) assert.equal(said, expected);
});

test('a time is in UTC, with its day when that is not today', () => {
  const now = Date.UTC(2026, 10, 21, 3, 20);
  assert.equal(clockText(Date.UTC(2026, 10, 21, 3, 12), now), '03:12 UTC');
  assert.equal(clockText(Date.UTC(2026, 10, 20, 23, 59), now), '2026-11-20 23:59 UTC');
});
