import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atEnd } from './cleanup.ts';

test('what was acquired last is released first', async (t) => {
  const released: string[] = [];
  await t.test('a user of two things', (inner) => {
    atEnd(inner, () => void released.push('first'));
    atEnd(inner, async () => void released.push('second'));
  });
  assert.deepEqual(released, ['second', 'first']);
});
