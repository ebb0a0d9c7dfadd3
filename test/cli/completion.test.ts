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

test('bash completes commands, their actions and their options', () => {
  assert.deepEqual(completed('ch'), ['check-config']);
  assert.deepEqual(completed('queue', 'rep'), ['replay', 'repair']);
  assert.deepEqual(completed('dead-letters', 'p'), ['purge']);
  assert.deepEqual(completed('config', ''), [
    'convert',
    '--defaults',
    '--output',
    '--exact',
    '--vmagent',
    '--help',
  ]);
  assert.deepEqual(completed('check-config', '--'), ['--strict', '--json', '--syntax-only', '--help']);
  assert.deepEqual(completed('completion', ''), ['bash', 'zsh', 'fish', '--help']);
  assert.ok(completed('').includes('run') && completed('--v').includes('--version'));
});

test('where a value is due no word is offered, so that bash completes files', () => {
  assert.deepEqual(completed('run', '--config', ''), []);
  assert.deepEqual(completed('run', 'spil'), []);
  assert.notDeepEqual(completed('queue', 'verify', '--json', ''), []);
});

test('fish and zsh have the words of every command', () => {
  const fish = completionScript('fish', words);
  for (const { name, actions, options } of words) {
    assert.ok(fish.includes(` -a ${name} -d `), name);
    for (const action of actions) assert.ok(fish.includes(`_from ${name}' -a ${action}\n`), action);
    for (const { flag, takes } of options) {
      assert.ok(
        fish.includes(`_from ${name}' -l ${flag.slice(2)}${takes ? ' -r' : ''}\n`),
        `${name} ${flag}`,
      );
    }
  }
  assert.ok(completionScript('zsh', words).startsWith('#compdef spillway\n'));
  assert.throws(() => completionScript('tcsh', words), { code: 'USAGE' });
});
