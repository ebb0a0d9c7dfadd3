import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { confirm } from '../../src/cli/confirm.ts';

for (const [typed, answer] of [
  ['y\n', true],
  ['Yes\n', true],
  ['n\n', false],
  ['\n', false],
  ['yesterday\n', false],
  ['', false],
] as const) {
  test(`a question that is answered with ${JSON.stringify(typed)} is ${answer ? '' : 'not '}agreed to`, async () => {
    const input = new PassThrough();
    const output = new PassThrough();
    const asked = confirm('Delete it?', input, output);
    input.end(typed);
    assert.equal(await asked, answer);
    assert.equal(output.read()?.toString(), 'Delete it? [y/N] ');
  });
}
