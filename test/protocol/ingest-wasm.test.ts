import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import * as layout from '../../src/protocol/assembly/layout.ts';
import { WasmIngest } from '../../src/protocol/ingest-wasm.ts';
import { createWasmKernel } from '../../src/protocol/kernel.ts';
import { type IngestLimits, LimitError, noLimits } from '../../src/protocol/limits.ts';
import { encodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { SnappyError } from '../../src/protocol/snappy.ts';
import { instantiateWasm, type WasmMemory } from '../../src/protocol/wasm-module.ts';
import { SpillwayError } from '../../src/runtime/errors.ts';
import { Dictionary } from '../../src/serialization/dictionary.ts';
import { RowBatch } from '../../src/serialization/rows.ts';
import { BothKernels } from '../reference/both-kernels.ts';
import { OddWriter } from '../reference/odd-writer.ts';
import { anyRequest } from '../reference/requests.ts';
import { block, copy1, copy2, copy4, literal } from '../reference/snappy-elements.ts';
import { request, type Series, series } from '../support/messages.ts';
import { Random } from '../support/random.ts';

/*
 * What the kernel in WebAssembly has of its own: a table, columns of a fixed size, memory that grows. That it does
 * the same as the one in TypeScript is held by every test that goes through `BothKernels`, `Road` or
 * `uncompressByBoth`: those of ingest, of snappy, of frames, and test/fuzz/kernel.ts.
 */

const encode = (...of: Series[]): Uint8Array => encodeWriteRequestV1(request(...of));
const named = (i: number, ...samples: (readonly [number, number])[]): Series =>
  series({ __name__: `metric_${i}`, job: `job ${i % 7}` }, ...samples);
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** A body that is one literal. */
const bodyOf = (raw: Uint8Array): Uint8Array => block(raw.length, literal(raw, 4));

describe('known series', () => {
  it('in any order, with any number of samples, over several segments', (t) => {
    const random = Random.of(t);
    const kernels = new BothKernels();
    for (let segment = 0; segment < 4; segment++) {
      for (let round = 0; round < 12; round++) {
        const count = random.int(1, 300);
        const from = random.int(0, 100);
        const list = range(count).map((i) => from + i);
        if (random.next() < 0.5) list.sort(() => random.next() - 0.5);
        const message = list.map((i) => {
          const samples = random.next() < 0.8 ? 1 : random.int(0, 5);
          return named(i, ...range(samples).map(() => [random.int(-5, 5) * 1e12, i] as const));
        });
        const report = kernels.take(encode(...message));
        assert.equal(report.refused.size, 0);
      }
      kernels.compareAll();
      kernels.reset();
    }
  });

  it('whose labels differ in a byte, or in the order of two that swap', () => {
    const kernels = new BothKernels();
    for (const length of [1, 15, 16, 47, 48, 63, 64, 65, 130, 900, 1009, 2200, 5000]) {
      const values = range(length).map((at) => `${'a'.repeat(at)}b${'a'.repeat(length - at - 1)}`);
      const some = values.filter((_, i) => i % Math.ceil(length / 150) === 0);
      const raw = encode(...some.map((v) => series({ __name__: 'x', v }, [1, 1])));
      const before = kernels.dictionary.seriesCount;
      kernels.take(raw);
      kernels.take(raw);
      assert.equal(kernels.dictionary.seriesCount - before, some.length);
    }
    const mesh = range(40).flatMap((i) => range(40).map((j) => [i, j] as const));
    for (const gap of [0, 16, 48, 64, 128]) {
      const between = '-'.repeat(gap);
      const raw = encode(
        ...mesh.map(([i, j]) => series({ __name__: 'm', v: `${10 + i}${between}${10 + j}` }, [1, 1])),
      );
      const before = kernels.dictionary.seriesCount;
      kernels.take(raw);
      kernels.take(raw);
      assert.equal(kernels.dictionary.seriesCount - before, mesh.length);
    }
    kernels.compareAll();
  });

  it('more than the table had room for, plain ones and others', () => {
    const kernels = new BothKernels();
    const plain = range(3000).map((i) => named(i, [i, i]));
    const others = range(3000).map((i) => ({ ...named(5000 + i), histograms: [{ timestamp: BigInt(i) }] }));
    const raw = encode(...plain.flatMap((one, i) => [one, others[i]!]));
    for (let i = 0; i < 3; i++) assert.equal(kernels.take(raw).samples, 3000);
    assert.equal(kernels.dictionary.seriesCount, 6000);
    kernels.compareAll();
  });

  it('more samples than the columns hold: in a series, in several, and as many', () => {
    // Times whose differences take up as much room as they may.
    const samples = (count: number) => range(count).map((i) => [i % 2 === 0 ? 9e15 : -9e15, i] as const);
    const { COLUMN_ROWS } = layout;
    for (const counts of [
      [COLUMN_ROWS],
      [COLUMN_ROWS + 1],
      [COLUMN_ROWS - 1, 1, 1],
      [COLUMN_ROWS - 1, 2, COLUMN_ROWS],
      [2000, 2000, 2000, 9000, 2000],
    ]) {
      const kernels = new BothKernels();
      const raw = encode(...counts.map((count, i) => named(i, ...samples(count))));
      const total = counts.reduce((sum, count) => sum + count, 0);
      for (let i = 0; i < 2; i++) assert.equal(kernels.take(raw).samples, total);
      kernels.compareAll();
    }
  });
});

describe('limits', () => {
  const few = fc.oneof(fc.nat(4), fc.constant(Number.POSITIVE_INFINITY));
  const limits: fc.Arbitrary<IngestLimits> = fc.record({
    decodedBytes: fc.constant(Number.POSITIVE_INFINITY),
    series: few,
    rows: few,
    labels: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constant(Number.POSITIVE_INFINITY)),
    nameBytes: fc.constantFrom(3, 8, Number.POSITIVE_INFINITY),
    valueBytes: fc.constantFrom(2, 8, Number.POSITIVE_INFINITY),
  });

  it('are the same, and passed with the same words, whatever was taken before under others', () => {
    let passed = 0;
    const step = fc.tuple(anyRequest, limits, fc.boolean(), fc.nat());
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 4 }), (steps) => {
        const kernels = new BothKernels();
        for (const [message, within, odd, seed] of steps) {
          const raw = odd ? new OddWriter(new Random(seed)).request(message) : encodeWriteRequestV1(message);
          try {
            kernels.take(raw, within);
          } catch (error) {
            assert.ok(error instanceof SpillwayError);
            if (error instanceof LimitError) passed++;
          }
        }
        kernels.compareAll();
      }),
      { numRuns: 600 },
    );
    assert.ok(passed > 20, `only ${passed} were passed`);
  });

  it('of rows and of series are those of the request: one less is too few', () => {
    const raw = encode(named(0, [1, 1]), named(1, [1, 1], [2, 2]), named(2, [1, 1]));
    for (const warm of [false, true]) {
      const kernels = new BothKernels();
      if (warm) kernels.take(raw);
      kernels.take(raw, { ...noLimits, rows: 4, series: 3 });
      assert.throws(() => kernels.take(raw, { ...noLimits, rows: 3 }), /max_rows_per_request.*metric_2/);
      assert.throws(() => kernels.take(raw, { ...noLimits, rows: 2 }), /max_rows_per_request.*metric_1/);
      assert.throws(() => kernels.take(raw, { ...noLimits, rows: 0 }), /max_rows_per_request.*metric_0/);
      assert.throws(() => kernels.take(raw, { ...noLimits, series: 2 }), /max_series_per_request.*metric_2/);
    }
  });

  it('of the decoded size is looked at before anything is decoded', () => {
    const kernel = createWasmKernel();
    const [dictionary, batch] = [new Dictionary(1), new RowBatch()];
    const body = bodyOf(encode(named(0, [1, 1])));
    const within = { ...noLimits, decodedBytes: body.length - 7 };
    assert.throws(
      () => kernel.ingestV1(body, { ...within, decodedBytes: 10 }, dictionary, batch),
      LimitError,
    );
    // A claim that no body of this size can keep must not cost memory.
    assert.throws(() => kernel.ingestV1(block(2 ** 31), noLimits, dictionary, batch), SnappyError);
    assert.throws(() => kernel.ingestV1(body.subarray(0, -1), noLimits, dictionary, batch), SnappyError);
    assert.equal(kernel.ingestV1(body, noLimits, dictionary, batch).samples, 1);
  });
});

describe('the memory', () => {
  const kernel = () => ({ wasm: new WasmIngest(), dictionary: new Dictionary(1), batch: new RowBatch() });

  function take({ wasm, dictionary, batch }: ReturnType<typeof kernel>, raw: Uint8Array): void {
    assert.ok(wasm.uncompress(bodyOf(raw), raw.length, dictionary));
    assert.equal(wasm.ingest(raw.length, noLimits, dictionary, batch).refused.size, 0);
    batch.clear();
  }

  it('follows the largest body, and is given back in the second segment without one', () => {
    const at = kernel();
    const small = encode(named(0, [1, 1]));
    take(at, small);
    const before = at.wasm.memoryBytes;
    assert.ok(before < 1 << 19, `${before} bytes for next to nothing`);
    const large = encode(named(0, [1, 1]), series({ __name__: 'x', v: 'v'.repeat(5 << 20) }, [1, 1]));
    take(at, large);
    const grown = at.wasm.memoryBytes;
    assert.ok(grown > 2 * large.length && grown < 8 * large.length, `${grown} bytes`);
    for (let i = 0; i < 20; i++) take(at, large);
    assert.equal(at.wasm.memoryBytes, grown);
    for (let segment = 0; segment < 2; segment++) {
      at.dictionary.reset(2);
      take(at, small);
    }
    assert.ok(at.wasm.memoryBytes <= before);
  });

  it('follows the number of series and labels, by about 40 to 80 bytes each, and as much for the hash of a label', () => {
    const at = kernel();
    take(at, encode(named(0, [1, 1])));
    const before = at.wasm.memoryBytes;
    for (let i = 0; i < 40_000; i += 500) take(at, encode(...range(500).map((j) => named(i + j, [1, 1]))));
    // Each series has a label of its own.
    const each = (at.wasm.memoryBytes - before) / 40_000 / 2;
    assert.ok(each < 80, `${each} bytes`);
    for (let segment = 0; segment < 2; segment++) {
      at.dictionary.reset(2);
      take(at, encode(named(0, [1, 1])));
    }
    assert.equal(at.wasm.memoryBytes, before);
  });

  it('counts towards the size of the dictionary, so that a segment is ended by it', () => {
    const at = kernel();
    const raw = encode(named(0, [1, 1]));
    take(at, raw);
    const before = at.dictionary.contentBytes;
    // The same series in another order of labels is another block.
    take(at, encode(series({ job: 'job 0', __name__: 'metric_0' }, [1, 1])));
    assert.equal(at.dictionary.seriesCount, 1);
    assert.equal(at.dictionary.contentBytes - before, 40);
  });

  it('is written nowhere but in the uncompressed body and its slack, by whatever elements', (t) => {
    const random = Random.of(t);
    const SPACE = 4096;
    const { memory, uncompress } = instantiateWasm<{
      memory: WasmMemory;
      uncompress(source: number, end: number, target: number, total: number): number;
    }>('ingest');
    memory.grow(4);
    const source = 65536;
    const target = source + 2 * SPACE;
    const bytes = new Uint8Array(memory.buffer);
    const elements = [
      () => literal(new Uint8Array(random.int(1, 61)).fill(1)),
      () => literal(new Uint8Array(random.int(1, 400)).fill(2), 2),
      () => copy1(random.int(0, 40), random.int(4, 12)),
      () => copy2(random.int(0, 300), random.int(1, 65)),
      () => copy4(random.int(0, 300), random.int(1, 65)),
      () => Uint8Array.of(63 << 2, 0xff, 0xff, 0xff, random.int(0, 256)),
    ];
    for (let round = 0; round < 20_000; round++) {
      const body = Buffer.concat(range(random.int(1, 8)).map(() => elements[random.int(0, 6)]!()));
      const total = random.int(0, 900);
      bytes.fill(0xcc, source - 512, target + SPACE);
      bytes.set(body, source);
      uncompress(source, source + body.length, target, total);
      const untouched = (from: number, to: number) => {
        for (let i = from; i < to; i++) if (bytes[i] !== 0xcc) assert.fail(`round ${round}: wrote at ${i}`);
      };
      untouched(source - 512, source);
      untouched(source + body.length, target);
      untouched(target + total + layout.SLACK, target + SPACE);
    }
  });
});

test('without WebAssembly the agent is told, and decodes in TypeScript', () => {
  const script = `
    const { createKernel } = await import(${JSON.stringify(new URL('../../src/protocol/kernel.js', import.meta.url).href)});
    for (const which of ['typescript', 'wasm']) {
      const kernel = createKernel(which, (error) => console.log(error.code));
      console.log(which, typeof kernel.ingestV1);
    }`;
  const run = (...flags: string[]) =>
    execFileSync(process.execPath, [...flags, '--input-type=module', '-e', script], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  assert.equal(run(), 'typescript function\nwasm function\n');
  assert.equal(run('--jitless'), 'typescript function\nWASM_UNAVAILABLE\nwasm function\n');
});
