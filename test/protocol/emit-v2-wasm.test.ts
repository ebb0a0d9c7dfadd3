import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { uncompress } from 'snappyjs';
import { ExternalLabels } from '../../src/endpoint/external-labels.ts';
import { PlainEmitterV2, symbolTables } from '../../src/protocol/emit-v2.ts';
import { createEmitterV2, WasmEmitterV2 } from '../../src/protocol/emit-v2-wasm.ts';
import type { MetadataOf, SeriesMetadata } from '../../src/protocol/emitter-v2.ts';
import { decodeWriteRequestV2, encodeWriteRequestV1, type TimeSeriesV1 } from '../../src/protocol/schema.ts';
import { Scratch } from '../../src/protocol/snappy.ts';
import { HeapSymbolColumns, SLOT_WORDS, STRING_WORDS } from '../../src/protocol/symbol-columns.ts';
import { LAST_REQUEST, SymbolTable } from '../../src/protocol/symbol-table.ts';
import { WasmColumns } from '../../src/protocol/wasm-columns.ts';
import { EXEMPLAR, HISTOGRAM, METADATA, SAMPLE } from '../../src/serialization/rows.ts';
import { SegmentDictionary } from '../../src/serialization/segment-dictionary.ts';
import { Choices } from '../reference/choices.ts';
import { int64Edges } from '../reference/requests.ts';
import { type Ring, Road } from '../reference/road.ts';
import { loadCaptures, v1Captures } from '../support/captures.ts';
import { labels } from '../support/messages.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);

/** Some families; the texts of some are labels of `Choices`. */
const families: readonly (SeriesMetadata | undefined)[] = [
  undefined,
  { type: 1, help: utf8('How many.'), unit: utf8('seconds') },
  { type: 2, help: utf8('up'), unit: utf8('') },
  { type: 0, help: utf8(''), unit: utf8('') },
  { type: 70_000, help: utf8('h'.repeat(500)), unit: utf8('up') },
  { type: 1, help: utf8('How many.'), unit: utf8('seconds') },
];

/** An exemplar's labels: two of them, one of them all names and values may meet. */
const exemplarLabels = encodeWriteRequestV1({
  timeseries: [{ labels: labels({ trace_id: 'abc', up: 'node' }) }],
}).subarray(2);

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

  /** Emits by both, and holds the bodies against each other and the row count against protobufjs. */
  emit(ring: Ring, metadataOf: MetadataOf, first = 0, count: number = ring.length): number {
    const expected = this.typescript.emitV2(ring, metadataOf, first, count);
    const actual = this.wasm.emitV2(ring, metadataOf, first, count);
    assert.equal(actual.rawBytes, expected.rawBytes);
    assert.equal(Buffer.compare(actual.body, expected.body), 0, 'the bodies differ');
    const plain = uncompress(Uint8Array.from(actual.body));
    assert.equal(plain.length, actual.rawBytes);
    let live = 0;
    for (let i = first; i < first + count; i++) {
      const at = ring.at(i);
      if (ring.skip[at] === 0 && ring.kind[at] === SAMPLE) live++;
    }
    const { timeseries } = decodeWriteRequestV2(plain);
    assert.equal(
      timeseries.reduce((sum, { samples }) => sum + samples.length, 0),
      live,
    );
    return plain.length;
  }
}

/** Rows of `series` series, with start times for some of them, and payloads that may be read. */
function ringOf(choices: Choices, rows: number, series: number): Ring {
  const ring = choices.ring(rows, series, choices.of([[HISTOGRAM], [HISTOGRAM, EXEMPLAR]]));
  for (let i = 0; i < rows; i++) {
    const at = ring.at(i);
    if (ring.kind[at] === EXEMPLAR) ring.setPayload(at, exemplarLabels);
    if (ring.kind[at] === HISTOGRAM) {
      const fields = choices.of([0, 1, 9, 100]);
      ring.setPayload(at, Buffer.concat(new Array(fields).fill(Uint8Array.of(0x20, i & 0x7f))));
    }
  }
  if (choices.chance(0.5)) return ring;
  for (let i = 0; i < rows; i++) {
    const start = choices.of([0n, 0n, 1_600_000_000_000n, ...int64Edges]);
    ring.setStart(i, Number(BigInt.asIntN(32, start)), Number(BigInt.asIntN(32, start >> 32n)));
  }
  return ring;
}

describe('both emitters of 2.0', () => {
  it('write the same bodies from dictionaries that grow, of segments in turn', () => {
    const options = fc.record({
      seed: fc.nat(),
      segments: fc.integer({ min: 1, max: 3 }),
      steps: fc.integer({ min: 1, max: 12 }),
      series: fc.integer({ min: 1, max: 60 }),
      rows: fc.integer({ min: 1, max: 300 }),
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
          const ring = ringOf(choices, rows, known);
          const turn = choices.int(0, 100);
          const metadataOf = (id: number) => families[(id + turn) % families.length];
          for (let n = choices.int(1, 4); n > 0; n--) {
            const first = choices.int(0, rows);
            pair.emit(ring, metadataOf, first, choices.int(0, rows - first + 1));
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  for (const compression of [undefined, 'small'] as const) {
    it(`write the same ${compression ?? 'fast'} bodies of more than 256 KiB, over and over`, () => {
      const choices = new Choices(3);
      const pair = new Pair(undefined, compression);
      for (let i = 0; i < 40; i++) pair.grow(choices, 100, 0.01);
      for (let i = 0; i < 3; i++) {
        const ring = choices.ring(9000, pair.typescript.reader.series, [SAMPLE]);
        assert.ok(pair.emit(ring, () => undefined) > 1 << 18);
      }
    });
  }

  it('write the same bodies of what real senders send', async () => {
    for (const folder of v1Captures) {
      const pair = new Pair();
      for (const { raw } of await loadCaptures(folder)) {
        pair.typescript.take(raw);
        const record = pair.typescript.commit();
        const ring = pair.typescript.read(record);
        pair.wasm.read(record);
        for (let i = 0; i < ring.length; i++) {
          if (ring.kind[ring.at(i)] === METADATA) ring.skip[ring.at(i)] = 1;
        }
        pair.emit(ring, (id) => families[id % families.length]);
      }
    }
  });
});

describe('the module of 2.0', () => {
  const timeseries = Array.from({ length: 3 }, (_, i) => ({
    labels: labels({ __name__: `x${i}`, job: 'a' }),
    samples: [{ timestamp: 5n, valueBits: 6n }],
  }));
  const message = encodeWriteRequestV1({ timeseries });
  const metadataOf: MetadataOf = (series) => families[series];

  /** A segment as `reader`, its rows in a ring. */
  function segment(): { reader: SegmentDictionary; ring: Ring; expected: Uint8Array } {
    const road = new Road('none');
    road.take(message);
    const record = road.commit();
    const ring = road.read(record);
    const reader = new SegmentDictionary(undefined, new WasmColumns());
    road.readInto(record, reader);
    return { reader, ring, expected: road.emitV2(ring, metadataOf).body };
  }

  it('makes bodies of samples and histograms in its own memory, and leaves others to TypeScript', () => {
    const { reader, ring } = segment();
    const emitter = createEmitterV2('wasm', assert.ifError);
    const isOwn = () => {
      const { bytes } = emitter.emitV2(ring, ring.head, 3, reader, metadataOf, new Scratch());
      return bytes.buffer === reader.columns.labels.bytes.buffer;
    };
    assert.ok(isOwn());
    ring.kind[ring.at(1)] = HISTOGRAM;
    ring.setPayload(ring.at(1), Uint8Array.of(0x20, 2));
    assert.ok(isOwn());
    ring.kind[ring.at(1)] = EXEMPLAR;
    ring.setPayload(ring.at(1), exemplarLabels);
    assert.ok(!isOwn());
    ring.skip[ring.at(1)] = 1;
    assert.ok(!(createEmitterV2('typescript', assert.ifError) instanceof WasmEmitterV2));
  });

  it('that fails is told of once, and TypeScript goes on with the same columns', () => {
    const failures: unknown[] = [];
    const emitter = createEmitterV2('wasm', (error) => failures.push(error));
    const { reader, ring, expected } = segment();
    assert.ok(reader.columns instanceof WasmColumns);
    reader.columns.emitV2 = () => {
      throw new Error('unreachable');
    };
    for (let i = 0; i < 3; i++) {
      const { bytes } = emitter.emitV2(ring, ring.head, 3, reader, metadataOf, new Scratch());
      assert.deepEqual(Buffer.from(bytes), Buffer.from(expected));
    }
    assert.equal(failures.length, 1);
  });

  it('and TypeScript clear their marks when the numbers of requests start anew', () => {
    const { reader, ring, expected } = segment();
    const { columns } = reader;
    assert.ok(columns instanceof WasmColumns);
    for (const kernel of ['wasm', 'typescript'] as const) {
      const symbols = kernel === 'wasm' ? columns.symbols : new HeapSymbolColumns();
      const tables = symbolTables((dictionary) => new SymbolTable(dictionary, symbols, LAST_REQUEST - 2));
      const emitter =
        kernel === 'wasm'
          ? new WasmEmitterV2(assert.ifError, 'fast', tables)
          : new PlainEmitterV2('fast', tables);
      for (let i = 0; i < 6; i++) {
        // The first series is not in the request before numbers start anew; it has the marks of those to come.
        ring.skip[ring.at(0)] = i % 2;
        if (i === 1) {
          for (let slot = 0; slot < reader.slots; slot++) symbols.slots[SLOT_WORDS * slot + 2] = (1 << 4) | 2;
          for (let string = 1; string < 8; string++) symbols.strings[STRING_WORDS * string + 2] = 1;
          symbols.families[2] = 1;
        }
        const { bytes } = emitter.emitV2(ring, ring.head, 3, reader, metadataOf, new Scratch());
        if (i % 2 === 0)
          assert.deepEqual(Buffer.from(bytes), Buffer.from(expected), `${kernel}, request ${i}`);
      }
    }
  });

  it('refuses rows that name no series, which TypeScript then refuses as well', () => {
    const { reader, ring } = segment();
    const { columns } = reader;
    assert.ok(columns instanceof WasmColumns);
    const table = new SymbolTable(reader, columns.symbols);
    const emit = () =>
      columns.emitV2({
        rows: ring,
        first: ring.head,
        count: 1,
        familyOf: new Uint32Array(1),
        series: reader.series,
        slots: reader.slots,
        families: 0,
        number: table.begin(),
        strings: table.strings,
        compression: 'fast',
      });
    assert.ok(emit());
    for (const id of [3, 1000, 0xffffffff]) {
      ring.series[ring.at(0)] = id;
      assert.equal(emit(), undefined);
    }
  });
});
