import assert from 'node:assert/strict';
import type { IngestReport } from '../../src/protocol/ingest-report.ts';
import { type IngestLimits, noLimits } from '../../src/protocol/limits.ts';
import { SpillwayError } from '../../src/runtime/errors.ts';
import type { Dictionary, SeriesGate } from '../../src/serialization/dictionary.ts';
import type { RowBatch } from '../../src/serialization/rows.ts';
import { type BatchRow, batchRows } from './batch-rows.ts';
import { BothKernels } from './both-kernels.ts';
import type { StoredSeries } from './verdicts-v2.ts';

/** Lets all series in as they are; those that pass it take another way into the dictionary. */
const open: SeriesGate = { admit: () => 'unchanged' };

/**
 * Takes requests of remote write 2.0 in as group commit does, side by side: by both kernels, without a gate, and with
 * one that lets everything in. All have to come to the same.
 */
export class RoadV2 {
  readonly #plain = new BothKernels();
  readonly #gated = new BothKernels(() => open);
  readonly dictionary: Dictionary = this.#plain.dictionary;
  readonly batch: RowBatch = this.#plain.batch;

  /** `raw` is a request without snappy. Throws what all throw; then nothing of it is kept. */
  take(raw: Uint8Array, limits: IngestLimits = noLimits): IngestReport {
    const first = outcome(this.#plain, raw, limits);
    const second = outcome(this.#gated, raw, limits);
    assert.deepEqual(second, first, 'with a gate');
    assert.deepEqual([...this.#gated.batch.counts], [...this.batch.counts]);
    if (first instanceof Error) throw first;
    return first;
  }

  /** The rows that were taken; the batches are empty then. */
  rows(): BatchRow[] {
    this.#plain.compareAll();
    this.#gated.compareAll();
    const rows = batchRows(this.batch, this.dictionary);
    assert.deepEqual(batchRows(this.#gated.batch, this.#gated.dictionary), rows, 'with a gate');
    this.#plain.clear();
    this.#gated.clear();
    return rows;
  }

  /** To be called before the batch is encoded; rows may follow. */
  finishOrder(): void {
    this.#plain.finishOrder();
    this.#gated.finishOrder();
  }

  /** Starts anew with empty dictionaries, as for another segment. */
  reset(): void {
    this.#plain.reset();
    this.#gated.reset();
  }
}

function outcome(kernels: BothKernels, raw: Uint8Array, limits: IngestLimits): IngestReport | Error {
  try {
    return kernels.takeV2(raw, limits);
  } catch (error) {
    // Not what an assertion says of two kernels that differ.
    if (error instanceof SpillwayError) return error;
    throw error;
  }
}

/**
 * Asserts that these rows are those of `expected`, `TimeSeries` by `TimeSeries`, metadata first. How the kinds stood
 * among one another on the wire is more than protobufjs tells: each keeps its order.
 */
export function assertStored(rows: readonly BatchRow[], expected: readonly StoredSeries[]): void {
  const kinds = ['metadata', 'sample', 'histogram', 'exemplar'];
  let at = 0;
  for (const { labels, metadata, samples, histograms, exemplars } of expected) {
    const wanted = [
      ...metadata.map((row) => ({ kind: 'metadata', labels, row })),
      ...samples.map((row) => ({ kind: 'sample', labels, row })),
      ...histograms.map((row) => ({ kind: 'histogram', labels, row })),
      ...exemplars.map((row) => ({ kind: 'exemplar', labels, row })),
    ];
    const got = rows.slice(at, at + wanted.length);
    if (metadata.length > 0) assert.equal(got[0]?.kind, 'metadata', 'metadata comes first');
    got.sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind));
    assert.deepEqual(got, wanted);
    at += wanted.length;
  }
  assert.equal(rows.length, at, 'nothing more is stored');
}
