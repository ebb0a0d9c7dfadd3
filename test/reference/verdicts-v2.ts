import type { ExemplarV1, HistogramV1, Label, WriteRequestV2 } from '../../src/protocol/schema.ts';
import type { DoorReason } from '../../src/telemetry/reasons.ts';
import { brokenRule } from './histogram-rules.ts';
import { canonical, invalidLabels } from './verdicts.ts';

export interface SampleRow {
  readonly valueBits: bigint;
  readonly timestamp: bigint;
  readonly startTimestamp: bigint;
}

export interface MetadataRow {
  readonly type: number;
  readonly family: string;
  readonly help: string;
  readonly unit: string;
}

/** One `TimeSeries` as it is to be stored: labels in their order, only rows that are kept. */
export interface StoredSeries {
  readonly labels: readonly Label[];
  /** At most one, before the other rows. */
  readonly metadata: readonly MetadataRow[];
  readonly samples: readonly SampleRow[];
  readonly histograms: readonly (HistogramV1 & { readonly startTimestamp: bigint })[];
  readonly exemplars: readonly ExemplarV1[];
}

export interface VerdictsV2 {
  readonly kept: readonly StoredSeries[];
  readonly refused: Readonly<Record<string, number>>;
  /** Of the first `TimeSeries` of which something is refused: how its kinds stood on the wire is not known here. */
  readonly firstReasons: readonly DoorReason[];
}

/** The rules of remote-write.md section 5 for remote write 2.0, plainly, for the requests of one segment. */
export class ReferenceV2 {
  /** By labels: the metadata that is stored. */
  readonly #metadata = new Map<string, string>();

  take({ symbols, timeseries }: WriteRequestV2): VerdictsV2 {
    const kept: StoredSeries[] = [];
    const reasons: DoorReason[] = [];
    let firstReasons: readonly DoorReason[] = [];
    for (const series of timeseries) {
      if (firstReasons.length === 0) firstReasons = [...reasons];
      const { samples, histograms, exemplars, metadata, createdTimestamp } = series;
      const labels = labelsOf(series.labelsRefs, symbols);
      const isOutside = (ref: number) => ref !== 0 && ref >= symbols.length;
      let reason: DoorReason | undefined;
      if (labels === undefined) reason = 'invalid_refs';
      else if (metadata !== null && (isOutside(metadata.helpRef) || isOutside(metadata.unitRef)))
        reason = 'invalid_refs';
      else if (samples.length + histograms.length === 0) reason = 'no_samples';
      else reason = invalidLabels(labels);
      if (reason !== undefined || labels === undefined) {
        const rows = samples.length + histograms.length + exemplars.length;
        reasons.push(...new Array<DoorReason>(Math.max(1, rows)).fill(reason!));
        continue;
      }
      const keptHistograms = histograms.filter((one) => brokenRule(one) === undefined);
      const invalidHistograms = histograms.length - keptHistograms.length;
      reasons.push(...new Array<DoorReason>(invalidHistograms).fill('invalid_histogram'));
      const keptExemplars = exemplars.flatMap(({ labelsRefs, valueBits, timestamp }) => {
        const own = labelsOf(labelsRefs, symbols);
        const isValid = timestamp !== 0n && own?.every(({ name }) => name !== '') === true;
        return isValid ? [{ labels: own, valueBits, timestamp }] : [];
      });
      reasons.push(
        ...new Array<DoorReason>(exemplars.length - keptExemplars.length).fill('invalid_exemplar'),
      );
      const startOf = (startTimestamp: bigint) => (startTimestamp === 0n ? createdTimestamp : startTimestamp);
      kept.push({
        labels: canonical(labels),
        metadata: this.#toStore(canonical(labels), {
          type: (metadata?.type ?? 0) >>> 0,
          help: textOf(metadata?.helpRef ?? 0, symbols),
          unit: textOf(metadata?.unitRef ?? 0, symbols),
        }),
        samples: samples.map((row) => ({ ...row, startTimestamp: startOf(row.startTimestamp) })),
        histograms: keptHistograms.map((row) => ({ ...row, startTimestamp: startOf(row.startTimestamp) })),
        exemplars: keptExemplars,
      });
    }
    const refused: Record<string, number> = {};
    for (const reason of reasons) refused[reason] = (refused[reason] ?? 0) + 1;
    return { kept, refused, firstReasons: firstReasons.length === 0 ? reasons : firstReasons };
  }

  /** The row of metadata, unless it is what was stored last of this series; at first that is nothing. */
  #toStore(labels: readonly Label[], row: Omit<MetadataRow, 'family'>): MetadataRow[] {
    const key = JSON.stringify(labels);
    const text = JSON.stringify(row);
    const before = this.#metadata.get(key) ?? JSON.stringify({ type: 0, help: '', unit: '' });
    if (before === text) return [];
    this.#metadata.set(key, text);
    const name = labels.find((label) => label.name === '__name__')!.value;
    const ends: Readonly<Record<number, RegExp>> = {
      3: /(?<=.)_(bucket|sum|count)$/s,
      4: /(?<=.)_(bucket|gsum|gcount|sum|count)$/s,
      5: /(?<=.)_(sum|count)$/s,
    };
    const end = ends[row.type];
    return [{ ...row, family: end === undefined ? name : name.replace(end, '') }];
  }
}

/** Ref 0 says that there is no text, whatever stands there. */
function textOf(ref: number, symbols: readonly string[]): string {
  return ref === 0 ? '' : symbols[ref]!;
}

/** Undefined when the refs are odd in number, or one is outside (RW2-R-22). */
function labelsOf(refs: readonly number[], symbols: readonly string[]): Label[] | undefined {
  if (refs.length % 2 !== 0 || refs.some((ref) => ref >= symbols.length)) return undefined;
  return refs.flatMap((ref, i) =>
    i % 2 === 0 ? [{ name: symbols[ref]!, value: symbols[refs[i + 1]!]! }] : [],
  );
}
