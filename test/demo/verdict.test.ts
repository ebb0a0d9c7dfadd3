import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Facts, verdictOf } from '../../demo/verdict.ts';

const good: Facts = {
  acknowledged: 10,
  agent: { received: 10, returned: 2, delivered: 12, dropped: 0, waiting: 0 },
  sink: { exact: 10, duplicates: 2, outOfOrder: 0, wrong: 0 },
};

test('all accounted for is good, duplicates after a kill included', () => {
  const { good: holds, text } = verdictOf(good);
  assert.ok(holds);
  assert.match(text, /All samples are accounted for/);
  assert.doesNotMatch(text, /NO /);
});

const { agent, sink } = good;
const bad: Readonly<Record<string, Facts>> = {
  'nothing was sent': {
    acknowledged: 0,
    agent: { received: 0, returned: 0, delivered: 0, dropped: 0, waiting: 0 },
    sink: { exact: 0, duplicates: 0, outOfOrder: 0, wrong: 0 },
  },
  'an acknowledged sample was not received': { ...good, acknowledged: 11 },
  'the books do not balance': { ...good, agent: { ...agent, delivered: 11 } },
  'a sample was given up': { ...good, agent: { ...agent, delivered: 11, dropped: 1 } },
  'a sample still waits': { ...good, agent: { ...agent, delivered: 11, waiting: 1 } },
  'a sample is missing at the receiver': { ...good, sink: { ...sink, exact: 9 } },
  'a sample was altered': { ...good, sink: { ...sink, wrong: 1 } },
  'a sample came late': { ...good, sink: { ...sink, outOfOrder: 1 } },
};

for (const [what, facts] of Object.entries(bad)) {
  test(`${what}: not accounted for`, () => {
    const { good: holds, text } = verdictOf(facts);
    assert.equal(holds, false);
    assert.match(text, /^ {2}NO /m);
    assert.match(text, /NOT all samples are accounted for/);
  });
}
