import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { LabelCache } from '../../src/relabel/label-cache.ts';
import { compareTexts, decodeText } from '../../src/relabel/texts.ts';

/** Around the surrogates, where UTF-16 and UTF-8 differ in their order. */
const text = fc.string({
  unit: fc.constantFrom('a', 'é', '\ud7ff', '\ue000', '\uffff', '\ufeff', '\u{10000}', '\u{10ffff}'),
});

it('texts compare as their UTF-8 does', () => {
  fc.assert(
    fc.property(text, text, (a, b) => {
      assert.equal(Math.sign(compareTexts(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
  );
});

it('what is decoded is what was encoded, a byte order mark too', () => {
  fc.assert(fc.property(text, (a) => assert.equal(decodeText(Buffer.from(a)), a)));
});

it('the cache gives each label its own text, whichever shares its place', () => {
  let generation = 0;
  const cache = new LabelCache((label) => ({ name: `${label}`, value: `${generation}` }));
  for (const label of [0, 4096, 0, 1, 8192, 1, 0]) assert.equal(cache.get(label).name, `${label}`);
  generation = 1;
  assert.equal(cache.get(1).value, '0', 'it is kept');
  cache.clear();
  assert.equal(cache.get(1).value, '1');
});
