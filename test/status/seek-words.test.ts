import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seekText } from '../../src/status/seek-words.ts';

const nowMs = Date.UTC(2026, 10, 21, 3, 12);
const atMs = Date.UTC(2026, 10, 21, 2, 10);

test('who moves an endpoint is told what is sent again and what is passed over', () => {
  const table = [
    [
      { direction: 'backwards', rows: 1200, atMs },
      /^1,200 samples that it was sent before are sent again; nothing is lost\. .* mimir then goes on with what came at 02:10 UTC,/,
    ],
    [{ direction: 'backwards', rows: 0, atMs }, /^It stands there already: nothing is sent again\./],
    [
      { direction: 'forwards', rows: 1, atMs },
      /^At most 1 sample that waits for it is passed over: mimir never gets it, counted as `skipped`\./,
    ],
    [
      { direction: 'forwards', rows: 7 },
      /^At most 7 samples .* never gets them.* goes on with what comes from now on\.$/,
    ],
    [{ direction: 'forwards', rows: 0 }, /^Nothing waits before that: nothing is passed over\./],
  ] as const;
  for (const [seek, text] of table)
    assert.match(seekText('mimir', { segment: 5, ...seek }, nowMs, false), text);
  const done = seekText('mimir', { direction: 'backwards', segment: 5, rows: 3, atMs }, nowMs, true);
  assert.match(done, /mimir goes on with what came at 02:10 UTC/);
});
