import {
  createTypeScriptKernel,
  createWasmKernel,
  type IngestKernel,
  type WriteVersion,
} from '../src/protocol/kernel.ts';
import { noLimits } from '../src/protocol/limits.ts';
import { decodeWriteRequestV1, encodeWriteRequestV2 } from '../src/protocol/schema.ts';
import { Scratch, SnappyCompressor } from '../src/protocol/snappy.ts';
import { Column } from '../src/serialization/columns.ts';
import { Dictionary } from '../src/serialization/dictionary.ts';
import { RowBatch, SAMPLE } from '../src/serialization/rows.ts';
import { SeriesSet } from './series.ts';

/*
 * What a sample costs on its way from a request body into the columns of a batch, with either kernel:
 *
 *     npm run pretest && node build/bench/kernel.js
 *
 * CPU time of the process in nanoseconds a sample, the least of several passes; the passes of the two kernels
 * alternate, and their batches are compared byte by byte. Remote write 2.0 has metadata as Prometheus sends it.
 */
const SERIES = 20_000;
const PASSES = 12;
const START_MS = 1_760_000_000_000;

interface Case {
  readonly name: string;
  readonly bodies: readonly Uint8Array[];
  /** The same series and samples in remote write 2.0. */
  readonly bodiesV2: readonly Uint8Array[];
  readonly samples: number;
  /** Series are new in every pass. */
  readonly churn: boolean;
}

class Bench {
  readonly #kernel: IngestKernel;
  readonly #case: Case;
  readonly #version: WriteVersion;
  readonly #dictionary = new Dictionary(1);
  readonly #batch = new RowBatch();
  least = Number.POSITIVE_INFINITY;
  result: Uint8Array = new Uint8Array(0);

  /** The kernel is for nobody else: what it knows is of one dictionary. */
  constructor(kernel: IngestKernel, one: Case, version: WriteVersion) {
    this.#kernel = kernel;
    this.#case = one;
    this.#version = version;
  }

  pass(): void {
    const { bodies, bodiesV2, samples, churn } = this.#case;
    if (churn) this.#dictionary.reset(1);
    this.#batch.clear();
    const before = process.cpuUsage();
    if (this.#version === '1.0')
      for (const body of bodies) this.#kernel.ingestV1(body, noLimits, this.#dictionary, this.#batch);
    else for (const body of bodiesV2) this.#kernel.ingestV2(body, noLimits, this.#dictionary, this.#batch);
    const { user, system } = process.cpuUsage(before);
    if (this.#batch.counts[SAMPLE] !== samples)
      throw new Error(`${this.#case.name}: not all rows were taken`);
    this.least = Math.min(this.least, ((user + system) * 1000) / samples);
    const { sampleSeries, sampleTime, sampleValue } = this.#batch;
    this.result = Buffer.concat([sampleSeries.used, sampleTime.used, sampleValue.used]);
  }
}

const set = new SeriesSet(SERIES);
const inOrder = Array.from({ length: SERIES }, (_, i) => i);
const shuffled = inOrder.map((i) => (i * 7919) % SERIES);
const cases: readonly Case[] = [
  make('2000 series a request, known', inOrder, 2000, 1, false),
  make('500 series a request, known', inOrder, 500, 1, false),
  make('2000 a request, known, in another order', inOrder, 2000, 1, false, shuffled),
  make('2000 series a request, new', inOrder, 2000, 1, true),
  make('1 series x 100 samples, known', inOrder.slice(0, 200), 1, 100, false),
];

console.log(`node ${process.version}; ns of CPU a sample`);
console.log(`${'case'.padEnd(42)}version  typescript      wasm     ratio`);
for (const one of cases) {
  const versions = (['1.0', '2.0'] as const).map((version) => ({
    version,
    typescript: new Bench(createTypeScriptKernel(), one, version),
    wasm: new Bench(createWasmKernel(), one, version),
  }));
  for (let pass = 0; pass < PASSES; pass++) {
    for (const { typescript, wasm } of versions) {
      typescript.pass();
      wasm.pass();
      if (
        Buffer.compare(typescript.result, wasm.result) !== 0 ||
        Buffer.compare(typescript.result, versions[0]!.typescript.result) !== 0
      )
        throw new Error(`${one.name}: the rows differ`);
    }
  }
  for (const { version, typescript, wasm } of versions) {
    console.log(
      (version === '1.0' ? one.name : '').padEnd(42) +
        version.padEnd(7) +
        typescript.least.toFixed(0).padStart(12) +
        wasm.least.toFixed(0).padStart(10) +
        (typescript.least / wasm.least).toFixed(2).padStart(10),
    );
  }
}

/** Requests with all of `order`, and when `again` is given, then once more in that order. */
function make(
  name: string,
  order: readonly number[],
  perRequest: number,
  samplesEach: number,
  churn: boolean,
  again: readonly number[] = [],
): Case {
  const bodies: Uint8Array[] = [];
  const bodiesV2: Uint8Array[] = [];
  for (const list of [order, again]) {
    for (let i = 0; i < list.length; i += perRequest) {
      const some = list.slice(i, i + perRequest);
      bodies.push(bodyOf(some, samplesEach));
      bodiesV2.push(bodyV2(some, samplesEach));
    }
  }
  return { name, bodies, bodiesV2, samples: (order.length + again.length) * samplesEach, churn };
}

function bodyOf(series: readonly number[], samplesEach: number): Uint8Array {
  const raw = new Column();
  const field = new Column();
  const value = new DataView(new ArrayBuffer(8));
  for (const id of series) {
    field.clear();
    field.putBytes(set.bytes, set.starts[id]!, set.starts[id + 1]!);
    for (let i = 0; i < samplesEach; i++) {
      value.setFloat64(0, Math.sqrt(id + i), true);
      field.putVarint(0x12);
      field.putVarint(16);
      field.putVarint(0x09);
      field.putWord64(value.getInt32(0, true), value.getInt32(4, true));
      field.putVarint(0x10);
      putTime(field, START_MS + 15_000 * i + (Math.floor(id / 100) % 7));
    }
    raw.putVarint(0x0a);
    raw.putVarint(field.length);
    raw.putBytes(field.bytes, 0, field.length);
  }
  return compressed(raw);
}

/** With symbols in the order of their use, and metadata. */
function bodyV2(series: readonly number[], samplesEach: number): Uint8Array {
  const symbols = new Map<string, number>([['', 0]]);
  const refOf = (text: string): number => {
    const known = symbols.get(text);
    if (known !== undefined) return known;
    symbols.set(text, symbols.size);
    return symbols.size - 1;
  };
  const timeseries = series.map((id) => {
    const field = set.bytes.subarray(set.starts[id]!, set.starts[id + 1]!);
    const raw = Buffer.concat([Uint8Array.of(0x0a, (field.length & 0x7f) | 0x80, field.length >>> 7), field]);
    const { labels } = decodeWriteRequestV1(raw).timeseries[0]!;
    const labelsRefs = labels.flatMap(({ name, value }) => [refOf(name), refOf(value)]);
    const family = labels.find(({ name }) => name === '__name__')!.value;
    return {
      labelsRefs,
      samples: Array.from({ length: samplesEach }, (_, i) => {
        const time = START_MS + 15_000 * i + (Math.floor(id / 100) % 7);
        return { valueBits: bitsOf(Math.sqrt(id + i)), timestamp: BigInt(time) };
      }),
      metadata: { type: 1, helpRef: refOf(`What ${family} counts.`), unitRef: 0 },
    };
  });
  const raw = new Column();
  const bytes = encodeWriteRequestV2({ symbols: [...symbols.keys()], timeseries });
  raw.putBytes(bytes, 0, bytes.length);
  return compressed(raw);
}

function bitsOf(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}

function compressed(raw: Column): Uint8Array {
  const out = new Scratch();
  const end = new SnappyCompressor().compress(raw.bytes, new DataView(raw.bytes.buffer), raw.length, out, 0);
  return out.bytes.slice(0, end);
}

/** A varint of more than 32 bits. */
function putTime(out: Column, ms: number): void {
  const bytes: number[] = [];
  let rest = ms;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  out.putBytes(Uint8Array.from(bytes), 0, bytes.length);
}
