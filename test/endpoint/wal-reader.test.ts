import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { type TestContext, test } from 'node:test';
import { encode } from '@msgpack/msgpack';
import { SegmentContext } from '../../src/endpoint/segment-context.ts';
import { type Damage, type ReadLimit, SegmentStore, WalReader } from '../../src/endpoint/wal-reader.ts';
import type { FileQueue } from '../../src/filequeue/file-queue.ts';
import { FORMAT, segmentPath } from '../../src/filequeue/segment-file.ts';
import { nodeFileSystem } from '../../src/runtime/fs.ts';
import type { Position } from '../../src/serialization/position.ts';
import { encodeRecord, HEADER } from '../../src/serialization/record.ts';
import { openQueue, put, putEach, row, usingQueue } from '../filequeue/queue.ts';
import { readSegment } from '../filequeue/read-back.ts';
import { WatchedFs } from '../filequeue/watched-fs.ts';
import { request, series } from '../support/messages.ts';
import { tempDir } from '../support/temp.ts';

interface Reading {
  readonly store: SegmentStore;
  readonly open: Set<number>;
  readonly damage: Damage[];
  reader(from: Position): WalReader;
}

function reading(t: TestContext, dir: string): Reading {
  const open = new Set<number>();
  const damage: Damage[] = [];
  const readers: WalReader[] = [];
  const store = new SegmentStore(nodeFileSystem, dir, (segment, onIdle) => {
    const context = SegmentContext.open(nodeFileSystem, dir, segment, undefined, (idle) => {
      open.delete(segment);
      onIdle(idle);
    });
    open.add(segment);
    return context;
  });
  t.after(() => {
    for (const reader of readers) reader.close();
    assert.equal(open.size, 0, 'what readers opened is closed');
  });
  return {
    store,
    open,
    damage,
    reader: (from) => {
      const reader = new WalReader(store, from, (found) => damage.push(found));
      readers.push(reader);
      return reader;
    },
  };
}

/** Times of the samples of the current frame at or behind the position, each as `segment:row=time`. */
function frameOf(reader: WalReader): string[] {
  const { rows, head, context, position } = reader;
  const out: string[] = [];
  for (let i = 0; i < head.rows; i++) {
    const ordinal = head.row + i;
    if (ordinal < position.row) continue;
    const lost = context.dictionary.has(rows.sampleSeries[i]!) ? '' : ' lost';
    out.push(`${context.segment}:${ordinal}=${rows.sampleTime[2 * i]}${lost}`);
  }
  reader.passed(head.row + head.rows - 1);
  return out;
}

async function readAll(reader: WalReader, limit: ReadLimit): Promise<string[]> {
  const out: string[] = [];
  while (await reader.advance(limit)) out.push(...frameOf(reader));
  return out;
}

/** A frame of `count` rows, with times from `from` on. */
function frame(name: string, from: number, count = 3) {
  return request(
    series({ __name__: name }, ...Array.from({ length: count }, (_, i) => [from + i, 0] as const)),
  );
}

const oneFrameEach = { roll: { bytes: 1 } };

/** Three segments of two frames of three rows, the last open. */
async function threeSegments(t: TestContext): Promise<{ dir: string; queue: FileQueue; all: string[] }> {
  const dir = await tempDir(t, 'reader');
  const { queue } = await usingQueue(t, dir, { roll: { series: 2 } });
  for (const [i, name] of ['a', 'b', 'c', 'd', 'e'].entries()) await put(queue, frame(name, 10 * i));
  assert.deepEqual(
    queue.segments.map(({ id, rows }) => [id, rows]),
    [
      [1, 6],
      [2, 6],
      [3, 3],
    ],
  );
  const all = [0, 1, 2, 3, 4].flatMap((i) =>
    [0, 1, 2].map((k) => `${1 + (i >> 1)}:${3 * (i & 1) + k}=${10 * i + k}`),
  );
  return { dir, queue, all };
}

test('all rows from any position, over segments, to the watermark', async (t) => {
  const { dir, queue, all } = await threeSegments(t);
  const { reader, damage, open } = reading(t, dir);
  for (let from = 0; from <= all.length; from++) {
    const position = { segment: 1 + Math.floor(from / 6), row: from % 6 };
    const one = reader(position);
    assert.deepEqual(one.position, position);
    assert.deepEqual(await readAll(one, queue.watermark), all.slice(from));
    assert.deepEqual(one.position, { segment: 3, row: 3 });
    assert.ok(open.size <= 1);
    one.close();
  }
  assert.deepEqual(damage, []);
});

test('nothing behind the watermark is read, and reading goes on when it moves', async (t) => {
  const dir = await tempDir(t, 'reader');
  const { queue, commits } = await usingQueue(t, dir, { roll: { series: 3 } });
  const { reader, damage } = reading(t, dir);
  const early = reader({ segment: 1, row: 0 });
  assert.equal(await early.advance(queue.watermark), false, 'there is no file yet');
  for (let i = 0; i < 7; i++) await put(queue, frame(`s${i}`, 10 * i, 1));
  const seen: string[] = [];
  for (const { watermark } of commits) {
    assert.deepEqual(await readAll(early, { ...watermark, offset: watermark.offset - 1 }), []);
    seen.push(...(await readAll(early, watermark)));
    assert.deepEqual(seen.at(-1), `${watermark.segment}:${watermark.rows - 1}=${10 * (seen.length - 1)}`);
    assert.deepEqual(await readAll(early, watermark), []);
  }
  assert.equal(seen.length, 7);
  assert.deepEqual(damage, []);
});

test('a segment that gets its final name while it is read is read on', async (t) => {
  const dir = await tempDir(t, 'reader');
  const { queue } = await openQueue(dir);
  await put(queue, row('a', 1));
  const { reader, damage } = reading(t, dir);
  const one = reader({ segment: 1, row: 0 });
  assert.equal(await one.advance(queue.watermark), true);
  assert.deepEqual(frameOf(one), ['1:0=1']);
  await put(queue, row('b', 2));
  await queue.close();
  assert.ok(fs.existsSync(segmentPath(dir, 1, 'committed')));
  const again = await usingQueue(t, dir);
  await put(again.queue, row('c', 3));
  assert.deepEqual(await readAll(one, again.queue.watermark), ['1:1=2', '2:0=3']);
  assert.deepEqual(damage, []);
});

test('what lies behind the end that the next segment states is never delivered', async (t) => {
  const dir = await tempDir(t, 'reader');
  const files = new WatchedFs();
  const { queue } = await usingQueue(t, dir, { files });
  await put(queue, row('a', 1));
  // The sync fails, and so does the cut: the bytes of the frame stay in the file.
  files.fail(/^sync 1.open/);
  files.fail(/^truncate/);
  await assert.rejects(put(queue, row('a', 2)));
  await put(queue, row('a', 3));
  assert.equal(readSegment(segmentPath(dir, 1, 'open')).rows.length, 2, 'it is there for whoever looks');
  const { reader, damage } = reading(t, dir);
  assert.deepEqual(await readAll(reader({ segment: 1, row: 0 }), queue.watermark), ['1:0=1', '2:0=3']);
  assert.deepEqual(damage, []);
});

test('a damaged frame costs its rows and those of its new series; the rest is delivered', async (t) => {
  const dir = await tempDir(t, 'reader');
  const { queue } = await usingQueue(t, dir);
  await putEach(queue, [frame('a', 0), frame('b', 10), frame('b', 20), frame('a', 30)]);
  const file = segmentPath(dir, 1, 'open');
  spoilFrame(file, 1);
  const { reader, damage } = reading(t, dir);
  const whole = [
    '1:0=0',
    '1:1=1',
    '1:2=2',
    '1:6=20 lost',
    '1:7=21 lost',
    '1:8=22 lost',
    '1:9=30',
    '1:10=31',
    '1:11=32',
  ];
  assert.deepEqual(await readAll(reader({ segment: 1, row: 0 }), queue.watermark), whole);
  assert.equal(
    damage.reduce((sum, { rows }) => sum + rows, 0),
    3,
  );
  assert.ok(damage.every(({ segment }) => segment === 1));
  assert.ok(damage.every(({ offset }) => offset > 0));

  // The same instance goes on behind it, also over what comes later.
  const late = reader({ segment: 1, row: 0 });
  await readAll(late, queue.watermark);
  await put(queue, frame('c', 40));
  assert.deepEqual(await readAll(late, queue.watermark), ['1:12=40', '1:13=41', '1:14=42']);
});

test('rows that were lost before the position are not counted again', async (t) => {
  const dir = await tempDir(t, 'reader');
  const { queue } = await usingQueue(t, dir);
  await putEach(queue, [frame('a', 0), frame('a', 10), frame('a', 20), frame('a', 30)]);
  spoilFrame(segmentPath(dir, 1, 'open'), 1);
  for (const { from, lost } of [
    { from: 2, lost: 3 },
    { from: 3, lost: 3 },
    { from: 5, lost: 1 },
    { from: 6, lost: 0 },
    { from: 8, lost: 0 },
    { from: 12, lost: 0 },
  ]) {
    const { reader, damage } = reading(t, dir);
    const one = reader({ segment: 1, row: from });
    await readAll(one, queue.watermark);
    assert.equal(
      damage.reduce((sum, { rows }) => sum + rows, 0),
      lost,
      `from row ${from}`,
    );
    one.close();
  }
});

test('a damaged end of a segment is reported with its rows, once', async (t) => {
  const { dir, queue, all } = await threeSegments(t);
  spoilFrame(segmentPath(dir, 1, 'committed'), 1);
  for (const { from, lost } of [
    { from: 0, lost: 3 },
    { from: 4, lost: 2 },
    { from: 6, lost: 0 },
  ]) {
    const { reader, damage } = reading(t, dir);
    const one = reader({ segment: 1, row: from });
    assert.deepEqual(await readAll(one, queue.watermark), [
      ...all.slice(Math.min(from, 3), 3),
      ...all.slice(6),
    ]);
    assert.equal(
      damage.reduce((sum, { rows }) => sum + rows, 0),
      lost,
      `from row ${from}`,
    );
    one.close();
  }
});

test('a segment that is gone is skipped, wherever the reader stands', async (t) => {
  const { dir, queue, all } = await threeSegments(t);
  fs.rmSync(segmentPath(dir, 2, 'committed'));
  const { reader, damage } = reading(t, dir);
  assert.deepEqual(await readAll(reader({ segment: 1, row: 0 }), queue.watermark), [
    ...all.slice(0, 6),
    ...all.slice(12),
  ]);
  assert.deepEqual(await readAll(reader({ segment: 2, row: 4 }), queue.watermark), all.slice(12));
  assert.deepEqual(await readAll(reader({ segment: 0, row: 4 }), queue.watermark), [
    ...all.slice(0, 6),
    ...all.slice(12),
  ]);
  fs.rmSync(segmentPath(dir, 1, 'committed'));
  assert.deepEqual(await readAll(reader({ segment: 1, row: 1 }), queue.watermark), all.slice(12));
  assert.deepEqual(
    damage.map(({ segment, rows, message }) => [segment, rows, message]),
    // From 1:0, 2:4, 0:4, and from 1:1, when nobody knows any more what was in segment 1.
    [6, 2, 6, 6].map((rows) => [2, rows, 'segment 2 is not there']),
  );
});

test('a segment of an unknown version is skipped, reported and left as it is', async (t) => {
  const { dir, queue, all } = await threeSegments(t);
  const file = segmentPath(dir, 2, 'committed');
  const content = encodeRecord(HEADER, encode({ format: FORMAT, version: 99 }), { segment: 2, salt: 5 }, 0);
  fs.writeFileSync(file, content);
  const { reader, damage } = reading(t, dir);
  assert.deepEqual(await readAll(reader({ segment: 1, row: 0 }), queue.watermark), [
    ...all.slice(0, 6),
    ...all.slice(12),
  ]);
  assert.match(damage[0]!.message, /segment 2 is skipped: .*version 99/);
  assert.deepEqual(
    damage.map(({ rows }) => rows),
    [0, 6],
    'the next segment knows how many rows it had',
  );
  assert.deepEqual(new Uint8Array(fs.readFileSync(file)), content);
});

test('a damaged header costs no row', async (t) => {
  const { dir, queue, all } = await threeSegments(t);
  const file = segmentPath(dir, 2, 'committed');
  const bytes = fs.readFileSync(file);
  bytes[20]! ^= 0xff;
  fs.writeFileSync(file, bytes);
  const { reader, damage } = reading(t, dir);
  assert.deepEqual(await readAll(reader({ segment: 1, row: 0 }), queue.watermark), all);
  assert.equal(
    damage.reduce((sum, { rows }) => sum + rows, 0),
    0,
  );
});

test('two readers share a segment: its file, its dictionary, and what it knows of its frames', async (t) => {
  const dir = await tempDir(t, 'reader');
  const { queue } = await usingQueue(t, dir);
  await putEach(queue, [frame('a', 0), frame('b', 10), frame('c', 20)]);
  const { reader, open } = reading(t, dir);
  const ahead = reader({ segment: 1, row: 0 });
  assert.equal(await ahead.advance(queue.watermark), true);
  const { context } = ahead;
  const behind = reader({ segment: 1, row: 1 });
  assert.deepEqual(
    await readAll(behind, queue.watermark),
    [1, 2, 10, 11, 12, 20, 21, 22].map((time, i) => `1:${i + 1}=${time}`),
  );
  assert.equal(behind.context, context);
  assert.equal(context.dictionary.series, 3, 'each frame is added once');
  frameOf(ahead);
  assert.deepEqual(
    await readAll(ahead, queue.watermark),
    [10, 11, 12, 20, 21, 22].map((time, i) => `1:${i + 3}=${time}`),
  );
  assert.deepEqual(
    [0, 2, 3, 8].map((at) => context.offsetBefore(at) > 0),
    [true, true, true, true],
  );
  assert.ok(context.offsetBefore(3) > context.offsetBefore(2));
  assert.equal(context.committedMs(4), 1_700_000_000_000);
  // A third one finds its frame without reading those before it.
  const third = reader({ segment: 1, row: 7 });
  assert.deepEqual(await readAll(third, queue.watermark), ['1:7=21', '1:8=22']);
  ahead.close();
  behind.close();
  assert.deepEqual([...open], [1]);
  context.hold(2);
  third.close();
  context.letGo(1);
  assert.deepEqual([...open], [1], 'rows that wait hold it too');
  context.letGo(1);
  assert.deepEqual([...open], []);
});

test('the ids of a directory, from any id on', async (t) => {
  const dir = await tempDir(t, 'reader');
  const { queue } = await usingQueue(t, dir, oneFrameEach);
  await putEach(queue, [row('a', 1), row('a', 2), row('a', 3)]);
  await queue.release(2);
  const { store } = reading(t, dir);
  assert.deepEqual(await Promise.all([0, 2, 3, 4].map((from) => store.firstFrom(from))), [
    2,
    2,
    3,
    undefined,
  ]);
});

/** Flips a bit in the middle of frame number `index`. */
function spoilFrame(file: string, index: number): void {
  const { frames } = readSegment(file);
  assert.ok(index < frames.length);
  const starts = [...fs.readFileSync(file).toString('latin1').matchAll(/SPWF/g)].map((match) => match.index);
  const bytes = fs.readFileSync(file);
  bytes[starts[index]! + 40]! ^= 0x04;
  fs.writeFileSync(file, bytes);
  assert.equal(readSegment(file).frames.length, frames.length - 1);
}
