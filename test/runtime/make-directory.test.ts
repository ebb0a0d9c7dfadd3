import assert from 'node:assert/strict';
import { existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDirectory } from '../../src/runtime/make-directory.ts';
import { tempDir } from '../support/temp.ts';

test('what is missing is made, from above, and told; what is there is left', async (t) => {
  const dir = await tempDir(t, 'make');
  const wanted = join(dir, 'a', 'b', 'c');
  assert.deepEqual(makeDirectory(wanted), [join(dir, 'a'), join(dir, 'a', 'b'), wanted]);
  assert.deepEqual(makeDirectory(wanted), []);
  assert.deepEqual(makeDirectory('/'), []);
  symlinkSync(wanted, join(dir, 'link'));
  assert.deepEqual(makeDirectory(join(dir, 'link')), []);
  assert.deepEqual(makeDirectory(join(dir, 'link', 'd')), [join(dir, 'link', 'd')]);
  assert.ok(existsSync(join(wanted, 'd')));
});

test('a file in the way is an error', async (t) => {
  const dir = await tempDir(t, 'make');
  writeFileSync(join(dir, 'file'), '');
  assert.throws(() => makeDirectory(join(dir, 'file')), { code: 'EEXIST' });
  assert.throws(() => makeDirectory(join(dir, 'file', 'a', 'b')), { code: 'ENOTDIR' });
});

test('where no directory can be made, it ends with an error', { skip: !existsSync('/proc/self') }, () => {
  assert.throws(() => makeDirectory('/proc/spillway'), { code: 'ENOENT' });
  assert.throws(() => makeDirectory('/proc/spillway/data/wal'), { code: 'ENOENT' });
});
