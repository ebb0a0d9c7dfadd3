import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { completionScript } from '../../src/cli/completion.ts';
import { commandWords } from '../../src/cli/usage.ts';

const words = commandWords();

/** What a real bash completes the last of these words to. */
function completed(...line: readonly string[]): string[] {
  const script = `${completionScript('bash', words)}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _spillway; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const output = execFileSync('bash', ['-c', script, 'bash', 'spillway', ...line], { encoding: 'utf8' });
  return output.split('\n').filter((word) => word !== '');
}

test('bash completes commands, their actions, and the options of each', () => {
  assert.deepEqual(completed('ch'), ['check-config']);
  assert.deepEqual(completed('queue', 're'), ['replay', 'repair']);
  assert.deepEqual(completed('queue', '--'), ['--help']);
  assert.deepEqual(completed('dead-letters', 'p'), ['purge']);
  assert.deepEqual(completed('config', ''), ['convert', '--defaults', '--write-docs', '--json', '--help']);
  assert.deepEqual(completed('config', 'convert', '--'), [
    '--output',
    '--exact',
    '--vmagent',
    '--json',
    '--help',
  ]);
  assert.deepEqual(completed('check-config', '--'), ['--strict', '--json', '--syntax-only', '--help']);
  assert.deepEqual(completed('completion', ''), ['bash', 'zsh', 'fish', '--help']);
  assert.ok(completed('').includes('run') && completed('--v').includes('--version'));
});

test('bash knows each option of each command, and no other', () => {
  for (const { name, optionsOf } of words) {
    for (const [action, options] of optionsOf) {
      const line = [name, ...(action === '' ? [] : [action]), '--'];
      assert.deepEqual(
        completed(...line),
        [...options.map(({ flag }) => `--${flag}`), '--help'],
        line.join(' '),
      );
    }
  }
});

test('where a value is due its words are offered, or none, so that bash completes files', () => {
  assert.deepEqual(completed('queue', 'cat', '--format', ''), ['openmetrics', 'ndjson']);
  assert.deepEqual(completed('load', 'http://x', '--protocol', '2'), ['2.0']);
  assert.deepEqual(completed('run', '--config', ''), []);
  assert.deepEqual(completed('run', 'spil'), []);
  assert.notDeepEqual(completed('queue', 'verify', '--json', ''), []);
});

test('fish and zsh have the words of every command', () => {
  const fish = completionScript('fish', words);
  for (const { name, actions, options } of words) {
    const ofIt = fish.split('\n').filter((line) => line.includes(`_from ${name}`));
    assert.ok(fish.includes(` -a ${name} -d `), name);
    for (const action of actions)
      assert.ok(
        ofIt.some((line) => line.endsWith(` -f -a ${action}`)),
        action,
      );
    for (const { flag, value } of options) {
      const line = ofIt.find((one) => one.includes(` -l ${flag} `));
      assert.ok(line !== undefined && / -[rx] /.test(line) === (value !== undefined), `${name} ${flag}`);
    }
  }
  assert.ok(completionScript('zsh', words).startsWith('#compdef spillway\n'));
  assert.throws(() => completionScript('tcsh', words), { code: 'USAGE' });
});
