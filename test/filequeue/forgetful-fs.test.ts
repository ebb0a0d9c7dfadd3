import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../support/random.ts';
import { ForgetfulFs, type Survival } from './forgetful-fs.ts';

/*
 * What the crash tests stand on: that what was not synced can be lost, in all the ways that are described, and
 * that what was synced cannot.
 */

test('what is written can be read, and is gone after a power cut unless it was synced', async () => {
  const files = new ForgetfulFs();
  const file = await files.create('/d/a');
  await files.syncDir('/d');
  await file.write(Buffer.from('one'));
  await file.sync();
  await file.write(Buffer.from('two'));
  assert.equal(contentOf(files, '/d/a'), 'onetwo');
  assert.equal(contentOf(after(files, 'nothing'), '/d/a'), 'one');
  assert.equal(contentOf(after(files, 'everything'), '/d/a'), 'onetwo');
  assert.equal(contentOf(files.kill(), '/d/a'), 'onetwo');
  assert.equal(contentOf(after(files.kill(), 'nothing'), '/d/a'), 'one');
  await file.sync();
  assert.equal(contentOf(after(files, 'nothing'), '/d/a'), 'onetwo');
});

test('a name is gone after a power cut unless its directory was synced', async () => {
  const files = new ForgetfulFs();
  const file = await files.create('/d/a');
  await file.write(Buffer.from('one'));
  await file.sync();
  assert.equal(contentOf(after(files, 'nothing'), '/d/a'), undefined);
  await files.syncDir('/other');
  assert.equal(contentOf(after(files, 'nothing'), '/d/a'), undefined);
  await files.syncDir('/d');
  assert.equal(contentOf(after(files, 'nothing'), '/d/a'), 'one');
  await files.rename('/d/a', '/d/b');
  assert.deepEqual(await after(files, 'nothing').list('/d'), ['a']);
  assert.deepEqual(await after(files, 'everything').list('/d'), ['b']);
  await files.syncDir('/d');
  await files.remove('/d/b');
  assert.deepEqual(await files.list('/d'), []);
  assert.equal(contentOf(after(files, 'nothing'), '/d/b'), 'one');
});

test('chance lets unsynced writes through whole, torn, as zeros, as anything and not at all, one by one', async (t) => {
  const files = new ForgetfulFs();
  const file = await files.create('/d/a');
  await file.write(Buffer.from('synced '));
  await file.sync();
  await files.syncDir('/d');
  await file.write(Buffer.from('one '));
  await file.write(Buffer.from('two'));
  const random = Random.of(t);
  const found = new Set<string>();
  for (let i = 0; i < 5000; i++) found.add(contentOf(files.powerCut('chance', random), '/d/a')!);
  for (const content of [
    'synced ',
    'synced one two',
    'synced o',
    'synced one tw',
    'synced \0\0\0\0two',
    'synced one \0\0\0',
  ]) {
    assert.ok(found.has(content), JSON.stringify(content));
  }
  for (const content of found) assert.ok(content.startsWith('synced '));
  const odd = [...found].filter((content) => /[^\0a-z ]/.test(content));
  assert.ok(odd.length > 100, 'what was never written');
});

test('of a long write any sectors survive', async (t) => {
  const files = new ForgetfulFs();
  const file = await files.create('/d/a');
  await files.syncDir('/d');
  const [one, two, three] = ['1', '2', '3'].map((digit) => digit.repeat(32));
  await file.write(Buffer.from(`${one}${two}${three}`));
  const random = Random.of(t);
  const found = new Set<string>();
  for (let i = 0; i < 1000; i++) found.add(contentOf(files.powerCut('chance', random), '/d/a')!);
  const none = '\0'.repeat(32);
  for (const content of [`${one}${none}${three}`, `${none}${two}${none}`, `${none}${none}${three}`]) {
    assert.ok(found.has(content), JSON.stringify(content));
  }
});

test('a process that is killed has written any part of its last write, and all before', async (t) => {
  const files = new ForgetfulFs();
  files.dieAt = 2;
  const file = await files.create('/d/a');
  await file.write(Buffer.from('one '));
  await assert.rejects(file.write(Buffer.from('two')), /died/);
  const random = Random.of(t);
  const found = new Set<string>();
  for (let i = 0; i < 200; i++) found.add(contentOf(files.kill(random), '/d/a')!);
  assert.deepEqual([...found].sort(), ['one ', 'one t', 'one tw', 'one two']);
  const killed = files.kill(new Random(1));
  assert.equal(contentOf(after(killed, 'everything'), '/d/a'), contentOf(killed, '/d/a'));
});

test('chance loses unsynced names one by one', async (t) => {
  const files = new ForgetfulFs();
  await files.create('/d/a');
  await files.create('/d/b');
  await files.rename('/d/a', '/d/c');
  const random = Random.of(t);
  const found = new Set<string>();
  for (let i = 0; i < 1000; i++) found.add((await files.powerCut('chance', random).list('/d')).sort().join());
  // A renaming may leave both names.
  assert.deepEqual([...found].sort(), ['', 'a', 'a,b', 'a,b,c', 'a,c', 'b', 'b,c', 'c']);
});

test('a cut is durable', async () => {
  const files = new ForgetfulFs();
  const file = await files.create('/d/a');
  await files.syncDir('/d');
  await file.write(Buffer.from('one two'));
  await files.truncate('/d/a', 3);
  assert.equal(contentOf(after(files, 'nothing'), '/d/a'), 'one');
});

test('what a failed sync left is not carried to the disk by a later one', async (t) => {
  const files = new ForgetfulFs();
  const file = await files.create('/d/a');
  await files.syncDir('/d');
  await file.write(Buffer.from('one'));
  files.sick = () => true;
  await assert.rejects(file.sync(), { code: 'EIO' });
  files.sick = () => false;
  await file.write(Buffer.from('two'));
  await file.sync();
  assert.equal(contentOf(files, '/d/a'), 'onetwo');
  assert.equal(contentOf(after(files, 'nothing'), '/d/a'), '\0\0\0two');
  const random = Random.of(t);
  const found = new Set(
    Array.from({ length: 100 }, () => contentOf(files.powerCut('chance', random), '/d/a')),
  );
  assert.ok(found.has('onetwo'));
});

test('a sick disk takes a part of a write, and nothing of the rest', async () => {
  const files = new ForgetfulFs();
  const file = await files.create('/d/a');
  files.sick = () => true;
  await assert.rejects(file.write(Buffer.from('1234')), { code: 'EIO' });
  await assert.rejects(files.create('/d/b'), { code: 'EIO' });
  await assert.rejects(files.remove('/d/a'), { code: 'EIO' });
  await assert.rejects(files.rename('/d/a', '/d/b'), { code: 'EIO' });
  await assert.rejects(files.syncDir('/d'), { code: 'EIO' });
  assert.equal(contentOf(files, '/d/a'), '12');
  assert.deepEqual(await files.list('/d'), ['a']);
  assert.deepEqual(await after(files, 'nothing').list('/d'), []);
});

test('a machine dies of one operation, and does nothing more', async () => {
  for (const dieAt of [0, 1, 2, 3, 4]) {
    const files = new ForgetfulFs();
    files.dieAt = dieAt;
    const operations = async (): Promise<void> => {
      const file = await files.create('/d/a');
      await files.syncDir('/d');
      await file.write(Buffer.from('one'));
      await file.sync();
      await files.rename('/d/a', '/d/b');
    };
    await assert.rejects(operations(), new RegExp(`died at operation ${dieAt}`));
    assert.equal(files.operations, dieAt + 1);
    assert.ok(files.dead);
    await assert.rejects(files.create('/d/c'), /dead/);
    assert.throws(() => files.openRead('/d/a'), /dead/);
    await assert.rejects(files.list('/d'), /dead/);
    // The last one may have got through, and may not.
    const name = dieAt === 4 ? '/d/b' : '/d/a';
    assert.equal(contentOf(after(files, 'everything'), name), dieAt < 2 ? '' : 'one');
    const least = after(files, 'nothing');
    assert.equal(contentOf(least, '/d/a'), dieAt < 2 ? undefined : dieAt < 4 ? '' : 'one');
  }
});

function after(files: ForgetfulFs, survival: Survival): ForgetfulFs {
  return files.powerCut(survival, new Random(1));
}

function contentOf(files: ForgetfulFs, name: string): string | undefined {
  try {
    const file = files.openRead(name);
    const bytes = new Uint8Array(file.size());
    file.read(bytes, bytes.length, 0);
    return Buffer.from(bytes).toString('latin1');
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOENT');
    return undefined;
  }
}
