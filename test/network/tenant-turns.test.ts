import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RowQueue, SETTLED } from '../../src/network/row-queue.ts';
import { OldestRows, TenantTurns, tenantOfRow } from '../../src/network/tenant-turns.ts';
import { METADATA } from '../../src/serialization/rows.ts';
import { metadataPayload, push, TestSegment } from './support/segment.ts';

const names = ['', 'a', 'b', 'c', 'd'];

/** What the queue holds, first to last: segment, ordinal, tenant. */
function content(queue: RowQueue): [segment: number, row: number, tenant: string][] {
  return Array.from({ length: queue.length }, (_, i) => [
    queue.contextAt(i).segment,
    queue.row[(queue.head + i) & queue.mask]!,
    tenantOfRow(queue, i),
  ]);
}

const ofTenant = (rows: ReturnType<typeof content>, name: string) =>
  rows.filter(([, , tenant]) => tenant === name);

describe('rows in another order', () => {
  it('keep all that they are made of, also across the end of the ring and over contexts', () => {
    const queue = new RowQueue(64);
    const segments = [new TestSegment(1, 64), new TestSegment(2, 64)];
    for (let row = 0; row < 50; row++) push(queue, segments[0]!, { row });
    queue.shift(50);
    for (let row = 50; row < 80; row++) {
      const isMetadata = row % 4 === 0;
      push(queue, segments[row < 65 ? 0 : 1]!, {
        row,
        series: row % 64,
        shard: row,
        resent: row % 3 === 0,
        at: row * 2 ** 33 + row,
        ...(isMetadata ? { kind: METADATA, payload: metadataPayload(`m${row}`) } : {}),
      });
      if (row % 3 === 0) queue.startLast(row, 7);
    }
    // Of each row: every column that there is, so that a new one cannot be forgotten.
    const columns = Object.entries(queue).filter(([, column]) => ArrayBuffer.isView(column)) as [
      string,
      Uint8Array,
    ][];
    assert.ok(columns.length >= 8);
    const rows = () =>
      Array.from({ length: queue.length }, (_, i) => {
        const at = (queue.head + i) & queue.mask;
        const words = columns.map(([name, column]) => {
          const each = column.length / (queue.mask + 1);
          return [name, ...column.subarray(each * at, each * (at + 1))];
        });
        return [queue.contextAt(i).segment, words, [...(queue.payload?.of(at) ?? [])]];
      });
    const before = rows();
    const order = Uint32Array.from({ length: 30 - 4 }, (_, i) => 4 + ((i * 7) % 26));
    queue.reorder(4, order);
    assert.deepEqual(rows(), [...before.slice(0, 4), ...Array.from(order, (i) => before[i])]);
    assert.equal(segments[0]!.held + segments[1]!.held, 30);
    queue.clear();
    assert.equal(segments[0]!.held + segments[1]!.held, 0);
  });
});

describe('turns of tenants', () => {
  it('every request is of one tenant, and of each tenant all rows leave in their order', () => {
    const event = fc.oneof(
      fc.record({ push: fc.array(fc.nat(4), { maxLength: 12 }) }),
      fc.record({ send: fc.integer({ min: 1, max: 6 }) }),
      fc.record({ park: fc.nat(30) }),
      fc.record({ tick: fc.nat(30) }),
      fc.record({ settle: fc.nat(20) }),
      fc.constant({ roll: true }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const queue = new RowQueue(1024);
        let now = 1000;
        const turns = new TenantTurns(queue, () => now);
        const parked = new Map<string, number>();
        let segment = new TestSegment(1, 5, names);
        let row = 0;
        const pushed: [number, number, string][] = [];
        const sent: [number, number, string][] = [];
        const settled = new Set<string>();
        const step = (most: number, parkMs?: number): boolean => {
          const together = turns.gather(most);
          assert.ok(together <= most);
          const first = content(queue).slice(0, together);
          const live = first.filter((_, i) => queue.skip[(queue.head + i) & queue.mask] !== SETTLED);
          const tenants = new Set(live.map(([, , tenant]) => tenant));
          assert.ok(tenants.size <= 1, `${[...tenants]} in one request`);
          for (const tenant of tenants) assert.ok((parked.get(tenant) ?? 0) <= now, `${tenant} is parked`);
          if (together === 0) {
            assert.ok(turns.parked.waitMs > 0, 'it would look again without an end');
            return false;
          }
          const [tenant] = tenants;
          turns.begin();
          if (parkMs !== undefined && tenant !== undefined) {
            turns.park(1, parkMs, true);
            parked.set(tenant, now + parkMs);
            return true;
          }
          if (tenant !== undefined) parked.delete(tenant);
          assert.equal(new Set(first.map(([id]) => id)).size, 1, 'rows of two segments');
          sent.push(...first);
          turns.settled(together);
          queue.shift(together);
          return true;
        };
        for (const one of events) {
          if ('push' in one) {
            for (const series of one.push) {
              pushed.push([segment.segment, row, names[series]!]);
              push(queue, segment, { row: row++, series });
            }
          } else if ('roll' in one) segment = new TestSegment(segment.segment + 1, 5, names);
          else if ('tick' in one) now += one.tick;
          else if (queue.length === 0) continue;
          else if ('send' in one) step(one.send);
          else if ('settle' in one) {
            const i = one.settle % queue.length;
            settled.add(content(queue)[i]!.slice(0, 2).join(' '));
            queue.skip[(queue.head + i) & queue.mask] = SETTLED;
          } else if ('park' in one) step(4, one.park);
        }
        now += 1000;
        while (queue.length > 0) assert.ok(step(4), 'rows that nobody sends');
        assert.equal(sent.length, pushed.length);
        for (const name of names) {
          // A row that was settled before its turn goes along with any tenant.
          const isSent = ([id, at]: readonly [number, number, string]) => !settled.has(`${id} ${at}`);
          assert.deepEqual(ofTenant(sent, name).filter(isSent), ofTenant(pushed, name).filter(isSent));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('nobody waits for a tenant whose rows were given up while it was parked', () => {
    const queue = new RowQueue(64);
    const segment = new TestSegment(1, 5, names);
    for (const series of [1, 2]) push(queue, segment, { row: series, series });
    let now = 1000;
    const turns = new TenantTurns(queue, () => now);
    for (const waitMs of [10, 5000]) {
      assert.equal(turns.gather(10), 1);
      turns.begin();
      turns.park(1, waitMs, true);
    }
    queue.skip[(queue.head + 1) & queue.mask] = SETTLED; // the turn of the second has brought it to the head
    assert.equal(turns.gather(10), 1, 'it goes by itself');
    turns.begin();
    turns.settled(1);
    queue.shift(1);
    now += 20;
    assert.equal(turns.gather(10), 0);
    assert.equal(turns.parked.waitMs, 4980);
  });

  it('brings rows of a tenant together, up to a full request', () => {
    const queue = new RowQueue(1024);
    const segment = new TestSegment(
      1,
      100,
      Array.from({ length: 100 }, (_, i) => `t${i}`),
    );
    for (let row = 0; row < 1000; row++) push(queue, segment, { row, series: row % 100 });
    const turns = new TenantTurns(queue, () => 0);
    for (let tenant = 0; tenant < 100; tenant++) {
      assert.equal(turns.gather(2000), 10);
      assert.equal(turns.cuts(10), tenant > 0, 'the first waits for company, the others have waited');
      turns.begin();
      assert.equal(tenantOfRow(queue, 0), `t${tenant}`);
      turns.settled(10);
      queue.shift(10);
    }
    assert.equal(queue.length, 0);
  });
});

describe('the oldest rows that stay', () => {
  it('are the oldest of their shards, whatever their order in the queue', () => {
    const queue = new RowQueue(64);
    const [one, two] = [new TestSegment(1), new TestSegment(2)];
    for (const [segment, row, shard] of [
      [one, 9, 5],
      [one, 4, 5],
      [one, 6, 7],
      [two, 1, 7],
      [two, 3, 9],
      [two, 0, 5],
    ] as const) {
      push(queue, segment, { row, shard });
    }
    queue.skip[(queue.head + 5) & queue.mask] = SETTLED;
    const oldest = new OldestRows().find(queue, 2, 1);
    assert.deepEqual([oldest.segment[5], oldest.row[5]], [1, 4]);
    assert.deepEqual([oldest.segment[7], oldest.row[7]], [2, 1]);
    assert.deepEqual([oldest.segment[9], oldest.row[9]], [2, 3]);
    assert.equal(oldest.segment[1], 0);
  });
});
