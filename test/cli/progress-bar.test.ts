import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProgressBar } from '../../src/cli/progress-bar.ts';
import { StatusLine } from '../../src/cli/status-line.ts';
import { bytesText, countText, durationText, tableText } from '../../src/cli/text.ts';

test('a bar on a terminal is written over itself, with rate and ETA, and goes away', () => {
  const written: string[] = [];
  let now = 0;
  const output = { isTTY: true, columns: 200, write: (text: string) => written.push(text) };
  const bar = new ProgressBar(output, 'rows', () => now);
  bar.start(10_000);
  bar.advance(100);
  assert.deepEqual(written, [], 'not in the first moment');
  now = 1000;
  bar.advance(900);
  assert.deepEqual(written, ['\r[##..................] 10%  1.0k of 10.0k rows  1.0k/s  ETA 9s\u001b[K']);
  bar.end();
  assert.equal(written.at(-1), '\r\u001b[K');
});

test('elsewhere there is no bar and no line', () => {
  const written: string[] = [];
  let now = 0;
  const output = { write: (text: string) => written.push(text) };
  const bar = new ProgressBar(output, 'rows', () => now);
  bar.start(100);
  for (now = 1000; now <= 20_000; now += 1000) bar.advance(5);
  bar.end();
  new StatusLine(output).show('so it stands');
  assert.deepEqual(written, []);
});

test('numbers are as long as a person reads them', () => {
  assert.deepEqual([0, 999, 1000, 99_960, 999_960, 12_345_678].map(countText), [
    '0',
    '999',
    '1.0k',
    '100k',
    '1.0M',
    '12.3M',
  ]);
  assert.deepEqual([0, 1023, 1024, 5 * 2 ** 30].map(bytesText), ['0 B', '1023 B', '1.0 KiB', '5.0 GiB']);
  assert.deepEqual([0, 0.2, 59, 60, 3725, 90_000, Number.NaN].map(durationText), [
    '0s',
    '1s',
    '59s',
    '1m',
    '1h2m',
    '1d1h',
    '-',
  ]);
  assert.equal(
    tableText([
      ['A', 'B'],
      ['long', 'x'],
    ]),
    'A     B\nlong  x\n',
  );
});
