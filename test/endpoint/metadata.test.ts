import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MetadataEntry, MetadataFilter } from '../../src/endpoint/metadata.ts';

const entry = (family: string, text: string, tenant = ''): MetadataEntry => ({
  family,
  tenant,
  message: new TextEncoder().encode(text),
});
const at = (ms: number) => ({ committedMs: ms, nowMs: ms });

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
    assert.equal(filter.passes(entry(family, text), at(atMs)), passes, `${family} ${text} at ${atMs}`);
  }
});

test('a thousand minutes of a backlog that are read in one are no thousand repetitions', () => {
  const filter = new MetadataFilter(60_000);
  let passed = 0;
  for (let minute = 0; minute < 1000; minute++) {
    const time = { committedMs: minute * 60_000, nowMs: 2e9 + minute * 60 };
    if (filter.passes(entry('a', 'one'), time)) passed++;
  }
  assert.equal(passed, 2);
  assert.ok(
    filter.passes(entry('a', 'two'), { committedMs: 6e7, nowMs: 2e9 + 60_000 }),
    'what is new passes',
  );
});

test('rows that are read a little late, one after the other, are those of two minutes', () => {
  const filter = new MetadataFilter(60_000);
  assert.ok(filter.passes(entry('a', 'one'), { committedMs: 0, nowMs: 20_000 }));
  assert.ok(filter.passes(entry('a', 'one'), { committedMs: 60_000, nowMs: 60_000 }));
});

test('once more is once an interval, and never waits for two', () => {
  const filter = new MetadataFilter(60_000);
  assert.ok(filter.passes(entry('early', ''), at(1000)));
  assert.ok(filter.passes(entry('late', ''), at(50_000)));
  const passesAgain = (family: string, ms: number): boolean => {
    const due = filter.isDue(entry(family, ''), at(ms));
    if (due) filter.arrived(entry(family, ''), at(ms));
    return due;
  };
  assert.deepEqual([passesAgain('early', 60_000), passesAgain('late', 60_000)], [true, false]);
  assert.deepEqual([passesAgain('early', 119_990), passesAgain('late', 119_990)], [true, true]);
  assert.equal(filter.passes(entry('early', ''), at(170_000)), false, 'a row after it is early');
  assert.equal(passesAgain('never told', 170_000), true);
  assert.equal(filter.passes(entry('never told', ''), at(171_000)), false, 'it arrived');
  assert.ok(filter.isDue(entry('asked only', ''), at(171_000)));
  assert.equal(filter.passes(entry('asked only', ''), at(171_000)), true, 'it did not arrive');
});

test('without an interval everything passes', () => {
  const filter = new MetadataFilter(0);
  assert.equal(filter.passes(entry('a', 'x'), at(1)), true);
  assert.equal(filter.passes(entry('a', 'x'), at(1)), true);
});

test('families of two tenants are told apart, and those that are not UTF-8', () => {
  const filter = new MetadataFilter(60_000);
  for (const one of [entry('\xff', 'x'), entry('\xfe', 'x'), entry('a', 'x'), entry('a', 'x', 'one')]) {
    assert.equal(filter.passes(one, at(1)), true);
  }
});
