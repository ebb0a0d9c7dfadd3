import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type FileQueue, QueueFullError } from '../../src/filequeue/file-queue.ts';
import type { CommitError } from '../../src/filequeue/group-commit.ts';
import { Keeper, type KeeperOptions, type KeptEndpoint } from '../../src/filequeue/keeper.ts';
import { Reserve, reservePath } from '../../src/filequeue/reserve.ts';
import { poll } from '../support/deadline.ts';
import { tempDir } from '../support/temp.ts';
import { noon, put, row, usingQueue } from './queue.ts';
import { readAll, rowTexts } from './read-back.ts';
import { WatchedFs } from './watched-fs.ts';

const none = Number.POSITIVE_INFINITY;

interface Kept {
  readonly keeper: Keeper;
  readonly queue: FileQueue;
  readonly files: WatchedFs;
  readonly dir: string;
  readonly endpoint: { low: { segment: number; row: number }; readonly drops: number[]; saved: number };
  readonly lines: string[];
  readonly times: { rest: number };
  /** What the disk says it has left. */
  readonly space: { freeBytes: number; totalBytes: number };
}

async function kept(t: TestContext, options: Partial<KeeperOptions> = {}): Promise<Kept> {
  const dir = await tempDir(t, 'keeper');
  const files = new WatchedFs();
  const lines: string[] = [];
  const times = { rest: 0 };
  const space = { freeBytes: 1e9, totalBytes: 2e9 };
  let keeper: Keeper | undefined;
  const { queue } = await usingQueue(t, dir, {
    files,
    onFailure: (error: CommitError) => void keeper?.failed(error),
    onCommit: () => keeper?.committed(),
  });
  const drops: number[] = [];
  const endpoint = {
    name: 'far',
    low: { segment: 1, row: 0 },
    limits: { whenFull: 'reject' as const, maxBytes: none, maxAgeMs: none },
    drops,
    saved: 0,
    dropBefore: (segment: number) => void drops.push(segment),
    saveAgain() {
      this.saved++;
    },
  };
  keeper = new Keeper({
    queue,
    reserve: new Reserve(files, dir, 1000),
    endpoints: () => [endpoint satisfies KeptEndpoint],
    caps: { maxBytes: none, maxAgeMs: none, segmentBytes: 1000, minFreeBytes: 0 },
    space: async () => space,
    now: () => noon,
    logger: { log: (level, message) => lines.push(`${level} ${message}`) },
    onRest: () => times.rest++,
    onRelease: () => undefined,
    ...options,
  });
  await keeper.look();
  t.after(() => keeper.stop());
  return { keeper, queue, files, dir, endpoint, lines, times, space };
}

for (const code of ['ENOSPC', 'EDQUOT']) {
  for (const operation of ['append', 'sync', 'create']) {
    test(`${code} at ${operation}: the reserve is given up, nothing is taken until it could be made again`, async (t) => {
      const { keeper, queue, files, dir, lines, endpoint } = await kept(t);
      const stored = operation === 'create' ? [] : [row('a', 1)];
      for (const one of stored) await put(queue, one);
      assert.ok(existsSync(reservePath(dir)));
      files.fail(new RegExp(`^${operation} (?!reserve)`), { code });
      await assert.rejects(put(queue, row('a', 2)), { code: 'COMMIT_FAILED' });
      assert.equal(keeper.full?.limit, 'disk');
      assert.throws(() => put(queue, row('a', 3)), QueueFullError);

      // The disk is still full: the reserve cannot be made.
      files.fail(/^append reserve/, { code, times: 2 });
      for (let i = 0; i < 2; i++) {
        await keeper.look();
        assert.equal(keeper.full?.limit, 'disk');
        assert.equal(existsSync(reservePath(dir)), false);
      }
      assert.ok(endpoint.saved >= 2, 'positions are tried to be saved each time');
      await keeper.look();
      assert.equal(keeper.full, undefined);
      assert.ok(existsSync(reservePath(dir)));
      await put(queue, row('a', 4));
      assert.deepEqual(readAll(dir, queue.segments), [...stored, row('a', 4)].flatMap(rowTexts));
      assert.deepEqual(
        lines.map((line) => line.replace(/[.:].*/, '')),
        ['error the queue is full', 'info the queue has room again'],
      );
    });
  }
}

test('on a disk that is full but for the reserve nothing is taken: it would be refused and taken by turns', async (t) => {
  const { keeper, queue, files, dir, space } = await kept(t);
  files.fail(/^append (?!reserve)/, { code: 'ENOSPC' });
  await assert.rejects(put(queue, row('a', 1)), { code: 'COMMIT_FAILED' });
  // Nobody waits for that: the sender is answered meanwhile.
  await poll(
    () => 'the reserve is not given up',
    async () => (existsSync(reservePath(dir)) ? undefined : true),
  );
  for (const freeBytes of [0, 1000, 1999]) {
    space.freeBytes = freeBytes;
    await keeper.look();
    assert.equal(keeper.full?.limit, 'disk', `${freeBytes} bytes are free`);
    assert.equal(existsSync(reservePath(dir)), false);
  }
  space.freeBytes = 2000;
  await keeper.look();
  assert.equal(keeper.full, undefined);
  assert.ok(existsSync(reservePath(dir)));
});

test('a failure that is none of space refuses nothing: the next commit may succeed', async (t) => {
  const { keeper, queue, files } = await kept(t);
  files.fail(/^sync 1/);
  await assert.rejects(put(queue, row('a', 1)), { code: 'COMMIT_FAILED' });
  await keeper.look();
  assert.equal(keeper.full, undefined);
  await put(queue, row('a', 2));
});

test('the cap holds at once, not only each second; what is in the way is ended, and readers may leave it', async (t) => {
  const { keeper, queue, times } = await kept(t, {
    caps: { maxBytes: 400, maxAgeMs: none, segmentBytes: 100_000, minFreeBytes: 0 },
  });
  for (let at = 1; keeper.full === undefined; at++) {
    assert.ok(at < 100);
    await put(queue, row('a', at));
    await keeper.look();
  }
  assert.equal(keeper.full?.limit, 'max_bytes');
  assert.throws(() => put(queue, row('a', 0)), QueueFullError);
  const ended = queue.segments.at(-1)!.id;
  await poll(
    () => 'readers are not told to leave it',
    async () => {
      await keeper.look();
      return times.rest > 0 ? true : undefined;
    },
  );
  assert.deepEqual(queue.watermark, { segment: ended + 1, offset: 0, rows: 0 });
  await queue.release(queue.watermark.segment);
  await keeper.look();
  assert.equal(keeper.full, undefined);
  await put(queue, row('a', 0));
});

test('too little free space refuses before the disk does', async (t) => {
  const { keeper, queue, space, dir } = await kept(t, {
    caps: { maxBytes: none, maxAgeMs: none, segmentBytes: 1000, minFreeBytes: undefined },
  });
  space.freeBytes = 0.05 * space.totalBytes - 1;
  await keeper.look();
  assert.equal(keeper.full?.limit, 'disk');
  assert.throws(() => put(queue, row('a', 1)), QueueFullError);
  assert.ok(existsSync(reservePath(dir)), 'the reserve is for when nothing is left');
  space.freeBytes = 0.06 * space.totalBytes;
  await keeper.look();
  await put(queue, row('a', 1));
});
