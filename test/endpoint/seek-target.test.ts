import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EndpointControlError, type SeekTarget } from '../../src/endpoint/control.ts';
import { segmentOf } from '../../src/endpoint/seek-target.ts';

// 3 is going already; 9 is being written.
const queue = {
  oldest: 5,
  watermark: { segment: 9 },
  segments: [
    { id: 3, lastMs: 900 },
    { id: 5, lastMs: 1000 },
    { id: 6, lastMs: 2000 },
    { id: 9, lastMs: 5000 },
  ],
};
const nowMs = 6000;
const go = (target: Exclude<SeekTarget, 'now'>): number => segmentOf(queue, 'a', target, nowMs);

test('a target means a segment of the queue', () => {
  assert.deepEqual((['oldest', 5, 7, 9] as const).map(go), [5, 5, 7, 9]);
  for (const target of [3, 4, 10]) assert.throws(() => go(target), EndpointControlError);
});

test('what is passed over is bounded by a segment, which may be gone, or still to begin', () => {
  assert.deepEqual(
    [3, 5, 9, 10].map((before) => go({ before })),
    [3, 5, 9, 10],
  );
  assert.throws(() => go({ before: 11 }), EndpointControlError);
});

test('what is sent once more begins at the oldest that is left', () => {
  assert.deepEqual(
    [3, 5, 9, 10].map((from) => go({ from })),
    [5, 5, 9, 9],
  );
});

test('a time means the first segment that has what came then or later', () => {
  const table = [
    [0, 5],
    [900, 5],
    [1000, 5],
    [1001, 6],
    [2000, 6],
    [2001, 9],
    [5000, 9],
    // Nothing came since: at the next row.
    [5001, 9],
    [6000, 9],
  ] as const;
  for (const [atMs, segment] of table) assert.equal(go({ atMs }), segment, String(atMs));
  assert.throws(() => go({ atMs: 6001 }), /still to come/);
  assert.equal(segmentOf({ ...queue, segments: [] }, 'a', { atMs: 1 }, nowMs), 9);
});
