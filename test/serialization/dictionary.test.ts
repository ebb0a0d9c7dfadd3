import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Label } from '../../src/protocol/schema.ts';
import { Dictionary } from '../../src/serialization/dictionary.ts';
import { labelBlock } from '../reference/label-block.ts';
import { validLabels } from '../reference/requests.ts';
import { seriesHash } from '../reference/series-hash.ts';
import { canonical } from '../reference/verdicts.ts';
import { labels } from '../support/messages.ts';

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function intern(dictionary: Dictionary, of: readonly Label[]): number {
  const block = labelBlock(of);
  return dictionary.intern(block, viewOf(block), 0, block.length);
}

/** The labels of a series, put together from the strings. */
function labelsOf(dictionary: Dictionary, series: number): Label[] {
  const { seriesPairs, seriesAt, pairName, pairValue } = dictionary;
  const text = (id: number) =>
    Buffer.from(
      dictionary.text.bytes.subarray(dictionary.stringAt[id], dictionary.stringAt[id + 1]),
    ).toString();
  return [...seriesPairs.subarray(seriesAt[series], seriesAt[series + 1])].map((pair) => ({
    name: text(pairName[pair]!),
    value: text(pairValue[pair]!),
  }));
}

function hashOf(of: { seriesHash: Uint32Array }, series: number): [number, number] {
  return [of.seriesHash[2 * series]!, of.seriesHash[2 * series + 1]!];
}

describe('a series', () => {
  it('is its labels, whatever their order; ids count in order of first appearance (RLY-05)', () => {
    fc.assert(
      fc.property(fc.array(validLabels, { maxLength: 12 }), (list) => {
        const dictionary = new Dictionary(1);
        const ids = new Map<string, number>();
        for (const one of [...list, ...list.map((each) => each.toReversed())]) {
          const key = JSON.stringify(canonical(one));
          if (!ids.has(key)) ids.set(key, ids.size);
          const id = intern(dictionary, one);
          assert.equal(id, ids.get(key));
          assert.deepEqual(labelsOf(dictionary, id), canonical(one));
        }
        assert.equal(dictionary.seriesCount, ids.size);
      }),
      { numRuns: 300 },
    );
  });

  it('has the hash that dictionary.ts defines, whatever the seed', () => {
    fc.assert(
      fc.property(validLabels, fc.integer(), (of, seed) => {
        const dictionary = new Dictionary(seed);
        assert.deepEqual(hashOf(dictionary, intern(dictionary, of)), seriesHash(canonical(of)));
      }),
      { numRuns: 300 },
    );
  });

  // Pinned: ownership and routing go by it across versions and processes.
  it('has the same hash for good', () => {
    const dictionary = new Dictionary(1);
    intern(dictionary, labels({ job: 'a', __name__: 'up' }));
    assert.deepEqual(hashOf(dictionary, 0), [0xbedd1b2d, 0x8d5efa49]);
  });

  it('that is invalid says why, adds none, and leaves the next one alone', () => {
    const dictionary = new Dictionary(1);
    for (const [of, reason] of [
      [labels({ a: 'b' }), 'no_metric_name'],
      [labels({ __name__: '' }), 'no_metric_name'],
      [[...labels({ __name__: 'x' }), ...labels({ __name__: 'x' })], 'duplicate_label'],
      [labels({ '': 'b', __name__: 'x' }), 'empty_label_name'],
    ] as const) {
      assert.equal(intern(dictionary, of), -1);
      assert.equal(dictionary.invalid, reason);
      assert.equal(dictionary.seriesCount, 0);
    }
    assert.equal(intern(dictionary, labels({ __name__: 'x' })), 0);
  });
});

describe('the order of names that the series before had', () => {
  const named = (name: string, value = '1'): Label => ({ name, value });
  const metric = named('__name__', 'x');

  it('is that of the next series only when its names are the same', () => {
    const dictionary = new Dictionary(1);
    for (const of of [
      [metric, named('a'), named('b')],
      [metric, named('a', '2'), named('b', '2')],
      [named('b', '3'), named('a', '3'), metric],
      [metric, named('a', '4'), named('c', '4')],
      [metric, named('b', '5')],
      [metric, named('a', '6'), named('b', '6'), named('c', '6')],
    ]) {
      assert.deepEqual(labelsOf(dictionary, intern(dictionary, of)), canonical(of));
    }
  });

  it('does not make a series valid that has other names, as many', () => {
    const dictionary = new Dictionary(1);
    for (const [of, reason] of [
      [[metric, named('a'), named('a', '2')], 'duplicate_label'],
      [[named('0'), named('a'), named('b')], 'no_metric_name'],
      [[], 'no_metric_name'],
    ] as const) {
      assert.ok(intern(dictionary, [metric, named('a', reason), named('b', `${of.length}`)]) >= 0);
      assert.equal(intern(dictionary, of), -1);
      assert.equal(dictionary.invalid, reason);
    }
    dictionary.reset(1);
    assert.equal(intern(dictionary, []), -1);
    assert.equal(dictionary.invalid, 'no_metric_name');
  });

  it('is forgotten by a reset, which gives the numbers of names to others', () => {
    const dictionary = new Dictionary(1);
    intern(dictionary, [metric, named('a'), named('b')]);
    dictionary.reset(1);
    const of = [metric, named('b'), named('a')];
    assert.deepEqual(labelsOf(dictionary, intern(dictionary, of)), canonical(of));
  });
});

describe('a block that begins as the one before, as far as that is remembered', () => {
  // Some pairs of the block before are remembered, and the last of them is pair 0 as long as there are less. How many
  // that are is not for a test to know: all these lengths have the edge among them, and its next ones.
  const lengths = Array.from({ length: 300 }, (_, i) => 2 + i);
  const first = labels({ z: 'pair 0', __name__: 'x' });
  const sharedBy = (length: number): Label[] => [
    { name: '__name__', value: 'x' },
    ...Array.from({ length: length - 2 }, (_, i) => ({ name: `l${100 + i}`, value: 'v' })),
  ];
  const last = { name: 'zz', value: 'last' };

  it('goes on behind it', () => {
    for (const length of lengths) {
      const shared = sharedBy(length);
      const dictionary = new Dictionary(1);
      intern(dictionary, first);
      intern(dictionary, shared);
      const of = [...shared, first[0]!, last];
      assert.deepEqual(labelsOf(dictionary, intern(dictionary, of)), canonical(of), `${length} labels`);
      assert.deepEqual(labelsOf(dictionary, intern(dictionary, [...of].reverse())), canonical(of));
      assert.equal(dictionary.seriesCount, 3);
    }
  });

  it('is read to its end also when it is the same label again and again', () => {
    for (const length of lengths) {
      for (const more of [[last], []]) {
        const dictionary = new Dictionary(1);
        intern(dictionary, labels({ __name__: 'x' }));
        const of = [...Array.from({ length }, () => ({ name: '__name__', value: 'x' })), ...more];
        assert.equal(intern(dictionary, of), -1, `${length} labels`);
        assert.equal(dictionary.invalid, 'duplicate_label');
      }
    }
  });
});

it('labels that differ in any one byte are different labels', () => {
  const dictionary = new Dictionary(1);
  const value = 'abcdefghijklmn';
  const values = [value, ...[...value].map((_, i) => `${value.slice(0, i)}_${value.slice(i + 1)}`)];
  for (const length of [1, 2, 3, 4, 5, 14]) {
    const seen = new Set(values.map((each) => each.slice(0, length)));
    const pairs = new Set([...seen].map((each) => intern(dictionary, labels({ __name__: 'x', v: each }))));
    assert.equal(pairs.size, seen.size);
    for (const id of pairs)
      assert.ok(seen.has(labelsOf(dictionary, id).find(({ name }) => name === 'v')!.value));
  }
});

describe('strings', () => {
  it('0 is empty, 1 is __name__, each other one is there once', () => {
    const dictionary = new Dictionary(1);
    const add = (text: string) =>
      dictionary.internString(Buffer.from(`>${text}<`), 1, 1 + Buffer.from(text).length);
    assert.equal(add(''), 0);
    assert.equal(add('__name__'), 1);
    assert.deepEqual(['a', 'ab', 'b', 'a', 'ab', 'é'].map(add), [2, 3, 4, 2, 3, 5]);
    assert.equal(dictionary.stringCount, 6);
  });
});

describe('many series', () => {
  const count = 100_000;
  const series = (i: number) =>
    labels({ __name__: 'x', instance: `host-${i % 1000}`, path: `/${i}`, v: `${i % 7}` });

  it('keep their ids while the tables grow, and after; a reset begins anew', () => {
    const dictionary = new Dictionary(1);
    // The second round, after a reset with the seed of before, must find nothing of the first.
    for (const size of [10_000, count]) {
      for (let i = 0; i < size; i++) if (intern(dictionary, series(i)) !== i) assert.fail(`series ${i}`);
      // In another order, so that each label is looked up; of the many, some.
      for (let i = 0; i < size; i += size / 10_000) {
        if (intern(dictionary, series(i).reverse()) !== i) assert.fail(`series ${i}, reversed`);
      }
      assert.equal(dictionary.seriesCount, size);
      assert.equal(dictionary.pairCount, 1 + 1000 + size + 7);
      for (let i = 0; i < size; i += 997) {
        assert.deepEqual(labelsOf(dictionary, i), series(i));
        assert.deepEqual(hashOf(dictionary, i), seriesHash(series(i)));
      }
      assert.ok(dictionary.contentBytes > 100 * size);
      dictionary.reset(1);
      assert.deepEqual([dictionary.stringCount, dictionary.pairCount, dictionary.seriesCount], [2, 0, 0]);
      assert.ok(dictionary.contentBytes < 1000);
    }
    assert.equal(intern(dictionary, series(5)), 0);
  });
});
