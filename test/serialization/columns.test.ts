import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  Column,
  ColumnError,
  Delta64Column,
  DeltaColumn,
  readDeltas,
  readDeltas64,
  readVarints,
} from '../../src/serialization/columns.ts';
import { int64, int64Edges } from '../reference/requests.ts';

const uint32Edges = [0, 1, 127, 128, 16_383, 16_384, 2 ** 28 - 1, 2 ** 28, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
const uint32 = fc.oneof(fc.constantFrom(...uint32Edges), fc.nat(0xffffffff), fc.nat(300));
const lists = { maxLength: 40 };

/** The kinds of numbers that columns hold, each with how it is written and read back. */
const kinds = {
  varints: {
    values: fc.array(uint32, lists) as fc.Arbitrary<(number | bigint)[]>,
    write(values: readonly (number | bigint)[]): Uint8Array {
      const column = new Column();
      for (const value of values) column.putVarint(Number(value));
      return column.used.slice();
    },
    read(bytes: Uint8Array, count: number): (number | bigint)[] {
      const out = new Uint32Array(count);
      readVarints(bytes, count, out);
      return [...out];
    },
  },
  deltas: {
    values: fc.array(uint32, lists) as fc.Arbitrary<(number | bigint)[]>,
    write(values: readonly (number | bigint)[]): Uint8Array {
      const column = new DeltaColumn();
      for (const value of values) column.put(Number(value));
      return column.used.slice();
    },
    read(bytes: Uint8Array, count: number): (number | bigint)[] {
      const out = new Uint32Array(count);
      readDeltas(bytes, count, out);
      return [...out];
    },
  },
  deltas64: {
    values: fc.array(int64, lists) as fc.Arbitrary<(number | bigint)[]>,
    write(values: readonly (number | bigint)[]): Uint8Array {
      const column = new Delta64Column();
      for (const value of values) {
        const bits = BigInt.asUintN(64, BigInt(value));
        column.put(Number(bits & 0xffffffffn), Number(bits >> 32n));
      }
      return column.used.slice();
    },
    read(bytes: Uint8Array, count: number): (number | bigint)[] {
      const out = new Int32Array(2 * count);
      readDeltas64(bytes, count, out);
      return Array.from({ length: count }, (_, i) => {
        return (BigInt(out[2 * i + 1]!) << 32n) | BigInt(out[2 * i]! >>> 0);
      });
    },
  },
};

for (const [name, { values, write, read }] of Object.entries(kinds)) {
  describe(name, () => {
    it('come back as they went', () => {
      fc.assert(
        fc.property(values, (list) => assert.deepEqual(read(write(list), list.length), list)),
        {
          numRuns: 500,
        },
      );
    });

    it('from each edge to each other edge', () => {
      const edges: readonly (number | bigint)[] = name === 'deltas64' ? int64Edges : uint32Edges;
      const list = edges.flatMap((from) => edges.flatMap((to) => [from, to]));
      assert.deepEqual(read(write(list), list.length), list);
    });

    it('cut short or extended: ColumnError', () => {
      fc.assert(
        fc.property(values, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 3 }), (list, cut, more) => {
          const bytes = write(list);
          const longer = Buffer.concat([bytes, more]);
          assert.throws(() => read(longer, list.length), ColumnError);
          assert.throws(() => read(bytes, list.length + 1), ColumnError);
          if (list.length === 0) return;
          assert.throws(() => read(bytes.subarray(0, cut % bytes.length), list.length), ColumnError);
          assert.throws(() => read(bytes, list.length - 1), ColumnError);
        }),
        { numRuns: 300 },
      );
    });

    it('a number of too many bytes: ColumnError', () => {
      const most = name === 'deltas64' ? 10 : 5;
      const long = (size: number) => new Uint8Array(size).fill(0x80).with(size - 1, 0);
      assert.equal(Number(read(long(most), 1)[0]), 0);
      assert.throws(() => read(long(most + 1), 1), ColumnError);
    });

    it('any bytes: read, or ColumnError', () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 30 }), fc.nat(10), (bytes, count) => {
          try {
            read(bytes, count);
          } catch (error) {
            assert.ok(error instanceof ColumnError);
          }
        }),
        { numRuns: 1000 },
      );
    });
  });
}

describe('sizes', () => {
  it('a value like the one before takes a byte', () => {
    const time = kinds.deltas64.write([
      1_700_000_000_000n,
      1_700_000_000_000n,
      1_700_000_000_063n,
      1_700_000_000_000n,
    ]);
    assert.equal(time.length, 6 + 3);
    const series = kinds.deltas.write([100_000, 100_001, 100_002, 99_999]);
    assert.equal(series.length, 3 + 3);
  });
});

describe('Column', () => {
  it('eight bytes, little-endian, bit for bit', () => {
    const column = new Column();
    column.putWord64(0x00000002, 0x7ff00000);
    column.putWord64(0xffffffff, -1);
    assert.equal(Buffer.from(column.used).toString('hex'), '020000000000f07fffffffffffffffff');
  });

  it('grows over everything that is put', () => {
    const column = new Column();
    const source = Uint8Array.from({ length: 1000 }, (_, i) => i);
    for (let i = 0; i < 300; i++) column.putBytes(source, i, i + 700);
    assert.equal(column.length, 300 * 700);
    for (let i = 0; i < 300; i++) {
      assert.equal(
        Buffer.compare(column.used.subarray(700 * i, 700 * i + 700), source.subarray(i, i + 700)),
        0,
      );
    }
  });

  it('begins anew after clear, and gives memory back that it no longer needs', () => {
    const column = new DeltaColumn();
    column.put(7);
    column.clear();
    column.put(7);
    assert.deepEqual([...column.used], [14]);
    const large = new Column();
    large.putBytes(new Uint8Array(4 << 20), 0, 4 << 20);
    large.clear();
    const grown = large.bytes.length;
    large.putVarint(1);
    large.clear();
    assert.ok(large.bytes.length < grown);
    large.putBytes(new Uint8Array(4 << 20), 0, 4 << 20);
    assert.equal(large.length, 4 << 20);
  });
});
