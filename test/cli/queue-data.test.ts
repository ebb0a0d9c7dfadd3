import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { walDirectory } from '../../src/filequeue/file-queue.ts';
import { segmentPath } from '../../src/filequeue/segment-file.ts';
import { decodeWriteRequestV1, encodeWriteRequestV1, staleMarkerBits } from '../../src/protocol/schema.ts';
import { openQueue, putEach, usingQueue } from '../filequeue/queue.ts';
import { Child } from '../support/child.ts';
import { within } from '../support/deadline.ts';
import { bitsOf, type Message, request, series } from '../support/messages.ts';
import { projectDir, spillway } from '../support/paths.ts';
import { type Row, rowsOf } from '../support/rows.ts';
import { Sink } from '../support/sink.ts';
import { runSpillway } from '../support/spillway.ts';
import { tempDir } from '../support/temp.ts';

/** A data directory with these requests, `each` to a segment. */
async function dataDir(t: TestContext, messages: readonly Message[], each: number): Promise<string> {
  const data = await tempDir(t, 'queue');
  for (let i = 0; i < messages.length; i += each) {
    const { queue } = await openQueue(walDirectory(data));
    await putEach(queue, messages.slice(i, i + each));
    await queue.close();
  }
  return data;
}

const few: readonly Message[] = [
  request(series({ __name__: 'up', job: 'node' }, [1000, 1])),
  request(series({ __name__: 'up', job: 'a"b\\c\nd' }, [1500, staleMarkerBits], [2001, -0])),
  request(series({ __name__: 'down', job: 'node' }, [3000, bitsOf(0.1)])),
];

/** Names and content of all files below a directory. */
function snapshot(dir: string): Map<string, string> {
  const names = fs.readdirSync(dir, { recursive: true }) as string[];
  const isFile = (name: string): boolean => fs.statSync(join(dir, name)).isFile() && !/lock/.test(name);
  return new Map(names.filter(isFile).map((name) => [name, fs.readFileSync(join(dir, name), 'hex')]));
}

test('cat prints the rows in their order, those of a selector or of some segments, beside whoever writes', async (t) => {
  const data = await dataDir(t, few, 2);
  await usingQueue(t, walDirectory(data));
  const before = snapshot(data);
  const lines = [
    'up{job="node"} 1 1.000',
    'up{job="a\\"b\\\\c\\nd"} NaN 1.500',
    'up{job="a\\"b\\\\c\\nd"} -0 2.001',
    'down{job="node"} 0.1 3.000',
  ];
  const cat = (...args: string[]) => runSpillway(t, 'queue', 'cat', '--data-dir', data, ...args);
  assert.deepEqual(await cat(), { code: 0, text: [...lines, '# EOF'].join('\n') });
  assert.equal((await cat('--match', '{job="node"}')).text, [lines[0], lines[3], '# EOF'].join('\n'));
  assert.equal((await cat('--from', '2')).text, [lines[3], '# EOF'].join('\n'));
  assert.equal((await cat('--to', '1')).text, [...lines.slice(0, 3), '# EOF'].join('\n'));
  const json = (await cat('--format', 'ndjson')).text.split('\n').map((line) => JSON.parse(line) as object);
  assert.deepEqual(json[1], {
    kind: 'sample',
    labels: { __name__: 'up', job: 'a"b\\c\nd' },
    timestampMs: 1500,
    value: 'stale',
    valueBits: '7ff0000000000002',
    segment: 1,
    row: 1,
    committedMs: 1_700_000_000_000,
  });
  assert.equal((await cat('--match', 'up{')).code, 2);
  const listed = await runSpillway(t, 'queue', 'ls', data);
  assert.match(listed.text, /^SEGMENT .*\n1 +3 .*\n2 +1 .*\n2 segments, 4 rows, .*$/);
  assert.deepEqual(snapshot(data), before);
});

test('export writes as fast as the disk takes it, and leaves no listener behind', async (t) => {
  const samples = Array.from({ length: 8000 }, (_, i): [number, number] => [1000 + i, i]);
  const data = await dataDir(t, [request(series({ __name__: 'up', job: 'node' }, ...samples))], 1);
  const file = join(await tempDir(t, 'export'), 'rows.ndjson');
  const { code, text } = await runSpillway(t, 'queue', 'export', file, data, '--json');
  assert.equal(code, 0, text);
  assert.doesNotMatch(text, /Warning/);
  assert.equal(fs.readFileSync(file, 'utf8').trimEnd().split('\n').length, 8000);
});

test('cat ends quietly when nobody reads any more', async (t) => {
  const samples = Array.from({ length: 8000 }, (_, i): [number, number] => [1000 + i, i]);
  const data = await dataDir(t, [request(series({ __name__: 'up', job: 'node' }, ...samples))], 1);
  const args = [spillway, 'queue', 'cat', data, '--json'];
  const child = Child.spawn(t, 'cat', process.execPath, args, { cwd: projectDir });
  await child.line(/"up"/);
  child.stopReading();
  assert.equal((await child.end()).code, 0);
  assert.deepEqual(
    child.lines.filter((line) => !line.startsWith('{')),
    [],
  );
});

test('histograms, exemplars and metadata are in ndjson, and said to be left out of OpenMetrics', async (t) => {
  const all: Message = {
    timeseries: [
      {
        labels: [{ name: '__name__', value: 'h' }],
        samples: [],
        exemplars: [{ labels: [{ name: 'trace', value: 'x' }], valueBits: bitsOf(2), timestamp: 5000n }],
        histograms: [
          {
            countInt: 3n,
            sumBits: bitsOf(0.5),
            schema: 0,
            zeroThresholdBits: bitsOf(0.001),
            zeroCountInt: 3n,
            timestamp: 6000n,
          },
        ],
      },
    ],
    metadata: [{ type: 1, metricFamilyName: 'h', help: 'What it is.', unit: 's' }],
  };
  const data = await dataDir(t, [few[0]!, all], 2);
  const text = await runSpillway(t, 'queue', 'cat', data);
  assert.match(text.text, /3 rows are left out/);
  const file = join(data, 'rows.ndjson');
  const done = await runSpillway(t, 'queue', 'export', file, data, '--format', 'ndjson');
  assert.equal(done.code, 0, done.text);
  const rows = fs
    .readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(rows.map(({ kind }) => kind).sort(), ['exemplar', 'histogram', 'metadata', 'sample']);
  const exemplar = rows.find(({ kind }) => kind === 'exemplar')!;
  assert.deepEqual(
    [exemplar.exemplarLabels, exemplar.value, exemplar.timestampMs],
    [{ trace: 'x' }, '2', 5000],
  );
  const { histogram, timestampMs } = rows.find(({ kind }) => kind === 'histogram') as {
    histogram: Record<string, unknown>;
    timestampMs: number;
  };
  assert.deepEqual(
    [histogram.count, histogram.sum, histogram.timestampMs, timestampMs],
    ['3', '0.5', 6000, 6000],
  );
  assert.deepEqual(rows.find(({ kind }) => kind === 'metadata')!.family, 'h');
  const again = await runSpillway(t, 'queue', 'export', file, data);
  assert.deepEqual([again.code, /is there already/.test(again.text)], [1, true]);
});

const many = Array.from({ length: 60 }, (_, round) =>
  request(
    ...Array.from({ length: 100 }, (_, i) => series({ __name__: 'm', i: `${i}` }, [1000 + round, round])),
  ),
);
const manyRows: readonly Row[] = many.flatMap((message) =>
  rowsOf(decodeWriteRequestV1(encodeWriteRequestV1(message))),
);

test('replay sends all of a backup in order, over a kill, and changes nothing in it', async (t) => {
  const data = await dataDir(t, many, 20);
  const before = snapshot(walDirectory(data));
  const state = await tempDir(t, 'replay');
  let answered = 0;
  let enough: (() => void) | undefined;
  const some = new Promise<void>((resolve) => {
    enough = resolve;
  });
  const sink = await Sink.start(t, () => {
    if (++answered > 2) enough?.();
    // The third one has no answer: it is on its way at the kill.
    return answered > 2 ? { instead: 'hang', store: true } : {};
  });
  const args = [
    'queue',
    'replay',
    data,
    '--url',
    sink.url,
    '--state',
    state,
    '--header',
    'X-Is: replay',
    '--rate',
    '1000000',
  ];
  const first = Child.spawn(t, 'replay', process.execPath, [spillway, ...args], { cwd: projectDir });
  await within(() => `${answered} requests have come:\n${first.tail()}`, some);
  await first.kill('SIGKILL');
  assert.ok(sink.arrivals.count < manyRows.length);
  sink.script = () => ({});

  const { code, text } = await runSpillway(t, ...args, '--json');
  assert.equal(code, 0, text);
  const done = JSON.parse(text) as { delivered: number; waiting: number };
  assert.deepEqual([done.delivered, done.waiting], [manyRows.length, 0]);
  assert.equal(manyRows.filter((row) => !sink.arrivals.has(row)).length, 0);
  assert.deepEqual(sink.arrivals.inversions, []);
  assert.equal(sink.requests[0]!.headers['x-is'], 'replay');
  assert.deepEqual(snapshot(walDirectory(data)), before);
  const sent = sink.arrivals.count;
  assert.equal((await runSpillway(t, ...args)).code, 0);
  assert.equal(sink.arrivals.count, sent, 'what was delivered is not sent once more');
});

test('replay says what it could not deliver, and damage does not stop it', async (t) => {
  const data = await dataDir(t, few, 3);
  const file = segmentPath(walDirectory(data), 1, 'committed');
  const bytes = fs.readFileSync(file);
  const frames = [...bytes.toString('latin1').matchAll(/SPWF/g)].map(({ index }) => index);
  bytes[frames[1]! + 30]! ^= 1;
  fs.writeFileSync(file, bytes);
  const before = snapshot(walDirectory(data));
  const sink = await Sink.start(t);
  const state = await tempDir(t, 'replay');
  const { code, text } = await runSpillway(t, 'queue', 'replay', data, '--url', sink.url, '--state', state);
  assert.equal(code, 1, text);
  assert.match(text, /delivered 2 rows\nnot delivered: 2 rows, damaged/);
  assert.deepEqual(snapshot(walDirectory(data)), before, 'not even a copy of what is damaged');
  for (const wrong of [
    ['replay', data],
    ['replay', data, '--url', sink.url, '--rate', 'x'],
    ['export'],
    ['cat', '--rate', '1'],
  ]) {
    assert.equal((await runSpillway(t, 'queue', ...wrong)).code, 2, wrong.join(' '));
  }
});
