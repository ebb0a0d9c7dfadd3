import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { uncompress } from 'snappyjs';
import { ExternalLabels } from '../../src/endpoint/external-labels.ts';
import { EmitterV1 } from '../../src/protocol/emit-v1.ts';
import { createEmitter, WasmEmitterV1 } from '../../src/protocol/emit-wasm.ts';
import {
  decodeWriteRequestV1,
  encodeWriteRequestV1,
  type Label,
  type TimeSeriesV1,
} from '../../src/protocol/schema.ts';
import { Scratch } from '../../src/protocol/snappy.ts';
import { type EmitSpace, WasmColumns } from '../../src/protocol/wasm-columns.ts';
import { EXEMPLAR, HISTOGRAM, METADATA, SAMPLE } from '../../src/serialization/rows.ts';
import { SegmentDictionary } from '../../src/serialization/segment-dictionary.ts';
import { Choices } from '../reference/choices.ts';
import { Ring, Road } from '../reference/road.ts';
import { labels } from '../support/messages.ts';

/** One segment as two readers have it. Frames may be lost: to both. */
class Pair {
  readonly typescript: Road;
  readonly wasm: Road;

  constructor(externalLabels?: Readonly<Record<string, string>>, compression?: 'small') {
    const rewrite = externalLabels && new ExternalLabels(externalLabels);
    this.typescript = new Road('none', rewrite, 'typescript', compression);
    this.wasm = new Road('none', rewrite, 'wasm', compression);
    assert.ok(this.wasm.reader.columns instanceof WasmColumns);
  }

  /** Adds series. */
  grow(choices: Choices, series: number, long: number): void {
    const timeseries = Array.from({ length: series }, (_, i): TimeSeriesV1 => {
      const samples = [{ timestamp: 1n, valueBits: 1n }];
      return { labels: choices.labels(i, long), samples, exemplars: [], histograms: [] };
    });
    this.typescript.take(encodeWriteRequestV1({ timeseries }));
    const record = this.typescript.commit();
    if (choices.chance(0.15)) return;
    this.typescript.read(record);
    this.wasm.read(record);
  }

  /** Emits by both, and holds the bodies against each other and against protobufjs. */
  emit(ring: Ring, first: number, count: number): void {
    const expected = this.typescript.emit(ring, first, count);
    const actual = this.wasm.emit(ring, first, count);
    assert.equal(actual.rawBytes, expected.rawBytes);
    assert.equal(Buffer.compare(actual.body, expected.body), 0, 'the bodies differ');
    const plain = uncompress(Uint8Array.from(actual.body));
    assert.equal(plain.length, actual.rawBytes);
    // What the other kernel is held against too (emit-v1.test.ts); here only that all live rows are there.
    let live = 0;
    for (let i = first; i < first + count; i++) if (ring.skip[ring.at(i)] === 0) live++;
    if (!isPlain(ring)) return;
    const { timeseries } = decodeWriteRequestV1(plain);
    assert.equal(
      timeseries.reduce((sum, { samples }) => sum + samples.length, 0),
      live,
    );
  }
}

function isPlain(ring: Ring): boolean {
  return ring.kind.every((kind) => kind === SAMPLE);
}

describe('both emitters', () => {
  it('write the same bodies from dictionaries that grow, of segments in turn', () => {
    const options = fc.record({
      seed: fc.nat(),
      segments: fc.integer({ min: 1, max: 3 }),
      steps: fc.integer({ min: 1, max: 12 }),
      series: fc.integer({ min: 1, max: 60 }),
      rows: fc.integer({ min: 1, max: 500 }),
      long: fc.constantFrom(0, 0, 0, 0.02),
      compression: fc.constantFrom(undefined, 'small' as const),
      externalLabels: fc.constantFrom(undefined, { l3: 'x', cluster: 'eu', zz: 'v'.repeat(300) }),
    });
    fc.assert(
      fc.property(options, ({ seed, segments, steps, series, rows, long, externalLabels, compression }) => {
        const choices = new Choices(seed);
        const pairs = Array.from({ length: segments }, () => new Pair(externalLabels, compression));
        for (let step = 0; step < steps; step++) {
          const pair = choices.of(pairs);
          pair.grow(choices, choices.int(1, series + 1), long);
          const known = pair.typescript.reader.series;
          if (known === 0) continue;
          const ring = choices.ring(rows, known);
          for (let n = choices.int(1, 4); n > 0; n--) {
            const first = choices.int(0, rows);
            pair.emit(ring, first, choices.int(0, rows - first + 1));
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  for (const compression of [undefined, 'small'] as const) {
    it(`write the same ${compression ?? 'fast'} bodies of more than 1 MiB, over and over`, () => {
      const choices = new Choices(3);
      const pair = new Pair(undefined, compression);
      for (let i = 0; i < 40; i++) pair.grow(choices, 100, 0.01);
      const rows = 15_000;
      for (let i = 0; i < 3; i++) {
        const ring = choices.ring(rows, pair.typescript.reader.series);
        assert.ok(pair.wasm.emit(ring).rawBytes > 1 << 20);
        pair.emit(ring, 0, rows);
      }
    });
  }

  it('write the same bodies of series with 0 to 200 labels, one beside the other', () => {
    const pair = new Pair();
    const of = (count: number): Label[] =>
      labels({
        __name__: 'x',
        ...Object.fromEntries(Array.from({ length: count }, (_, k) => [`l${k}`, `${k % 7}`])),
      });
    const timeseries = Array.from({ length: 200 }, (_, count) => ({
      labels: of(count),
      samples: [{ timestamp: 1n, valueBits: 1n }],
      exemplars: [],
      histograms: [],
    }));
    pair.typescript.take(encodeWriteRequestV1({ timeseries }));
    const record = pair.typescript.commit();
    for (const road of [pair.typescript, pair.wasm]) road.read(record);
    // Each beside each of the next five, on both sides of the number that is compared as a whole.
    const ring = new Ring(2000);
    for (let i = 0; i < 195; i++) {
      for (let k = 1; k <= 5; k++) {
        for (const id of [i, i + k]) ring.push(SAMPLE, id, [5, 0], [id, 7]);
      }
    }
    pair.emit(ring, 0, ring.length);
  });

  // What a label shares with one far above may be longer than all of the label right above it.
  for (const [what, first, second] of [
    ['one byte', '00', '32'],
    // These have the bytes of the label `y="2"` in them, and of what stands before it in memory, but not in the body.
    ['more than all', 'xxxxxxxxq', 'q\n\x06\n\x01y\x12\x012'],
  ] as const) {
    it(`write the same of a label whose end is like ${what} of the shorter label above it`, () => {
      const pair = new Pair();
      const start = 'the same start, ';
      const sets = [
        { __name__: 'a', zz: start + first },
        { __name__: 'a', y: '2' },
        { __name__: 'a', zz: start + second },
      ];
      const timeseries = sets.map((set): TimeSeriesV1 => {
        return {
          labels: labels({ ...set, zzz: 'q' }),
          samples: [{ timestamp: 1n, valueBits: 1n }],
          exemplars: [],
          histograms: [],
        };
      });
      pair.typescript.take(encodeWriteRequestV1({ timeseries }));
      const record = pair.typescript.commit();
      const ring = pair.typescript.read(record);
      pair.wasm.read(record);
      const sent = decodeWriteRequestV1(uncompress(Uint8Array.from(pair.wasm.emit(ring).body)));
      assert.deepEqual(sent.timeseries, timeseries);
      pair.emit(ring, 0, ring.length);
    });
  }
});

describe('the module', () => {
  const series = [{ labels: labels({ __name__: 'x' }), samples: [{ timestamp: 5n, valueBits: 6n }] }];
  const message = encodeWriteRequestV1({ timeseries: series as unknown as TimeSeriesV1[] });

  it('leaves rows that name no series to TypeScript, which refuses them as it always did', () => {
    const pair = new Pair();
    pair.typescript.take(message);
    const record = pair.typescript.commit();
    const ring = pair.typescript.read(record);
    pair.wasm.read(record);
    assert.ok(pair.wasm.reader.columns instanceof WasmColumns);
    const { columns, slots } = pair.wasm.reader;
    assert.ok(columns.emit(ring, ring.head, 1, slots, 1));
    for (const id of [1, 2, 1000, 0xffffffff]) {
      ring.series[ring.at(0)] = id;
      assert.equal(columns.emit(ring, ring.head, 1, slots, 1), undefined);
    }
  });

  it('takes histograms and exemplars, and leaves metadata to TypeScript', () => {
    const pair = new Pair();
    const choices = new Choices(5);
    pair.typescript.take(message);
    const record = pair.typescript.commit();
    pair.typescript.read(record);
    pair.wasm.read(record);
    assert.ok(pair.wasm.reader.columns instanceof WasmColumns);
    const { columns, slots, series } = pair.wasm.reader;
    for (const kind of [SAMPLE, HISTOGRAM, EXEMPLAR, METADATA]) {
      const ring = new Ring(1);
      ring.push(kind, 0, [1, 0], [2, 0], kind === SAMPLE ? undefined : choices.payload());
      assert.equal(columns.emit(ring, ring.head, 1, slots, series) !== undefined, kind !== METADATA);
      if (kind !== METADATA) pair.emit(ring, 0, 1);
    }
  });

  it('that fails is told of once, and TypeScript goes on with the same columns', () => {
    const failures: unknown[] = [];
    const emitter = new WasmEmitterV1((error) => failures.push(error));
    const road = new Road('none');
    road.take(message);
    const record = road.commit();
    const ring = road.read(record);
    const columns = emitter.newColumns();
    assert.ok(columns instanceof WasmColumns);
    columns.emit = () => {
      throw new Error('unreachable');
    };
    const reader = new SegmentDictionary(undefined, columns);
    road.readInto(record, reader);
    const { body } = road.emit(ring);
    for (let i = 0; i < 3; i++) {
      const { bytes } = emitter.emit(ring, ring.head, 1, reader, new Scratch());
      assert.deepEqual(Buffer.from(bytes), Buffer.from(body));
    }
    assert.equal(failures.length, 1);
    assert.ok(!(emitter.newColumns() instanceof WasmColumns));
  });

  it('is not made for the TypeScript kernel', () => {
    const emitter = createEmitter('typescript', assert.ifError);
    assert.ok(emitter instanceof EmitterV1);
    assert.ok(!(emitter.newColumns() instanceof WasmColumns));
  });
});

describe('the memory of a segment that is done with', () => {
  /** The columns of a segment in the memory that an emitter has for it, and what it writes of that. */
  function segment(emitter: WasmEmitterV1, choices: Choices, series: number, gap: boolean): WasmColumns {
    const road = new Road('none');
    const columns = emitter.newColumns();
    assert.ok(columns instanceof WasmColumns);
    const reader = new SegmentDictionary(undefined, columns);
    for (let frame = 0; frame < 4; frame++) {
      const timeseries = Array.from({ length: series }, (_, i): TimeSeriesV1 => {
        const samples = [{ timestamp: 1n, valueBits: 1n }];
        return { labels: choices.labels(i, 0.01), samples, exemplars: [], histograms: [] };
      });
      road.take(encodeWriteRequestV1({ timeseries }));
      const record = road.commit();
      // What is missing must be missing, and not what the segment before had there.
      if (gap && frame === 1) continue;
      road.read(record);
      road.readInto(record, reader);
      for (let n = 0; n < 3; n++) {
        const ring = choices.ring(200, reader.series);
        const { body } = road.emit(ring);
        const { bytes } = emitter.emit(ring, ring.head, ring.length, reader, new Scratch());
        assert.equal(Buffer.compare(bytes, body), 0, 'the bodies differ');
      }
    }
    for (let id = 0; id < reader.series; id++) assert.equal(reader.has(id), road.reader.has(id));
    reader.release();
    for (let id = 0; id < reader.series; id++) assert.ok(!reader.has(id), 'who comes late finds nothing');
    assert.throws(() => reader.addSlot(Buffer.from('name'), Buffer.from('value')), RangeError);
    return columns;
  }

  it('serves the next one, whose bodies are as if it were its own', () => {
    const choices = new Choices(7);
    const emitter = new WasmEmitterV1(assert.ifError);
    for (const [i, series] of [300, 40, 300, 7, 900, 120].entries())
      segment(emitter, choices, series, i % 2 === 1);
  });

  it('is one, for segments that come one after the other, and not for two at once', () => {
    const spaces: EmitSpace[] = [];
    const columns = (space?: EmitSpace) => new WasmColumns(space, (left) => spaces.push(left));
    const first = columns();
    const second = columns();
    first.release(0);
    second.release(0);
    assert.equal(new Set(spaces.map((space) => space.exports)).size, 2);
    const third = columns(spaces[0]);
    third.release(0);
    assert.equal(spaces[2]?.exports, spaces[0]?.exports);
    third.release(0);
    assert.equal(spaces.length, 3, 'it is given away once');
  });

  it('is not kept when it is much, or much more than is needed', () => {
    const spaces: EmitSpace[] = [];
    const columns = (space?: EmitSpace) => new WasmColumns(space, (left) => spaces.push(left));
    const large = columns();
    large.release(5 << 20);
    assert.equal(spaces.length, 0);
    const middle = columns();
    middle.release(1 << 20);
    assert.equal(spaces.length, 1);
    columns(spaces[0]).release(1 << 17);
    assert.equal(spaces.length, 2);
    columns(spaces[1]).release(1 << 16);
    assert.equal(spaces.length, 2);
  });
});

describe('the columns in the memory of the module', () => {
  it('take the memory that they need, and little more', (t: TestContext) => {
    const columns = new WasmColumns();
    const bytes = 12 << 20;
    for (let slot = 0; slot < 100_000; slot++) columns.reserveSlots(slot + 1);
    for (let series = 0; series < 100_000; series += 1000) {
      columns.reserveSeries(series + 1000);
      columns.reserveSeriesSlots(11 * (series + 1000));
    }
    const label = new Uint8Array(64);
    for (let i = 0; i < bytes; i += label.length) columns.labels.putBytes(label, 0, label.length);
    const used = bytes + 4 * (2 * 100_000 + 2 * 100_000 + 11 * 100_000);
    t.diagnostic(`${used} bytes in ${columns.memoryBytes}`);
    assert.ok(columns.memoryBytes < 3 * used);
  });
});
