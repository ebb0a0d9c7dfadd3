import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type FileQueue, walDirectory } from '../../src/filequeue/file-queue.ts';
import { CommitError } from '../../src/filequeue/group-commit.ts';
import { segmentPath } from '../../src/filequeue/segment-file.ts';
import { verifyDirectory } from '../../src/filequeue/verify.ts';
import { decodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { DirectoryLockedError } from '../../src/runtime/directory-lock.ts';
import { nodeFileSystem } from '../../src/runtime/fs.ts';
import { withoutInvalidHistograms } from '../reference/histogram-rules.ts';
import { loadCaptures, v1Captures } from '../support/captures.ts';
import { Child } from '../support/child.ts';
import { projectDir } from '../support/paths.ts';
import { tempDir } from '../support/temp.ts';
import { fillWith, fillWithRaw, openQueue, put, putEach, row, usingQueue, wide } from './queue.ts';
import { readAll, rowTexts, segmentsIn } from './read-back.ts';
import { WatchedFs } from './watched-fs.ts';

for (const codec of ['none', 'snappy'] as const) {
  test(`what real senders sent comes back bit for bit, also after a restart (${codec})`, async (t) => {
    const dir = await tempDir(t, 'queue');
    const { queue } = await openQueue(dir, { codec, roll: { bytes: 20_000 } });
    const sent: string[] = [];
    for (const folder of v1Captures) {
      for (const { raw } of await loadCaptures(folder)) {
        await queue.append(fillWithRaw(raw)).durable;
        for (const text of rowTexts(withoutInvalidHistograms(decodeWriteRequestV1(raw)))) sent.push(text);
      }
    }
    assert.ok(queue.segments.length > 3);
    assert.deepEqual(readAll(dir, queue.segments), sent);
    await queue.close();
    const again = await usingQueue(t, dir);
    assert.deepEqual(again.queue.segments, queue.segments);
    assert.deepEqual(readAll(dir, again.queue.segments), sent);
  });
}

test('a queue knows its segments, its bytes and how far it is durable', async (t) => {
  const { queue, dir } = await threeSegments(t);
  assert.deepEqual(
    queue.segments.map(({ id, rows }) => [id, rows]),
    [
      [1, 2],
      [2, 2],
      [3, 1],
    ],
  );
  assert.deepEqual(queue.watermark, { segment: 3, offset: queue.segments[2]!.bytes, rows: 1 });
  assert.equal(queue.openSeries, 1);
  let sum = 0;
  for (const { bytes } of queue.segments) sum += bytes;
  assert.equal(queue.bytes, sum);
  await queue.close();
  assert.equal(queue.bytes, sum);
  assert.deepEqual(await segmentsIn(dir), ['1.committed', '2.committed', '3.committed']);
});

test('before the first commit a queue is durable up to the segment that comes next', async (t) => {
  const dir = await tempDir(t, 'queue');
  const { queue } = await usingQueue(t, dir, { minNextId: 9 });
  assert.deepEqual(
    [queue.watermark, queue.segments, queue.bytes],
    [{ segment: 9, offset: 0, rows: 0 }, [], 0],
  );
});

test('rows and bytes from a position on', async (t) => {
  const { queue } = await threeSegments(t);
  const [first, second, third] = queue.segments.map(({ bytes }) => bytes) as [number, number, number];
  for (const [segment, from, rows, bytes] of [
    [0, 0, 5, first + second + third],
    [1, 0, 5, first + second + third],
    [1, 1, 4, Math.round(first / 2) + second + third],
    [1, 2, 3, second + third],
    [1, 99, 3, second + third],
    [2, 0, 3, second + third],
    [2, 1, 2, Math.round(second / 2) + third],
    [3, 0, 1, third],
    [3, 1, 0, 0],
    [4, 0, 0, 0],
  ] as const) {
    assert.deepEqual(
      [queue.rowsFrom(segment, from), queue.bytesFrom(segment, from)],
      [rows, bytes],
      `from row ${from} of segment ${segment}`,
    );
  }
});

test('at every moment all that is durable is counted, also while a segment is ended', async (t) => {
  const dir = await tempDir(t, 'queue');
  const files = new WatchedFs();
  const { queue } = await usingQueue(t, dir, { files, roll: { series: 2 } });
  await put(queue, row('a', 1));
  const before = queue.bytes;
  const holds = [/^append/, /^sync 1/, /^append/, /^sync 1/, /^rename/, /^syncDir/].map((pattern) =>
    files.hold(pattern),
  );
  const durable = put(queue, row('b', 2));
  for (const [i, hold] of holds.entries()) {
    await hold.reached();
    assert.equal(queue.rowsFrom(0, 0), i < 2 ? 1 : 2, `operation ${i}`);
    assert.ok(queue.bytes >= before && queue.segments.length === 1);
    hold.letGo();
  }
  await durable;
  assert.deepEqual([queue.rowsFrom(0, 0), queue.segments.length], [2, 1]);
});

test('release removes ended segments below, and says what went with them', async (t) => {
  const { queue, dir } = await threeSegments(t);
  assert.deepEqual(await queue.release(1), [0, 0, 0, 0]);
  assert.deepEqual(await segmentsIn(dir), ['1.committed', '2.committed', '3.open']);
  assert.deepEqual(await queue.release(2), [2, 0, 0, 0]);
  assert.deepEqual(await segmentsIn(dir), ['2.committed', '3.open']);
  // The open one stays, however far the readers are.
  assert.deepEqual(await queue.release(99), [2, 0, 0, 0]);
  assert.deepEqual(await segmentsIn(dir), ['3.open']);
  assert.deepEqual(
    queue.segments.map(({ id }) => id),
    [3],
  );
  await put(queue, row('a', 6));
  assert.deepEqual(readAll(dir, queue.segments), [row('a', 5), row('a', 6)].flatMap(rowTexts));
});

test('release removes what a failure left open as well', async (t) => {
  const dir = await tempDir(t, 'queue');
  const files = new WatchedFs();
  const { queue } = await usingQueue(t, dir, { files });
  await put(queue, row('a', 1));
  files.fail(/^sync/);
  await assert.rejects(put(queue, row('a', 2)), CommitError);
  await put(queue, row('a', 3));
  assert.deepEqual(await segmentsIn(dir), ['1.open', '2.open']);
  await queue.release(2);
  assert.deepEqual(await segmentsIn(dir), ['2.open']);
});

test('what cannot be removed is released later', async (t) => {
  const files = new WatchedFs();
  const { queue, dir } = await threeSegments(t, files);
  files.fail(/^remove 2/, { code: 'EACCES' });
  await assert.rejects(queue.release(3), { code: 'EACCES' });
  assert.deepEqual(
    queue.segments.map(({ id }) => id),
    [2, 3],
  );
  await queue.release(3);
  assert.deepEqual(await segmentsIn(dir), ['3.open']);
});

test('two releases at a time remove each segment once', async (t) => {
  const { queue, dir } = await threeSegments(t);
  const counts = await Promise.all([queue.release(2), queue.release(3)]);
  assert.equal(
    counts.flat().reduce((sum, n) => sum + n),
    4,
  );
  assert.deepEqual(
    queue.segments.map(({ id }) => id),
    [3],
  );
  assert.deepEqual(await segmentsIn(dir), ['3.open']);
});

test('ids only grow, whatever became of the files', async (t) => {
  const dir = await tempDir(t, 'queue');
  const ids: number[] = [];
  const run = async (minNextId: number): Promise<void> => {
    const { queue, commits } = await openQueue(dir, { minNextId });
    await put(queue, row('a', 1));
    ids.push(commits[0]!.watermark.segment);
    await queue.close();
  };
  await run(1);
  await run(1);
  // A saved position may name an id of which no file is left, or a lower one than those that there are.
  await run(40);
  await run(7);
  for (const name of await segmentsIn(dir)) {
    const [id, state] = name.split('.');
    fs.rmSync(segmentPath(dir, Number(id), state as 'committed'));
  }
  await run(42);
  fs.writeFileSync(segmentPath(dir, 50, 'open'), '');
  await run(1);
  assert.deepEqual(ids, [1, 2, 40, 41, 42, 51]);
});

test('after a failure, the segment before ends where it was durable, now and after a restart', async (t) => {
  for (const cut of [true, false]) {
    const dir = await tempDir(t, 'queue');
    const files = new WatchedFs();
    const { queue, commits, failures } = await openQueue(dir, { files });
    await putEach(queue, [row('a', 1), row('b', 2)]);
    const { offset } = commits.at(-1)!.watermark;
    files.fail(/^sync/, { code: 'EIO' });
    if (!cut) files.fail(/^truncate/);
    await assert.rejects(put(queue, row('a', 3)), CommitError);
    assert.equal(failures.length, 1);
    assert.equal(fs.statSync(segmentPath(dir, 1, 'open')).size > offset, !cut);
    await putEach(queue, [row('b', 4), row('a', 5)]);
    const expected = [row('a', 1), row('b', 2), row('b', 4), row('a', 5)].flatMap(rowTexts);
    assert.deepEqual(readAll(dir, queue.segments), expected);
    await queue.close();

    const again = await usingQueue(t, dir);
    assert.equal(again.queue.segments[0]!.bytes, offset);
    assert.deepEqual(readAll(dir, again.queue.segments), expected);
  }
});

test('a restart in the middle of a failure does not bring the failed rows back', async (t) => {
  // Segment 1 keeps the failed frame, since it cannot be cut; 2 and 3 fail before their first frame is durable;
  // the header of 4 has to say where 1 ends all the same.
  const dir = await tempDir(t, 'queue');
  const files = new WatchedFs();
  const { queue } = await openQueue(dir, { files });
  await put(queue, row('a', 1));
  files.fail(/^sync /, { times: 3 });
  files.fail(/^truncate/);
  for (const at of [2, 3, 4]) await assert.rejects(put(queue, row('a', at)), CommitError);
  await put(queue, row('a', 5));
  await queue.close();
  const again = await usingQueue(t, dir);
  assert.deepEqual(readAll(dir, again.queue.segments), [row('a', 1), row('a', 5)].flatMap(rowTexts));
});

test('a directory has one queue at a time', async (t) => {
  const dir = await tempDir(t, 'queue');
  const { queue } = await openQueue(dir);
  await assert.rejects(openQueue(dir), DirectoryLockedError);
  await put(queue, row('a', 1));
  await queue.close();
  const again = await usingQueue(t, dir);
  assert.deepEqual(readAll(dir, again.queue.segments), rowTexts(row('a', 1)));
});

test('a queue that cannot be opened gives the directory back', async (t) => {
  const dir = await tempDir(t, 'queue');
  const { queue } = await openQueue(dir);
  await put(queue, row('a', 1));
  await queue.close();
  const files = new WatchedFs();
  files.list = () => Promise.reject(new Error('as the test asked for'));
  await assert.rejects(openQueue(dir, { files }), /as the test asked for/);
  await usingQueue(t, dir);
});

test('another process is kept out until the one that has the directory is gone, in whatever way', async (t) => {
  const dir = await tempDir(t, 'queue');
  const holder = Child.spawn(
    t,
    'holder',
    process.execPath,
    [fileURLToPath(new URL('queue-holder.js', import.meta.url)), dir],
    { cwd: projectDir },
  );
  await holder.line(/^committed$/);
  await assert.rejects(openQueue(dir), (error: Error) => {
    assert.ok(error instanceof DirectoryLockedError);
    assert.ok(error.message.includes(dir));
    return true;
  });
  // Nothing was touched.
  assert.deepEqual(await segmentsIn(dir), ['1.open']);
  await holder.kill('SIGKILL');
  const { queue } = await usingQueue(t, dir);
  assert.deepEqual(readAll(dir, queue.segments), rowTexts(row('held', 1)));
});

test('close waits for what was appended, ends the segment and refuses more', async (t) => {
  const dir = await tempDir(t, 'queue');
  const files = new WatchedFs();
  const { queue } = await openQueue(dir, { files });
  const hold = files.hold(/^sync 1/);
  const durable = [put(queue, row('a', 1))];
  await hold.reached();
  durable.push(put(queue, row('a', 2)));
  const closing = [queue.close(), queue.close()];
  assert.throws(() => queue.append(() => undefined), /after close/);
  let closed = 0;
  for (const one of closing) void one.then(() => closed++);
  await assert.rejects(openQueue(dir), DirectoryLockedError);
  assert.equal(closed, 0);
  hold.letGo();
  await Promise.all([...durable, ...closing]);
  assert.deepEqual(await segmentsIn(dir), ['1.committed']);
  await queue.close();
  const again = await usingQueue(t, dir);
  assert.deepEqual(readAll(dir, again.queue.segments), [row('a', 1), row('a', 2)].flatMap(rowTexts));
});

test('a queue that is finished takes nothing more, and still has its directory', async (t) => {
  const dir = await tempDir(t, 'queue');
  const { queue } = await usingQueue(t, dir);
  const durable = put(queue, row('a', 1));
  await queue.finish();
  await durable;
  assert.deepEqual(await segmentsIn(dir), ['1.committed']);
  assert.throws(() => queue.append(() => undefined), /after close/);
  await assert.rejects(openQueue(dir), DirectoryLockedError);
  await queue.finish();
  await queue.close();
  await usingQueue(t, dir);
});

test('a queue makes its directory', async (t) => {
  const dir = walDirectory(path.join(await tempDir(t, 'queue'), 'data'));
  assert.equal(path.basename(dir), 'wal');
  const { queue } = await usingQueue(t, dir);
  await put(queue, row('a', 1));
  assert.deepEqual(await segmentsIn(dir), ['1.open']);
});

/** Five rows of one series in segments of two frames; the last one is open. */
async function threeSegments(
  t: TestContext,
  files: WatchedFs = new WatchedFs(nodeFileSystem),
): Promise<{ queue: FileQueue; dir: string }> {
  const dir = await tempDir(t, 'queue');
  let now = 0;
  const { queue } = await usingQueue(t, dir, { files, now: () => ++now, roll: { ageMs: 1 } });
  await putEach(
    queue,
    [1, 2, 3, 4, 5].map((at) => row('a', at)),
  );
  return { queue, dir };
}

test('labels of refused series do not fill memory, though no commit comes', async (t) => {
  const { queue, commits } = await usingQueue(t, await tempDir(t, 'queue'), {
    roll: { dictionaryBytes: 65_536 },
  });
  await queue.append(fillWith(row('a', 1))).durable;
  let most = 0;
  for (let i = 0; i < 2000; i++) {
    // As ingest does it for a series that is refused behind a new label: text, and no row; or, here for every
    // other one, for a request that turns out to be broken.
    const text = Buffer.from(`value ${i} ${'x'.repeat(200)}`);
    const take = (): void => {
      queue.append((dictionary) => {
        dictionary.internString(text, 0, text.length);
        most = Math.max(most, dictionary.contentBytes);
        if (i % 2 === 1) throw new Error('broken');
      });
    };
    // After this turn the commit before is over: within one, the limit is not kept.
    await new Promise((resolve) => setImmediate(resolve));
    if (i % 2 === 1) assert.throws(take, /broken/);
    else take();
  }
  assert.ok(most < 65_536 + 1000, `${most} bytes`);
  await queue.append(fillWith(row('a', 2))).durable;
  assert.ok(commits[1]!.watermark.segment > commits[0]!.watermark.segment);
  assert.equal(queue.rowsFrom(1, 0), 2);
});

test('what is kept stays like an island, and what is behind it goes, but for the one that says where it ends', async (t) => {
  const dir = await tempDir(t, 'queue');
  const roll = { bytes: 1 };
  const first = await openQueue(dir, { roll });
  await putEach(
    first.queue,
    [1, 2, 3, 4, 5, 6].map((at) => row('a', at)),
  );
  const kept = [{ from: 2, to: 4 }];
  assert.deepEqual(await first.queue.release(6, kept), [2, 0, 0, 0]);
  assert.deepEqual(
    await segmentsIn(dir),
    ['2', '3', '4', '6'].map((id) => `${id}.committed`),
  );
  assert.equal(first.queue.oldest, 6);
  assert.equal(
    first.queue.bytes,
    first.queue.segments.reduce((sum, { bytes }) => sum + bytes, 0),
  );
  await first.queue.close();

  const { missing, whole } = await verifyDirectory(nodeFileSystem, dir);
  assert.deepEqual([missing, whole], [[], true]);
  const { queue } = await usingQueue(t, dir, { roll });
  assert.equal(queue.oldest, 6, 'a new reader does not come upon the gap');
  await put(queue, row('a', 7));
  assert.deepEqual(
    readAll(dir, queue.segments),
    [2, 3, 4, 6, 7].flatMap((at) => rowTexts(row('a', at))),
  );
  await queue.release(8);
  assert.deepEqual(await segmentsIn(dir), []);
});

test('a gap that cannot be noted is made all the same, and said', async (t) => {
  const dir = await tempDir(t, 'queue');
  const files = new WatchedFs();
  const { queue, troubles } = await usingQueue(t, dir, { roll: { bytes: 1 }, files });
  await putEach(
    queue,
    [1, 2, 3, 4].map((at) => row('a', at)),
  );
  files.fail(/^create .*released/, { code: 'ENOSPC' });
  await queue.release(4, [{ from: 1, to: 2 }]);
  assert.deepEqual(
    await segmentsIn(dir),
    ['1', '2', '4'].map((id) => `${id}.committed`),
  );
  assert.equal(troubles.length, 1);
});

test('a cut gives an id that separates what was durable from what comes, also under load', async (t) => {
  const dir = await tempDir(t, 'queue');
  const { queue, commits } = await usingQueue(t, dir);
  assert.equal(await queue.cut(), 1, 'nothing is there to be ended');
  for (let round = 0; round < 3; round++) {
    await put(queue, row('a', 2 * round));
    const before = queue.watermark.segment;
    const cut = queue.cut();
    const joined = put(queue, row('a', 2 * round + 1));
    const first = await cut;
    assert.ok(before < first);
    await joined;
    const segments = commits.length;
    await put(queue, row('b', round));
    assert.ok(commits[segments]!.watermark.segment >= first);
  }
});

test('a gate counts from the next segment on, which begins at once', async (t) => {
  const dir = await tempDir(t, 'queue');
  const { queue } = await usingQueue(t, dir);
  await put(queue, row('a', 1));
  const admit = (): 'dropped' => 'dropped';
  queue.configure(wide, { admit });
  await queue.cut();
  await put(queue, row('a', 2));
  queue.configure(wide, undefined);
  await queue.cut();
  await put(queue, row('a', 3));
  assert.deepEqual(
    readAll(dir, queue.segments),
    [1, 3].flatMap((at) => rowTexts(row('a', at))),
  );
});
