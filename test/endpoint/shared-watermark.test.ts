import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { SharedWatermark } from '../../src/endpoint/shared-watermark.ts';
import { deadlineMs } from '../support/deadline.ts';

test('what one thread publishes the other reads, to the limits of the numbers', () => {
  const main = new SharedWatermark();
  const worker = new SharedWatermark(main.buffer);
  assert.deepEqual(worker.read(), { segment: 0, offset: 0, rows: 0, committedRows: 0 });
  for (const { segment, offset, rows } of [
    { segment: 1, offset: 0, rows: 0 },
    { segment: 1, offset: 1, rows: 1 },
    { segment: 2, offset: 2 ** 33 + 5, rows: 2 ** 40 },
    { segment: 2 ** 29 - 1, offset: 2 ** 34 - 1, rows: Number.MAX_SAFE_INTEGER },
  ]) {
    main.publish({ segment, offset, rows: rows % 1000 }, rows);
    assert.deepEqual(worker.read(), { segment, offset, rows: rows % 1000, committedRows: rows });
  }
});

test('a worker is woken once, and only when it has said that it sleeps', () => {
  const main = new SharedWatermark();
  const worker = new SharedWatermark(main.buffer);
  const publish = () => main.publish({ segment: 1, offset: 1, rows: 1 }, 1);
  assert.equal(publish(), false);
  worker.sleep();
  worker.sleep();
  assert.equal(publish(), true);
  assert.equal(publish(), false, 'one message is under way, another would tell nothing');
  worker.sleep();
  assert.equal(publish(), true);
  worker.sleep();
  worker.stayAwake();
  assert.equal(publish(), false, 'it looks by itself');
});

test('all numbers are of one moment, however often they change', async (t) => {
  const main = new SharedWatermark();
  const writer = new Worker(new URL('./watermark-writer.js', import.meta.url), { workerData: main.buffer });
  t.after(() => writer.terminate());
  const seen = new Set<number>();
  const end = Date.now() + deadlineMs;
  while (seen.size < 1000) {
    assert.ok(Date.now() < end, `${seen.size} different ones were seen`);
    const { segment, offset, rows, committedRows } = main.read();
    assert.deepEqual([offset, rows, committedRows], [segment, segment, segment]);
    seen.add(segment);
    if (seen.size < 3) await new Promise((resolve) => setImmediate(resolve));
  }
});
