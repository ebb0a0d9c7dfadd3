import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RowBatch } from '../../src/serialization/rows.ts';

const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
const word = fc.integer();
const id = fc.nat(1000);

/** One row of any kind, as the call that appends it. */
const append: fc.Arbitrary<(batch: RowBatch) => void> = fc.oneof(
  fc.tuple(id, word, word, word, word).map((of) => (batch: RowBatch) => batch.appendSample(...of)),
  fc.tuple(id, word, word, fc.nat(50)).map(
    ([series, lo, hi, n]) =>
      (batch: RowBatch) =>
        batch.appendHistogram(series, lo, hi, bytes, [0, n, 60, 70]),
  ),
  fc
    .tuple(id, word, word, word, word, fc.nat(50))
    .map(([series, lo, hi, vlo, vhi, n]) => (batch: RowBatch) => {
      batch.appendExemplar(series, lo, hi, vlo, vhi, bytes, [0, n]);
    }),
  fc.tuple(id, fc.nat(9), id, id, id, fc.nat(300)).map(([tenant, ...of]) => (batch: RowBatch) => {
    batch.tenant = tenant % 2 === 0 ? 0 : tenant;
    batch.appendMetadata(...of);
    batch.tenant = 0;
  }),
);
const appends = fc.array(append, { maxLength: 20 });

function after(...lists: readonly (readonly ((batch: RowBatch) => void)[])[]): RowBatch {
  const batch = new RowBatch();
  for (const one of lists.flat()) one(batch);
  return batch;
}

describe('RowBatch', () => {
  it('rolled back to a mark, and filled again, is as if nothing had been between', () => {
    fc.assert(
      fc.property(appends, appends, appends, (before, undone, behind) => {
        const batch = after(before);
        const mark = batch.mark();
        for (const one of undone) one(batch);
        batch.rollback(mark);
        assert.deepEqual(batch.mark(), mark);
        for (const one of behind) one(batch);
        const untouched = after(before, behind);
        batch.finishOrder();
        untouched.finishOrder();
        assert.deepEqual(contents(batch), contents(untouched));
        assert.equal(batch.rows, before.length + behind.length);
        assert.equal(batch.bytes, untouched.bytes);
      }),
      { numRuns: 500 },
    );
  });

  it('cleared and filled again is as a new one', () => {
    fc.assert(
      fc.property(appends, appends, (before, behind) => {
        const batch = after(before);
        batch.clear();
        assert.deepEqual([batch.rows, batch.bytes], [0, 0]);
        for (const one of behind) one(batch);
        const fresh = after(behind);
        batch.finishOrder();
        fresh.finishOrder();
        assert.deepEqual(contents(batch), contents(fresh));
      }),
      { numRuns: 300 },
    );
  });

  it('the order is runs of kinds', () => {
    const batch = new RowBatch();
    for (let i = 0; i < 3; i++) batch.appendSample(1, 0, 0, 0, 0);
    batch.appendMetadata(0, 1, 2, 3, 4);
    batch.appendExemplar(1, 0, 0, 0, 0, bytes, []);
    for (let i = 0; i < 200; i++) batch.appendHistogram(1, 0, 0, bytes, []);
    batch.appendSample(1, 0, 0, 0, 0);
    batch.finishOrder();
    batch.finishOrder();
    assert.deepEqual([...batch.order.used], [0, 3, 3, 1, 2, 1, 1, 0xc8, 0x01, 0, 1]);
    assert.deepEqual([...batch.counts], [4, 200, 1, 1]);
  });
});

/** Every column by name. */
function contents(batch: RowBatch): Record<string, unknown> {
  const out: Record<string, unknown> = { counts: [...batch.counts] };
  for (const [name, column] of Object.entries(batch)) {
    if (column instanceof Object && 'used' in column)
      out[name] = Buffer.from((column as { used: Uint8Array }).used).toString('hex');
  }
  return out;
}
