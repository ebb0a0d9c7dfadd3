// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are templates of Prometheus, not of JavaScript.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { relabel, type WrittenRule } from './rules.ts';

const foo = { a: 'foo', b: 'bar', c: 'baz' };

/** `after` says what is changed of the labels (null: gone), or that the series is dropped. */
interface Case {
  readonly of: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly rules: readonly WrittenRule[];
  readonly after: Readonly<Record<string, string | null>> | 'dropped';
}

const table: readonly Case[] = [
  {
    of: 'replace takes groups of the match',
    rules: [{ sourceLabels: ['a'], regex: 'f(.*)', targetLabel: 'd', replacement: 'ch${1}-ch${1}' }],
    after: { d: 'choo-choo' },
  },
  {
    of: 'replace without a match changes nothing',
    rules: [{ sourceLabels: ['a'], regex: 'g(.*)', targetLabel: 'd', replacement: 'x' }],
    after: {},
  },
  {
    of: 'a regex is anchored at both ends',
    rules: [
      { sourceLabels: ['a'], regex: 'o', targetLabel: 'd', replacement: 'middle' },
      { sourceLabels: ['a'], regex: 'f|o', targetLabel: 'd', replacement: 'branch' },
      { sourceLabels: ['a'], regex: 'fo|foo', targetLabel: 'e', replacement: 'whole' },
    ],
    after: { e: 'whole' },
  },
  {
    of: 'a dot is a line break, too',
    labels: { a: 'x\ny' },
    rules: [{ sourceLabels: ['a'], regex: 'x.y', targetLabel: 'd', replacement: 'yes' }],
    after: { d: 'yes' },
  },
  {
    of: 'values are joined in the order of the source labels, absent ones are empty',
    rules: [{ sourceLabels: ['b', 'none', 'a'], separator: '||', targetLabel: 'd' }],
    after: { d: 'bar||||foo' },
  },
  {
    of: 'no source label is the empty text',
    rules: [{ targetLabel: 'a', replacement: 'new' }],
    after: { a: 'new' },
  },
  {
    of: 'a rule sees what the one before left',
    rules: [
      { sourceLabels: ['a', 'b'], regex: 'f(.*);(.*)r', targetLabel: 'a', replacement: 'b${1}${2}m' },
      { sourceLabels: ['c', 'a'], regex: '(b).*b(.*)ba(.*)', targetLabel: 'd', replacement: '$1$2$2$3' },
    ],
    after: { a: 'boobam', d: 'boooom' },
  },
  {
    of: 'an empty replacement removes the label',
    rules: [{ targetLabel: 'a', replacement: '' }],
    after: { a: null },
  },
  {
    of: 'a replacement that becomes empty removes the label',
    rules: [{ sourceLabels: ['none'], targetLabel: 'a' }],
    after: { a: null },
  },
  {
    of: 'the target may be made of groups',
    labels: { a: 'k=v' },
    rules: [{ sourceLabels: ['a'], regex: '(\\w)=(\\w)', targetLabel: '${1}_x', replacement: '$2' }],
    after: { k_x: 'v' },
  },
  {
    of: 'a target that becomes empty is no target',
    rules: [{ sourceLabels: ['a'], regex: '(x)?foo', targetLabel: '$1', replacement: 'y' }],
    after: {},
  },
  {
    of: 'a target of any characters is one, also behind a template',
    rules: [{ sourceLabels: ['a'], targetLabel: 'é. ${1}', replacement: 'x' }],
    after: { 'é. foo': 'x' },
  },
  {
    of: 'names of groups',
    rules: [
      {
        sourceLabels: ['a'],
        regex: '(?P<first>.)(?<rest>.*)',
        targetLabel: 'd',
        replacement: '$rest.${first}',
      },
    ],
    after: { d: 'oo.f' },
  },
  {
    of: 'a name is as long as can be, one that is not there is empty, $$ is a dollar, another dollar is text',
    rules: [
      {
        sourceLabels: ['a'],
        targetLabel: 'd',
        replacement: '[$1x][${1}x][$$1][$][${][${1][$-][$01][$2][$100000000000]',
      },
    ],
    after: { d: '[][foox][$1][$][${][${1][$-][][][]' },
  },
  { of: 'drop', rules: [{ action: 'drop', sourceLabels: ['a'], regex: '.*o.*' }], after: 'dropped' },
  { of: 'drop without a match', rules: [{ action: 'drop', sourceLabels: ['a'], regex: 'f' }], after: {} },
  {
    of: 'nothing follows a drop',
    rules: [
      { action: 'drop', sourceLabels: ['a'], regex: 'foo' },
      { targetLabel: 'a', replacement: 'x' },
    ],
    after: 'dropped',
  },
  { of: 'keep', rules: [{ action: 'keep', sourceLabels: ['a'], regex: 'foo' }], after: {} },
  {
    of: 'keep without a match',
    rules: [{ action: 'keep', sourceLabels: ['a'], regex: 'no-match' }],
    after: 'dropped',
  },
  { of: 'keep of an empty text', rules: [{ action: 'keep', sourceLabels: ['none'], regex: '' }], after: {} },
  {
    of: 'keepequal',
    labels: { port: '80', want: '80' },
    rules: [{ action: 'keepequal', sourceLabels: ['port'], targetLabel: 'want' }],
    after: {},
  },
  {
    of: 'keepequal of other values',
    rules: [{ action: 'keepequal', sourceLabels: ['a'], targetLabel: 'b' }],
    after: 'dropped',
  },
  {
    of: 'dropequal',
    labels: { port: '80', want: '80' },
    rules: [{ action: 'dropequal', sourceLabels: ['port'], targetLabel: 'want' }],
    after: 'dropped',
  },
  {
    of: 'dropequal of other values',
    rules: [{ action: 'dropequal', sourceLabels: ['a'], targetLabel: 'b' }],
    after: {},
  },
  {
    of: 'dropequal of two labels that are not there',
    rules: [{ action: 'dropequal', sourceLabels: ['none'], targetLabel: 'nor_this' }],
    after: 'dropped',
  },
  {
    // What Prometheus gives, see test/e2e/relabel-prometheus.test.ts.
    of: 'hashmod',
    rules: [{ action: 'hashmod', sourceLabels: ['c'], targetLabel: 'd', modulus: 1000 }],
    after: { d: '976' },
  },
  {
    of: 'hashmod of several lines',
    labels: { a: 'foo\nbar' },
    rules: [{ action: 'hashmod', sourceLabels: ['a'], targetLabel: 'b', modulus: 1000 }],
    after: { b: '734' },
  },
  {
    of: 'labelmap',
    labels: { a: 'foo', b1: 'bar', b2: 'baz' },
    rules: [{ action: 'labelmap', regex: '(b.*)', replacement: 'bar_${1}' }],
    after: { bar_b1: 'bar', bar_b2: 'baz' },
  },
  {
    of: 'labelmap that would give no name',
    labels: { a: 'foo', ab: 'bar' },
    rules: [{ action: 'labelmap', regex: 'a(.*)', replacement: '$1' }],
    after: { b: 'bar' },
  },
  {
    of: 'the last of two labels that labelmap gives one name wins, and those that were set come last',
    labels: { x_1: 'one', x_2: 'two' },
    rules: [
      { sourceLabels: ['x_1'], targetLabel: 'x_1', replacement: 'set' },
      { action: 'labelmap', regex: 'x_.', replacement: 'x' },
    ],
    after: { x_1: 'set', x: 'set' },
  },
  { of: 'labeldrop', rules: [{ action: 'labeldrop', regex: 'a|c.*' }], after: { a: null, c: null } },
  { of: 'labelkeep', rules: [{ action: 'labelkeep', regex: 'b|none' }], after: { a: null, c: null } },
  {
    of: 'lowercase and uppercase, code point by code point',
    labels: { a: 'aßÉΑΣİ ᾳᾀᾐᾧ ŉ ǅ 𐐨', b: 'bÀÖΑΣİẞ ᾼ ǅ 𐐀' },
    rules: [
      { action: 'uppercase', sourceLabels: ['a'], targetLabel: 'up' },
      { action: 'lowercase', sourceLabels: ['b'], targetLabel: 'low' },
    ],
    after: { up: 'AßÉΑΣİ ᾼᾈᾘᾯ ŉ Ǆ 𐐀', low: 'bàöασiß ᾳ ǆ 𐐨' },
  },
  {
    of: 'lowercase of labels that are not there removes the target',
    rules: [{ action: 'lowercase', sourceLabels: ['none'], targetLabel: 'a' }],
    after: { a: null },
  },
  {
    of: 'a label that was removed and set again',
    rules: [
      { action: 'labeldrop', regex: 'a' },
      { targetLabel: 'a', replacement: 'again' },
      { sourceLabels: ['a'], targetLabel: 'd' },
    ],
    after: { a: 'again', d: 'again' },
  },
];

describe('relabelling', () => {
  for (const { of, labels = foo, rules, after } of table) {
    it(of, () => {
      const found = relabel(labels, ...rules);
      if (after === 'dropped') return assert.equal(found, undefined);
      const changed: Record<string, string | null> = { ...labels, ...after };
      const expected = Object.fromEntries(Object.entries(changed).filter(([, value]) => value !== null));
      assert.deepEqual(found, expected);
    });
  }

  it('takes the last eight bytes of the MD5 as one number, high byte first', () => {
    for (const text of ['', 'a', 'é𐀀', 'x'.repeat(1000)]) {
      for (const modulus of [1, 2, 7, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
        const hex = createHash('md5').update(text).digest('hex').slice(16);
        const found = relabel(
          { a: text },
          { action: 'hashmod', sourceLabels: ['a'], targetLabel: 'd', modulus },
        );
        assert.equal(found!.d, String(BigInt(`0x${hex}`) % BigInt(modulus)));
      }
    }
  });

  it('takes time linear in the text, whatever the regex', () => {
    const text = 'a'.repeat(20_000);
    assert.equal(
      relabel({ a: text }, { action: 'drop', sourceLabels: ['a'], regex: '(a*)*(a|aa)+b' })!.a,
      text,
    );
  });
});
