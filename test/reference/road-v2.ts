import assert from 'node:assert/strict';
import type { IngestReport } from '../../src/protocol/ingest-report.ts';
import { ingestV2 } from '../../src/protocol/ingest-v2.ts';
import { type IngestLimits, noLimits } from '../../src/protocol/limits.ts';
import { Dictionary, type SeriesGate } from '../../src/serialization/dictionary.ts';
import { RowBatch } from '../../src/serialization/rows.ts';
import { type BatchRow, batchRows } from './batch-rows.ts';
import { padded } from './both-kernels.ts';
import type { StoredSeries } from './verdicts-v2.ts';

/** Lets all series in as they are; those that pass it take another way into the dictionary. */
const open: SeriesGate = { admit: () => 'unchanged' };

/**
 * Takes requests of remote write 2.0 in as group commit does, side by side: without a gate, and with one that lets
 * everything in. Both have to come to the same.
 */
export class RoadV2 {
  readonly dictionary: Dictionary = new Dictionary(0x5eed);
  readonly batch: RowBatch = new RowBatch();
  readonly #gated = new Dictionary(0xfeed, open);
  readonly #gatedBatch = new RowBatch();

  /** `raw` is a request without snappy. Throws what both throw; then nothing of it is kept. */
  take(raw: Uint8Array, limits: IngestLimits = noLimits): IngestReport {
    const first = outcome(raw, limits, this.dictionary, this.batch);
    const second = outcome(raw, limits, this.#gated, this.#gatedBatch);
    assert.deepEqual(second, first, 'with a gate');
    assert.deepEqual([...this.#gatedBatch.counts], [...this.batch.counts]);
    if (first instanceof Error) throw first;
    return first;
  }

  /** The rows that were taken; both batches are empty then. */
  rows(): BatchRow[] {
    const rows = batchRows(this.batch, this.dictionary);
    assert.deepEqual(batchRows(this.#gatedBatch, this.#gated), rows, 'with a gate');
    this.batch.clear();
    this.#gatedBatch.clear();
    return rows;
  }

  /** Starts anew with empty dictionaries, as for another segment. */
  reset(): void {
    this.dictionary.reset(0x5eed);
    this.#gated.reset(0xfeed);
  }
}

function outcome(
  raw: Uint8Array,
  limits: IngestLimits,
  dictionary: Dictionary,
  batch: RowBatch,
): IngestReport | Error {
  const { bytes, view } = padded(raw);
  const mark = batch.mark();
  try {
    return ingestV2(bytes, view, raw.length, dictionary, batch, limits);
  } catch (error) {
    batch.rollback(mark);
    assert.ok(error instanceof Error);
    return error;
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
