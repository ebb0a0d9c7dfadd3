import type {
  ExemplarV1,
  HistogramV1,
  Label,
  MetricMetadata,
  Sample,
  WriteRequestV1,
} from '../../src/protocol/schema.ts';
import type { DoorReason } from '../../src/telemetry/reasons.ts';
import { brokenRule } from './histogram-rules.ts';

/** One `TimeSeries` as it is to be delivered: labels in their order, only rows that are kept. */
export interface KeptSeries {
  readonly labels: readonly Label[];
  readonly samples: readonly Sample[];
  readonly exemplars: readonly ExemplarV1[];
  readonly histograms: readonly HistogramV1[];
}

/** What the receiver has to make of a request. */
export interface Verdicts {
  readonly kept: readonly KeptSeries[];
  readonly metadata: readonly MetricMetadata[];
  /** Rows by reason; a series without rows counts as one. */
  readonly refused: Readonly<Record<string, number>>;
  readonly firstReason: DoorReason | undefined;
}

/** The rules of remote-write.md section 5 (RW2-R-19 to -21, -26, -27), plainly, on a request as protobufjs has it. */
export function verdictsOn(request: WriteRequestV1): Verdicts {
  const kept: KeptSeries[] = [];
  const reasons: DoorReason[] = [];
  for (const { labels, samples, exemplars, histograms } of request.timeseries) {
    const reason = invalidLabels(labels);
    if (reason !== undefined) {
      const rows = samples.length + exemplars.length + histograms.length;
      reasons.push(...new Array<DoorReason>(Math.max(1, rows)).fill(reason));
      continue;
    }
    const keptExemplars = exemplars.filter(isValidExemplar);
    reasons.push(...new Array<DoorReason>(exemplars.length - keptExemplars.length).fill('invalid_exemplar'));
    const keptHistograms = histograms.filter((one) => brokenRule(one) === undefined);
    reasons.push(
      ...new Array<DoorReason>(histograms.length - keptHistograms.length).fill('invalid_histogram'),
    );
    kept.push({ labels: canonical(labels), samples, exemplars: keptExemplars, histograms: keptHistograms });
  }
  const metadata = request.metadata.filter((entry) => entry.metricFamilyName !== '');
  reasons.push(...new Array<DoorReason>(request.metadata.length - metadata.length).fill('invalid_metadata'));
  const refused: Record<string, number> = {};
  for (const reason of reasons) refused[reason] = (refused[reason] ?? 0) + 1;
  return { kept, metadata, refused, firstReason: reasons[0] };
}

/** Labels as they leave: sorted by the bytes of their names (RW1-S-10), without those of empty value. */
export function canonical(labels: readonly Label[]): Label[] {
  return labels
    .filter(({ value }) => value !== '')
    .sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
}

export function invalidLabels(labels: readonly Label[]): DoorReason | undefined {
  if (labels.some(({ name }) => name === '')) return 'empty_label_name';
  const names = canonical(labels).map(({ name }) => name);
  if (new Set(names).size < names.length) return 'duplicate_label';
  return names.includes('__name__') ? undefined : 'no_metric_name';
}

function isValidExemplar({ labels, timestamp }: ExemplarV1): boolean {
  return timestamp !== 0n && labels.every(({ name }) => name !== '');
}
