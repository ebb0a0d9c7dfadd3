import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { walDirectory } from '../../src/filequeue/file-queue.ts';
import { segmentName, segmentPath } from '../../src/filequeue/segment-file.ts';
import type { Verification } from '../../src/filequeue/verify.ts';
import { openQueue, putEach, row, usingQueue } from '../filequeue/queue.ts';
import { readAll, rowTexts } from '../filequeue/read-back.ts';
import { type Ran, runSpillway } from '../support/spillway.ts';
import { tempDir } from '../support/temp.ts';

const run = (t: TestContext, ...args: string[]): Promise<Ran> => runSpillway(t, 'queue', ...args);

const sent = [1, 2, 3].map((at) => row(`s${at}`, at));

/** A data directory with two segments; the first one has three frames. */
async function dataDir(t: TestContext): Promise<{ data: string; wal: string; first: string }> {
  const data = await tempDir(t, 'queue');
  const wal = walDirectory(data);
  for (const messages of [sent, [row('z', 9)]]) {
    const { queue } = await openQueue(wal);
    await putEach(queue, messages);
    await queue.close();
  }
  return { data, wal, first: segmentPath(wal, 1, 'committed') };
}

function spoil(file: string): void {
  const bytes = fs.readFileSync(file);
  const frames = [...bytes.toString('latin1').matchAll(/SPWF/g)].map(({ index }) => index);
  bytes[frames[1]! + 30]! ^= 1;
  fs.writeFileSync(file, bytes);
}

/** All files of the queue with their content; the lock comes and goes with whoever holds it. */
function snapshot(wal: string): Map<string, string> {
  const names = (fs.readdirSync(wal, { recursive: true }) as string[]).filter((name) => !/lock/.test(name));
  const isFile = (name: string): boolean => fs.statSync(join(wal, name)).isFile();
  return new Map(names.filter(isFile).map((name) => [name, fs.readFileSync(join(wal, name), 'hex')]));
}

test('a whole queue is whole, by word and by exit code, beside whoever uses it', async (t) => {
  const { data, wal } = await dataDir(t);
  await usingQueue(t, wal);
  const before = snapshot(wal);
  const { code, text } = await run(t, 'verify', '--data-dir', data);
  assert.equal(code, 0);
  assert.match(text, /^2 of 2 segments are whole; 4 rows in \d+ bytes can be read$/);
  assert.deepEqual(snapshot(wal), before);
});

test('damage is shown by verify, mended by repair, and the queue goes on', async (t) => {
  const { data, wal, first } = await dataDir(t);
  spoil(first);
  const broken = snapshot(wal);

  const seen = await run(t, 'verify', '--data-dir', data);
  assert.equal(seen.code, 1);
  assert.match(seen.text, /0001\.committed: damaged; \d+ bytes from \d+ on cannot be read; 1 rows are lost/);
  assert.match(seen.text, /1 of 2 segments are whole; 3 rows/);
  const json = await run(t, 'verify', '--data-dir', data, '--json');
  const found = JSON.parse(json.text) as Verification;
  assert.deepEqual([json.code, found.whole, found.files[0]!.verdict], [1, false, 'damaged']);

  const plan = await run(t, 'repair', '--dry-run', '--data-dir', data);
  assert.equal(plan.code, 1);
  assert.match(plan.text, /0001\.committed: damaged bytes go to quarantine/);
  assert.deepEqual(snapshot(wal), broken, 'neither has changed anything');

  const done = await run(t, 'repair', '--data-dir', data);
  assert.equal(done.code, 0, done.text);
  assert.match(done.text, /0001\.committed: damaged bytes were taken out; a copy is in quarantine/);
  assert.match(done.text, /1 rows are lost; \d+ bytes were taken out by a repair/);
  assert.equal((await run(t, 'verify', '--data-dir', data)).code, 0);
  assert.match((await run(t, 'repair', '--dry-run', '--data-dir', data)).text, /nothing to repair/);
  const [copy] = fs.readdirSync(join(wal, 'quarantine'));
  assert.match(copy!, /0001\.committed\.\d+-\d+\.damaged/);

  const { queue } = await usingQueue(t, wal);
  await putEach(queue, [row('more', 10)]);
  const rows = [sent[0]!, sent[2]!, row('z', 9), row('more', 10)].flatMap(rowTexts);
  assert.deepEqual(readAll(wal, queue.segments, undefined, false), rows);
});

test('repair does not run beside an agent', async (t) => {
  const { data, wal, first } = await dataDir(t);
  spoil(first);
  await usingQueue(t, wal);
  const before = snapshot(wal);
  const { code, text } = await run(t, 'repair', '--data-dir', data);
  assert.equal(code, 1);
  assert.match(text, /in use by another Spillway process/);
  assert.deepEqual(snapshot(wal), before);
});

test('what stands under wrong names, is empty, a directory, or of a later version', async (t) => {
  const { data, wal, first } = await dataDir(t);
  const second = segmentPath(wal, 2, 'committed');
  fs.renameSync(first, `${first}.tmp`);
  fs.renameSync(second, first);
  fs.renameSync(`${first}.tmp`, second);
  fs.writeFileSync(segmentPath(wal, 3, 'committed'), '');
  fs.mkdirSync(segmentPath(wal, 4, 'committed'));
  fs.writeFileSync(segmentPath(wal, 5, 'open'), '');
  const { files } = JSON.parse((await run(t, 'verify', '--json', '--data-dir', data)).text) as Verification;
  assert.deepEqual(
    files.map(({ verdict }) => verdict),
    ['foreign', 'foreign', 'empty', 'unreadable', 'whole'],
  );
  const { code, text } = await run(t, 'repair', '--data-dir', data);
  assert.equal(code, 0, text);
  assert.match(text, /another segment than its name says; it is read as .*0002\.committed/);
  assert.match(text, /a directory has the name of a segment/);
  assert.deepEqual(fs.readdirSync(join(wal, 'quarantine')).sort(), [
    `${segmentName(3, 'committed')}.damaged`,
    `${segmentName(4, 'committed')}.directory`,
  ]);
  const { queue } = await usingQueue(t, wal);
  assert.deepEqual(readAll(wal, queue.segments), [...sent, row('z', 9)].flatMap(rowTexts));
});

test('a wrong command line ends with 2', async (t) => {
  const { data } = await dataDir(t);
  for (const [args, says] of [
    [[], /ls, cat, export, replay, verify or repair/],
    [['polish', '--data-dir', data], /no command queue polish/],
    [['verify', '--dry-run', '--data-dir', data], /queue verify has no option --dry-run/],
    [['verify', 'x', '--data-dir', data], /x, or --data-dir .*\?/],
    [['verify', 'x', 'y'], /unexpected argument: y/],
    [['repair', '--data-dir', join(data, 'nowhere')], /there is no queue in/],
  ] as const) {
    const { code, text } = await run(t, ...args);
    assert.equal(code, 2, text);
    assert.match(text, says);
  }
  assert.ok(!fs.existsSync(join(data, 'nowhere')));
});
