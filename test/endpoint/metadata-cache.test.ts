import assert from 'node:assert/strict';
import { test } from 'node:test';
import { familyName, familyOf } from '../../src/endpoint/family-names.ts';
import { MetadataCache, ofTenant } from '../../src/endpoint/metadata-cache.ts';
import { SegmentMetadata } from '../../src/endpoint/series-metadata.ts';
import { ToldMetadata } from '../../src/endpoint/told-metadata.ts';
import { TestSegment } from '../network/support/segment.ts';

const text = (words: string) => new TextEncoder().encode(words);
const none = text('');

const COUNTER = 1;
const GAUGE = 2;
const HISTOGRAM = 3;
const GAUGE_HISTOGRAM = 4;
const SUMMARY = 5;
const INFO = 6;
const STATESET = 7;

/** By suffix: the types that strip it. */
const stripped: readonly (readonly [suffix: string, ...types: number[]])[] = [
  ['_total', COUNTER],
  ['_created', COUNTER, HISTOGRAM, SUMMARY],
  ['_bucket', HISTOGRAM, GAUGE_HISTOGRAM],
  ['_sum', HISTOGRAM, GAUGE_HISTOGRAM, SUMMARY],
  ['_count', HISTOGRAM, GAUGE_HISTOGRAM, SUMMARY],
  ['_gsum', GAUGE_HISTOGRAM],
  ['_gcount', GAUGE_HISTOGRAM],
  ['_info', INFO],
];

for (const [suffix, ...types] of stripped) {
  test(`RLY-07: ${suffix} is a suffix of families of type ${types.join(', ')} alone`, () => {
    for (const type of [0, COUNTER, GAUGE, HISTOGRAM, GAUGE_HISTOGRAM, SUMMARY, INFO, STATESET]) {
      const found = familyOf(`a${suffix}`, (family) => (family === 'a' ? { type } : undefined));
      assert.deepEqual(found, types.includes(type) ? { type } : undefined, `type ${type}`);
      const name = types.includes(type) && suffix !== '_total' ? 'a' : `a${suffix}`;
      assert.equal(familyName(`a${suffix}`, type), name, `type ${type}`);
    }
    assert.equal(
      familyOf(suffix, () => undefined),
      undefined,
    );
    assert.equal(familyName(suffix, types[0]!), suffix, 'nothing would be left');
  });
}

test('RLY-07: a family of the very name of the series comes first', () => {
  const families = new Map([
    ['a', { type: HISTOGRAM }],
    ['a_count', { type: GAUGE }],
  ]);
  assert.deepEqual(
    familyOf('a_count', (name) => families.get(name)),
    { type: GAUGE },
  );
  assert.deepEqual(
    familyOf('a', (name) => families.get(name)),
    { type: HISTOGRAM },
  );
});

test('the same metadata is the same object and no change; other metadata is one', () => {
  const cache = new MetadataCache();
  const one = cache.put('a', COUNTER, text('A.'), none);
  const { generation } = cache;
  assert.equal(cache.put('a', COUNTER, text('A.'), none), one);
  assert.equal(cache.generation, generation);
  for (const [type, help, unit] of [
    [GAUGE, 'A.', ''],
    [GAUGE, 'B.', ''],
    [GAUGE, 'B.', 's'],
  ] as const) {
    const before = cache.generation;
    assert.notEqual(cache.put('a', type, text(help), text(unit)), one);
    assert.ok(cache.generation > before);
  }
});

test('senders that do not agree on a family get one object each, however often they take turns', () => {
  const cache = new MetadataCache();
  const one = cache.put('a', COUNTER, text('One.'), none);
  const two = cache.put('a', COUNTER, text('Two.'), none);
  assert.equal(cache.put('a', COUNTER, text('One.'), none), one);
  assert.equal(cache.put('b', COUNTER, text('Two.'), none), two);
  assert.notEqual(cache.put('a', COUNTER, none, text('One.')), one, 'that is a unit');
});

test('what it keeps is its own: the texts come as views of memory that changes', () => {
  const help = text('A.');
  const cache = new MetadataCache();
  cache.put('a', COUNTER, help, none);
  help.fill(0);
  assert.deepEqual(cache.get('a')?.help, text('A.'));
});

test('changes are taken once, at most so many at a time, and a family that goes on changing once', () => {
  const cache = new MetadataCache([{ family: text('old'), type: GAUGE, help: none, unit: none }]);
  cache.put('old', GAUGE, none, none);
  for (const help of ['1', '2', '3'])
    for (const family of ['a', 'b', 'c']) cache.put(family, COUNTER, text(help), none);
  const taken = [...cache.takeChanges(2), ...cache.takeChanges(2), ...cache.takeChanges(2)];
  assert.deepEqual(
    taken.map(({ family, help }) => [Buffer.from(family).toString(), Buffer.from(help).toString()]),
    [
      ['a', '3'],
      ['b', '3'],
      ['c', '3'],
    ],
  );
});

test('it is bounded: the family told of the longest ago goes', () => {
  const known = ['a', 'b', 'c'].map((name) => ({ family: text(name), type: GAUGE, help: none, unit: none }));
  const cache = new MetadataCache(known, 3);
  cache.put('a', GAUGE, none, none);
  cache.put('d', GAUGE, none, none);
  assert.equal(cache.size, 3);
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((name) => cache.get(name) !== undefined),
    [true, false, true, true],
  );
  assert.equal(new MetadataCache(known, 2).size, 2);
});

test('it is bounded in bytes too, whatever is in the texts; what alone is too much is not kept', () => {
  const most = 1000;
  const known = ['a', 'b'].map((name) => ({
    family: text(name),
    type: GAUGE,
    help: text('x'.repeat(400)),
    unit: none,
  }));
  const cache = new MetadataCache(known, 100, most);
  assert.equal(cache.size, 2);
  cache.put('a', GAUGE, text('y'.repeat(400)), none);
  cache.put('c', GAUGE, none, text('z'.repeat(400)));
  assert.deepEqual(
    ['a', 'b', 'c'].map((name) => cache.get(name) !== undefined),
    [true, false, true],
  );
  const { help } = cache.put('d', GAUGE, text('w'.repeat(most)), none);
  assert.equal(help.length, most);
  assert.equal(cache.size, 0);
  assert.deepEqual(
    cache.takeChanges(10).map(({ family }) => Buffer.from(family).toString()),
    [],
  );
  for (let i = 0; i < 50; i++) cache.put(`e${i}`, GAUGE, text('v'.repeat(17)), none);
  assert.equal(cache.size, 50);
});

test('no tenant is told what another said of a family', () => {
  const { dictionary } = new TestSegment(1);
  for (const [series, tenant] of ['', 'one', 'two', 'one'].entries()) {
    dictionary.leavesUnder(series, dictionary.tenants.of(tenant));
  }
  const cache = new MetadataCache();
  const metadata = new SegmentMetadata(dictionary, new ToldMetadata(dictionary), cache);
  const known = () => [0, 1, 2, 3].map((series) => metadata.of(series)?.help);
  for (const series of ['s1', 's2']) cache.put(ofTenant('one', series), GAUGE, text(series), none);
  assert.deepEqual(known(), [undefined, text('s1'), undefined, undefined]);
  for (const series of ['s0', 's1', 's2']) cache.put(ofTenant('', series), GAUGE, text('all'), none);
  assert.deepEqual(known(), [text('all'), text('s1'), undefined, undefined]);
  assert.notEqual(ofTenant('', '\none\ns1'), ofTenant('one', 's1'), 'a name cannot pass for a tenant');
});
