import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectDir } from '../support/paths.ts';
import { citations, citationsIn, idsIn, renderConformance } from './page.ts';
import { families } from './requirements.ts';
import { untested } from './untested.ts';

const testDir = join(projectDir, 'test');
const known = families.flatMap(({ requirements }) => requirements.map(({ id }) => id));

test('docs/conformance.md is up to date (npm run docs)', () => {
  assert.equal(readFileSync(join(projectDir, 'docs/conformance.md'), 'utf8'), renderConformance(testDir));
});

test('titles cite what there is, and nothing is both held and excused', () => {
  const held = new Set<string>();
  for (const { file, title, ids } of citations(testDir)) {
    for (const id of ids) {
      assert.ok(known.includes(id), `${file}: ${title} cites ${id}, which is no requirement`);
      held.add(id);
    }
  }
  for (const id of Object.keys(untested)) {
    assert.ok(known.includes(id), id);
    assert.ok(!held.has(id), `${id} has a test now: take it out of untested.ts`);
  }
});

test('ids count from 1 without a gap, and each is there once', () => {
  for (const { prefix, requirements } of families) {
    const expected = requirements.map((_, i) => `${prefix}-${String(i + 1).padStart(2, '0')}`);
    assert.deepEqual(
      requirements.map(({ id }) => id),
      expected,
    );
  }
});

test('ids are read one by one, in lists and in ranges', () => {
  for (const [title, ids] of [
    ['a (WIRE-01, RW1-S-02)', ['WIRE-01', 'RW1-S-02']],
    ['b (RW2-R-19 to -21, -26)', ['RW2-R-19', 'RW2-R-20', 'RW2-R-21', 'RW2-R-26']],
    ['c (RW-STALE-01, -02; RLY-10)', ['RW-STALE-01', 'RW-STALE-02', 'RLY-10']],
    [
      'd (RW2-S-22..24, RW1-S-01 to RW1-S-03)',
      ['RW2-S-22', 'RW2-S-23', 'RW2-S-24', 'RW1-S-01', 'RW1-S-02', 'RW1-S-03'],
    ],
    ['UTF-8, RFC-9110 and -1', []],
  ] as const) {
    assert.deepEqual(idsIn(title), ids);
  }
});

test('titles are found in what tests are made of, and nothing else', () => {
  const source = `
// a comment (WIRE-01)
test('it\\'s one (WIRE-02)', () => { assert.ok(x, 'WIRE-03'); });
describe("two (WIRE-04)", () => { it(\`three \${x} (b) (WIRE-05)\`, f); });
test.skip(
  'four (WIRE-06)', f);
const table = [{ what: 'five (WIRE-07)', x }, ['six (WIRE-08, of old)', 1], 'seven WIRE-09'];
test('WIRE-10: eight', f);
`;
  assert.deepEqual(citationsIn(source, 'x'), [
    { file: 'x', title: "it's one", ids: ['WIRE-02'] },
    { file: 'x', title: 'two', ids: ['WIRE-04'] },
    { file: 'x', title: 'three ... (b)', ids: ['WIRE-05'] },
    { file: 'x', title: 'four', ids: ['WIRE-06'] },
    { file: 'x', title: 'five', ids: ['WIRE-07'] },
    { file: 'x', title: 'six', ids: ['WIRE-08'] },
    { file: 'x', title: 'WIRE-10: eight', ids: ['WIRE-10'] },
  ]);
});
