import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMetric } from './metrics.ts';

test('a metric is the sum of its series with the labels asked for', () => {
  const page = '# TYPE a counter\na{x="1",y="2"} 3\na{x="1",y="3"} 4 1700000000000\na_total 9\nb 1e3\n';
  assert.equal(readMetric(page, 'a'), 7);
  assert.equal(readMetric(page, 'a', { y: '3' }), 4);
  assert.equal(readMetric(page, 'a', { y: '4' }), undefined);
  assert.equal(readMetric(page, 'b'), 1000);
  assert.equal(readMetric(page, 'c'), undefined);
});
