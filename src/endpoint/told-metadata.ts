import { type FamilyMetadata, MOST_FAMILIES } from '../protocol/family-metadata.ts';
import { room } from '../serialization/columns.ts';
import type { FrameRows } from '../serialization/frame.ts';
import { HISTOGRAM, METADATA, SAMPLE } from '../serialization/rows.ts';
import type { SegmentDictionary } from '../serialization/segment-dictionary.ts';
import { familyOfRow } from './family-of-row.ts';

/** What came with series of one family of a tenant. */
export interface ToldFamily extends FamilyMetadata {
  /** That the series leave under, a number of the dictionary's `tenants`. */
  readonly tenant: number;
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
 * Bounded: in number, what comes when there is as much as may be is not remembered; in bytes, each string of the
 * dictionary is copied once at most, whoever says it.
 */
export class ToldMetadata {
  readonly #dictionary: SegmentDictionary;
  readonly #most: number;
  readonly #families: ToldFamily[] = [];
  readonly #byContent = new Map<string, number>();
  readonly #texts = new Map<number, Uint8Array>();
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
      this.#familyOf = room(this.#familyOf, series + 1);
      this.#familyOf[series] = this.#intern(rows, i, series) + 1;
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

  /** The families of which rows were seen since this was last asked, those of each tenant together. */
  takeSeen(): ToldFamily[] {
    const seen = this.#families.filter((_, family) => this.#seen[family] === 1);
    this.#seen.fill(0);
    this.#unseen = this.#families.length;
    return seen.sort((a, b) => a.tenant - b.tenant);
  }

  #look(series: Uint32Array, count: number): void {
    const familyOf = this.#familyOf;
    const seen = this.#seen;
    let unseen = this.#unseen;
    for (let i = 0; i < count && unseen > 0; i++) {
      const family = familyOf[series[i]!] ?? 0;
      if (family === 0 || seen[family - 1] === 1) continue;
      seen[family - 1] = 1;
      unseen--;
    }
    this.#unseen = unseen;
  }

  /** The number of the family of metadata row `i`; -1 when it was lost to damage, or there are too many. */
  #intern(rows: FrameRows, i: number, series: number): number {
    const dictionary = this.#dictionary;
    const tenant = dictionary.tenantOf(series);
    const type = rows.metadataType[i]!;
    const familyId = rows.metadataFamily[i]!;
    const helpId = rows.metadataHelp[i]!;
    const unitId = rows.metadataUnit[i]!;
    // Without a name of its own it has that of the series.
    const name =
      dictionary.string(familyId)?.length === 0 ? `of ${familyOfRow(rows, i, dictionary)}` : familyId;
    const key = `${tenant} ${type} ${helpId} ${unitId} ${name}`;
    const known = this.#byContent.get(key);
    if (known !== undefined) return known;
    const next = this.#families.length;
    if (next >= this.#most) return -1;
    const family =
      typeof name === 'number' ? this.#text(name) : Buffer.from(name.slice('of '.length), 'latin1');
    const help = this.#text(helpId);
    const unit = this.#text(unitId);
    if (family === undefined || help === undefined || unit === undefined) return -1;
    this.#byContent.set(key, next);
    this.#families.push({ family, tenant, type, help, unit });
    this.#unseen++;
    if (this.#seen.length <= next) {
      const seen = new Uint8Array(2 * next + 16);
      seen.set(this.#seen);
      this.#seen = seen;
    }
    return next;
  }

  /** A copy of a string: views of the dictionary keep memory that it leaves when it grows. */
  #text(id: number): Uint8Array | undefined {
    const known = this.#texts.get(id);
    if (known !== undefined) return known;
    const text = this.#dictionary.string(id)?.slice();
    if (text !== undefined) this.#texts.set(id, text);
    return text;
  }
}
