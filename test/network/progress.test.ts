import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { type TestContext, test } from 'node:test';
import { crc32 } from 'node:zlib';
import {
  decodeProgress,
  lowest,
  newestProgress,
  PROGRESS_BYTES,
  ProgressBlock,
  ProgressFile,
  progressPath,
  readProgressFile,
  SHARDS,
  settledRows,
} from '../../src/network/progress.ts';
import { tempDir } from '../support/temp.ts';
import { noCounts, standing } from './support/standing.ts';

/** A block in which every number is another. */
function sampleBlock(sequence: number): ProgressBlock {
  const block = new ProgressBlock(sequence);
  for (let s = 0; s < SHARDS; s++) {
    block.loop[s] = s >>> 4;
    block.lowSegment[s] = 2 ** 40 + s;
    block.lowRow[s] = 0xf000_0000 + s;
    block.sentSegment[s] = 2 ** 41 + s;
    block.sentRow[s] = 0xf100_0000 + s;
  }
  return block;
}

const front = { segment: 2 ** 42 + 1, row: 0xf200_0001 };

/** Counts in which every number is another: 33 outcomes of 4 kinds. */
const counts = Float64Array.from({ length: 132 }, (_, i) => 2 ** 40 + i);
const full = {
  unsettled: 1234,
  front,
  received: 2 ** 50 + 1,
  returned: 77,
  known: { segment: 9, row: 0xf300_0003 },
  furthest: { segment: 8, row: 0xf400_0004 },
};

test('the layout of a block, byte by byte', () => {
  const bytes = sampleBlock(6).seal(full, counts);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  assert.equal(bytes.length, 7540);
  assert.equal(PROGRESS_BYTES, 7540);
  assert.equal(Buffer.from(bytes.subarray(0, 8)).toString(), 'SPWPROG2');
  assert.deepEqual(
    [8, 16, 24, 40, 48, 56, 68].map((at) => view.getFloat64(at, true)),
    [7, 1234, front.segment, 2 ** 50 + 1, 77, 9, 8],
  );
  assert.deepEqual(
    [32, 36, 64, 76].map((at) => view.getUint32(at, true)),
    [front.row, 0, 0xf300_0003, 0xf400_0004],
  );
  for (const i of [0, 1, 130, 131]) assert.equal(view.getFloat64(80 + 8 * i, true), counts[i]);
  for (const s of [0, 1, 254, 255]) {
    assert.equal(bytes[1136 + s], s >>> 4);
    assert.equal(view.getFloat64(1392 + 8 * s, true), 2 ** 40 + s);
    assert.equal(view.getUint32(3440 + 4 * s, true), 0xf000_0000 + s);
    assert.equal(view.getFloat64(4464 + 8 * s, true), 2 ** 41 + s);
    assert.equal(view.getUint32(6512 + 4 * s, true), 0xf100_0000 + s);
  }
  assert.equal(view.getUint32(7536, true), crc32(bytes.subarray(0, 7536)));
});

test('what is sealed is what is read', () => {
  const block = sampleBlock(41);
  const progress = decodeProgress(block.seal(full, counts));
  assert.ok(progress !== undefined);
  assert.equal(progress.sequence, 42);
  for (const key of ['unsettled', 'front', 'furthest', 'received', 'returned', 'known'] as const) {
    assert.deepEqual(progress[key], full[key]);
  }
  assert.deepEqual(progress.counts, counts);
  assert.equal(
    settledRows(progress),
    counts.reduce((a, b) => a + b, 0),
  );
  assert.deepEqual([...progress.loops], [...block.loop]);
  assert.deepEqual(progress.low[255], { segment: 2 ** 40 + 255, row: 0xf000_00ff });
  assert.deepEqual(progress.sent[255], { segment: 2 ** 41 + 255, row: 0xf100_00ff });
  assert.deepEqual(lowest(progress), { segment: 2 ** 40, row: 0xf000_0000 });
  assert.equal(
    decodeProgress(block.seal(standing(77, front), noCounts))?.sequence,
    43,
    'each seal has a number of its own',
  );
  block.loop.fill(9);
  assert.equal(progress.loops[0], 0, 'what was read is a copy');
});

test('a block that was read in the middle of a larger buffer is the same', () => {
  const bytes = sampleBlock(1).seal(standing(1, front), noCounts);
  const large = new Uint8Array(PROGRESS_BYTES + 13);
  large.set(bytes, 13);
  assert.deepEqual(decodeProgress(large.subarray(13)), decodeProgress(bytes));
});

test('any changed byte makes a block no block', () => {
  const bytes = sampleBlock(1).seal(standing(1, front), noCounts);
  for (let at = 0; at < bytes.length; at += at < 160 || at > 7500 ? 1 : 97) {
    const broken = bytes.slice();
    broken[at]! ^= 0x10;
    assert.equal(decodeProgress(broken), undefined, `byte ${at}`);
  }
  assert.equal(decodeProgress(bytes.subarray(0, PROGRESS_BYTES - 1)), undefined);
  assert.equal(decodeProgress(new Uint8Array(0)), undefined);
  assert.equal(decodeProgress(new Uint8Array(PROGRESS_BYTES)), undefined);
});

test('changed: once for each difference, not for a number of its own', () => {
  const block = sampleBlock(1);
  assert.equal(block.changed(standing(1, front), noCounts), true);
  assert.equal(block.changed(standing(1, front), noCounts), false);
  block.seal(standing(1, front), noCounts);
  assert.equal(block.changed(standing(1, front), noCounts), false);
  for (const change of [
    () => block.loop.fill(3),
    () => {
      block.lowRow[17]!++;
    },
    () => {
      block.lowSegment[255]!++;
    },
    () => {
      block.sentSegment[0]!++;
    },
    () => {
      block.sentRow[255]!++;
    },
  ]) {
    change();
    assert.equal(block.changed(standing(1, front), noCounts), true);
    assert.equal(block.changed(standing(1, front), noCounts), false);
  }
  assert.equal(block.changed(standing(2, front), noCounts), true);
  assert.equal(block.changed(standing(2, { ...front, row: 1 }), noCounts), true);
  assert.equal(block.changed(standing(2, { segment: 1, row: 1 }), noCounts), true);
  assert.equal(block.changed(standing(2, { segment: 1, row: 1 }), Float64Array.of(1)), true);
  assert.equal(block.changed(full, Float64Array.of(1)), true);
  assert.equal(block.changed({ ...full, received: 3 }, Float64Array.of(1)), true);
});

test('newest: the highest number of those that are whole', () => {
  const of = (sequence: number) =>
    decodeProgress(sampleBlock(sequence - 1).seal(standing(0, front), noCounts));
  assert.equal(newestProgress([]), undefined);
  assert.equal(newestProgress([undefined, undefined]), undefined);
  assert.equal(newestProgress([undefined, of(3)])?.sequence, 3);
  assert.equal(newestProgress([of(5), undefined, of(7), of(6)])?.sequence, 7);
});

test('a file has two slots that are written in turn, over the older one', async (t) => {
  const { file, sequences } = await newFile(t);
  const block = sampleBlock(0);
  const progress = new ProgressFile(file);
  assert.deepEqual(sequences(), []);
  progress.write(block.seal(standing(0, front), noCounts));
  progress.write(block.seal(standing(0, front), noCounts));
  progress.write(block.seal(standing(0, front), noCounts));
  assert.deepEqual(sequences().sort(), [2, 3]);
  progress.close();
  for (let last = 3; last < 8; last++) {
    const again = new ProgressFile(file);
    again.write(block.seal(standing(0, front), noCounts));
    again.close();
    assert.deepEqual(
      sequences().sort(),
      [last, last + 1],
      'the newest survives the first write after a start',
    );
  }
  assert.equal(fs.statSync(file).size, 2 * PROGRESS_BYTES);
});

test('synced blocks have two slots of their own, and the newest of all counts', async (t) => {
  const { file, sequences } = await newFile(t);
  const block = sampleBlock(0);
  const seal = (): Uint8Array => block.seal(standing(0, front), noCounts).slice();
  const progress = new ProgressFile(file);
  await progress.writeDurably(seal());
  for (let i = 0; i < 3; i++) progress.write(seal());
  assert.deepEqual(sequences().sort(), [1, 3, 4]);
  await progress.writeDurably(seal());
  await progress.writeDurably(seal());
  assert.deepEqual(sequences().sort(), [3, 4, 5, 6]);
  progress.close();
  const again = new ProgressFile(file);
  await again.writeDurably(seal());
  assert.deepEqual(sequences().sort(), [3, 4, 6, 7], 'the newest survives the first write after a start');
  // A power cut may tear both of the plain ones.
  const bytes = fs.readFileSync(file);
  bytes.fill(0xee, 100, 2 * PROGRESS_BYTES - 100);
  fs.writeFileSync(file, bytes);
  assert.deepEqual(sequences().sort(), [6, 7]);
  again.close();
  assert.equal(fs.statSync(file).size, 4 * PROGRESS_BYTES);
});

test('a slot that was torn in the middle leaves the other, and is the next to be written', async (t) => {
  for (const torn of [0, 1]) {
    const { file, sequences } = await newFile(t);
    const block = sampleBlock(0);
    const progress = new ProgressFile(file);
    progress.write(block.seal(standing(0, front), noCounts));
    progress.write(block.seal(standing(0, front), noCounts));
    const bytes = fs.readFileSync(file);
    bytes.fill(0xee, torn * PROGRESS_BYTES + 3000, (torn + 1) * PROGRESS_BYTES);
    fs.writeFileSync(file, bytes);
    progress.close();
    const [left] = sequences();
    const again = new ProgressFile(file);
    again.write(sampleBlock(9).seal(standing(0, front), noCounts));
    again.close();
    assert.deepEqual(
      sequences().sort((a, b) => a - b),
      [left, 10],
    );
  }
});

for (const { what, content } of [
  { what: 'an empty file', content: new Uint8Array(0) },
  { what: 'garbage', content: new Uint8Array(20_000).fill(0xa5) },
  { what: 'half a slot', content: sampleBlock(1).seal(standing(0, front), noCounts).slice(0, 3000) },
]) {
  test(`${what} is no progress, and can be written over`, async (t) => {
    const { file, sequences } = await newFile(t);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, content);
    assert.deepEqual(sequences(), []);
    const progress = new ProgressFile(file);
    progress.write(sampleBlock(4).seal(standing(0, front), noCounts));
    assert.deepEqual(sequences(), [5]);
    progress.write(sampleBlock(5).seal(standing(0, front), noCounts));
    assert.deepEqual(sequences().sort(), [5, 6]);
    progress.close();
  });
}

test('a file with one slot only is read', async (t) => {
  const { file, sequences } = await newFile(t);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, sampleBlock(1).seal(standing(0, front), noCounts));
  assert.deepEqual(sequences(), [2]);
  const progress = new ProgressFile(file);
  progress.write(sampleBlock(2).seal(standing(0, front), noCounts));
  progress.close();
  assert.deepEqual(sequences().sort(), [2, 3]);
});

async function newFile(t: TestContext): Promise<{ file: string; sequences: () => number[] }> {
  const file = progressPath(await tempDir(t, 'progress'), 'an.endpoint');
  return {
    file,
    sequences: () =>
      readProgressFile(file)
        .map((slot) => decodeProgress(slot)?.sequence)
        .filter((sequence) => sequence !== undefined),
  };
}
