import { MOST_FAMILIES } from '../protocol/family-metadata.ts';
import { room } from '../serialization/columns.ts';
import type { FrameRows } from '../serialization/frame.ts';
import { HISTOGRAM, METADATA, SAMPLE } from '../serialization/rows.ts';
import type { SegmentDictionary } from '../serialization/segment-dictionary.ts';
import { familyOfRow } from './family-of-row.ts';
import { nameOf } from './metadata-cache.ts';

/** What came with series of one family of a tenant. */
export interface ToldFamily {
  /** The name of the family, its bytes as latin1. */
  readonly family: string;
  /** That the series leave under, a number of the dictionary's `tenants`. */
  readonly tenant: number;
  readonly type: number;
  readonly help: Uint8Array;
  readonly unit: Uint8Array;
}

/**
 * The metadata that came with the series of one segment, as 2.0 senders tell it: once a segment and series, and when it
 * changes (docs/format.md). It is read with the dictionary, from the first frame on, so that a reader that begins in
 * the middle knows it too.
 *
 * Over 2.0 it leaves with every request. To 1.0 it is to be told again and again, as long as there are rows of the
 * family: `saw` takes note of them. That costs a look a row until all families have been seen, and nothing from there on
 * until the next `takeSeen`.
 *
 * Bounded: what comes when there is as much as may be is not remembered.
 */
export class ToldMetadata {
  readonly #dictionary: SegmentDictionary;
  readonly #most: number;
  readonly #families: ToldFamily[] = [];
  readonly #byContent = new Map<string, number>();
  /** By series: the family plus one, 0 for none. */
  #familyOf: Uint32Array = new Uint32Array(0);
  /** By family: 1 when a row of it came by. */
  #seen: Uint8Array = new Uint8Array(0);
  /** Families that have not been seen. */
  #unseen = 0;

  constructor(dictionary: SegmentDictionary, most: number = MOST_FAMILIES) {
    this.#dictionary = dictionary;
    this.#most = most;
  }

  /** Takes the metadata of a frame, whose series the dictionary has. Each frame once, in their order. */
  add(rows: FrameRows): void {
    const dictionary = this.#dictionary;
    for (let i = 0; i < rows.counts[METADATA]!; i++) {
      const series = rows.metadataSeries[i]! - 1;
      if (series < 0 || !dictionary.has(series)) continue;
      const type = rows.metadataType[i]!;
      const help = dictionary.string(rows.metadataHelp[i]!);
      const unit = dictionary.string(rows.metadataUnit[i]!);
      const family = familyOfRow(rows, i, dictionary);
      if (family === undefined || help === undefined || unit === undefined) continue;
      const tenant = dictionary.seriesTenant[series]!;
      this.#familyOf = room(this.#familyOf, series + 1);
      this.#familyOf[series] = this.#intern(family, tenant, type, help, unit) + 1;
    }
  }

  /** What came last with this series; undefined when nothing has. The same object for all that have the same. */
  of(series: number): ToldFamily | undefined {
    const family = this.#familyOf[series] ?? 0;
    return family === 0 ? undefined : this.#families[family - 1];
  }

  /** Rows of this frame are on their way. */
  saw(rows: FrameRows): void {
    this.#look(rows.sampleSeries, rows.counts[SAMPLE]!);
    this.#look(rows.histogramSeries, rows.counts[HISTOGRAM]!);
  }

  /** The families of which rows were seen since this was last asked. */
  takeSeen(): ToldFamily[] {
    const seen = this.#families.filter((_, family) => this.#seen[family] === 1);
    this.#seen.fill(0);
    this.#unseen = this.#families.length;
    return seen;
  }

  #look(series: Uint32Array, count: number): void {
    const familyOf = this.#familyOf;
    const seen = this.#seen;
    for (let i = 0; i < count && this.#unseen > 0; i++) {
      const family = familyOf[series[i]!] ?? 0;
      if (family === 0 || seen[family - 1] === 1) continue;
      seen[family - 1] = 1;
      this.#unseen--;
    }
  }

  /** The number of a family with this content, or -1 when there are too many. */
  #intern(family: string, tenant: number, type: number, help: Uint8Array, unit: Uint8Array): number {
    // Lengths keep the texts apart, whatever is in them.
    const key = `${tenant} ${type} ${family.length} ${help.length} ${family}${nameOf(help)}${nameOf(unit)}`;
    const known = this.#byContent.get(key);
    if (known !== undefined) return known;
    const next = this.#families.length;
    if (next >= this.#most) return -1;
    this.#byContent.set(key, next);
    // Copies: the texts are views of the dictionary, which moves when it grows.
    this.#families.push({ family, tenant, type, help: help.slice(), unit: unit.slice() });
    this.#unseen++;
    if (this.#seen.length <= next) {
      const seen = new Uint8Array(2 * next + 16);
      seen.set(this.#seen);
      this.#seen = seen;
    }
    return next;
  }
}
