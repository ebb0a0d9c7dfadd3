import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RowQueue } from '../../src/network/row-queue.ts';
import { EXEMPLAR, HISTOGRAM, SAMPLE } from '../../src/serialization/rows.ts';
import { push, TestSegment } from './support/segment.ts';

interface Modelled {
  readonly segment: number;
  readonly row: number;
  readonly shard: number;
  readonly series: number;
  readonly resent: number;
  readonly kind: number;
  readonly bytes: readonly number[];
  readonly time: readonly [number, number];
}

/** What stands in the queue, read through its columns. */
function contentOf(queue: RowQueue): Omit<Modelled, 'segment'>[] {
  return Array.from({ length: queue.length }, (_, i) => {
    const at = (queue.head + i) & queue.mask;
    return {
      row: queue.row[at]!,
      shard: queue.shard[at]!,
      series: queue.series[at]!,
      resent: queue.resent[at]!,
      kind: queue.kind[at]!,
      bytes: [...(queue.payload?.of(at) ?? [])],
      time: [queue.time[2 * at]!, queue.time[2 * at + 1]!] as const,
    };
  });
}

test('a ring of columns is a list of rows, whatever was pushed and shifted before', () => {
  const segments = [1, 2, 3].map((id) => new TestSegment(id));
  const pushes = fc.record({
    rows: fc.integer({ min: 1, max: 50 }),
    segment: fc.nat(2),
    shard: fc.nat(255),
    resent: fc.boolean(),
    kind: fc.constantFrom(SAMPLE, SAMPLE, HISTOGRAM, EXEMPLAR),
    bytes: fc.nat(300),
    at: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
  });
  const steps = fc.array(fc.oneof(pushes, fc.record({ shift: fc.integer({ min: 1, max: 60 }) })), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 100 }), (todo, capacity) => {
      const queue = new RowQueue(capacity);
      const model: Modelled[] = [];
      let ordinal = 0;
      for (const step of todo) {
        if ('shift' in step) {
          const run = Math.min(step.shift, queue.contextRows);
          if (run === 0) continue;
          queue.shift(run);
          model.splice(0, run);
        } else {
          const context = segments[step.segment]!;
          for (let i = 0; i < step.rows && !queue.full; i++) {
            const row = ordinal++;
            const bytes = new Array<number>(step.kind === SAMPLE ? 0 : step.bytes).fill(row & 0xff);
            push(queue, context, {
              row,
              series: step.shard & 3,
              shard: step.shard,
              resent: step.resent,
              kind: step.kind,
              at: step.at,
              ...(step.kind !== SAMPLE && { payload: { bytes: Uint8Array.from(bytes) } }),
            });
            model.push({
              segment: context.segment,
              row,
              shard: step.shard,
              series: step.shard & 3,
              resent: step.resent ? 1 : 0,
              kind: step.kind,
              bytes,
              time: [step.at | 0, Math.floor(step.at / 2 ** 32)],
            });
          }
        }
        assert.deepEqual(
          contentOf(queue),
          model.map(({ segment: _, ...rest }) => rest),
        );
        assert.equal(
          queue.payloadBytes,
          model.reduce((sum, { bytes }) => sum + bytes.length, 0),
        );
        assert.equal(queue.full, model.length >= capacity);
        const run = model.findIndex(({ segment }) => segment !== model[0]!.segment);
        assert.equal(queue.contextRows, run < 0 ? model.length : run);
        if (model.length > 0) assert.equal(queue.context.segment, model[0]!.segment);
        for (const { segment, held } of segments) {
          assert.equal(held, model.filter((row) => row.segment === segment).length);
        }
      }
      queue.clear();
      assert.equal(queue.length, 0);
      assert.equal(queue.payloadBytes, 0);
      for (const { held } of segments) assert.equal(held, 0);
    }),
    { numRuns: 200 },
  );
});

test('payloads fill a queue before its rows do, and make room when they leave', () => {
  const queue = new RowQueue(1000);
  const context = new TestSegment(1);
  const megabyte = { bytes: new Uint8Array(2 ** 20) };
  for (let row = 0; row < 7; row++) push(queue, context, { row, kind: HISTOGRAM, payload: megabyte });
  assert.equal(queue.full, false);
  push(queue, context, { row: 7, kind: HISTOGRAM, payload: megabyte });
  assert.equal(queue.full, true);
  queue.shift(1);
  assert.equal(queue.full, false);
});

test('a row that was skipped leaves nothing of that in its place', () => {
  const queue = new RowQueue(64);
  const context = new TestSegment(1);
  for (let row = 0; row < 64; row++) push(queue, context, { row });
  queue.skip.fill(1);
  queue.shift(64);
  push(queue, context, { row: 64 });
  assert.equal(queue.skip[queue.head], 0);
});

test('start times go with their rows when these are brought into another order', () => {
  const queue = new RowQueue(64);
  const context = new TestSegment(1);
  for (let row = 0; row < 4; row++) {
    push(queue, context, { row });
    queue.startLast(row === 2 ? 0 : 10 + row, row);
  }
  queue.reorder(1, Uint32Array.of(3, 1, 2));
  const starts = Array.from({ length: 4 }, (_, i) => [
    queue.row[i],
    ...queue.start!.subarray(2 * i, 2 * i + 2),
  ]);
  assert.deepEqual(starts, [
    [0, 10, 0],
    [3, 13, 3],
    [1, 11, 1],
    [2, 0, 2],
  ]);
});
