import {
  type Label,
  metricTypes,
  type TimeSeriesV1,
  type WriteRequestV2,
} from '../../src/protocol/schema.ts';
import { type Row, rowKey, rowsOf, seriesKey } from './rows.ts';

/** What 2.0 says of a series or a row beyond 1.0. */
export interface SaidV2 {
  /** By series: `type|help|unit`. */
  readonly metadata: Map<string, string>;
  /** By series and row, where it is set. */
  readonly starts: Map<string, bigint>;
}

/** The rows of a 2.0 request as those of a 1.0 one, and what it says beyond. References must be sound. */
export function rowsOfV2(message: WriteRequestV2): { readonly rows: Row[]; readonly said: SaidV2 } {
  const { symbols } = message;
  const said: SaidV2 = { metadata: new Map(), starts: new Map() };
  const timeseries = message.timeseries.map(
    ({ labelsRefs, samples, histograms, exemplars, metadata }): TimeSeriesV1 => {
      const labels = labelsOf(labelsRefs, symbols);
      const series = seriesKey(labels);
      if (metadata !== null) {
        const { type, helpRef, unitRef } = metadata;
        said.metadata.set(series, `${metricTypes[type]}|${symbols[helpRef]}|${symbols[unitRef]}`);
      }
      const plain: TimeSeriesV1 = {
        labels,
        samples: samples.map(({ startTimestamp: _, ...sample }) => sample),
        histograms: histograms.map(({ startTimestamp: _, ...histogram }) => histogram),
        exemplars: exemplars.map(({ labelsRefs: refs, ...exemplar }) => ({
          labels: labelsOf(refs, symbols),
          ...exemplar,
        })),
      };
      const starts = [...samples, ...histograms].map(({ startTimestamp }) => startTimestamp);
      for (const [i, row] of rowsOf({ timeseries: [plain], metadata: [] }).entries()) {
        const start = starts[i] ?? 0n;
        if (start !== 0n) said.starts.set(`${series} ${rowKey(row)}`, start);
      }
      return plain;
    },
  );
  return { rows: rowsOf({ timeseries, metadata: [] }), said };
}

/** The labels that references name. */
export function labelsOf(refs: readonly number[], symbols: readonly string[]): Label[] {
  const labels: Label[] = [];
  for (let i = 0; i + 1 < refs.length; i += 2) {
    labels.push({ name: symbols[refs[i]!] ?? '?', value: symbols[refs[i + 1]!] ?? '?' });
  }
  return labels;
}
