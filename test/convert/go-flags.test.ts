import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  arrayItems,
  expandPercent,
  itemFor,
  parseGoDuration,
  parseGoFlags,
  parseVmSize,
} from '../../src/convert/go-flags.ts';
import {
  convertedFlags,
  type FlagKind,
  kindOfFlag,
  knownFlags,
  leftOut,
  readingFlags,
} from '../../src/convert/vmagent-flags.ts';
import { projectDir } from '../support/paths.ts';

const listed = readFileSync(join(projectDir, 'test/fixtures/convert/vmagent-1.145.0-flags.txt'), 'utf8')
  .split('\n')
  .filter((line) => /^[a-z]/.test(line))
  .map((line) => line.split(' ') as [string, string]);

test('every flag of vmagent is in one of the tables, and there is none that vmagent does not have', () => {
  assert.equal(listed.length, 239);
  assert.deepEqual(knownFlags().toSorted(), listed.map(([name]) => name).toSorted());
  const tables = [Object.keys(convertedFlags), Object.keys(readingFlags), [...leftOut.keys()]];
  assert.equal(new Set(tables.flat()).size, tables.flat().length, 'a flag is in two tables');
});

test('each flag takes what vmagent says that it takes', () => {
  const kinds: Readonly<Record<string, readonly FlagKind[]>> = {
    bool: ['switch'],
    // One that becomes nothing is only read past: whether it has several values does not matter.
    'array-bool': ['switches', 'switch'],
    array: ['values', 'value'],
  };
  for (const [name, kind] of listed) {
    assert.ok((kinds[kind] ?? ['value']).includes(kindOfFlag(name)!), `${name} is ${kind}`);
    const several = ['values', 'switches'].includes(kindOfFlag(name)!);
    if (Object.hasOwn(convertedFlags, name)) assert.equal(several, kind.startsWith('array'), name);
  }
});

test('flags are read as Go reads them', () => {
  const kinds: Readonly<Record<string, FlagKind>> = { on: 'switch', v: 'value', l: 'values', s: 'switches' };
  const { values, problems } = parseGoFlags(
    ['-on', '--v=a=b', '-l', 'x', '-l=y,z', '-s', '-s=false', '--on=false', '-v='],
    (name) => kinds[name],
  );
  assert.deepEqual(
    [...values],
    [
      ['on', ['true', 'false']],
      ['v', ['a=b', '']],
      ['l', ['x', 'y,z']],
      ['s', ['true', 'false']],
    ],
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(parseGoFlags(['s3cret', '-what=s3cret', '-v'], (name) => kinds[name]).problems, [
    'argument 1 is not a flag: expected -name=value',
    'vmagent has no flag -what (as of 1.145)',
    '-v needs a value',
  ]);
});

const arrays: readonly (readonly [string, readonly string[]])[] = [
  ['', []],
  ['a', ['a']],
  ['a,b', ['a', 'b']],
  [',b,', ['', 'b', '']],
  ['"a,b",c', ['a,b', 'c']],
  ["'a,b',c", ['a,b', 'c']],
  ['"say \\"x\\"",y', ['say "x"', 'y']],
  ['{"a":"b","c":"d"},{"e":"f"}', ['{"a":"b","c":"d"}', '{"e":"f"}']],
  ['foo(a,b),[c,d]', ['foo(a,b)', '[c,d]']],
  ['a"b,c"d,e', ['a"b,c"d', 'e']],
  ["it's,b", ["it's", 'b']],
];

for (const [text, items] of arrays) {
  test(`the items of ${JSON.stringify(text)}`, () => assert.deepEqual(arrayItems(text), items));
}

test('an item is for its URL, a single one for all, an empty one for none', () => {
  assert.deepEqual(
    [0, 1, 2].map((i) => itemFor(['a', '', 'c'], i)),
    ['a', undefined, 'c'],
  );
  assert.deepEqual(
    [0, 1].map((i) => itemFor(['a'], i)),
    ['a', 'a'],
  );
  assert.equal(itemFor(['a', 'b'], 2), undefined);
});

test('durations and sizes of Go', () => {
  const durations = ['1m0s', '1.5h', '250ms', '0', '.5s', '1d', '10', 'soon', '1m 2s', ''].map(
    parseGoDuration,
  );
  assert.deepEqual(durations, [
    60_000,
    5_400_000,
    250,
    0,
    500,
    86_400_000,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  const sizes = ['500MB', '1.5GiB', '8388608', '1e3', '2 KiB', '1G', 'x', ''].map(parseVmSize);
  assert.deepEqual(sizes, [
    500_000_000,
    1_610_612_736,
    8_388_608,
    1000,
    2048,
    undefined,
    undefined,
    undefined,
  ]);
});

test('%{NAME} is expanded, and what is not set is named', () => {
  assert.deepEqual(expandPercent('a%{X}b%{Y}', { X: '1' }), {
    text: 'a1b%{Y}',
    names: ['X', 'Y'],
    missing: ['Y'],
  });
});
