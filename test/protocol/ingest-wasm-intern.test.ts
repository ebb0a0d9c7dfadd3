import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WasmIngest } from '../../src/protocol/ingest-wasm.ts';
import { noLimits } from '../../src/protocol/limits.ts';
import {
  decodeWriteRequestV1,
  encodeWriteRequestV1,
  encodeWriteRequestV2,
  type Label,
  type WriteRequestV1,
} from '../../src/protocol/schema.ts';
import { Dictionary } from '../../src/serialization/dictionary.ts';
import { RowBatch } from '../../src/serialization/rows.ts';
import { BothKernels } from '../reference/both-kernels.ts';
import { OddWriter } from '../reference/odd-writer.ts';
import { block, literal } from '../reference/snappy-elements.ts';
import { labels, request, type Series, series } from '../support/messages.ts';
import { requestV2 } from '../support/messages-v2.ts';
import { Random } from '../support/random.ts';

/*
 * New series that the module in WebAssembly interns by itself: beside those that the dictionary interns, whichever
 * comes first, and up to what there is room for. `BothKernels` holds rows and dictionaries against those of the kernel
 * in TypeScript.
 */

const encode = (...of: Series[]): Uint8Array => encodeWriteRequestV1(request(...of));
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const sampled = (of: Label[]): Series => ({ labels: of, samples: [{ timestamp: 1n }] });
/** The same with nothing left out, as the writer of odd messages takes them. */
const full = (of: Series[]): WriteRequestV1 => decodeWriteRequestV1(encode(...of));
const byName = (a: Label, b: Label): number => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));

describe('new series in WebAssembly', () => {
  it('are interned there when they are written as everybody does, and only then', () => {
    const [wasm, dictionary, batch] = [new WasmIngest(), new Dictionary(1), new RowBatch()];
    const adopt = dictionary.adopt.bind(dictionary);
    let adopted = 0;
    dictionary.adopt = (words) => {
      const before = dictionary.seriesCount;
      adopt(words);
      adopted += dictionary.seriesCount - before;
    };
    const take = (...of: Series[]): void => {
      const raw = encode(...of);
      assert.ok(wasm.uncompress(block(raw.length, literal(raw, 4)), raw.length, dictionary));
      assert.equal(wasm.ingest(raw.length, noLimits, dictionary, batch).samples, of.length);
    };
    const usual = range(3000).map((i) =>
      series({ __name__: `metric_${i % 10}`, job: `job ${i % 7}`, pod: `pod-${i}` }, [i + 1, i]),
    );
    take(...usual);
    assert.equal(dictionary.seriesCount, 3000);
    assert.equal(adopted, 3000);
    take(...usual, series({ job: 'sorted elsewhere', __name__: 'x' }, [1, 1]));
    assert.equal(dictionary.seriesCount, 3001);
    assert.equal(adopted, 3000);
  });

  it('are those of the dictionary, whichever way each came first, over several segments', (t) => {
    const random = Random.of(t);
    const odd = new OddWriter(random);
    const value = () =>
      ['', 'a', 'aa', 'ab', 'b'.repeat(130), 'ü', 'y'.repeat(7000), 'z'.repeat(17_000)][random.int(0, 8)]!;
    const names = ['job', 'jo', 'joc', 'pod', 'ä', 'a'.repeat(140), '_', 'Z'];
    const fresh = (): Label[] => {
      const of = [{ name: '__name__', value: `m${random.int(0, 4)}` }];
      for (const name of names) if (random.next() < 0.35) of.push({ name, value: value() });
      return of.sort(byName);
    };
    const pool = range(60).map(fresh);
    const picked = (): Label[] => pool[random.int(0, pool.length)]!;
    const shuffled = (of: Label[]): Label[] => of.toSorted(() => random.next() - 0.5);
    const histogram = { timestamp: 1n, count: { countInt: 0n } };
    const ways: (() => Series)[] = [
      () => sampled(picked()),
      () => sampled(picked()),
      () => sampled(picked()),
      () => sampled(shuffled(picked())),
      () => sampled([...picked(), { name: 'job', value: 'twice' }]),
      () => sampled(picked().filter(({ name }) => name !== '__name__')),
      () => ({ labels: picked(), histograms: [histogram] }),
      () => ({ labels: picked(), samples: range(random.int(0, 4)).map((i) => ({ timestamp: BigInt(i) })) }),
    ];
    const kernels = new BothKernels();
    for (let segment = 0; segment < 6; segment++) {
      for (let round = 0; round < 25; round++) {
        const tenant = ['', '', 'a', 'b'][random.int(0, 4)]!;
        const of = range(random.int(1, 12)).map(() => ways[random.int(0, ways.length)]!());
        if (random.next() < 0.2) {
          const message = of.map(({ labels: list }) => ({
            labels: list!.map(({ name, value: text }) => [name!, text!] as const),
            samples: [{ timestamp: 1n }],
          }));
          kernels.takeV2(encodeWriteRequestV2(requestV2(...message)), undefined, tenant);
        } else if (random.next() < 0.3) {
          kernels.take(odd.request(full(of)), undefined, tenant);
        } else kernels.take(encode(...of), undefined, tenant);
      }
      kernels.compareAll();
      kernels.reset();
    }
  });

  it('may have more labels, longer ones, and more bytes than the module has room for', () => {
    const kernels = new BothKernels();
    const wide = (count: number, tag: string): Series =>
      sampled([
        { name: '__name__', value: tag },
        ...range(count - 1).map((i) => ({ name: `l${1000 + i}`, value: `${i}` })),
      ]);
    const long = (bytes: number): Series => series({ __name__: 'long', v: 'v'.repeat(bytes) }, [1, 1]);
    const of = [
      ...[255, 256, 257, 300].map((count) => wide(count, 'a')),
      ...[110, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 16_300, 16_340, 16_350, 16_400, 20_000].map(
        long,
      ),
      ...range(300).map((i) => wide(100, `b${i}`)),
    ];
    for (let i = 0; i < 2; i++) assert.equal(kernels.take(encode(...of)).samples, of.length);
    assert.equal(kernels.take(encode(...of.toReversed())).samples, of.length);
    assert.equal(kernels.dictionary.seriesCount, of.length);
    // Blocks about as long as those that the module is told of, which come to be in the dictionary.
    for (const bytes of [5400, 5440, 5450, 5460, 5500, 9000]) {
      const list = ['__name__', 'a', 'b'].map((name) => ({
        name,
        value: `${bytes}${name}`.padEnd(bytes, 'v'),
      }));
      const before = kernels.dictionary.seriesCount;
      kernels.take(encode(sampled(list.toReversed())));
      kernels.take(encode(sampled(list)));
      assert.equal(kernels.dictionary.seriesCount - before, 1);
    }
    kernels.compareAll();
  });

  it('within limits of labels: more of them are refused as they are in TypeScript', () => {
    const kernels = new BothKernels();
    const wide = (count: number): Series =>
      sampled([
        { name: '__name__', value: 'x' },
        ...range(count - 1).map((i) => ({ name: `l${i}`, value: '1' })),
      ]);
    const raw = encode(...range(9).map((i) => wide(i + 1)));
    for (const most of [3, 4, 6, 8]) {
      const report = kernels.take(raw, { ...noLimits, labels: most });
      assert.equal(report.refused.get('too_many_labels'), 9 - most);
    }
    kernels.compareAll();
  });

  it('stay what they are when the table has to start anew while it is told of others', () => {
    for (let count = 675; count < 700; count++) {
      const kernels = new BothKernels(undefined, new WasmIngest(2048));
      const of = range(count).map((i) => ({ __name__: 'x', pod: `pod-${1000 + i}` }));
      const samples = [{ timestamp: 1n }];
      kernels.takeV2(encodeWriteRequestV2(requestV2(...of.map((each) => ({ labels: each, samples })))));
      for (let i = 0; i < 2; i++) kernels.take(encode(...of.map((each) => sampled(labels(each)))));
      assert.equal(kernels.dictionary.seriesCount, count);
      kernels.compareAll();
    }
  });

  it('stay what they are when the table has to start anew for want of room', () => {
    const kernels = new BothKernels(undefined, new WasmIngest(2048));
    const of = range(2500).map((i) => labels({ __name__: 'x', pod: `pod-${i}` }));
    const raw = encode(...of.map(sampled));
    const turned = encode(...of.map((list) => sampled(list.toReversed())));
    for (let segment = 0; segment < 2; segment++) {
      for (const each of [raw, turned, raw]) assert.equal(kernels.take(each).samples, of.length);
      assert.equal(kernels.dictionary.seriesCount, of.length);
      kernels.compareAll();
      kernels.reset();
    }
  });
});
