import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedWatermark } from '../../src/endpoint/shared-watermark.ts';

test('what one thread publishes the other reads, to the limits of both numbers', () => {
  const main = new SharedWatermark();
  const worker = new SharedWatermark(main.buffer);
  assert.deepEqual(worker.read(), { segment: 0, offset: 0 });
  assert.equal(worker.committedRows, 0);
  for (const { segment, offset, rows } of [
    { segment: 1, offset: 0, rows: 0 },
    { segment: 1, offset: 1, rows: 1 },
    { segment: 2, offset: 2 ** 33 + 5, rows: 2 ** 40 },
    { segment: 2 ** 29 - 1, offset: 2 ** 34 - 1, rows: Number.MAX_SAFE_INTEGER },
  ]) {
    main.publish({ segment, offset, rows: 7 }, rows);
    assert.deepEqual(worker.read(), { segment, offset });
    assert.equal(worker.committedRows, rows);
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
});
