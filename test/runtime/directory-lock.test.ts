import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  DirectoryLockedError,
  DirectoryUnusableError,
  lockDirectory,
} from '../../src/runtime/directory-lock.ts';
import { Child } from '../support/child.ts';
import { projectDir } from '../support/paths.ts';
import { tempDir } from '../support/temp.ts';

test('a locked directory is refused until it is released, in this process too', async (t) => {
  const dir = await tempDir(t, 'lock');
  const lock = lockDirectory(dir);
  for (let i = 0; i < 3; i++) assert.throws(() => lockDirectory(dir), DirectoryLockedError);
  lock.release();
  lockDirectory(dir).release();
  assert.deepEqual(readdirSync(dir), ['lock']);
});

test('directories are locked one by one', async (t) => {
  const locks = [lockDirectory(await tempDir(t, 'lock')), lockDirectory(await tempDir(t, 'lock'))];
  for (const lock of locks) lock.release();
});

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  test(`a lock lasts as long as its process, and no longer (${signal})`, async (t) => {
    const dir = await tempDir(t, 'lock');
    const holder = holdLock(t, dir);
    await holder.line(/^collected$/);
    assert.throws(
      () => lockDirectory(dir),
      (error: Error) => {
        assert.ok(error instanceof DirectoryLockedError);
        assert.equal(error.code, 'DIRECTORY_LOCKED');
        assert.deepEqual(error.facts, { dir });
        return true;
      },
    );
    await holder.kill(signal);
    lockDirectory(dir).release();
  });
}

test('what is not a lock is not said to be in use', async (t) => {
  const missing = join(await tempDir(t, 'lock'), 'missing');
  const strange = await tempDir(t, 'lock');
  writeFileSync(join(strange, 'lock'), 'this is not the file that a lock makes'.repeat(100));
  const folder = await tempDir(t, 'lock');
  mkdirSync(join(folder, 'lock'));
  for (const dir of [missing, strange, folder]) {
    assert.throws(
      () => lockDirectory(dir),
      (error: Error) => error instanceof DirectoryUnusableError && error.message.includes(dir),
    );
  }
});

function holdLock(t: TestContext, dir: string): Child {
  const script = fileURLToPath(new URL('lock-holder.js', import.meta.url));
  return Child.spawn(t, 'holder', process.execPath, ['--expose-gc', script, dir], { cwd: projectDir });
}
