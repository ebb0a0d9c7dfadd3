import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSelector } from '../../src/promql/selector.ts';
import { seriesText } from '../../src/promql/series-text.ts';

test('a series is written as a selector, with what is no plain name in quotes', () => {
  const table: readonly (readonly [Record<string, string>, string])[] = [
    [{ __name__: 'up' }, 'up'],
    [{ __name__: 'up', job: 'node', zone: 'eu' }, 'up{job="node",zone="eu"}'],
    [{ job: 'a"b\\c\nd' }, '{job="a\\"b\\\\c\\nd"}'],
    [{ __name__: 'http.requests', 'host.name': 'x' }, '{"http.requests","host.name"="x"}'],
    [{ __name__: 'größe' }, '{"größe"}'],
  ];
  for (const [labels, text] of table) {
    assert.equal(seriesText(labels), text);
    parseSelector(text);
  }
  assert.equal(seriesText({}), '{}');
});
