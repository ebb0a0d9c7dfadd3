import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { encode } from '@msgpack/msgpack';
import { recoverDirectory } from '../../src/filequeue/recovery.ts';
import { repairDirectory } from '../../src/filequeue/repair.ts';
import { FORMAT, segmentName, segmentPath } from '../../src/filequeue/segment-file.ts';
import { verifyDirectory } from '../../src/filequeue/verify.ts';
import type { FileSystem } from '../../src/runtime/fs.ts';
import { encodeRecord, HEADER } from '../../src/serialization/record.ts';
import { Random } from '../support/random.ts';
import {
  contentOf,
  directory,
  frames,
  type ReadOut,
  readOut,
  survivors,
  writeSegments,
} from './damaged-queue.ts';
import type { ForgetfulFs } from './forgetful-fs.ts';
import { readFormat } from './format-reader.ts';
import { openQueue, put, row } from './queue.ts';
import { rowTexts } from './read-back.ts';
import { chain, mark, recordsOf } from './records.ts';
import { WatchedFs } from './watched-fs.ts';

/** Three segments; the first one is the one that most tests break. */
let good: Map<number, Buffer>;
/** All rows of the first segment, in order, as a reader tells them. */
let rowsOfFirst: string[];
let rowsOfRest: string[];

const behindAll = { segment: 4, offset: 0 };

before(async () => {
  good = await writeSegments([frames, [row('s', 1), row('s', 2)], [row('s', 3)]]);
  const { rows, lost, orphans } = await readOut(await directory(good), behindAll);
  assert.deepEqual([lost, orphans], [0, 0]);
  rowsOfFirst = rows.filter((one) => one.startsWith('1: '));
  rowsOfRest = rows.slice(rowsOfFirst.length);
  assert.equal(readFormat(good.get(1)!, 1).rows.length, rowsOfFirst.length);
});

/** What is expected of a queue whose first segment lost a frame, or all frames from one on. */
interface Expected {
  readonly rows: readonly string[];
  readonly lost: number;
}

function without(lost: number | undefined): Expected {
  const left = survivors(good.get(1)!, 1, lost);
  const frame = lost === undefined ? undefined : readFormat(good.get(1)!, 1).frames[lost]!;
  return { rows: [...left.map((i) => rowsOfFirst[i]!), ...rowsOfRest], lost: frame?.rows ?? 0 };
}

/**
 * A directory with this first segment gives what is expected by every road: to a running endpoint, after a start, and
 * after a repair, which leaves a queue that verify has nothing to say about. What is damaged is in quarantine/.
 */
async function check(first: Uint8Array, expected: Expected, what: string, again: boolean): Promise<void> {
  const broken = new Map<number, Uint8Array>(good).set(1, first);
  const running = await directory(broken);
  isAsExpected(await readOut(running, behindAll), expected, `${what}, running`);

  const started = await directory(broken);
  const found = await recoverDirectory(started, '/wal');
  isAsExpected(await readOut(started, behindAll), expected, `${what}, started`);
  const known = [...found.segments.map(({ rows }) => rows), ...found.gone.map(({ rows }) => rows)];
  const all = rowsOfFirst.length + rowsOfRest.length;
  assert.equal(
    sum(known),
    all,
    `${what}: the rows that a start counts as waiting are those that were written`,
  );
  if (again) await appendAndReread(started, expected, `${what}, started`);

  const repaired = await directory(broken);
  const { whole } = await verifyDirectory(repaired, '/wal');
  assert.equal(whole, Buffer.compare(first, good.get(1)!) === 0, `${what}: verify sees it`);
  const { after } = await repairDirectory(repaired, '/wal');
  assert.ok(after.whole, `${what}: ${JSON.stringify(after)}`);
  isAsExpected(await readOut(repaired, behindAll), expected, `${what}, repaired`);
  if (again) {
    await repairDirectory(repaired, '/wal');
    await appendAndReread(repaired, expected, `${what}, repaired`);
  }
}

function isAsExpected(found: ReadOut, { rows, lost }: Expected, what: string): void {
  assert.deepEqual(found.rows, rows, what);
  assert.equal(found.lost, lost, `${what}: rows lost, ${JSON.stringify(found.damage)}`);
  const orphans = rowsOfFirst.length + rowsOfRest.length - rows.length - lost;
  assert.equal(found.orphans, orphans, `${what}: rows whose series was lost`);
}

/** Break, append, reread. */
async function appendAndReread(files: ForgetfulFs, expected: Expected, what: string): Promise<void> {
  const lock = (): { release(): void } => ({ release: () => undefined });
  const { queue } = await openQueue('/wal', { files, lock });
  await put(queue, row('more', 1));
  const { segment } = queue.watermark;
  const more = rowTexts(row('more', 1)).map((text) => `${segment}: ${text}`);
  assert.deepEqual((await readOut(files, queue.watermark)).rows, [...expected.rows, ...more], what);
  await queue.close();
}

/** The frame that has byte `at`; undefined in the header and the end. */
function frameOf(at: number): number | undefined {
  const records = recordsOf(good.get(1)!);
  const index = records.findLastIndex((record) => record.at <= at) - 1;
  return index < 0 || index >= frames.length ? undefined : index;
}

test('any byte of a segment flipped costs its frame, and the rows of what only that one named', async () => {
  const bytes = good.get(1)!;
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Buffer.from(bytes);
    flipped[at]! ^= 1 << (at & 7);
    await check(flipped, without(frameOf(at)), `byte ${at}`, at % 64 === 0);
  }
});

test('a segment cut at any length gives its whole frames', async () => {
  const bytes = good.get(1)!;
  const { frames: plain } = readFormat(bytes, 1);
  const ends = recordsOf(bytes).map(({ at }) => at);
  for (let length = 0; length < bytes.length; length++) {
    // The record of frame f is number f + 1, and ends where the next one begins.
    const whole = plain.filter((_, f) => ends[f + 2]! <= length);
    const rows = sum(whole.map((frame) => frame.rows));
    const expected = {
      rows: [...rowsOfFirst.slice(0, rows), ...rowsOfRest],
      lost: rowsOfFirst.length - rows,
    };
    await check(bytes.subarray(0, length), expected, `cut at ${length}`, length % 64 === 0);
  }
});

test('sectors of zeros or of another file are stepped over', async (t) => {
  const random = Random.of(t);
  const bytes = good.get(1)!;
  const ends = [...recordsOf(bytes).map(({ at }) => at), bytes.length];
  for (let round = 0; round < 60; round++) {
    const f = random.int(0, frames.length);
    const [from, to] = [ends[f + 1]!, ends[f + 2]!];
    const at = random.int(from, to);
    const damaged = Buffer.from(bytes);
    const other = good.get(2)!;
    const end = random.int(at + 1, to + 1);
    for (let i = at; i < end; i++) damaged[i] = round % 2 === 0 ? 0 : other[i % other.length]!;
    if (damaged.equals(bytes)) continue;
    await check(damaged, without(f), `bytes ${at} to ${end}`, false);
  }
});

test('the same frame from elsewhere is not taken for one: of another queue, of another place', async () => {
  const bytes = good.get(1)!;
  const [header, first, second, third] = recordsOf(bytes).map(({ at }) => at);
  // A queue with another salt has the same bytes at the same places.
  const parts = recordsOf(bytes).map(({ type, payload }) => [type, payload] as const);
  const other = chain(parts, 0, { ...mark, salt: 77 });
  const spliced = Buffer.concat([
    bytes.subarray(0, second),
    other.subarray(second, third),
    bytes.subarray(third!),
  ]);
  await check(spliced, without(1), 'a frame of another queue', true);
  // A write that went astray puts the first frame behind the header of the second.
  const astray = Buffer.from(bytes);
  bytes.copy(astray, second!, first!, Math.min(second!, first! + third! - second!));
  await check(astray, without(1), 'a frame at another place', true);
  assert.equal(header, 0);
});

test('bytes behind the end are no rows', async () => {
  const bytes = good.get(1)!;
  for (const junk of [Buffer.from('x'), Buffer.alloc(600), bytes]) {
    await check(
      Buffer.concat([bytes, junk]),
      without(undefined),
      `${junk.length} bytes behind the end`,
      true,
    );
  }
});

test('segments under each other’s names are put right by a start, and never delivered as each other', async () => {
  const [one, two, three] = [good.get(1)!, good.get(2)!, good.get(3)!];
  const all = [...rowsOfFirst, ...rowsOfRest];
  for (const { what, content, events } of [
    {
      what: 'two exchanged',
      content: [
        [1, two],
        [2, one],
        [3, three],
      ],
      events: 2,
    },
    {
      what: 'three in a circle',
      content: [
        [1, two],
        [2, three],
        [3, one],
      ],
      events: 3,
    },
    {
      what: 'one under a new name',
      content: [
        [1, one],
        [9, two],
        [3, three],
      ],
      events: 1,
    },
    { what: 'one twice', content: [...good, [9, two]], events: 1 },
    {
      what: 'two copies of one that is gone',
      content: [
        [1, one],
        [3, three],
        [7, two],
        [8, two],
      ],
      events: 2,
    },
    {
      what: 'a start that was cut short',
      content: [
        [1, one],
        [`${segmentName(2, 'committed')}.returned`, two],
        [3, three],
      ],
      events: 0,
    },
  ] as { what: string; content: [number | string, Buffer][]; events: number }[]) {
    const running = await directory(content);
    const seen = (await readOut(running, { segment: 10, offset: 0 })).rows;
    assert.ok(isPart(seen, all), `${what}: a running endpoint delivers nothing as something else`);

    const files = await directory(content);
    assert.equal((await verifyDirectory(files, '/wal')).whole, false, what);
    const found = await recoverDirectory(files, '/wal');
    assert.equal(found.events.filter(({ kind }) => kind === 'foreign').length, events, what);
    assert.deepEqual((await readOut(files, { segment: found.nextId, offset: 0 })).rows, all, what);
    assert.ok((await verifyDirectory(files, '/wal')).whole, what);
    assert.deepEqual((await recoverDirectory(files, '/wal')).events, [], `${what}: once`);
    await appendAndReread(files, { rows: all, lost: 0 }, what);
  }
});

test('what a running endpoint finds under a wrong name is kept for the next start', async () => {
  const files = await directory([
    [1, good.get(2)!],
    [2, good.get(1)!],
    [3, good.get(3)!],
  ]);
  const { lost } = await readOut(files, behindAll);
  assert.equal(lost, 2, 'of the two, the next segment knows one');
  const kept = (await files.list('/wal/quarantine')).sort();
  assert.deepEqual(kept, [
    `${segmentName(1, 'committed')}.foreign`,
    `${segmentName(2, 'committed')}.foreign`,
  ]);
  assert.deepEqual(contentOf(files, `/wal/quarantine/${kept[0]}`), good.get(2));
});

test('a segment that is gone is counted with the rows that the next one says it had', async () => {
  for (const { gone, lost } of [
    { gone: 1, lost: rowsOfFirst.length },
    { gone: 2, lost: 2 },
  ]) {
    const content = [...good].filter(([id]) => id !== gone);
    const files = await directory(content);
    const { missing } = await verifyDirectory(files, '/wal');
    // The oldest one may just have been delivered.
    assert.equal(missing.length, gone === 1 ? 0 : 1);
    const found = await recoverDirectory(files, '/wal');
    assert.deepEqual(
      found.gone.map(({ segment, rows }) => [segment, rows]),
      [[gone, lost]],
    );
    const read = await readOut(files, behindAll);
    assert.deepEqual([read.lost, read.damage.length, read.orphans], [lost, 1, 0], 'said once');
    const rows = [...rowsOfFirst, ...rowsOfRest].filter((one) => !one.startsWith(`${gone}: `));
    assert.deepEqual(read.rows, rows);
    await appendAndReread(files, { rows, lost }, `without segment ${gone}`);
  }
});

test('a segment of a later version is left as it is by start and repair, and skipped', async () => {
  const later = encodeRecord(
    HEADER,
    encode({ format: FORMAT, version: 2, segment: 2 }),
    { segment: 2, salt: 5 },
    0,
  );
  for (const name of [2, segmentName(5, 'open')]) {
    const content = new Map<number | string, Uint8Array>([...good, [name, later]]);
    const files = await directory(content);
    await repairDirectory(files, '/wal');
    const { whole, files: list } = await verifyDirectory(files, '/wal');
    assert.equal(whole, false);
    const report = list.find(({ verdict }) => verdict === 'unknown_format');
    assert.match(report!.cause!, /version 2/);
    assert.deepEqual(new Uint8Array(contentOf(files, `/wal/${report!.name}`)), new Uint8Array(later));
    const read = await readOut(files, { segment: 6, offset: 0 });
    const expected = [...rowsOfFirst, ...rowsOfRest].filter((one) => name !== 2 || !one.startsWith('2: '));
    assert.deepEqual(read.rows, expected);
  }
});

test('what the disk does not give is waited for; repair saves the rest', async () => {
  const bytes = good.get(1)!;
  const all = [...rowsOfFirst, ...rowsOfRest];
  const [, , from, to] = recordsOf(bytes).map(({ at }) => at);
  for (const { what, fault } of [
    { what: 'no permission', fault: () => 'EACCES' },
    { what: 'no byte', fault: (_: number, length: number) => (length > 0 ? 'EIO' : undefined) },
    {
      what: 'a bad block',
      fault: (at: number, length: number) => (at < to! && at + length > from! ? 'EIO' : undefined),
    },
  ]) {
    const base = await directory(good);
    const files = new WatchedFs(base);
    files.readFault = (name, at, length) => (name === '1.committed' ? fault(at, length) : undefined);
    const verified = await verifyDirectory(files, '/wal');
    assert.deepEqual(
      verified.files.map(({ verdict }) => verdict),
      ['unreadable', 'whole', 'whole'],
      what,
    );
    const { events } = await recoverDirectory(files, '/wal');
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['unreadable'],
      what,
    );
    await assert.rejects(readOut(files, behindAll), /the test asked for/, `${what}: it is waited for`);
    // It goes away by itself: nothing was lost by waiting.
    files.readFault = () => undefined;
    assert.deepEqual((await readOut(files, behindAll)).rows, all, what);
    await appendAndReread(base, { rows: all, lost: 0 }, what);
  }
});

test('a bad block costs what stands in it, once repair has copied the rest', async () => {
  // Blocks are 4096 bytes: a segment with frames larger than that.
  const random = new Random(7);
  const name = (): string => Array.from({ length: 5000 }, () => 'abcdefgh'[random.int(0, 8)]).join('');
  const wide = [1, 2, 3, 4].map((n) => row(name(), n));
  const made = await writeSegments([wide, [row('s', 1)]]);
  const base = await directory(made);
  const files = new WatchedFs(base);
  // What is written anew stands elsewhere on the disk.
  files.readFault = (name, at, length) => {
    const isOld = name === '1.committed' && files.count(/^rename 1.committed.repaired/) === 0;
    return isOld && at < 12_288 + 100 && at + length > 12_288 ? 'EIO' : undefined;
  };
  const { mended, after } = await repairDirectory(files, '/wal');
  assert.deepEqual(mended, [segmentName(1, 'committed')]);
  assert.ok(after.whole);
  const { rows, lost } = await readOut(base, { segment: 3, offset: 0 });
  const expected = (await readOut(await directory(made), { segment: 3, offset: 0 })).rows;
  assert.ok(isPart(rows, expected));
  assert.ok(lost >= 1 && lost <= 2 && rows.length === expected.length - lost, `${lost} lost`);
});

test('a repair that dies at any operation is done by the next one', async () => {
  const broken = new Map<number, Uint8Array>(good);
  const damaged = Buffer.from(good.get(1)!);
  damaged[frameStart(1) + 20]! ^= 1;
  broken.set(1, damaged);
  const expected = without(1);
  const random = new Random(1);
  for (let n = 0; ; n++) {
    const disk = await directory(broken);
    disk.dieAt = disk.operations + n;
    await repairDirectory(disk, '/wal').catch(() => undefined);
    if (!disk.dead) break;
    for (const survival of ['nothing', 'everything', 'chance'] as const) {
      const after = disk.powerCut(survival, random);
      const what = `${survival} survived of ${disk.log.at(-1)}`;
      isAsExpected(await readOut(after, behindAll), expected, what);
      assert.ok((await repairDirectory(after, '/wal')).after.whole, what);
      isAsExpected(await readOut(after, behindAll), expected, what);
    }
  }
});

test('after a repair frames stand where they stood, byte for byte', async () => {
  const bytes = good.get(1)!;
  for (let f = 0; f < frames.length; f++) {
    const damaged = Buffer.from(bytes);
    damaged[frameStart(f) + 3]! ^= 1;
    const files = await directory(new Map<number, Uint8Array>(good).set(1, damaged));
    await repairDirectory(files, '/wal');
    const now = contentOf(files, segmentPath('/wal', 1, 'committed'));
    const [from, to] = [frameStart(f), frameStart(f + 1)];
    assert.deepEqual(now.subarray(0, from), bytes.subarray(0, from));
    assert.deepEqual(now.subarray(to), bytes.subarray(to));
    const copy = `/wal/quarantine/${segmentName(1, 'committed')}.${from}-${to}.damaged`;
    assert.deepEqual(contentOf(files, copy), damaged.subarray(from, to));
  }
});

test('verify changes nothing', async () => {
  const files = await directory(new Map<number, Uint8Array>(good).set(1, good.get(1)!.subarray(5)));
  const watched = new WatchedFs(files);
  await verifyDirectory(watched as FileSystem, '/wal');
  assert.deepEqual(watched.log, []);
});

function frameStart(f: number): number {
  return recordsOf(good.get(1)!)[f + 1]!.at;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}

/** Whether `some` are rows of `all`, in its order. */
function isPart(some: readonly string[], all: readonly string[]): boolean {
  let next = 0;
  return some.every((one) => {
    next = all.indexOf(one, next) + 1;
    return next > 0;
  });
}
