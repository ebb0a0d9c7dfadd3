import assert from 'node:assert/strict';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Reserve, reservePath } from '../../src/filequeue/reserve.ts';
import { tempDir } from '../support/temp.ts';
import { WatchedFs } from './watched-fs.ts';

test('the reserve has real bytes, and is gone when it is given up', async (t) => {
  const dir = await tempDir(t, 'reserve');
  const reserve = new Reserve(new WatchedFs(), dir, 100_000);
  assert.equal(reserve.held, false);
  await reserve.make();
  await reserve.make();
  assert.equal(reserve.held, true);
  const { size, blocks } = statSync(reservePath(dir));
  assert.equal(size, 100_000);
  assert.ok(blocks * 512 >= size, 'a file with holes would keep nothing free');
  await reserve.giveUp();
  await reserve.giveUp();
  assert.equal(reserve.held, false);
  assert.equal(existsSync(reservePath(dir)), false);
});

test('what the process before left is taken over; what could not be made leaves nothing', async (t) => {
  const dir = await tempDir(t, 'reserve');
  writeFileSync(reservePath(dir), 'of before');
  const files = new WatchedFs();
  const reserve = new Reserve(files, dir, 1000);
  for (const operation of ['create', 'append', 'sync']) {
    files.fail(new RegExp(`^${operation} reserve`), { code: 'ENOSPC' });
    await assert.rejects(reserve.make(), { code: 'ENOSPC' });
    assert.equal(reserve.held, false);
    assert.equal(existsSync(reservePath(dir)), false);
  }
  await reserve.make();
  assert.equal(statSync(reservePath(dir)).size, 1000);
});
