import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Regex, RegexError } from '../../src/relabel/regex.ts';

it('says the same of a text however often and of however many it is asked', () => {
  const regex = new Regex('(?:(even)|odd)_(\\d*)');
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 3000; i++) {
      const [text, first] = i % 2 === 0 ? [`even_${i}`, 'even'] : [`odd_${i}`, ''];
      assert.ok(regex.test(text));
      const match = regex.match(text)!;
      assert.deepEqual([0, 1, 2].map(match), [text, first, `${i}`]);
      assert.ok(!regex.test(`${text}!`));
      assert.equal(regex.match(`${text}!`), undefined);
    }
  }
  const long = `odd_${'1'.repeat(10_000)}`;
  for (let round = 0; round < 2; round++) assert.equal(regex.match(long)!(2).length, 10_000);
});

it('refuses what RE2 refuses, and what would be another regex between the anchors', () => {
  for (const source of ['a(', '(?=a)', '(a)\\1', '[z-a]', 'a)|(b', '\\Qopen', 'a{1001}']) {
    assert.throws(() => new Regex(source), RegexError, source);
  }
});
