import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { HashSet } from '../../src/appender/hash-set.ts';

type Hash = readonly [number, number, number, number];

/** Many that share words, also zeros and their places in the table. */
const word = fc.constantFrom(0, 1, 2, 256, 0xffff_ffff);
const hash: fc.Arbitrary<Hash> = fc.tuple(word, word, word, word);

it('is a set', () => {
  fc.assert(
    fc.property(fc.array(hash, { maxLength: 400 }), fc.array(hash), (added, asked) => {
      const set = new HashSet(10_000);
      const model = new Set<string>();
      for (const one of added) {
        set.add(...one);
        if (one.some((w) => w !== 0)) model.add(one.join());
      }
      assert.equal(set.size, model.size);
      for (const one of [...added, ...asked])
        assert.equal(set.has(...one), model.has(one.join()), one.join());
    }),
  );
});

it('holds what it holds while it grows, and begins anew at its bound', () => {
  const set = new HashSet(5000);
  for (let i = 1; i <= 5000; i++) set.add(i, 0, 0, 0);
  assert.equal(set.size, 5000);
  for (let i = 1; i <= 5000; i++) assert.ok(set.has(i, 0, 0, 0));
  assert.ok(!set.has(5001, 0, 0, 0));
  set.add(5001, 0, 0, 0);
  assert.equal(set.size, 1);
  assert.ok(set.has(5001, 0, 0, 0));
  assert.ok(!set.has(1, 0, 0, 0));
});
