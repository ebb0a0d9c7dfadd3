import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sameWords } from '../../src/network/same-words.ts';

test('words of receivers that differ by row, time or id say the same; others do not', () => {
  const series = (job: string, at: number): string =>
    `out of order sample: timestamp=${at}, series={__name__="up", job="${job}"}`;
  const request = (id: string): string => `err-mimir-tenant-max-request-rate, request ${id}: slow down`;
  for (const [one, other] of [
    [series('node', 1_700_000_000_123), series('prometheus-0', 1_800_000_000_456)],
    [request('3f2a9c1e-7b4d-4e1a-9f00-abcdefabcdef'), request('0000000a-1111-4222-8333-fedcbafedcba')],
    [`long ${'x'.repeat(100)} one`, `long ${'x'.repeat(100)} other`],
  ] as const) {
    assert.equal(sameWords(one), sameWords(other));
  }
  assert.notEqual(sameWords('out of order sample'), sameWords('duplicate sample for timestamp'));
  assert.notEqual(sameWords('label name is too long'), sameWords('label value is too long'));
  assert.ok(sameWords('x'.repeat(10_000)).length <= 80);
});
