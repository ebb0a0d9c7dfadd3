import { createTypeScriptKernel, createWasmKernel, type IngestKernel } from '../src/protocol/kernel.ts';
import { noLimits } from '../src/protocol/limits.ts';
import { Scratch, SnappyCompressor } from '../src/protocol/snappy.ts';
import { Column } from '../src/serialization/columns.ts';
import { Dictionary } from '../src/serialization/dictionary.ts';
import { RowBatch } from '../src/serialization/rows.ts';
import { SeriesSet } from './series.ts';

/*
 * What a sample costs on its way from a request body into the columns of a batch, with either kernel:
 *
 *     npm run pretest && node build/bench/kernel.js
 *
 * CPU time of the process in nanoseconds a sample, the least of several passes; the passes of the two kernels
 * alternate, and their batches are compared byte by byte.
 */
const SERIES = 20_000;
const PASSES = 12;
const START_MS = 1_760_000_000_000;

interface Case {
  readonly name: string;
  readonly bodies: readonly Uint8Array[];
  readonly samples: number;
  /** Series are new in every pass. */
  readonly churn: boolean;
}

class Bench {
  readonly #kernel: IngestKernel;
  readonly #case: Case;
  readonly #dictionary = new Dictionary(1);
  readonly #batch = new RowBatch();
  least = Number.POSITIVE_INFINITY;
  result: Uint8Array = new Uint8Array(0);

  constructor(kernel: IngestKernel, one: Case) {
    this.#kernel = kernel;
    this.#case = one;
  }

  pass(): void {
    const { bodies, samples, churn } = this.#case;
    if (churn) this.#dictionary.reset(1);
    this.#batch.clear();
    const before = process.cpuUsage();
    for (const body of bodies) this.#kernel.ingestV1(body, noLimits, this.#dictionary, this.#batch);
    const { user, system } = process.cpuUsage(before);
    if (this.#batch.rows !== samples) throw new Error(`${this.#case.name}: not all rows were taken`);
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

const kernels = { typescript: createTypeScriptKernel(), wasm: createWasmKernel() };
console.log(`node ${process.version}; ns of CPU a sample`);
console.log(`${'case'.padEnd(42)}typescript      wasm     ratio`);
for (const one of cases) {
  const typescript = new Bench(kernels.typescript, one);
  const wasm = new Bench(kernels.wasm, one);
  for (let pass = 0; pass < PASSES; pass++) {
    typescript.pass();
    wasm.pass();
    if (Buffer.compare(typescript.result, wasm.result) !== 0) throw new Error(`${one.name}: the rows differ`);
  }
  const ratio = typescript.least / wasm.least;
  console.log(
    one.name.padEnd(42) +
      typescript.least.toFixed(0).padStart(10) +
      wasm.least.toFixed(0).padStart(10) +
      ratio.toFixed(2).padStart(10),
  );
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
  for (const list of [order, again]) {
    for (let i = 0; i < list.length; i += perRequest) {
      bodies.push(bodyOf(list.slice(i, i + perRequest), samplesEach));
    }
  }
  return { name, bodies, samples: (order.length + again.length) * samplesEach, churn };
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
