import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { matches, parseSelector, SelectorError } from '../../src/promql/selector.ts';

describe('parseSelector', () => {
  const cases: readonly (readonly [text: string, matchers: readonly (readonly string[])[]])[] = [
    ['up', [['__name__', '=', 'up']]],
    [' up ', [['__name__', '=', 'up']]],
    ['job:rate_5m:sum', [['__name__', '=', 'job:rate_5m:sum']]],
    ['up{}', [['__name__', '=', 'up']]],
    ['{}', []],
    [
      'up{job="x",a!="b",c=~"re",d!~"re"}',
      [
        ['__name__', '=', 'up'],
        ['job', '=', 'x'],
        ['a', '!=', 'b'],
        ['c', '=~', 're'],
        ['d', '!~', 're'],
      ],
    ],
    ['{__name__=~"go_.*"}', [['__name__', '=~', 'go_.*']]],
    [
      'up { a = "b" , }',
      [
        ['__name__', '=', 'up'],
        ['a', '=', 'b'],
      ],
    ],
    [
      'up\n{\n\ta="b"\n}\n',
      [
        ['__name__', '=', 'up'],
        ['a', '=', 'b'],
      ],
    ],
    [
      '{"http.requests", "a.b"="c"}',
      [
        ['__name__', '=', 'http.requests'],
        ['a.b', '=', 'c'],
      ],
    ],
    [
      `{a='b"c', d="e'f", g=\`h"i'\`}`,
      [
        ['a', '=', 'b"c'],
        ['d', '=', "e'f"],
        ['g', '=', `h"i'`],
      ],
    ],
    ['{a="ü🚰"}', [['a', '=', 'ü🚰']]],
  ];
  for (const [text, expected] of cases) {
    it(JSON.stringify(text), () => {
      assert.deepEqual(
        parseSelector(text).map(({ label, operator, value }) => [label, operator, value]),
        expected,
      );
    });
  }

  const escapes: readonly (readonly [text: string, value: string])[] = [
    [String.raw`"\a\b\f\n\r\t\v\\\""`, '\x07\b\f\n\r\t\v\\"'],
    [String.raw`'\''`, "'"],
    [String.raw`"\x41\101\u00fc\U0001F6B0"`, 'AAü🚰'],
    [String.raw`"\xc3\xbc"`, 'ü'],
    ['`\\n\\`', '\\n\\'],
    ['`a\nb`', 'a\nb'],
    ['""', ''],
  ];
  for (const [string, value] of escapes) {
    it(`string ${JSON.stringify(string)}`, () => {
      assert.equal(parseSelector(`{a=${string}}`)[0]?.value, value);
    });
  }

  const errors: readonly (readonly [text: string, position: number, words: RegExp])[] = [
    ['', 0, /metric name or { is expected, found the end/],
    ['  ', 2, /metric name or {/],
    ['5up', 0, /metric name or {/],
    ['up down', 3, /the end is expected, found "down"/],
    ['up[5m]', 2, /the end is expected/],
    ['up{', 3, /a label name or } is expected/],
    ['up{a', 4, /=, !=, =~ or !~ is expected/],
    ['up{a:b="c"}', 4, /=, !=, =~ or !~ is expected/],
    ['up{a="b"', 8, /, or } is expected/],
    ['up{a="b" c="d"}', 9, /, or } is expected/],
    ['up{,}', 3, /a label name or }/],
    ['up{a= b}', 6, /a string in quotes is expected/],
    ['up{a="b}', 5, /does not end/],
    ['up{a="b\n"}', 5, /does not end/],
    ['up{a="\\', 6, /escape/],
    ['up{a="b\\qc"}', 7, /unknown escape sequence/],
    [`up{a="\\'"}`, 6, /unknown escape sequence/],
    ['up{a="\\400"}', 6, /unknown escape sequence/],
    ['up{a="\\ud800"}', 6, /unknown escape sequence/],
    ['up{a="\\U00110000"}', 6, /unknown escape sequence/],
    ['up{a="\\xff"}', 5, /not UTF-8/],
    ['up{a=~"b("}', 6, /regular expression/],
    ['up{a=~"b)|(c"}', 6, /regular expression/],
    [`up{a=~ "${'x'.repeat(201)}"}`, 7, /at most 200 characters/],
  ];
  for (const [text, position, words] of errors) {
    it(`refuses ${JSON.stringify(text.slice(0, 20))}`, () => {
      assert.throws(
        () => parseSelector(text),
        (error) => {
          assert.ok(error instanceof SelectorError);
          assert.equal(error.code, 'BAD_SELECTOR');
          assert.equal(error.facts.position, position);
          assert.match(error.message, words);
          assert.match(error.message, new RegExp(`position ${position}:`));
          return true;
        },
      );
    });
  }

  it('takes a pattern of 200 characters', () => {
    assert.equal(parseSelector(`{a=~"${'x'.repeat(200)}"}`).length, 1);
  });
});

describe('matches', () => {
  const series = { __name__: 'http_requests_total', job: 'api', path: '/a\n/b', zone: '🚰' };
  const cases: readonly (readonly [selector: string, expected: boolean])[] = [
    ['http_requests_total', true],
    ['http_requests', false],
    ['{}', true],
    ['{job="api"}', true],
    ['{job="ap"}', false],
    ['{job!="api"}', false],
    ['{job!="web"}', true],
    ['{job=~"ap|web"}', false],
    ['{job=~"api|web"}', true],
    ['{job=~"a"}', false],
    ['{job=~"a.*"}', true],
    ['{job=~"API"}', false],
    ['{job=~"(?i)API"}', true],
    ['{job!~"a.*"}', false],
    ['{job!~"b.*"}', true],
    ['{path=~"/a.*"}', true], // a dot matches a line break
    ['{zone=~"."}', true],
    ['{missing=""}', true],
    ['{missing!=""}', false],
    ['{missing=~".*"}', true],
    ['{missing=~".+"}', false],
    ['{missing!~".+"}', true],
    ['{job="api",path="x"}', false],
    ['{toString=""}', true],
    ['{job=~"a",job=~"a.*"}', false],
  ];
  for (const [selector, expected] of cases) {
    it(`${selector}: ${expected}`, () => assert.equal(matches(parseSelector(selector), series), expected));
  }
});
