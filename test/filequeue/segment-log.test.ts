import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { identify } from '../../src/filequeue/identify.ts';
import { SegmentScanner } from '../../src/filequeue/scanner.ts';
import {
  decodeEnd,
  type SegmentEnd,
  type SegmentInfo,
  segmentPath,
} from '../../src/filequeue/segment-file.ts';
import { type FrameFacts, type LogTrouble, SegmentLog } from '../../src/filequeue/segment-log.ts';
import { nodeFileSystem } from '../../src/runtime/fs.ts';
import { END, RECORD_HEAD } from '../../src/serialization/record.ts';
import { tempDir } from '../support/temp.ts';
import { segmentsIn } from './read-back.ts';
import { WatchedFs } from './watched-fs.ts';

const frame = new Uint8Array(RECORD_HEAD + 100);

test('a new file: its name is durable, then header and frame, and nothing is said before', async (t) => {
  const { log, files } = await newLog(t);
  const watermark = await log.append(frame, facts(3), false);
  const header = watermark.offset - frame.length;
  assert.deepEqual(files.taken(), [
    'create 1.open',
    'syncDir',
    `append 1.open ${header + frame.length}`,
    'sync 1.open',
  ]);
  assert.deepEqual(watermark, { segment: 1, offset: header + frame.length, rows: 3 });

  assert.deepEqual(await log.append(frame, facts(2), false), {
    segment: 1,
    offset: header + 2 * frame.length,
    rows: 5,
  });
  assert.deepEqual(files.taken(), [`append 1.open ${frame.length}`, 'sync 1.open']);
});

test('the last frame of a segment is durable before the end record, and that before the new name', async (t) => {
  const { log, files, sealed, dir } = await newLog(t);
  await log.append(frame, facts(3, 100), false);
  files.taken();
  const watermark = await log.append(frame, facts(4, 200), true);
  assert.match(
    files.taken().join('\n'),
    /^append 1.open 116\nsync 1.open\nappend 1.open \d+\nsync 1.open\nrename 1.open 1.committed\nsyncDir$/,
  );
  const info = {
    id: 1,
    bytes: watermark.offset,
    rows: 7,
    counts: [7, 0, 0, 0],
    frames: 2,
    firstMs: 100,
    lastMs: 200,
  };
  assert.deepEqual(sealed, [info]);
  assert.deepEqual(endOf(dir, 1, watermark.offset), {
    rows: 7,
    counts: [7, 0, 0, 0],
    frames: 2,
    firstMs: 100,
    lastMs: 200,
  });
  assert.deepEqual([log.open, log.bytes, log.rows], [undefined, 0, 0]);
});

test('the header names the segment before and where its frames end', async (t) => {
  const { log, dir } = await newLog(t, { nextId: 12, previous: { segment: 7, bytes: 999, rows: 99 } });
  const first = await log.append(frame, facts(1, 5000), true);
  await log.append(frame, facts(1, 6000), false);
  assert.deepEqual(headerOf(dir, 12), {
    segment: 12,
    codec: 'snappy',
    createdMs: 5000,
    previous: { segment: 7, bytes: 999, rows: 99 },
  });
  assert.deepEqual(headerOf(dir, 13), {
    segment: 13,
    codec: 'snappy',
    createdMs: 6000,
    previous: { segment: 12, bytes: first.offset, rows: first.rows },
  });
});

test('sealing without an open segment does nothing', async (t) => {
  const { log, files, sealed } = await newLog(t);
  await log.seal();
  assert.deepEqual([files.taken(), sealed], [[], []]);
});

test('at every moment a segment is known either as open or as ended', async (t) => {
  const { log, files, sealed } = await newLog(t);
  await log.append(frame, facts(3), false);
  const holds = [/^append/, /^sync 1/, /^rename/, /^syncDir/].map((pattern) => files.hold(pattern));
  const sealing = log.seal();
  for (const hold of holds) {
    await hold.reached();
    assert.deepEqual([log.open?.rows, sealed.length], [3, 0]);
    hold.letGo();
  }
  await sealing;
  assert.deepEqual([log.open, sealed.length], [undefined, 1]);
});

for (const operation of ['append 1.open', 'sync 1.open', 'rename', 'syncDir']) {
  test(`a segment that cannot be ended (${operation} fails) keeps its frames, and the next one says so`, async (t) => {
    const { log, files, sealed, troubles, dir } = await newLog(t);
    const { offset, rows } = await log.append(frame, facts(3), false);
    files.fail(new RegExp(`^${operation}`));
    await log.seal();
    assert.equal(troubles.length, 1);
    assert.match(troubles[0]!.message, /could not be ended/);
    assert.match(String(troubles[0]!.error), new RegExp(`EIO: ${operation}`));
    assert.equal(log.nextSegment, 2, 'readers may go to its end: what is not durable was cut');
    assert.deepEqual(
      sealed.map(({ id, bytes, rows }) => ({ id, bytes, rows })),
      [{ id: 1, bytes: offset, rows: 3 }],
    );
    await log.append(frame, facts(1), false);
    assert.deepEqual(headerOf(dir, 2)?.previous, { segment: 1, bytes: offset, rows });
  });
}

for (const operation of ['append', 'sync']) {
  test(`a failed ${operation} ends the segment where it was last durable`, async (t) => {
    const { log, files, sealed, dir } = await newLog(t);
    const { offset, rows } = await log.append(frame, facts(3), false);
    files.fail(new RegExp(`^${operation} 1.open`), { code: 'ENOSPC' });
    await assert.rejects(log.append(frame, facts(2), false), { code: 'ENOSPC' });
    assert.equal(files.log.at(-1), `truncate 1.open ${offset}`);
    assert.equal(sizeOf(dir, 1), offset);
    assert.deepEqual(sealed, [
      { id: 1, bytes: offset, rows: 3, counts: [3, 0, 0, 0], frames: 1, firstMs: 1, lastMs: 1 },
    ]);
    assert.deepEqual(await log.append(frame, facts(4), false), {
      segment: 2,
      offset: sizeOf(dir, 2),
      rows: 4,
    });
    assert.deepEqual(headerOf(dir, 2)?.previous, { segment: 1, bytes: offset, rows });
  });
}

test('where the disk refuses to cut the file, the next header still says where it ends', async (t) => {
  const { log, files, troubles, dir } = await newLog(t);
  const { offset, rows } = await log.append(frame, facts(3), false);
  assert.equal(log.nextSegment, undefined, 'one is open');
  files.fail(/^sync 1/);
  files.fail(/^truncate/);
  await assert.rejects(log.append(frame, facts(2), false), { code: 'EIO' });
  assert.match(troubles.map(({ message }) => message).join(), /could not be cut off/);
  assert.equal(log.nextSegment, undefined, 'a reader must not go to the end of the file');
  assert.equal(sizeOf(dir, 1), offset + frame.length);
  await log.append(frame, facts(4), false);
  assert.deepEqual(headerOf(dir, 2)?.previous, { segment: 1, bytes: offset, rows });
});

for (const operation of ['create', 'syncDir', 'append', 'sync']) {
  test(`a segment that fails at ${operation}, before its first frame, leaves nothing behind`, async (t) => {
    const { log, files, sealed, dir } = await newLog(t);
    const { offset, rows } = await log.append(frame, facts(3), true);
    for (let i = 0; i < 3; i++) {
      files.fail(new RegExp(`^${operation}`), { code: 'ENOSPC' });
      await assert.rejects(log.append(frame, facts(2), i % 2 === 0), { code: 'ENOSPC' });
      assert.deepEqual([log.open, log.bytes, log.rows], [undefined, 0, 0]);
    }
    assert.deepEqual(await segmentsIn(dir), ['1.committed']);
    const { segment } = await log.append(frame, facts(2), false);
    assert.deepEqual(headerOf(dir, segment)?.previous, { segment: 1, bytes: offset, rows });
    assert.deepEqual(
      sealed.map(({ id }) => id),
      [1],
    );
  });
}

test('as long as its remains cannot be removed, nothing is appended', async (t) => {
  const { log, files, troubles, dir } = await newLog(t);
  const { offset, rows } = await log.append(frame, facts(3), false);
  // The end of segment 1 must be stated by the next header: at no time may a durable one lack it.
  files.fail(/^sync/, { times: 2 });
  files.fail(/^(remove|truncate)/, { times: 4 });
  await assert.rejects(log.append(frame, facts(2), false), { code: 'EIO' });
  await assert.rejects(log.append(frame, facts(2), false), { code: 'EIO' });
  assert.deepEqual(await segmentsIn(dir), ['1.open', '2.open']);
  assert.match(troubles.map(({ message }) => message).join(), /nothing is written until it can be/);
  assert.equal(log.nextSegment, undefined, 'rows that were never acknowledged may be in it');
  files.taken();
  await assert.rejects(log.append(frame, facts(2), false), { code: 'EIO' });
  assert.deepEqual(files.taken(), ['remove 2.open']);
  await assert.rejects(log.append(frame, facts(2), false), { code: 'EIO' });
  assert.equal((await log.append(frame, facts(2), false)).segment, 3);
  assert.deepEqual(await segmentsIn(dir), ['1.open', '3.open']);
  assert.deepEqual(headerOf(dir, 3)?.previous, { segment: 1, bytes: offset, rows });
});

async function newLog(
  t: TestContext,
  options: { nextId?: number; previous?: SegmentEnd } = {},
): Promise<{
  log: SegmentLog;
  files: WatchedFs;
  sealed: SegmentInfo[];
  troubles: LogTrouble[];
  dir: string;
}> {
  const dir = await tempDir(t, 'log');
  const files = new WatchedFs();
  const sealed: SegmentInfo[] = [];
  const troubles: LogTrouble[] = [];
  const log = new SegmentLog({
    files,
    dir,
    codec: 'snappy',
    nextId: options.nextId ?? 1,
    previous: options.previous,
    randomSalt: () => 1,
    onSealed: (info) => sealed.push(info),
    onTrouble: (trouble) => troubles.push(trouble),
  });
  return { log, files, sealed, troubles, dir };
}

/** Facts of a frame of samples. */
function facts(rows: number, atMs = 1): FrameFacts {
  return { rows, counts: Uint32Array.of(rows, 0, 0, 0), atMs };
}

function headerOf(dir: string, id: number): ReturnType<typeof identify>['header'] {
  return reading(dir, id, (file) => identify(file, id).header);
}

function endOf(dir: string, id: number, at: number): ReturnType<typeof decodeEnd> {
  return reading(dir, id, (file) => {
    const found = new SegmentScanner(file, at, { segment: id, salt: 1 }).next(file.size());
    assert.ok(found.kind === 'record' && found.type === END && found.end === file.size());
    return decodeEnd(found.payload);
  });
}

function sizeOf(dir: string, id: number): number {
  return reading(dir, id, (file) => file.size());
}

function reading<T>(
  dir: string,
  id: number,
  use: (file: ReturnType<typeof nodeFileSystem.openRead>) => T,
): T {
  for (const state of ['open', 'committed'] as const) {
    try {
      const file = nodeFileSystem.openRead(segmentPath(dir, id, state));
      try {
        return use(file);
      } finally {
        file.close();
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new Error(`no segment ${id}`);
}
