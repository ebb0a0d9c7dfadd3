import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  createLogger,
  type LogFacts,
  type LogLevel,
  logLevels,
  Repetition,
} from '../../src/telemetry/log.ts';

function log(
  format: 'logfmt' | 'json',
  facts?: LogFacts,
  { least = 'debug', level = 'info' }: { least?: LogLevel; level?: LogLevel } = {},
): string[] {
  const lines: string[] = [];
  createLogger(
    least,
    format,
    () => 1_700_000_000_123,
    (line) => lines.push(line),
  ).log(level, 'it rains', facts);
  return lines;
}

describe('createLogger', () => {
  const start = 'time=2023-11-14T22:13:20.123Z level=info msg="it rains"';

  it('writes an event as one line of logfmt', () => {
    assert.deepEqual(log('logfmt'), [start]);
    for (const [value, written] of [
      ['plain', 'plain'],
      [1.5, '1.5'],
      [true, 'true'],
      ['http://a/b?c', 'http://a/b?c'],
      ['', '""'],
      ['two words', '"two words"'],
      ['a=b', '"a=b"'],
      ['say "x"', '"say \\"x\\""'],
      ['back\\slash', '"back\\\\slash"'],
      ['two\nlines\tand\r', '"two\\nlines\\tand\\r"'],
      ['\u001b[31mred', '"\\u001b[31mred"'],
      ['ünï🚰', 'ünï🚰'],
    ] as const) {
      assert.deepEqual(log('logfmt', { fact: value }), [`${start} fact=${written}`]);
    }
  });

  it('writes an event as one line of JSON', () => {
    const facts = { a: 'two\nlines "x"', n: 1.5, yes: true };
    const [line] = log('json', facts);
    assert.ok(!line!.includes('\n'));
    assert.deepEqual(JSON.parse(line!), {
      time: '2023-11-14T22:13:20.123Z',
      level: 'info',
      msg: 'it rains',
      ...facts,
    });
  });

  it('leaves out what is less severe than its level', () => {
    for (const [i, least] of logLevels.entries()) {
      for (const [j, level] of logLevels.entries()) {
        assert.equal(log('logfmt', {}, { least, level }).length, j >= i ? 1 : 0, `${level} at ${least}`);
      }
    }
  });
});

describe('Repetition', () => {
  it('says the first at once, then once a minute how many there were in between', () => {
    let now = 0;
    const repetition = new Repetition(() => now);
    const tell = (at: number, key = 'a'): number | undefined => {
      now = at;
      return repetition.tell(key);
    };
    assert.deepEqual(
      [tell(0), tell(1), tell(59_999), tell(60_000), tell(60_001), tell(200_000), tell(400_000)],
      [0, undefined, undefined, 2, undefined, 1, 0],
    );
    assert.equal(tell(400_001, 'b'), 0);
    assert.equal(tell(400_002, 'b'), undefined);
  });

  it('says at once what happens again after it was over', () => {
    const repetition = new Repetition(() => 0);
    for (const key of ['loop 1', 'loop 2', 'other']) assert.equal(repetition.tell(key), 0);
    repetition.over('loop');
    assert.deepEqual(
      ['loop 1', 'loop 2', 'other'].map((key) => repetition.tell(key)),
      [0, 0, undefined],
    );
  });

  it('forgets rather than grow without an end', () => {
    const repetition = new Repetition(() => 0);
    for (let i = 0; i < 2000; i++) repetition.tell(`${i}`);
    assert.equal(repetition.tell('1999'), undefined);
    assert.equal(repetition.tell('0'), 0);
  });
});
