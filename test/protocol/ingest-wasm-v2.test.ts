import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as layout from '../../src/protocol/assembly/layout.ts';
import { WasmIngest } from '../../src/protocol/ingest-wasm.ts';
import { type IngestLimits, LimitError, noLimits } from '../../src/protocol/limits.ts';
import { MalformedError } from '../../src/protocol/proto-reader.ts';
import { encodeWriteRequestV1, encodeWriteRequestV2 } from '../../src/protocol/schema.ts';
import { SpillwayError } from '../../src/runtime/errors.ts';
import { Dictionary } from '../../src/serialization/dictionary.ts';
import { RowBatch } from '../../src/serialization/rows.ts';
import { BothKernels } from '../reference/both-kernels.ts';
import { OddWriter } from '../reference/odd-writer.ts';
import { anyRequestV2 } from '../reference/requests-v2.ts';
import { block, literal } from '../reference/snappy-elements.ts';
import { request, series } from '../support/messages.ts';
import { requestV2, type SeriesV2 } from '../support/messages-v2.ts';
import { Random } from '../support/random.ts';

/*
 * What the kernel in WebAssembly has of its own for remote write 2.0: texts and series in a table, a copy of the
 * metadata, room for symbols. That it does the same as the one in TypeScript is held by every test that goes through
 * `RoadV2` or `BothKernels`, and by test/fuzz/kernel.ts.
 */

const encode = (...of: SeriesV2[]): Uint8Array => encodeWriteRequestV2(requestV2(...of));
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const samples = [{ timestamp: 1n }];
const named = (i: number, help = 'Help.', more: Partial<SeriesV2> = {}): SeriesV2 => ({
  labels: { __name__: `metric_${i}`, job: `job ${i % 7}` },
  samples: [{ timestamp: BigInt(i) + 1n, valueBits: BigInt(i) }],
  metadata: { type: 1, help },
  ...more,
});

describe('known series', () => {
  it('in any order, some with more rows or other metadata, over several segments', (t) => {
    const random = Random.of(t);
    const kernels = new BothKernels();
    for (let segment = 0; segment < 3; segment++) {
      for (let round = 0; round < 10; round++) {
        const from = random.int(0, 60);
        const list = range(random.int(1, 100)).map((i) => from + i);
        if (random.next() < 0.5) list.sort(() => random.next() - 0.5);
        const of = list.map((i) => {
          const help = random.next() < 0.1 ? `Other help ${random.int(0, 3)}.` : 'Help.';
          if (random.next() < 0.7) return named(i, help);
          const rows = range(random.int(0, 4)).map((at) => ({ timestamp: BigInt(at) * 10n ** 12n }));
          const metadata = random.next() < 0.5 ? undefined : { type: 2, help, unit: 'bytes' };
          const histograms = random.next() < 0.3 ? samples : [];
          return { labels: named(i).labels, samples: rows, histograms, ...(metadata && { metadata }) };
        });
        kernels.takeV2(encode(...of));
      }
      kernels.compareAll();
      kernels.reset();
    }
  });

  it('touch no string', () => {
    const wasm = new WasmIngest();
    const [dictionary, batch] = [new Dictionary(1), new RowBatch()];
    const take = (raw: Uint8Array) => {
      assert.ok(wasm.uncompress(block(raw.length, literal(raw, 4)), raw.length, dictionary));
      return wasm.ingestV2(raw.length, noLimits, dictionary, batch);
    };
    take(encode(...range(500).map((i) => named(i))));
    // The metadata of series has room from the second request on.
    take(encode(...range(500).map((i) => named(i))));
    for (const name of ['internLabel', 'isLabel', 'internPairs', 'internString', 'intern'] as const)
      dictionary[name] = () => assert.fail(`${name} was called`);
    // With other symbols, in another order.
    const again = range(500).map((i) => named(499 - i));
    assert.equal(
      take(
        encode(
          { labels: { __name__: 'metric_1', job: 'job 1' }, samples, metadata: { type: 1, help: 'Help.' } },
          ...again,
        ),
      ).samples,
      501,
    );
  });

  it('are not taken for series of 1.0, nor for texts, whatever bytes they have', () => {
    const kernels = new BothKernels();
    const of1 = encodeWriteRequestV1(request(series({ __name__: 'up', a: 'b' }, [1, 1])));
    // Among the values of a label is the label block of that series.
    const labels = Buffer.from(of1.subarray(2));
    const texts = range(labels.length).map((end) => labels.toString('latin1', 0, end));
    for (let round = 0; round < 2; round++) {
      kernels.takeV2(encode(...texts.map((text) => ({ labels: { __name__: 'up', text }, samples }))));
      kernels.take(of1);
      kernels.takeV2(encode({ labels: { __name__: 'up', a: 'b' }, samples }));
    }
    assert.equal(kernels.dictionary.seriesCount, texts.length + 1);
    kernels.compareAll();
  });

  it('of two tenants, with the same symbols', () => {
    const kernels = new BothKernels();
    const raw = encode(...range(50).map((i) => named(i)));
    for (const tenant of ['', 'a', 'b', 'a', 'b', '']) kernels.takeV2(raw, noLimits, tenant);
    assert.equal(kernels.dictionary.seriesCount, 150);
    kernels.compareAll();
  });

  it('with more samples than the columns hold: in a series, in several, and as many', () => {
    const { COLUMN_ROWS } = layout;
    const rows = (count: number) =>
      range(count).map((i) => ({ timestamp: BigInt(i % 2 === 0 ? 9e15 : -9e15), valueBits: BigInt(i) }));
    for (const counts of [
      [COLUMN_ROWS],
      [COLUMN_ROWS + 1],
      [COLUMN_ROWS - 1, 1, 1],
      [COLUMN_ROWS - 1, 2, 3000],
    ]) {
      const kernels = new BothKernels();
      const raw = encode(...counts.map((count, i) => named(i, 'Help.', { samples: rows(count) })));
      for (let i = 0; i < 2; i++) kernels.takeV2(raw);
      kernels.compareAll();
    }
  });

  it('with more labels than the module has room for', () => {
    const kernels = new BothKernels();
    for (const count of [layout.REFS / 2 - 1, layout.REFS / 2, layout.REFS / 2 + 1, 3000]) {
      const labels = {
        __name__: 'x',
        ...Object.fromEntries(range(count - 1).map((i) => [`l${10_000 + i}`, 'v'])),
      };
      for (let i = 0; i < 2; i++) assert.equal(kernels.takeV2(encode({ labels, samples })).samples, 1);
    }
    kernels.compareAll();
  });
});

describe('metadata', () => {
  it('of a request that is refused is not what was said last', () => {
    const kernels = new BothKernels();
    const good = encode(named(0, 'A.'), named(1, 'A.'));
    kernels.takeV2(good);
    const changed = encode(named(0, 'B.'), named(1, 'A.'));
    const broken = Buffer.concat([encode(named(0, 'B.'), named(1, 'B.')), Uint8Array.of(0x2a, 2, 0x12, 9)]);
    assert.throws(() => kernels.takeV2(broken), MalformedError);
    assert.equal(kernels.takeV2(good).metadata, 0);
    assert.equal(kernels.takeV2(changed).metadata, 1);
    assert.throws(() => kernels.takeV2(broken), MalformedError);
    assert.equal(kernels.takeV2(changed).metadata, 0);
    kernels.compareAll();
  });

  it('of a series that comes with its labels in two orders', () => {
    const kernels = new BothKernels();
    const orders = [
      [
        ['__name__', 'x'],
        ['a', 'b'],
      ],
      [
        ['a', 'b'],
        ['__name__', 'x'],
      ],
    ] as const;
    for (const help of ['A.', 'A.', 'B.', 'A.', ''])
      for (const labels of orders) kernels.takeV2(encode({ labels, samples, metadata: { type: 1, help } }));
    assert.equal(kernels.dictionary.seriesCount, 1);
    assert.equal(kernels.batch.counts[3], 4);
    kernels.compareAll();
  });

  it('of more series than there was room for, and in two dictionaries in turn', () => {
    const [one, two] = [new BothKernels(), new BothKernels()];
    for (const help of ['A.', 'A.', 'B.'])
      for (const kernels of [one, two]) {
        const raw = encode(
          ...range(2500).map((i) => ({
            labels: { __name__: `m${i % 50}`, i: `${i}` },
            samples,
            metadata: { type: 1, help },
          })),
        );
        kernels.takeV2(raw);
      }
    assert.equal(two.takeV2(encode({ labels: { __name__: 'm1', i: '1' }, samples })).metadata, 1);
    one.compareAll();
    two.compareAll();
  });
});

describe('limits', () => {
  const few = fc.oneof(fc.nat(6), fc.constant(Number.POSITIVE_INFINITY));
  const limits: fc.Arbitrary<IngestLimits> = fc.record({
    decodedBytes: fc.oneof(fc.integer({ min: 10, max: 60 }), fc.constant(Number.POSITIVE_INFINITY)),
    series: few,
    rows: few,
    labels: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constant(Number.POSITIVE_INFINITY)),
    nameBytes: fc.constantFrom(3, 8, Number.POSITIVE_INFINITY),
    valueBytes: fc.constantFrom(2, 8, Number.POSITIVE_INFINITY),
  });

  it('are the same, and passed with the same words, by series that are known and by new ones', () => {
    let passed = 0;
    const step = fc.tuple(anyRequestV2, fc.boolean(), fc.nat());
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 3 }), limits, (steps, within) => {
        const kernels = new BothKernels();
        for (const [message, odd, seed] of [...steps, ...steps]) {
          const raw = odd
            ? new OddWriter(new Random(seed)).requestV2(message)
            : encodeWriteRequestV2(message);
          try {
            kernels.takeV2(raw, within);
          } catch (error) {
            assert.ok(error instanceof SpillwayError);
            if (error instanceof LimitError) passed++;
          }
        }
        kernels.compareAll();
      }),
      { numRuns: 250 },
    );
    assert.ok(passed > 20, `only ${passed} were passed`);
  });

  /** Those of `receiver:` by default. */
  const usual = { ...noLimits, decodedBytes: 32 << 20 };
  const long = 'v'.repeat(8000);

  it('leave an ordinary request to the module, also with one long text', () => {
    for (const of of [
      (i: number) => named(i),
      (i: number) => named(i, i === 0 ? long : 'Help.'),
      (i: number) => named(i, 'Help.', i === 0 ? { labels: { __name__: 'x', a: long } } : {}),
      (i: number) =>
        named(i, 'Help.', {
          createdTimestamp: 1_700_000_000_000n,
          ...(i === 0 && { metadata: { type: 1, help: long } }),
        }),
    ]) {
      const wasm = new WasmIngest();
      const kernels = new BothKernels(undefined, wasm);
      const raw = encode(...range(2000).map(of));
      assert.ok(raw.length * long.length > 8 * usual.decodedBytes, `${raw.length} bytes`);
      for (let i = 0; i < 3; i++) assert.equal(kernels.takeV2(raw, usual).samples, 2000);
      assert.equal(wasm.leftToTypeScript, 0);
      kernels.compareAll();
    }
  });

  it('of bytes of labels hold for labels that are known, however they are written', () => {
    // Each long value comes with two names, so that it is looked up for every series.
    const of = (i: number): SeriesV2 => ({ labels: { __name__: 'x', a: long, b: long, i: `${i}` }, samples });
    const raw = encode(...range(200).map(of));
    const { symbols, timeseries } = requestV2(...range(200).map(of));
    // The refs in two runs, of which the second is behind the samples.
    const inTwo = Buffer.concat([
      encodeWriteRequestV2({ symbols: symbols! }),
      ...timeseries!.map(({ labelsRefs }) => {
        const [first, second] = [labelsRefs!.slice(0, 2), labelsRefs!.slice(2)].map((refs) => {
          const run = encodeWriteRequestV2({ timeseries: [{ labelsRefs: refs }] });
          return run.subarray(2);
        });
        const sample = Uint8Array.of(0x12, 2, 0x10, 1);
        return Buffer.concat([
          Uint8Array.of(0x2a, first!.length + 4 + second!.length),
          first!,
          sample,
          second!,
        ]);
      }),
    ]);
    for (const body of [raw, inTwo]) {
      const wasm = new WasmIngest();
      const kernels = new BothKernels(undefined, wasm);
      for (let i = 0; i < 2; i++) assert.equal(kernels.takeV2(body, usual).samples, 200);
      assert.equal(wasm.leftToTypeScript, 0);
      const total = 200 * 2 * (long.length + 1);
      const few = { ...noLimits, decodedBytes: total / 8 };
      assert.throws(() => kernels.takeV2(body, few), LimitError);
      assert.equal(wasm.leftToTypeScript, 1);
      assert.equal(kernels.takeV2(body, { ...noLimits, decodedBytes: total / 7 }).samples, 200);
      assert.equal(wasm.leftToTypeScript, 1);
      kernels.compareAll();
    }
  });

  it('of texts of metadata are those of the request', () => {
    const kernels = new BothKernels();
    const raw = encode(named(0, 'Nine bytes'));
    kernels.takeV2(raw);
    kernels.takeV2(raw);
    const report = kernels.takeV2(raw, { ...noLimits, valueBytes: 9 });
    assert.deepEqual([...report.refused], [['invalid_metadata', 1]]);
  });
});

describe('the memory', () => {
  const kernel = () => ({ wasm: new WasmIngest(), dictionary: new Dictionary(1), batch: new RowBatch() });

  function take({ wasm, dictionary, batch }: ReturnType<typeof kernel>, raw: Uint8Array) {
    assert.ok(wasm.uncompress(block(raw.length, literal(raw, 4)), raw.length, dictionary));
    const report = wasm.ingestV2(raw.length, noLimits, dictionary, batch);
    batch.clear();
    return report;
  }

  it('follows symbols and series, and is given back in the second segment without them', () => {
    const at = kernel();
    const small = encode(named(0));
    take(at, small);
    const before = at.wasm.memoryBytes;
    const symbols = ['', '__name__', ...range(40_000).map((i) => `m${i}`)];
    const timeseries = range(20_000).map((i) => ({ labelsRefs: [1, 2 + i], samples: [{ timestamp: 1n }] }));
    const large = encodeWriteRequestV2({ symbols, timeseries });
    for (let i = 0; i < 3; i++) assert.equal(take(at, large).samples, 20_000);
    const grown = at.wasm.memoryBytes;
    for (let i = 0; i < 3; i++) take(at, large);
    assert.equal(at.wasm.memoryBytes, grown);
    for (let segment = 0; segment < 2; segment++) {
      at.dictionary.reset(2);
      take(at, small);
    }
    assert.equal(at.wasm.memoryBytes, before);
  });

  it('counts towards the size of the dictionary: 40 bytes for each series and each text of its labels', () => {
    const [at, other] = [kernel(), new BothKernels()];
    const raw = encode(...range(20).map((i) => ({ labels: { __name__: `m${i}`, a: 'b' }, samples })));
    take(at, raw);
    other.takeV2(raw);
    assert.equal(at.dictionary.contentBytes - other.dictionary.contentBytes, 40 * (20 + 20 + 3));
    const known = at.dictionary.contentBytes;
    take(at, raw);
    assert.equal(at.dictionary.contentBytes, known);
  });

  it('is taken once for texts that several symbols have, and once for their series', () => {
    const at = kernel();
    const symbols = ['', '__name__', 'x', '__name__', 'x'];
    // The first one is refused: so its texts were looked up before there was an entry of theirs.
    const timeseries = [
      [3, 4, 3, 4],
      [1, 2],
      [3, 4],
    ].map((labelsRefs) => ({ labelsRefs, samples: [{ timestamp: 1n }] }));
    const once = kernel();
    take(once, encode({ labels: { __name__: 'x' }, samples }));
    for (let i = 0; i < 2; i++)
      assert.equal(take(at, encodeWriteRequestV2({ symbols, timeseries })).samples, 2);
    assert.equal(at.dictionary.contentBytes, once.dictionary.contentBytes);
  });

  it('has a table that starts anew when it is full, also within a request', () => {
    const kernels = new BothKernels(undefined, new WasmIngest(1 << 11));
    const raw = encode(...[...range(1500), ...range(1500)].map((i) => named(i)));
    const of1 = range(1500).map((i) => series({ __name__: `metric_${i}` }, [1, 1]));
    for (let i = 0; i < 3; i++) {
      assert.equal(kernels.takeV2(raw).samples, 3000);
      assert.equal(kernels.take(encodeWriteRequestV1(request(...of1))).samples, 1500);
    }
    kernels.compareAll();
  });

  it('is not taken by series that are refused', () => {
    const at = kernel();
    take(at, encode(named(0)));
    const { contentBytes } = at.dictionary;
    const refused = range(50).map((i) => ({
      labels: [
        ['__name__', 'metric_0'],
        ['', `value ${i}`],
      ] as const,
      samples,
    }));
    assert.deepEqual([...take(at, encode(...refused)).refused], [['empty_label_name', 50]]);
    assert.equal(at.dictionary.contentBytes, contentBytes);
  });
});
