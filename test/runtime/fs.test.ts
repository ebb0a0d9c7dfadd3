import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import * as path from 'node:path';
import { type TestContext, test } from 'node:test';
import { nodeFileSystem as files, writeDurably } from '../../src/runtime/fs.ts';
import { atEnd } from '../support/cleanup.ts';
import { tempDir } from '../support/temp.ts';

test('a file is created once, appended to, cut, renamed, and removed', async (t) => {
  const dir = await tempDir(t, 'fs');
  const name = path.join(dir, 'a');
  const file = await files.create(name);
  await assert.rejects(files.create(name), { code: 'EEXIST' });
  await file.append(Buffer.from('one '));
  await file.append(new Uint8Array(0));
  await file.append(Buffer.from('two '));
  await file.sync();
  await file.close();
  const again = await files.openAppend(name);
  await again.append(Buffer.from('three'));
  await again.close();
  assert.equal(fs.readFileSync(name, 'utf8'), 'one two three');
  await files.truncate(name, 4);
  await files.rename(name, path.join(dir, 'b'));
  assert.equal(fs.readFileSync(path.join(dir, 'b'), 'utf8'), 'one ');
  assert.deepEqual(await files.list(dir), ['b']);
  await files.remove(path.join(dir, 'b'));
  await files.syncDir(dir);
  assert.deepEqual(await files.list(dir), []);
});

test('what is not there is ENOENT', async (t) => {
  const dir = await tempDir(t, 'fs');
  const name = path.join(dir, 'missing');
  await assert.rejects(files.openAppend(name), { code: 'ENOENT' });
  await assert.rejects(files.remove(name), { code: 'ENOENT' });
  await assert.rejects(files.rename(name, path.join(dir, 'b')), { code: 'ENOENT' });
  await assert.rejects(files.truncate(name, 0), { code: 'ENOENT' });
  await assert.rejects(files.list(name), { code: 'ENOENT' });
  await assert.rejects(files.create(path.join(name, 'b')), { code: 'ENOENT' });
  assert.throws(() => files.openRead(name), { code: 'ENOENT' });
});

test('reading sees what was appended, up to the end', async (t) => {
  const name = path.join(await tempDir(t, 'fs'), 'a');
  const file = await files.create(name);
  const reader = files.openRead(name);
  assert.equal(reader.size(), 0);
  await file.append(Buffer.from('0123456789'));
  assert.equal(reader.size(), 10);
  const into = new Uint8Array(8);
  assert.equal(reader.read(into, 4, 3), 4);
  assert.equal(Buffer.from(into).toString('latin1'), '3456\0\0\0\0');
  assert.equal(reader.read(into, 8, 8), 2);
  assert.equal(reader.read(into, 8, 10), 0);
  reader.close();
  await file.close();
});

test('an append that the disk takes in parts is written whole', async (t) => {
  const name = path.join(await tempDir(t, 'fs'), 'a');
  const file = await files.create(name);
  const write = fs.write as (...args: unknown[]) => void;
  const three = t.mock.method(fs, 'write', (...[fd, bytes, at, length, ...rest]: unknown[]) =>
    write(fd, bytes, at, Math.min(length as number, 3), ...rest),
  );
  syncBuiltinESMExports();
  atEnd(t, () => {
    three.mock.restore();
    syncBuiltinESMExports();
  });
  await file.append(Buffer.from('0123456789'));
  await file.close();
  assert.equal(three.mock.callCount(), 4);
  assert.equal(fs.readFileSync(name, 'utf8'), '0123456789');
});

for (const kind of [
  'that of this directory',
  'FUSE, whose servers need not heed O_DSYNC',
  'one that cannot be told',
]) {
  test(`each append is on the disk when it resolves; the file system is ${kind}`, async (t) => {
    const name = path.join(await tempDir(t, 'fs'), 'a');
    const opened = t.mock.method(fs, 'open');
    const synced = t.mock.method(fs, 'fdatasync');
    const { type } = fs.statfsSync(path.dirname(name));
    const told = t.mock.method(fs.promises, 'statfs', async () => {
      if (kind.startsWith('one')) throw new Error('it is not');
      return { type: kind.startsWith('FUSE') ? 0x65735546 : type };
    });
    syncBuiltinESMExports();
    atEnd(t, () => {
      for (const method of [opened, synced, told]) method.mock.restore();
      syncBuiltinESMExports();
    });
    for (const file of [await files.create(name), await files.openAppend(name)]) {
      await file.append(Buffer.from('0123456789'));
      await file.close();
    }
    assert.equal(opened.mock.callCount(), 2);
    const isSynchronous = (flags: unknown): boolean => ((flags as number) & fs.constants.O_DSYNC) !== 0;
    const durable = opened.mock.calls.filter(({ arguments: [, flags] }) => isSynchronous(flags)).length;
    // What Darwin does for O_DSYNC does not reach the disk.
    const heeded = process.platform === 'linux' && kind.startsWith('that') && type !== 0x65735546;
    assert.deepEqual(
      { durable, synced: synced.mock.callCount() },
      heeded ? { durable: 2, synced: 0 } : { durable: 0, synced: 2 },
    );
  });
}

test('a directory is made with its parents, each durable in the one above it', async (t) => {
  const top = await tempDir(t, 'fs');
  const synced = syncedDirectories(t);
  await files.makeDir(path.join(top, 'a', 'b', 'c'));
  assert.deepEqual(synced.splice(0), [path.join(top, 'a', 'b'), path.join(top, 'a'), top]);
  await files.makeDir(path.join(top, 'a', 'b', 'c'));
  assert.deepEqual(synced.splice(0), []);
  await files.makeDir(path.join(top, 'a', 'b', 'd'));
  assert.deepEqual(synced.splice(0), [path.join(top, 'a', 'b')]);
  const relative = path.relative(process.cwd(), path.join(top, 'e', 'f'));
  await files.makeDir(relative);
  assert.deepEqual(
    synced.splice(0).map((dir) => path.resolve(dir)),
    [path.join(top, 'e'), top],
  );
});

test('a file that is written durably is whole, then named', async (t) => {
  const dir = await tempDir(t, 'fs');
  const synced = syncedDirectories(t);
  const name = path.join(dir, 'a');
  await writeDurably(files, name, Buffer.from('content'));
  assert.equal(fs.readFileSync(name, 'utf8'), 'content');
  assert.deepEqual(synced, [dir]);
  await assert.rejects(writeDurably(files, name, Buffer.from('other')), { code: 'EEXIST' });
  assert.equal(fs.readFileSync(name, 'utf8'), 'content');
});

/** Directories that are opened to be synced, in order. */
function syncedDirectories(t: TestContext): string[] {
  const synced: string[] = [];
  const syncDir = files.syncDir;
  t.mock.method(files, 'syncDir', (dir: string) => {
    synced.push(dir);
    return syncDir(dir);
  });
  return synced;
}
