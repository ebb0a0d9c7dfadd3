import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Child } from './child.ts';
import { projectDir } from './paths.ts';

function script(t: Parameters<typeof Child.spawn>[0], source: string): Child {
  return Child.spawn(t, 'script', process.execPath, ['-e', source], { cwd: projectDir });
}

test('a line is found whether it has come or is to come', async (t) => {
  const child = script(t, 'console.log("one"); console.error("two 2"); setInterval(() => {}, 1e6)');
  assert.equal((await child.line(/two (\d)/))[1], '2');
  await child.line(/one/);
  assert.deepEqual(await child.kill('SIGKILL'), { code: null, signal: 'SIGKILL' });
  assert.equal(child.running, false);
});

test('waiting for a line ends with the process', async (t) => {
  const child = script(t, 'console.log("one")');
  await assert.rejects(child.line(/two/), /script ended .*\n?one/s);
  assert.deepEqual(await child.end(), { code: 0, signal: null });
});
