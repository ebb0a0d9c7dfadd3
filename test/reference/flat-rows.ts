import assert from 'node:assert/strict';
import type { Label, TimeSeriesV1 } from '../../src/protocol/schema.ts';

/** A row with the labels of its series. */
export interface FlatRow {
  readonly labels: readonly Label[];
  readonly kind: 'sample' | 'exemplar' | 'histogram';
  /** The row as schema.ts has it: exact. */
  readonly row: object;
}

/** The rows of series, one behind the other; within a series samples, then exemplars, then histograms. */
export function flatRows(timeseries: readonly TimeSeriesV1[]): FlatRow[] {
  return timeseries.flatMap(({ labels, samples, exemplars, histograms }) => [
    ...samples.map((row) => ({ labels, kind: 'sample', row }) as const),
    ...exemplars.map((row) => ({ labels, kind: 'exemplar', row }) as const),
    ...histograms.map((row) => ({ labels, kind: 'histogram', row }) as const),
  ]);
}

/**
 * Asserts that exactly these series were delivered, `TimeSeries` by `TimeSeries` in their order. How the kinds
 * of one `TimeSeries` stood among one another on the wire is more than protobufjs tells: each kind keeps its
 * order.
 */
export function assertDelivered(delivered: readonly TimeSeriesV1[], expected: readonly TimeSeriesV1[]): void {
  for (const { samples, exemplars, histograms } of delivered) {
    const kinds = [samples, exemplars, histograms].filter((rows) => rows.length > 0);
    assert.equal(kinds.length, 1, 'a delivered TimeSeries has rows, and of one kind');
  }
  const rows = flatRows(delivered);
  let at = 0;
  for (const series of expected) {
    const wanted = flatRows([series]);
    const got = rows.slice(at, at + wanted.length);
    const kinds = ['sample', 'exemplar', 'histogram'];
    got.sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind));
    assert.deepEqual(got, wanted);
    at += wanted.length;
  }
  assert.equal(rows.length, at, 'nothing more is delivered');
}
