import assert from 'node:assert/strict';
import type { IngestReport } from '../../src/protocol/ingest-report.ts';
import { ingestV1 } from '../../src/protocol/ingest-v1.ts';
import { ingestV2 } from '../../src/protocol/ingest-v2.ts';
import { WasmIngest } from '../../src/protocol/ingest-wasm.ts';
import type { WriteVersion } from '../../src/protocol/kernel.ts';
import { type IngestLimits, noLimits } from '../../src/protocol/limits.ts';
import { longestOf, SnappyError, uncompress } from '../../src/protocol/snappy.ts';
import { Symbols } from '../../src/protocol/symbols.ts';
import { SpillwayError } from '../../src/runtime/errors.ts';
import { Dictionary, type SeriesGate } from '../../src/serialization/dictionary.ts';
import { RowBatch } from '../../src/serialization/rows.ts';
import { ExactScratch } from './exact-scratch.ts';
import { block, literal } from './snappy-elements.ts';

/*
 * The two kernels side by side. What goes through these functions went through both, with the same outcome: tests
 * of the one are tests of the other.
 */

/** One for all tests of a process, as for all requests of an agent; and one for dictionaries with a gate. */
const wasm = new WasmIngest();
const gatedWasm = new WasmIngest();
const nobody = new Dictionary(0);

/** The bytes of a snappy block, as both say. Throws `SnappyError`, when both refuse it. */
export function uncompressByBoth(body: Uint8Array, limit: number): Uint8Array {
  const scratch = new ExactScratch();
  let length: number;
  try {
    length = uncompress(body, scratch, limit);
  } catch (error) {
    assert.ok(error instanceof SnappyError, `${error}`);
    const declared = Number(error.facts.declared ?? 0);
    const total = totalOf(body);
    if (declared === 0 && total !== undefined && total <= longestOf(body))
      assert.equal(wasm.uncompress(body, total, nobody), undefined, `taken, but: ${error.message}`);
    throw error;
  }
  const expected = scratch.bytes.subarray(0, length);
  const actual = wasm.uncompress(body, length, nobody);
  assert.ok(actual !== undefined, 'refused by WebAssembly');
  assert.equal(Buffer.compare(actual, expected), 0, 'uncompressed to other bytes');
  return expected;
}

/** What the body declares, if it can be read. */
function totalOf(body: Uint8Array): number | undefined {
  let total = 0;
  for (let i = 0; i < 5 && i < body.length; i++) {
    total += (body[i]! & 0x7f) * 2 ** (7 * i);
    if (body[i]! < 0x80) return total <= 0xffffffff ? total : undefined;
  }
  return undefined;
}

/** Takes requests in as group commit does, by both kernels, each into a dictionary and a batch of its own. */
export class BothKernels {
  readonly dictionary: Dictionary;
  readonly batch: RowBatch = new RowBatch();
  readonly #dictionary: Dictionary;
  readonly #batch: RowBatch = new RowBatch();
  readonly #wasm: WasmIngest;
  readonly #symbols: Symbols = new Symbols();

  /** Each has a gate of its own, when there is one. `own` is in place of the instance that all share. */
  constructor(gate?: () => SeriesGate, own: WasmIngest = gate === undefined ? wasm : gatedWasm) {
    this.#wasm = own;
    this.dictionary = new Dictionary(0x5eed, gate?.());
    this.#dictionary = new Dictionary(0xfeed, gate?.());
  }

  /** `raw` is a request without snappy, of this tenant. Throws what both throw; then nothing of it is kept. */
  take(raw: Uint8Array, limits: IngestLimits = noLimits, tenant = ''): IngestReport {
    return this.#take('1.0', raw, limits, tenant);
  }

  /** The same for remote write 2.0. */
  takeV2(raw: Uint8Array, limits: IngestLimits = noLimits, tenant = ''): IngestReport {
    return this.#take('2.0', raw, limits, tenant);
  }

  #take(version: WriteVersion, raw: Uint8Array, limits: IngestLimits, tenant: string): IngestReport {
    const { bytes, view } = padded(raw);
    this.batch.tenant = this.dictionary.useTenant(Buffer.from(tenant));
    this.#batch.tenant = this.#dictionary.useTenant(Buffer.from(tenant));
    const first = outcome(this.batch, () =>
      version === '1.0'
        ? ingestV1(bytes, view, raw.length, this.dictionary, this.batch, limits)
        : ingestV2(bytes, view, raw.length, this.dictionary, this.batch, limits, this.#symbols),
    );
    const body = block(raw.length, ...(raw.length === 0 ? [] : [literal(raw, 4)]));
    const second = outcome(this.#batch, () => {
      assert.ok(this.#wasm.uncompress(body, raw.length, this.#dictionary));
      return version === '1.0'
        ? this.#wasm.ingest(raw.length, limits, this.#dictionary, this.#batch)
        : this.#wasm.ingestV2(raw.length, limits, this.#dictionary, this.#batch);
    });
    this.#compare();
    if ('report' in first) {
      assert.ok(
        'report' in second,
        `WebAssembly alone refuses it: ${'error' in second && second.error.stack}`,
      );
      assert.deepEqual(second.report, first.report);
      assert.deepEqual([...second.report.refused], [...first.report.refused]);
      return first.report;
    }
    assert.ok('error' in second, `WebAssembly takes it, but: ${first.error.stack}`);
    assert.deepEqual(
      [second.error.code, second.error.message, second.error.facts],
      [first.error.code, first.error.message, first.error.facts],
    );
    throw first.error;
  }

  /** Ends the columns of both batches, as their encoder does. */
  finishOrder(): void {
    this.batch.finishOrder();
    this.#batch.finishOrder();
  }

  /** Empties both batches. */
  clear(): void {
    this.#batch.clear();
    this.batch.clear();
  }

  #compare(): void {
    assert.deepEqual(this.#batch.mark(), this.batch.mark(), 'the rows differ');
    for (const count of ['stringCount', 'pairCount', 'seriesCount'] as const)
      assert.equal(this.#dictionary[count], this.dictionary[count], count);
    assert.deepEqual(this.#dictionary.metadata.words, this.dictionary.metadata.words, 'metadata');
  }

  /** Starts anew with empty dictionaries, as for another segment. */
  reset(): void {
    this.clear();
    this.dictionary.reset(0x5eed);
    this.#dictionary.reset(0xfeed);
  }

  /** Asserts that rows and dictionaries are the same to the last byte. */
  compareAll(): void {
    this.finishOrder();
    for (const [name, column] of Object.entries(this.batch)) {
      if (!(column instanceof Object && 'used' in column)) continue;
      const other = (this.#batch as unknown as Record<string, { used: Uint8Array }>)[name]!;
      assert.equal(Buffer.compare(other.used, column.used as Uint8Array), 0, name);
    }
    const [a, b] = [this.#dictionary, this.dictionary];
    assert.equal(Buffer.compare(a.text.used, b.text.used), 0, 'strings');
    assert.equal(Buffer.compare(a.labels.used, b.labels.used), 0, 'pairs');
    const series = (of: Dictionary) => [
      of.seriesAt.subarray(0, of.seriesCount + 1),
      of.seriesPairs.subarray(0, of.seriesAt[of.seriesCount]),
      of.seriesHash.subarray(0, 2 * of.seriesCount),
      of.seriesTenant.subarray(0, of.seriesCount),
    ];
    assert.deepEqual(series(a), series(b), 'series');
  }
}

/** `raw` with the room behind it that `ingestV1` asks for, full of what no varint and no length should meet. */
export function padded(raw: Uint8Array): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(raw.length + 16).fill(0xff);
  bytes.set(raw);
  return { bytes, view: new DataView(bytes.buffer) };
}

function outcome(
  batch: RowBatch,
  take: () => IngestReport,
): { readonly report: IngestReport } | { readonly error: SpillwayError } {
  const mark = batch.mark();
  try {
    return { report: take() };
  } catch (error) {
    batch.rollback(mark);
    assert.ok(error instanceof SpillwayError, `${(error as Error).stack}`);
    return { error };
  }
}
