import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decideRetention,
  type EndpointLimits,
  type Full,
  heldBytes,
  type RetentionState,
} from '../../src/filequeue/retention.ts';
import type { SegmentInfo } from '../../src/filequeue/segment-file.ts';
import { noon } from './queue.ts';

const none = Number.POSITIVE_INFINITY;

/** Segments 1, 2, ... of 100 bytes and 10 rows each, a minute apart; the last was written to just now. */
function segments(count: number): SegmentInfo[] {
  return Array.from({ length: count }, (_, i) => {
    const lastMs = noon - (count - 1 - i) * 60_000;
    return {
      id: i + 1,
      bytes: 100,
      rows: 10,
      counts: [10, 0, 0, 0],
      frames: 1,
      firstMs: lastMs - 30_000,
      lastMs,
    };
  });
}

interface Given {
  readonly count?: number;
  readonly open?: boolean;
  readonly endpoints?: Record<string, readonly [low: number, limits?: Partial<EndpointLimits>]>;
  readonly maxBytes?: number;
  readonly maxAgeMs?: number;
  readonly space?: RetentionState['space'];
  readonly noSpace?: boolean;
  readonly full?: Full | undefined;
}

function decide(given: Given) {
  const { count = 10, open = true, endpoints = { a: [1] }, maxBytes = none, maxAgeMs = none } = given;
  return decideRetention({
    segments: segments(count),
    open,
    endpoints: Object.entries(endpoints).map(([name, [low, limits]]) => ({
      name,
      low: { segment: low, row: 0 },
      limits: { whenFull: 'reject', maxBytes: none, maxAgeMs: none, ...limits },
    })),
    limits: { maxBytes, maxAgeMs, segmentBytes: 100 },
    space: given.space,
    noSpace: given.noSpace ?? false,
    full: given.full,
    nowMs: noon,
  });
}

const drop = { whenFull: 'drop_oldest' } as const;

test('without caps nothing is refused and nothing goes', () => {
  const { full, drops, endSegment, capBytes } = decide({});
  assert.deepEqual([full, drops, endSegment, capBytes], [undefined, [], false, none]);
});

test('at max_bytes writes are refused, and it says who is waited for; again below 95 % they are taken', () => {
  assert.equal(decide({ maxBytes: 1001 }).full, undefined);
  const { full, drops, endSegment } = decide({ maxBytes: 1000, endpoints: { a: [1], b: [4], c: [1] } });
  assert.deepEqual(full, {
    limit: 'max_bytes',
    endpoint: '',
    usedBytes: 1000,
    limitBytes: 1000,
    waitsFor: ['a', 'c'],
  });
  assert.deepEqual(drops, []);
  assert.ok(endSegment, 'what is in the open segment could never be deleted else');
  assert.ok(decide({ maxBytes: 1050, full }).full, 'still above 95 %');
  assert.equal(decide({ maxBytes: 1053, full }).full, undefined);
});

test('drop_oldest starts a segment before the cap, with whole segments', () => {
  const endpoints = { a: [1, drop] } as const;
  assert.deepEqual(decide({ maxBytes: 1100, endpoints }).drops, []);
  const early = decide({ maxBytes: 1099, endpoints });
  assert.deepEqual(
    [early.full, early.drops],
    [undefined, [{ endpoint: 'a', before: 2, reason: 'dropped_full' }]],
  );
  assert.deepEqual(decide({ maxBytes: 800, endpoints }).drops, [
    { endpoint: 'a', before: 4, reason: 'dropped_full' },
  ]);
  assert.ok(decide({ maxBytes: 800, endpoints }).full, 'until they are deleted the cap holds');
  assert.deepEqual(decide({ maxBytes: 800, endpoints: { a: [4, drop] } }).drops, [], 'it has passed them');
});

test('an endpoint that may drop does not, as long as another keeps the segments', () => {
  const drops = (needed: number) =>
    decide({ maxBytes: 800, endpoints: { must: [needed], may: [1, drop] } }).drops;
  assert.deepEqual(drops(1), []);
  assert.deepEqual(drops(2), [{ endpoint: 'may', before: 2, reason: 'dropped_full' }]);
  assert.deepEqual(drops(10), [{ endpoint: 'may', before: 4, reason: 'dropped_full' }]);
});

test('within its own share an endpoint drops, or refuses for all', () => {
  const share = { maxBytes: 300 };
  assert.deepEqual(decide({ endpoints: { must: [1], may: [1, { ...drop, ...share }] } }).drops, [
    { endpoint: 'may', before: 8, reason: 'dropped_full' },
  ]);
  const { full, drops } = decide({ endpoints: { other: [1, drop], must: [8, share] } });
  assert.deepEqual(drops, []);
  assert.deepEqual(full, {
    limit: 'max_backlog_bytes',
    endpoint: 'must',
    usedBytes: 300,
    limitBytes: 300,
    waitsFor: ['must'],
  });
  assert.equal(decide({ endpoints: { must: [9, share] } }).full, undefined);
});

test('what is too old goes, also where nothing else may: whole ended segments, counted as age', () => {
  // Segment 10 is of now, 9 of a minute ago, ...
  assert.deepEqual(decide({ maxAgeMs: 5 * 60_000 }).drops, [
    { endpoint: 'a', before: 5, reason: 'dropped_age' },
  ]);
  assert.deepEqual(decide({ endpoints: { a: [1, { maxAgeMs: 60_000 }], b: [1] } }).drops, [
    { endpoint: 'a', before: 9, reason: 'dropped_age' },
  ]);
  assert.deepEqual(
    decide({ maxAgeMs: -1 }).drops,
    [{ endpoint: 'a', before: 10, reason: 'dropped_age' }],
    'not the open one',
  );
  assert.deepEqual(
    decide({ maxBytes: 800, maxAgeMs: 8 * 60_000, endpoints: { a: [1, drop] } }).drops.map(
      ({ before, reason }) => [before, reason],
    ),
    [
      [2, 'dropped_age'],
      [4, 'dropped_full'],
    ],
  );
});

test('a full disk is a cap that was met early', () => {
  const space = (freeBytes: number) => ({ freeBytes, minFreeBytes: 200 });
  assert.equal(decide({ space: space(200) }).full, undefined);
  const { full } = decide({ space: space(199) });
  assert.equal(full?.limit, 'disk');
  assert.ok(decide({ space: space(205), full }).full, 'open again with some more');
  assert.equal(decide({ space: space(211), full }).full, undefined);
  assert.equal(decide({ space: space(500) }).capBytes, 1300);
  assert.deepEqual(decide({ space: space(250), endpoints: { a: [1, drop] } }).drops, [
    { endpoint: 'a', before: 2, reason: 'dropped_full' },
  ]);
});

test('a disk that refused is full whatever it says of its space', () => {
  const { full, drops } = decide({ noSpace: true, endpoints: { a: [1, drop] } });
  assert.equal(full?.limit, 'disk');
  assert.deepEqual(drops, [{ endpoint: 'a', before: 2, reason: 'dropped_full' }]);
  const quota = decide({
    noSpace: true,
    space: { freeBytes: 1e9, minFreeBytes: 1 },
    endpoints: { a: [1, drop] },
  });
  assert.equal(quota.full?.limit, 'disk');
  assert.equal(quota.drops.length, 1);
});

test('the open segment is ended when it is too much of the cap, since only whole segments go', () => {
  assert.equal(decide({ count: 1, maxBytes: 401 }).endSegment, false);
  assert.equal(decide({ count: 1, maxBytes: 400 }).endSegment, true);
  assert.equal(decide({ count: 1, maxBytes: 400, open: false }).endSegment, false);
  assert.equal(decide({ count: 1, endpoints: { a: [1, { maxBytes: 400 }] } }).endSegment, true);
});

test('an endpoint holds the segments that it has not read to the end', () => {
  assert.equal(heldBytes(segments(3), { segment: 1, row: 0 }), 300);
  assert.equal(heldBytes(segments(3), { segment: 2, row: 9 }), 200);
  assert.equal(heldBytes(segments(3), { segment: 2, row: 10 }), 100);
  assert.equal(heldBytes(segments(3), { segment: 4, row: 0 }), 0);
});
