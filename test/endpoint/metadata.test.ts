import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MetadataFilter } from '../../src/endpoint/metadata.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

test('metadata passes when it is new or has changed, and else once an interval', () => {
  const filter = new MetadataFilter(60_000);
  for (const { family, text, atMs, passes } of [
    { family: 'a', text: 'one', atMs: 0, passes: true },
    { family: 'a', text: 'one', atMs: 0, passes: false },
    { family: 'b', text: 'one', atMs: 1, passes: true },
    { family: 'a', text: 'one', atMs: 53_999, passes: false },
    { family: 'a', text: 'two', atMs: 53_999, passes: true },
    { family: 'a', text: 'one', atMs: 54_000, passes: true },
    // A minute of the sender that is a tenth short still counts as one.
    { family: 'b', text: 'one', atMs: 54_001, passes: true },
    { family: 'a', text: 'one', atMs: 107_999, passes: false },
    { family: 'a', text: 'one', atMs: 108_000, passes: true },
    // The clock was set back: it does not hold metadata back until it has caught up.
    { family: 'a', text: 'one', atMs: 5, passes: true },
    { family: 'a', text: 'one', atMs: 6, passes: false },
    { family: '', text: '', atMs: 6, passes: true },
  ]) {
    assert.equal(filter.passes(bytes(family), bytes(text), atMs), passes, `${family} ${text} at ${atMs}`);
  }
});

test('without an interval everything passes', () => {
  const filter = new MetadataFilter(0);
  assert.equal(filter.passes(bytes('a'), bytes('x'), 1), true);
  assert.equal(filter.passes(bytes('a'), bytes('x'), 1), true);
});

test('families that are not UTF-8 are told apart', () => {
  const filter = new MetadataFilter(60_000);
  assert.equal(filter.passes(Uint8Array.of(0xff), bytes('x'), 1), true);
  assert.equal(filter.passes(Uint8Array.of(0xfe), bytes('x'), 1), true);
});
