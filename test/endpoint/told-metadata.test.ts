import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { SegmentContext } from '../../src/endpoint/segment-context.ts';
import { ToldMetadata } from '../../src/endpoint/told-metadata.ts';
import { SegmentStore, WalReader } from '../../src/endpoint/wal-reader.ts';
import type { FileQueue } from '../../src/filequeue/file-queue.ts';
import { nodeFileSystem } from '../../src/runtime/fs.ts';
import type { Position } from '../../src/serialization/position.ts';
import { putV2, usingQueue } from '../filequeue/queue.ts';
import { atEnd } from '../support/cleanup.ts';
import type { SeriesV2 } from '../support/messages-v2.ts';
import { tempDir } from '../support/temp.ts';
import { unsynced } from './delivery.ts';

const COUNTER = 1;
const GAUGE = 2;
const HISTOGRAM = 3;

/** A series with a sample, and with metadata when there is a type. */
function said(name: string, type?: number, help = `${name}?`, unit = ''): SeriesV2 {
  const samples = [{ timestamp: 1n }];
  return {
    labels: { __name__: name },
    samples,
    ...(type === undefined ? {} : { metadata: { type, help, unit } }),
  };
}

/** A queue, and readers of it. */
async function rig(t: TestContext): Promise<{
  readonly queue: FileQueue;
  /** What is told from the first frame on; each frame that is read from `start` on was seen. */
  read(start?: Position): Promise<ToldMetadata>;
}> {
  const { queue } = await usingQueue(t, await tempDir(t, 'told'), { files: unsynced });
  const read = async (start: Position = { segment: 1, row: 0 }) => {
    const store = new SegmentStore(nodeFileSystem, queue.dir, (segment, onIdle) =>
      SegmentContext.open(nodeFileSystem, queue.dir, segment, undefined, onIdle, undefined, undefined, {}),
    );
    const reader = new WalReader(store, start, ({ message }) => assert.fail(message));
    atEnd(t, () => reader.close());
    while (await reader.advance(queue.watermark)) {
      reader.context.told!.saw(reader.rows);
      reader.passed(reader.head.row + reader.head.rows - 1);
    }
    return reader.context.told!;
  };
  return { queue, read };
}

/** Each as `family|type|help|unit`. */
function texts(families: ReturnType<ToldMetadata['takeSeen']>): string[] {
  return families.map(({ family, type, help, unit }) =>
    [Buffer.from(family), type, Buffer.from(help), Buffer.from(unit)].join('|'),
  );
}

test('a family is told by the name of the family, once, however many of its series there are', async (t) => {
  const { queue, read } = await rig(t);
  await putV2(
    queue,
    said('size_bytes_bucket', HISTOGRAM, 'Size.', 'bytes'),
    said('size_bytes_sum', HISTOGRAM, 'Size.', 'bytes'),
    said('requests_total', COUNTER),
    said('up'),
  );
  const told = await read();
  assert.deepEqual(texts(told.takeSeen()), ['size_bytes|3|Size.|bytes', 'requests_total|1|requests_total?|']);
  assert.equal(told.of(0), told.of(1), 'the same object');
  assert.equal(told.of(3), undefined);
  assert.equal(told.of(99), undefined);
});

test('only families are told again of which rows came since', async (t) => {
  const { queue, read } = await rig(t);
  await putV2(queue, said('a', GAUGE), said('b', GAUGE), said('c', GAUGE));
  const told = await read();
  assert.equal(told.takeSeen().length, 3);
  assert.deepEqual(told.takeSeen(), []);
  const { rows } = queue.watermark;
  await putV2(queue, said('c', GAUGE), said('other'), said('c', GAUGE), said('a', GAUGE));
  const later = await read({ segment: 1, row: rows });
  assert.deepEqual(texts(later.takeSeen()), ['a|2|a?|', 'c|2|c?|']);
  assert.deepEqual(later.takeSeen(), []);
});

test('a reader that begins in the middle of a segment knows what was told before', async (t) => {
  const { queue, read } = await rig(t);
  await putV2(queue, said('a', GAUGE, 'One.'), said('b', GAUGE));
  await putV2(queue, said('a', GAUGE, 'Two.'));
  const { rows } = queue.watermark;
  await putV2(queue, said('a', GAUGE, 'Two.'));
  const told = await read({ segment: 1, row: rows });
  assert.deepEqual(texts(told.takeSeen()), ['a|2|Two.|']);
  assert.deepEqual(Buffer.from(told.of(1)!.help).toString(), 'b?');
});

test('what no series has any more is not told; what is another one is', async (t) => {
  const { queue, read } = await rig(t);
  await putV2(queue, said('a', GAUGE, 'One.'), said('b', GAUGE, 'One.'));
  await putV2(queue, said('a', GAUGE, 'Two.'), said('b', COUNTER, 'One.', 'unit'));
  const told = await read();
  told.takeSeen();
  const { rows } = queue.watermark;
  await putV2(queue, said('a', GAUGE, 'Two.'), said('b', COUNTER, 'One.', 'unit'));
  const later = await read({ segment: 1, row: rows });
  assert.deepEqual(texts(later.takeSeen()), ['a|2|Two.|', 'b|1|One.|unit']);
});

test('it is bounded: what is too much is not remembered, and changes nothing of the rest', async (t) => {
  const { queue } = await rig(t);
  await putV2(queue, ...Array.from({ length: 10 }, (_, i) => said(`s${i}`, GAUGE)));
  const store = new SegmentStore(nodeFileSystem, queue.dir, (segment, onIdle) =>
    SegmentContext.open(nodeFileSystem, queue.dir, segment, undefined, onIdle),
  );
  const reader = new WalReader(store, { segment: 1, row: 0 }, ({ message }) => assert.fail(message));
  atEnd(t, () => reader.close());
  assert.ok(await reader.advance(queue.watermark));
  const told = new ToldMetadata(reader.context.dictionary, 3);
  told.add(reader.rows);
  told.saw(reader.rows);
  assert.deepEqual(
    told.takeSeen().map(({ family }) => Buffer.from(family).toString()),
    ['s0', 's1', 's2'],
  );
  assert.equal(Buffer.from(told.of(2)!.family).toString(), 's2');
  assert.equal(told.of(3), undefined);
});
