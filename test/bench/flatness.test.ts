import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flatness } from '../../bench/flatness.ts';

const readings = (of: (i: number) => number, count = 100): number[] =>
  Array.from({ length: count }, (_, i) => of(i));

test('a steady process is flat, also when it warms up, shrinks, or has spikes', () => {
  assert.equal(flatness(readings(() => 100)).fault, undefined);
  assert.equal(flatness(readings((i) => (i < 20 ? i : 100))).fault, undefined);
  assert.equal(flatness(readings((i) => 200 - i)).fault, undefined);
  assert.equal(flatness(readings((i) => (i % 5 === 0 ? 300 : 100))).fault, undefined);
});

test('steady growth is found, also when the end is low again', () => {
  assert.match(flatness(readings((i) => 100 + i)).fault!, /grew by/);
  assert.match(flatness(readings((i) => (i > 50 && i < 80 ? 120 : 100))).fault!, /grew by 20 %/);
});

test('a few readings tell nothing', () => {
  assert.match(flatness(readings(() => 100, 10)).fault!, /too short/);
});
