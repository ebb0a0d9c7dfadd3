import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  CommitError,
  type CommitFacts,
  GroupCommit,
  type RollLimits,
} from '../../src/filequeue/group-commit.ts';
import { SegmentLog } from '../../src/filequeue/segment-log.ts';
import type { RowBatch } from '../../src/serialization/rows.ts';
import { type Message, request, series } from '../support/messages.ts';
import { tempDir } from '../support/temp.ts';
import { fillWith, row, wide } from './queue.ts';
import { readSegment, rowTexts, segmentsIn } from './read-back.ts';
import { WatchedFs } from './watched-fs.ts';

test('transactions that come while a sync runs share the next one', async (t) => {
  const { put, files, commits } = await newGroup(t);
  const first = files.hold(/^sync 1.open/);
  const durable = [put(row('a', 1))];
  await first.reached();
  for (let at = 2; at <= 50; at++) durable.push(put(row(at % 2 === 0 ? 'a' : 'b', at)));
  first.letGo();
  await Promise.all(durable);
  assert.equal(files.count(/^sync 1.open/), 2);
  assert.deepEqual(
    commits.map(({ rows, counts }) => [rows, [...counts]]),
    [
      [1, [1, 0, 0, 0]],
      [49, [49, 0, 0, 0]],
    ],
  );
});

test('transactions of one turn of the event loop share a sync', async (t) => {
  const { put, files } = await newGroup(t);
  await Promise.all([put(row('a', 1)), put(row('a', 2)), put(row('b', 3))]);
  assert.equal(files.count(/^sync/), 2);
  assert.equal(files.count(/^syncDir/), 1);
});

test('a transaction is durable only after its data is, and in a new file its name', async (t) => {
  const { put, files, commits } = await newGroup(t);
  const holds = [files.hold(/^syncDir/), files.hold(/^sync 1.open/)];
  let durable = false;
  const done = put(row('a', 1)).then(() => {
    durable = true;
  });
  for (const hold of holds) {
    await hold.reached();
    await eventLoopTurns();
    assert.deepEqual([durable, commits.length], [false, 0]);
    hold.letGo();
  }
  await done;
  assert.match(files.log.join('\n'), /^create 1.open\nsyncDir\nappend 1.open \d+\nsync 1.open$/);
});

test('the commit is told before its transactions are', async (t) => {
  const { put, commits } = await newGroup(t);
  const seen = await put(row('a', 1)).then(() => commits.length);
  assert.equal(seen, 1);
});

test('facts of a commit say what the file holds', async (t) => {
  const { put, group, commits, dir } = await newGroup(t, { nowMs: () => 77 });
  await Promise.all([put(row('a', 1)), put(row('b', 2))]);
  await put(row('c', 3));
  await group.drained();
  const { frames, end, rows } = readSegment(`${dir}/00000000000000000001.open`);
  assert.deepEqual(frames, [
    { row: 0, rows: 2, at: 77 },
    { row: 2, rows: 1, at: 77 },
  ]);
  assert.deepEqual(commits.at(-1)!.watermark, { segment: 1, offset: end, rows: 3 });
  assert.equal(commits[1]!.bytes, commits[1]!.watermark.offset - commits[0]!.watermark.offset);
  assert.deepEqual(rows, [row('a', 1), row('b', 2), row('c', 3)].flatMap(rowTexts));
});

test('a fill that throws leaves no row, and the transactions around it whole', async (t) => {
  const { put, group, dir } = await newGroup(t);
  const failed = new Error('as the test asked for');
  const before = put(row('a', 1));
  for (const left of [row('b', 2), many]) {
    assert.throws(
      () =>
        group.append((dictionary, batch) => {
          fillWith(left)(dictionary, batch);
          throw failed;
        }),
      failed,
    );
  }
  const after = put(many);
  await Promise.all([before, after]);
  assert.deepEqual(rowsIn(dir, 1), [...rowTexts(row('a', 1)), ...rowTexts(many)]);
});

test('a fill that throws alone brings no commit', async (t) => {
  const { group, put, files, dir } = await newGroup(t);
  assert.throws(() => group.append(() => assert.fail('as the test asked for')));
  await group.drained();
  assert.deepEqual(files.log, []);
  await put(row('a', 1));
  assert.deepEqual(rowsIn(dir, 1), rowTexts(row('a', 1)));
});

test('a transaction without rows is durable at once, and its result is handed on', async (t) => {
  const { group, files } = await newGroup(t);
  const { result, durable } = group.append(() => 'nothing');
  assert.equal(result, 'nothing');
  await durable;
  await group.drained();
  assert.deepEqual(files.log, []);
});

test('drained waits for everything that was appended', async (t) => {
  const { group, put, commits, files } = await newGroup(t);
  const hold = files.hold(/^sync 1/);
  void put(row('a', 1));
  await hold.reached();
  void put(row('b', 2));
  hold.letGo();
  await group.drained();
  assert.equal(commits.length, 2);
});

const rolls: [what: string, limits: Partial<RollLimits>, perSegment: number][] = [
  ['bytes', { bytes: 1 }, 1],
  ['bytes', { bytes: 700 }, 3],
  ['age', { ageMs: 20 }, 3],
  ['series', { series: 2 }, 2],
  ['series', { series: 3 }, 3],
  ['dictionary bytes', { dictionaryBytes: 500 }, 3],
];
for (const [what, limits, perSegment] of rolls) {
  test(`a segment rolls by ${what}: ${JSON.stringify(limits)}`, async (t) => {
    let now = 1000;
    const { put, group, dir, commits } = await newGroup(t, { limits, codec: 'none', nowMs: () => now });
    const sent: Message[] = [];
    for (let i = 0; i < 9; i++) {
      const one = row(`series_${i}`, i);
      sent.push(one);
      await put(one);
      now += 10;
    }
    await group.drained();
    assert.deepEqual(
      commits.map(({ watermark }) => watermark.segment),
      sent.map((_, i) => 1 + Math.floor(i / perSegment)),
    );
    const last = Math.ceil(9 / perSegment);
    const names = (await segmentsIn(dir)).map((name) => name.split('.')[1]);
    assert.deepEqual(
      names,
      Array.from({ length: last }, (_, i) => (9 % perSegment === 0 || i < last - 1 ? 'committed' : 'open')),
    );
    // Each segment has a dictionary of its own, from the first id on.
    assert.deepEqual(
      Array.from({ length: last }, (_, i) => rowsIn(dir, i + 1)).flat(),
      sent.flatMap(rowTexts),
    );
  });
}

test('rows that come while the last frame of a segment is written go into the next one', async (t) => {
  const { put, group, files, dir } = await newGroup(t, { limits: { series: 1 } });
  const hold = files.hold(/^sync 1/);
  const durable = [put(row('a', 1))];
  await hold.reached();
  durable.push(put(row('a', 2)), put(row('a', 3)));
  hold.letGo();
  await Promise.all(durable);
  await group.drained();
  assert.deepEqual(rowsIn(dir, 1), rowTexts(row('a', 1)));
  assert.deepEqual(rowsIn(dir, 2), [row('a', 2), row('a', 3)].flatMap(rowTexts));
  assert.equal(group.series, 0);
});

for (const operation of ['append', 'sync', 'create', 'syncDir']) {
  test(`when ${operation} fails, its transactions fail, and so do those that refer to its dictionary`, async (t) => {
    const limits = { series: 4 };
    const { put, group, files, dir, failures, commits } = await newGroup(t, { limits });
    const inNewFile = operation === 'create' || operation === 'syncDir';
    if (!inNewFile) await put(row('a', 1));
    const hold = files.hold(new RegExp(`^${operation}`));
    files.fail(new RegExp(`^${operation}`), { code: 'ENOSPC' });
    const waiting = [put(row('a', 2)), put(row('b', 3))];
    await hold.reached();
    const meanwhile = [put(row('a', 4)), put(row('b', 5)), put(row('c', 6))];
    hold.letGo();
    for (const durable of [...waiting, ...meanwhile]) {
      await assert.rejects(durable, (error: Error) => {
        assert.ok(error instanceof CommitError);
        assert.equal(error.retryable, true);
        assert.equal((error.cause as NodeJS.ErrnoException).code, 'ENOSPC');
        return true;
      });
    }
    assert.equal(failures.length, 1);
    assert.equal(group.series, 0);

    await Promise.all([put(row('b', 7)), put(row('a', 8))]);
    await put(row('c', 9));
    const { segment, rows } = commits.at(-1)!.watermark;
    assert.deepEqual([segment, rows], [2, 3]);
    assert.deepEqual(rowsIn(dir, 2), [row('b', 7), row('a', 8), row('c', 9)].flatMap(rowTexts));
    if (!inNewFile) assert.deepEqual(rowsIn(dir, 1), rowTexts(row('a', 1)));
  });
}

test('when the last frame of a segment fails, what came meanwhile does not', async (t) => {
  const { put, files, dir, failures } = await newGroup(t, { limits: { series: 2 } });
  await put(row('a', 1));
  const hold = files.hold(/^sync 1/);
  files.fail(/^sync 1/);
  const lost = put(row('b', 2));
  await hold.reached();
  const meanwhile = [put(row('b', 3)), put(row('a', 4))];
  hold.letGo();
  await assert.rejects(lost, CommitError);
  await Promise.all(meanwhile);
  assert.equal(failures.length, 1);
  assert.deepEqual(rowsIn(dir, 1), rowTexts(row('a', 1)));
  assert.deepEqual(rowsIn(dir, 2), [row('b', 3), row('a', 4)].flatMap(rowTexts));
});

test('a disk that fails for long fails what is sent meanwhile, and nothing later', async (t) => {
  const { put, files, dir, commits } = await newGroup(t);
  await put(row('a', 1));
  for (let at = 2; at < 10; at++) {
    files.fail(/./, { times: 100 });
    await assert.rejects(put(row('a', at)), CommitError);
  }
  files.heal();
  await put(row('a', 10));
  const { segment } = commits.at(-1)!.watermark;
  const found = readSegment(`${dir}/${String(segment).padStart(20, '0')}.open`);
  assert.deepEqual(found.rows, rowTexts(row('a', 10)));
  assert.equal(found.header?.previous?.segment, 1);
  assert.equal(found.header?.previous?.bytes, commits[0]!.watermark.offset);
});

test('rows that cannot be encoded fail alone', async (t) => {
  const { put, group, failures, commits, dir } = await newGroup(t);
  await put(row('a', 1));
  const unfit = group.append((dictionary, batch) => {
    fillWith(row('b', 2))(dictionary, batch);
    unfinishable(batch);
  }).durable;
  await assert.rejects(unfit, CommitError);
  await group.drained();
  assert.equal(failures.length, 1);
  await put(row('b', 3));
  await put(row('a', 4));
  assert.deepEqual(
    commits.map(({ watermark }) => [watermark.segment, watermark.rows]),
    [
      [1, 1],
      [2, 1],
      [2, 2],
    ],
  );
  assert.deepEqual(rowsIn(dir, 1), rowTexts(row('a', 1)));
  assert.deepEqual(rowsIn(dir, 2), [row('b', 3), row('a', 4)].flatMap(rowTexts));
});

test('an owner that throws is heard, and the segment is not mixed up', async (t) => {
  const { put, group, commits, dir } = await newGroup(t);
  commits.push = () => assert.fail('as the test asked for');
  void put(row('a', 1));
  await assert.rejects(group.drained(), /as the test asked for/);
  assert.equal(group.series, 1);
  assert.deepEqual(rowsIn(dir, 1), rowTexts(row('a', 1)));
});

/** Rows of all kinds but samples, which follow each other as they do in a request. */
const many: Message = {
  timeseries: [
    {
      ...series({ __name__: 'h' }, [10, 1]),
      histograms: [{ countInt: 3n, zeroCountInt: 3n, sumBits: 5n, schema: 1, timestamp: 11n }],
      exemplars: [{ labels: [{ name: 'trace_id', value: 'x' }], valueBits: 3n, timestamp: 12n }],
    },
    ...request(series({ __name__: 'i' }, [13, 2], [14, 3])).timeseries!,
  ],
  metadata: [{ type: 1, metricFamilyName: 'h', help: 'what it is', unit: 's' }],
};

interface Group {
  readonly group: GroupCommit;
  readonly files: WatchedFs;
  readonly dir: string;
  readonly commits: CommitFacts[];
  readonly failures: CommitError[];
  put(message: Message): Promise<void>;
}

async function newGroup(
  t: TestContext,
  {
    limits = {},
    codec = 'snappy',
    nowMs = () => 1,
  }: { limits?: Partial<RollLimits>; codec?: 'none' | 'snappy'; nowMs?: () => number } = {},
): Promise<Group> {
  const dir = await tempDir(t, 'commit');
  const files = new WatchedFs();
  const commits: CommitFacts[] = [];
  const failures: CommitError[] = [];
  const group = new GroupCommit({
    log: new SegmentLog({
      files,
      dir,
      codec,
      nextId: 1,
      previous: undefined,
      randomSalt: () => 1,
      onSealed: () => undefined,
      onTrouble: () => undefined,
    }),
    codec,
    limits: { ...wide, ...limits },
    now: nowMs,
    randomSeed: () => 1,
    onCommit: (facts) => commits.push(facts),
    onFailure: (error) => failures.push(error),
  });
  const put = (message: Message): Promise<void> => group.append(fillWith(message)).durable;
  return { group, files, dir, commits, failures, put };
}

/** Rows of a segment under whichever name it has. */
function rowsIn(dir: string, id: number): readonly string[] {
  const name = `${dir}/${String(id).padStart(20, '0')}`;
  try {
    return readSegment(`${name}.committed`).rows;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return readSegment(`${name}.open`).rows;
  }
}

/** Lets the next encoding of a batch fail, as it does for a frame that is too large. */
function unfinishable(batch: RowBatch): void {
  const finish = batch.finishOrder;
  batch.finishOrder = () => {
    batch.finishOrder = finish;
    throw new RangeError('as the test asked for');
  };
}

/** Gives everything that could go on the time to do so. */
async function eventLoopTurns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}
