import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { type TestContext, test } from 'node:test';
import { encode } from '@msgpack/msgpack';
import { type RecoveredDirectory, recoverDirectory } from '../../src/filequeue/recovery.ts';
import { encodeEnd, encodeHeader, type SegmentEnd, segmentPath } from '../../src/filequeue/segment-file.ts';
import { type FileSystem, nodeFileSystem, writeDurably } from '../../src/runtime/fs.ts';
import { END, encodeRecord, FRAME, HEADER, RECORD_HEAD } from '../../src/serialization/record.ts';
import { type Message, request, series } from '../support/messages.ts';
import { Random } from '../support/random.ts';
import { tempDir } from '../support/temp.ts';
import { ForgetfulFs } from './forgetful-fs.ts';
import { openQueue, putEach, row, usingQueue } from './queue.ts';
import { readAll, readSegment, rowTexts, segmentsIn } from './read-back.ts';
import { chain, mark, rebound, recordsOf } from './records.ts';
import { WatchedFs } from './watched-fs.ts';

/** Three frames. The second one brings series b, which the third one goes on with. */
const sent: readonly Message[] = [
  row('a', 1),
  request(series({ __name__: 'a' }, [2, 2]), series({ __name__: 'b' }, [3, 3])),
  request(series({ __name__: 'b' }, [4, 4]), series({ __name__: 'a' }, [5, 5])),
];

/** What `leftOpen` holds. */
const fullSummary = { rows: 5, counts: [5, 0, 0, 0], frames: 3, firstMs: 101, lastMs: 103 };

test('a directory that was left in order comes back as it was', async (t) => {
  const dir = await tempDir(t, 'recovery');
  const { queue } = await openQueue(dir, { roll: { series: 2 } });
  await putEach(queue, sent);
  await queue.close();
  const before = queue.segments;
  const files = new WatchedFs();
  const found = await recoverDirectory(files, dir);
  assert.deepEqual(found, { segments: before, gone: [], nextId: 3, events: [] });
  assert.deepEqual(files.log, []);
  assert.deepEqual(readAll(dir, found.segments), sent.flatMap(rowTexts));
});

test('an open segment is ended', async (t) => {
  const { bytes } = await leftOpen(t);
  const recovered = await recover(t, { '1.open': bytes });
  const { dir, found, rows } = recovered;
  assert.deepEqual(await segmentsIn(dir), ['1.committed']);
  assert.deepEqual(rows, sent.flatMap(rowTexts));
  assert.deepEqual(found.segments, [
    { id: 1, bytes: bytes.length, rows: 5, counts: [5, 0, 0, 0], frames: 3, firstMs: 101, lastMs: 103 },
  ]);
  assert.deepEqual(
    found.events.map(({ kind }) => kind),
    ['recovered'],
  );
  const content = readSegment(segmentPath(dir, 1, 'committed'));
  assert.ok(content.ended);
  await isWholeAgain(recovered);
});

test('a segment that was ended stays so when the power is cut', async (t) => {
  const { bytes } = await leftOpen(t);
  const files = new ForgetfulFs();
  const { dir } = await recoverIn(files, '/wal', { '1.open': bytes });
  const after = files.powerCut('nothing', new Random(1));
  assert.deepEqual(await segmentsIn(dir, after), ['1.committed']);
  const { ended, rows } = readSegment(segmentPath(dir, 1, 'committed'), { files: after });
  assert.deepEqual([ended, rows], [true, sent.flatMap(rowTexts)]);
});

test('a file cut at any length gives the rows of its whole frames', async (t) => {
  const { bytes, ends } = await leftOpen(t);
  for (let length = 0; length < bytes.length; length++) {
    const recovered = await recover(t, { '1.open': bytes.subarray(0, length) }, new ForgetfulFs());
    const { found, rows } = recovered;
    const whole = ends.filter((end) => end <= length).length;
    assert.deepEqual(rows, sent.slice(0, Math.max(0, whole - 1)).flatMap(rowTexts), `cut at ${length}`);
    assert.equal(found.nextId, 2);
    const end = ends.findLast((one) => one <= length) ?? 0;
    const tails = found.events.filter(({ kind }) => kind === 'tail');
    if (end === length) assert.deepEqual(tails, []);
    else {
      assert.deepEqual(
        tails.map(({ offset, bytes }) => [offset, bytes]),
        [[end, length - end]],
      );
      assert.deepEqual(await quarantined(recovered), {
        [`1.open.${end}-${length}.tail`]: bytes.subarray(end, length),
      });
    }
    assert.deepEqual(await segmentsIn(recovered.dir, recovered.files), whole < 2 ? [] : ['1.committed']);
    if (length % 8 === 0) await isWholeAgain(recovered);
  }
});

test('a frame that is damaged at any byte is stepped over, and copied aside', async (t) => {
  const { bytes, ends } = await leftOpen(t);
  const [from, to] = [ends[1]!, ends[2]!];
  for (let at = from; at < to; at++) {
    const damaged = flipped(bytes, at);
    const recovered = await recover(t, { '1.open': damaged }, new ForgetfulFs());
    const { found, rows, files, dir } = recovered;
    // The rows of b in the last frame went with the frame that named it.
    assert.deepEqual(rows, [...rowTexts(row('a', 1)), ...rowTexts(row('a', 5))], `flipped at ${at}`);
    assert.equal(readSegment(segmentPath(dir, 1, 'committed'), { files }).lost, 1);
    assert.deepEqual(
      found.events.map(({ kind, offset, bytes }) => ({ kind, offset, bytes })),
      [
        { kind: 'damage', offset: from, bytes: to - from },
        { kind: 'recovered', offset: undefined, bytes: bytes.length },
      ],
    );
    assert.deepEqual(await quarantined(recovered), {
      [`1.open.${from}-${to}.damaged`]: damaged.subarray(from, to),
    });
    // It stays in the file, and ordinals go on behind it.
    const [info] = found.segments;
    assert.deepEqual(
      [info!.bytes, info!.rows, info!.counts, info!.frames],
      [bytes.length, 5, [3, 0, 0, 0], 2],
    );
    if (at % 8 === 0) await isWholeAgain(recovered);
  }
});

test('a file that is damaged at any byte never gives another row than was written', async (t) => {
  const { bytes } = await leftOpen(t);
  const texts = sent.flatMap(rowTexts);
  const committed = Buffer.concat([
    bytes,
    encodeEnd({ rows: 5, counts: [5, 0, 0, 0], frames: 3, firstMs: 1, lastMs: 1 }, mark, bytes.length),
  ]);
  for (const [name, content] of Object.entries({ '1.open': bytes, '1.committed': committed })) {
    for (let at = 0; at < content.length; at++) {
      const { dir, found, files } = await recoverIn(new ForgetfulFs(), '/wal', {
        [name]: flipped(content, at),
      });
      assert.equal(found.nextId, 2);
      let next = 0;
      for (const info of found.segments) {
        const file = segmentPath(dir, info.id, 'committed');
        for (const one of readSegment(file, { files, limit: info.bytes }).rows) {
          next = texts.indexOf(one, next) + 1;
          assert.ok(next > 0, `${name} flipped at ${at}: ${one}`);
        }
      }
    }
  }
});

for (const codec of ['none', 'snappy'] as const) {
  test(`frames packed with ${codec} are read without their header`, async (t) => {
    const { bytes, ends } = await leftOpen(t, codec);
    for (const at of [0, 5, 13, ends[0]! - 1]) {
      const recovered = await recover(t, { '1.open': flipped(bytes, at) });
      const { found, rows } = recovered;
      assert.deepEqual(rows, sent.flatMap(rowTexts));
      assert.deepEqual(
        found.events.map(({ kind, offset, bytes }) => [kind, offset, bytes]),
        [
          ['damage', 0, ends[0]],
          ['recovered', undefined, bytes.length],
        ],
      );
      await isWholeAgain(recovered);
    }
  });
}

test('a frame that is whole and makes no sense is damage', async (t) => {
  const { bytes, ends } = await leftOpen(t);
  for (const nonsense of [
    encode('not a frame'),
    encode({ row: 3, rows: 1, at: 0, raw: 10, body: new Uint8Array(3) }),
    Uint8Array.of(0xc1),
    new Uint8Array(0),
  ]) {
    const strange = encodeRecord(FRAME, nonsense, mark, ends[2]!);
    const [, , , last] = recordsOf(bytes);
    const behind = chain([[FRAME, last!.payload]], ends[2]! + strange.length);
    const all = Buffer.concat([bytes.subarray(0, ends[2]), strange, behind]);
    const { found, dir } = await recoverIn(new ForgetfulFs(), '/wal', { '1.open': all });
    assert.deepEqual(found.events[0], {
      kind: 'damage',
      file: segmentPath(dir, 1, 'open'),
      message: found.events[0]!.message,
      offset: ends[2],
      bytes: strange.length,
    });
    assert.equal(found.segments[0]!.rows, 5);
    assert.equal(found.segments[0]!.frames, 3);
  }
});

test('an end record that was written before the crash is taken as it is', async (t) => {
  const { bytes } = await leftOpen(t);
  const summary = { rows: 5, counts: [5, 0, 0, 0], frames: 3, firstMs: 101, lastMs: 103 };
  const ended = Buffer.concat([bytes, encodeEnd(summary, mark, bytes.length)]);
  const { dir, found, rows } = await recover(t, { '1.open': ended });
  assert.deepEqual(found.segments, [{ id: 1, bytes: bytes.length, ...summary }]);
  assert.deepEqual(rows, sent.flatMap(rowTexts));
  assert.deepEqual(fs.readFileSync(segmentPath(dir, 1, 'committed')), ended);
  assert.deepEqual(await quarantined({ files: nodeFileSystem, dir }), {});
});

test('an end record that is torn is written anew', async (t) => {
  const { bytes } = await leftOpen(t);
  const end = encodeEnd(fullSummary, mark, bytes.length);
  for (let length = 1; length < end.length; length++) {
    const left = { '1.open': Buffer.concat([bytes, end.subarray(0, length)]) };
    const { dir, rows, files } = await recover(t, left, new ForgetfulFs());
    assert.deepEqual(rows, sent.flatMap(rowTexts));
    assert.deepEqual(content(files, segmentPath(dir, 1, 'committed')), Buffer.concat([bytes, end]));
  }
});

test('a committed segment whose end record is missing, damaged or strange is read instead', async (t) => {
  const { bytes } = await leftOpen(t);
  const summary = { rows: 5, counts: [5, 0, 0, 0], frames: 3, firstMs: 101, lastMs: 103 };
  const end = encodeEnd(summary, mark, bytes.length);
  for (const [what, tail] of [
    ['missing', new Uint8Array(0)],
    ['damaged', flipped(end, 20)],
    ['cut short', end.subarray(0, 30)],
    ['of zeros', new Uint8Array(end.length)],
    ['of another shape', encodeRecord(END, encode({ rows: 'five' }), mark, bytes.length)],
    ['not msgpack', encodeRecord(END, Uint8Array.of(0xc1), mark, bytes.length)],
  ] as const) {
    const { dir, found, rows } = await recover(t, { '1.committed': Buffer.concat([bytes, tail]) });
    assert.deepEqual(found.segments, [{ id: 1, bytes: bytes.length, ...summary }], what);
    assert.deepEqual(rows, sent.flatMap(rowTexts));
    assert.deepEqual(await segmentsIn(dir), ['1.committed']);
  }
});

test('an end record inside of a frame is not one', async (t) => {
  const { bytes } = await leftOpen(t);
  const summary = { rows: 5, counts: [5, 0, 0, 0], frames: 3, firstMs: 101, lastMs: 103 };
  // With the right salt and place, as nobody could write it.
  const hidden = encodeEnd({ ...summary, rows: 99 }, mark, bytes.length + RECORD_HEAD);
  const frame = encodeRecord(FRAME, Buffer.concat([hidden, Buffer.alloc(5)]), mark, bytes.length);
  const end = encodeEnd(summary, mark, bytes.length + frame.length);
  const left = { '1.committed': Buffer.concat([bytes, frame, end]) };
  const { found } = await recoverIn(new ForgetfulFs(), '/wal', left);
  assert.equal(found.segments[0]!.rows, 5);
});

/** Writes so many committed segments, each with so many series; returns their bytes. */
async function writeSegments(dir: string, segments: number, seriesEach: number): Promise<number> {
  const { queue } = await openQueue(dir, { roll: { bytes: 1 }, codec: 'none' });
  const big = request(
    ...Array.from({ length: seriesEach }, (_, i) => series({ __name__: `series_${i}` }, [1, i])),
  );
  for (let i = 0; i < segments; i++) await putEach(queue, [big]);
  await queue.close();
  return queue.bytes;
}

test('a start reads the ends of files, not the backlog, and opens each once', async (t) => {
  const dir = await tempDir(t, 'recovery');
  const bytes = await writeSegments(dir, 10, 2000);
  assert.ok(bytes > 500_000);
  const files = new WatchedFs();
  const found = await recoverDirectory(files, dir);
  assert.equal(found.segments.length, 10);
  assert.ok(files.bytesRead < 10 * 5000, `${files.bytesRead} bytes read`);
  assert.equal(files.opened, 10);
});

test('a segment whose end cannot be read for now still tells of the one before', async (t) => {
  const dir = await tempDir(t, 'recovery');
  await writeSegments(dir, 3, 500);
  fs.rmSync(segmentPath(dir, 1, 'committed'));
  const files = new WatchedFs();
  files.readFault = (name, at) => (name === '2.committed' && at > 0 ? 'EIO' : undefined);
  const { segments, gone, events } = await recoverDirectory(files, dir);
  assert.deepEqual(
    segments.map(({ id }) => id),
    [3],
  );
  assert.deepEqual(
    gone.map(({ segment, rows }) => ({ segment, rows })),
    [{ segment: 1, rows: 500 }],
  );
  assert.deepEqual(
    events.map(({ kind, file }) => ({ kind, file })),
    [{ kind: 'unreadable', file: segmentPath(dir, 2, 'committed') }],
  );
});

test('an empty file, or one without a frame, is removed, and its id is not used again', async (t) => {
  const header = encodeHeader({ segment: 7, codec: 'snappy', createdMs: 1, previous: undefined }, 1);
  for (const content of [new Uint8Array(0), header]) {
    const { dir, found } = await recover(t, { '7.open': content });
    assert.deepEqual(found, { segments: [], gone: [], nextId: 8, events: [] });
    assert.deepEqual(await segmentsIn(dir), []);
    assert.deepEqual(await quarantined({ files: nodeFileSystem, dir }), {});
  }
});

test('a file of zeros is copied aside before it is removed', async (t) => {
  const { dir, found } = await recover(t, { '7.open': new Uint8Array(5000) });
  assert.deepEqual([found.segments, found.nextId], [[], 8]);
  assert.deepEqual(await quarantined({ files: nodeFileSystem, dir }), {
    '7.open.0-5000.tail': Buffer.alloc(5000),
  });
});

test('of a segment that is there twice the committed one counts, and the other is kept aside', async (t) => {
  const { bytes, ends } = await leftOpen(t);
  const end = encodeEnd(fullSummary, mark, bytes.length);
  const open = bytes.subarray(0, ends[1]);
  const { dir, found, rows } = await recover(t, {
    '1.open': open,
    '1.committed': Buffer.concat([bytes, end]),
  });
  assert.deepEqual(rows, sent.flatMap(rowTexts));
  assert.deepEqual(await segmentsIn(dir), ['1.committed']);
  assert.deepEqual(
    found.events.map(({ kind }) => kind),
    ['duplicate'],
  );
  assert.deepEqual(await quarantined({ files: nodeFileSystem, dir }), { '1.open.duplicate': open });
});

test('a file of an unknown version is left as it is, and work goes on behind it', async (t) => {
  const { bytes } = await leftOpen(t);
  const later = encodeRecord(
    HEADER,
    encode({ format: 'spillway-segment', version: 2, other: 'x'.repeat(3000) }),
    mark,
    0,
  );
  const content = Buffer.concat([later, Buffer.from('frames of another shape'), bytes]);
  const names = { '1.open': bytes, '3.committed': content, '4.open': content };
  const { dir, found, rows } = await recover(t, names);
  assert.deepEqual(await segmentsIn(dir), ['1.committed', '3.committed', '4.open']);
  assert.deepEqual(fs.readFileSync(segmentPath(dir, 3, 'committed')), content);
  assert.deepEqual(fs.readFileSync(segmentPath(dir, 4, 'open')), content);
  assert.deepEqual(rows, sent.flatMap(rowTexts));
  assert.equal(found.nextId, 5);
  const unknown = found.events.filter(({ kind }) => kind === 'unknown_format');
  assert.deepEqual(
    unknown.map(({ file }) => path.basename(file)),
    ['00000000000000000003.committed', '00000000000000000004.open'],
  );
  assert.match(unknown[0]!.message, /version 2.*left as it is/);

  const { queue, commits } = await usingQueue(t, dir);
  await putEach(queue, [row('c', 9)]);
  assert.equal(commits[0]!.watermark.segment, 5);
  await queue.release(100);
  assert.deepEqual(await segmentsIn(dir), ['3.committed', '4.open', '5.open']);
});

test('other files in the directory are left alone', async (t) => {
  const dir = await tempDir(t, 'recovery');
  const strange = ['notes.txt', '1.open', '00000000000000000009.tmp'];
  for (const name of strange) fs.writeFileSync(path.join(dir, name), 'x');
  const found = await recoverDirectory(nodeFileSystem, dir);
  assert.deepEqual(found, { segments: [], gone: [], nextId: 1, events: [] });
  assert.deepEqual(fs.readdirSync(dir).sort(), [...strange, 'quarantine'].sort());
});

test('what a failed sync left behind the stated end is no rows, whole or not', async (t) => {
  const { bytes, ends } = await leftOpen(t);
  const successor = await segmentBehind(t, { segment: 1, bytes: ends[2]!, rows: 3 });
  for (const left of [bytes, bytes.subarray(0, bytes.length - 1), flipped(bytes, ends[2]! + 40)]) {
    const recovered = await recover(t, { '1.open': left, '2.open': successor });
    const { found, rows } = recovered;
    assert.deepEqual(rows, [...sent.slice(0, 2).flatMap(rowTexts), ...rowTexts(row('z', 1))]);
    assert.deepEqual(
      found.segments.map(({ bytes }) => bytes),
      [ends[2], successor.length],
    );
    assert.deepEqual(await quarantined(recovered), {
      [`1.open.${ends[2]}-${left.length}.tail`]: left.subarray(ends[2]),
    });
    await isWholeAgain(recovered);
  }
});

test('what cannot be read before the stated end was acknowledged: it is damage, not a tail', async (t) => {
  const { bytes, ends } = await leftOpen(t);
  const successor = await segmentBehind(t, { segment: 1, bytes: ends[2]!, rows: 3 });
  const left = { '1.open': flipped(bytes, ends[1]! + 40), '2.open': successor };
  const recovered = await recoverIn(nodeFileSystem, path.join(await tempDir(t, 'recovery'), 'wal'), left);
  const { dir, found } = recovered;
  const parts = found.events.map(({ kind, offset, bytes }) => [kind, offset, bytes]);
  assert.deepEqual(parts.slice(0, 2), [
    ['damage', ends[1], ends[2]! - ends[1]!],
    ['tail', ends[2], bytes.length - ends[2]!],
  ]);
  assert.deepEqual(Object.keys(await quarantined(recovered)), [
    `1.open.${ends[1]}-${ends[2]}.damaged`,
    `1.open.${ends[2]}-${bytes.length}.tail`,
  ]);
  assert.equal(found.segments[0]!.bytes, ends[2]);
  // It stays in the file, so that its readers see that something is missing.
  const { rows, damage, ended } = readSegment(segmentPath(dir, 1, 'committed'));
  assert.deepEqual([rows, damage, ended], [rowTexts(sent[0]!), [{ at: ends[1], end: ends[2] }], true]);
});

test('a recovery that fails at any operation is done by the next one', async (t) => {
  const random = Random.of(t);
  const { bytes, ends } = await leftOpen(t);
  const end = encodeEnd(fullSummary, mark, bytes.length);
  const left = {
    '1.open': flipped(bytes, ends[1]! + 30).subarray(0, bytes.length - 3),
    '2.open': new Uint8Array(0),
    '3.open': rebound(bytes.subarray(0, ends[1]), 3),
    '3.committed': rebound(Buffer.concat([bytes, end]), 3),
    '4.open': rebound(Buffer.concat([bytes, end]), 4),
    '5.open': Buffer.concat([rebound(bytes, 5), new Uint8Array(10)]),
    // What stands under each other's names.
    '6.committed': rebound(Buffer.concat([bytes, end]), 7),
    '7.committed': rebound(Buffer.concat([bytes, end]), 6),
    // A copy of one that is there.
    '8.committed': rebound(Buffer.concat([bytes, end]), 6),
  };
  const good = await recover(t, left, new ForgetfulFs());
  const isAsGood = async (disk: ForgetfulFs, operation: string): Promise<void> => {
    const found = await recoverDirectory(disk, '/wal');
    assert.deepEqual(readAll('/wal', found.segments, disk), good.rows, operation);
    assert.deepEqual(found.segments, good.found.segments, operation);
    assert.deepEqual(await segmentsIn('/wal', disk), await segmentsIn('/wal', good.files), operation);
    // What was cut is kept, all of it, whichever start did it.
    const kept = await quarantined({ files: disk, dir: '/wal' });
    for (const [name, content] of Object.entries(await quarantined(good))) {
      assert.deepEqual(kept[name], content, `${operation}, ${name}`);
    }
  };
  for (let n = 0; ; n++) {
    const disk = new ForgetfulFs();
    await write(disk, '/wal', left);
    const files = new WatchedFs(disk);
    files.fail(/./, { skip: n });
    const failed = await recoverDirectory(files, '/wal').catch((error: unknown) => error);
    if (files.log.length <= n) break;
    const operation = `operation ${n}: ${files.log[n]}`;
    // That there is no copy of an earlier start to remove is no failure; all else is.
    assert.ok(failed instanceof Error || /^remove/.test(files.log[n]!), operation);
    await isAsGood(disk, operation);
  }
  for (let n = 0; ; n++) {
    const disk = new ForgetfulFs();
    await write(disk, '/wal', left);
    disk.dieAt = disk.operations + n;
    await recoverDirectory(disk, '/wal').catch(() => undefined);
    if (!disk.dead) break;
    for (const survival of ['nothing', 'everything', 'chance'] as const) {
      const operation = `${survival} survived of ${disk.log.at(-1)}, SEED=${random.seed}`;
      await isAsGood(disk.powerCut(survival, random), operation);
    }
  }
});

interface Recovered {
  readonly files: FileSystem;
  readonly dir: string;
  readonly found: RecoveredDirectory;
}

/** Files by their short names, as recovery finds them. */
type Left = Readonly<Record<string, Uint8Array>>;

/** Recovers a directory with these files, and reads it. Nothing in it may be damaged at its end. */
async function recover(
  t: TestContext,
  left: Left,
  files: FileSystem = nodeFileSystem,
): Promise<Recovered & { readonly rows: readonly string[] }> {
  const dir = files === nodeFileSystem ? path.join(await tempDir(t, 'recovery'), 'wal') : '/wal';
  const recovered = await recoverIn(files, dir, left);
  return { ...recovered, rows: readAll(dir, recovered.found.segments, files) };
}

async function recoverIn(files: FileSystem, dir: string, left: Left): Promise<Recovered> {
  await write(files, dir, left);
  return { files, dir, found: await recoverDirectory(files, dir) };
}

async function write(files: FileSystem, dir: string, left: Left): Promise<void> {
  await files.makeDir(dir);
  for (const [name, content] of Object.entries(left)) {
    const [id, state] = name.split('.');
    await writeDurably(files, segmentPath(dir, Number(id), state as 'open' | 'committed'), content);
  }
}

/** Break it, reopen, append, reread. */
async function isWholeAgain({ files, dir, found }: Recovered): Promise<void> {
  const before = readAll(dir, found.segments, files);
  const lock = (): { release(): void } => ({ release: () => undefined });
  const { queue } = await openQueue(dir, { files, lock, minNextId: found.nextId });
  assert.deepEqual([queue.segments, queue.recovery], [found.segments, []]);
  const more = [row('a', 100), row('new', 101)];
  await putEach(queue, more);
  await queue.close();
  assert.deepEqual(readAll(dir, queue.segments, files), [...before, ...more.flatMap(rowTexts)]);
}

/** An open segment with `sent`, a frame each, and where its header and its frames end. */
async function leftOpen(
  t: TestContext,
  codec: 'none' | 'snappy' = 'snappy',
): Promise<{ bytes: Buffer; ends: number[] }> {
  const dir = await tempDir(t, 'left');
  let now = 100;
  const { queue, commits } = await usingQueue(t, dir, { codec, now: () => ++now });
  await putEach(queue, sent);
  const bytes = fs.readFileSync(segmentPath(dir, 1, 'open'));
  return { bytes, ends: [recordsOf(bytes)[1]!.at, ...commits.map(({ watermark }) => watermark.offset)] };
}

/** A segment with one row, whose header says where the one before ends. */
async function segmentBehind(t: TestContext, previous: SegmentEnd): Promise<Buffer> {
  const dir = await tempDir(t, 'left');
  const { queue } = await usingQueue(t, dir);
  await putEach(queue, [row('z', 1)]);
  const bytes = fs.readFileSync(segmentPath(dir, 1, 'open'));
  const of = { segment: 2, salt: 1 };
  const header = encodeHeader({ segment: 2, codec: 'snappy', createdMs: 1, previous }, of.salt);
  return Buffer.concat([header, chain([[FRAME, recordsOf(bytes)[1]!.payload]], header.length, of)]);
}

function flipped(bytes: Uint8Array, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = copy[at]! ^ 0x10;
  return copy;
}

/** The files in quarantine, by name with the zeros of the id left out. */
async function quarantined({
  files,
  dir,
}: Pick<Recovered, 'files' | 'dir'>): Promise<Record<string, Buffer>> {
  const quarantine = path.join(dir, 'quarantine');
  const names = (await files.list(quarantine)).sort();
  return Object.fromEntries(
    names.map((name) => [name.replace(/^0+/, ''), content(files, path.join(quarantine, name))]),
  );
}

function content(files: FileSystem, name: string): Buffer {
  const file = files.openRead(name);
  try {
    const bytes = Buffer.alloc(file.size());
    file.read(bytes, bytes.length, 0);
    return bytes;
  } finally {
    file.close();
  }
}
