import { EXEMPLAR } from '../serialization/rows.ts';
import type { SegmentDictionary } from '../serialization/segment-dictionary.ts';
import type { EmittedBody, OutgoingRows } from './emit-v1.ts';
import type { Scratch } from './snappy.ts';

/** What is known of the family of a series, as it goes with each series in 2.0 (RW2-S-28). */
export interface SeriesMetadata {
  /** `Metadata.MetricType`: 0 is unspecified. */
  readonly type: number;
  /** UTF-8; empty when there is none. */
  readonly help: Uint8Array;
  readonly unit: Uint8Array;
}

/**
 * The metadata of a series of the dictionary at hand; undefined when none is known. It answers with the same object
 * for all series of a family, and for as long as the metadata stays as it is: emitters know what they have seen by
 * the object.
 */
export type MetadataOf = (series: number) => SeriesMetadata | undefined;

/** What makes remote write 2.0 request bodies of rows. */
export interface EmitterV2 {
  /**
   * The body for `count` rows from index `first` on, all of one dictionary, none of them metadata. Rows of a series
   * keep their order (RLY-04); neighbouring rows of one series and kind share a `TimeSeries`, and an exemplar goes into
   * that of the last sample or histogram of its series before it in the request, or else of the first behind it.
   *
   * Exemplars of series that have neither in the request (`loneExemplars`) are left out: nothing in a 2.0 message may
   * carry them (RW2-S-23). The caller marks them in `skip` beforehand, and counts them.
   *
   * Fastest with columns that `Emitter.newColumns` of the same kernel made; others do as well. The dictionary may get
   * slots for texts of metadata. The body may be written into `out`, which grows as needed; it is valid until the next
   * call, of any emitter with this dictionary, and until the dictionary grows.
   */
  emitV2(
    rows: OutgoingRows,
    first: number,
    count: number,
    dictionary: SegmentDictionary,
    metadataOf: MetadataOf,
    out: Scratch,
  ): EmittedBody;
}

/**
 * The exemplars among `count` rows from index `first` on that a 2.0 request of these rows cannot carry, as numbers
 * counted from `first`: those whose series has no sample and no histogram among these rows (RW2-S-23). Rows with
 * `skip` set neither count nor are counted.
 *
 * Nearly free when there is no exemplar at all. A 1.0 request can carry them.
 */
export function loneExemplars(rows: OutgoingRows, first: number, count: number): number[] {
  const { mask, series, kind, skip } = rows;
  const exemplars: number[] = [];
  for (let i = 0; i < count; i++) {
    const at = (first + i) & mask;
    if (kind[at] === EXEMPLAR && skip[at] === 0) exemplars.push(i);
  }
  if (exemplars.length === 0) return exemplars;
  const carriers = new Set<number>();
  for (let i = 0; i < count; i++) {
    const at = (first + i) & mask;
    if (kind[at] !== EXEMPLAR && skip[at] === 0) carriers.add(series[at]!);
  }
  return exemplars.filter((i) => !carriers.has(series[(first + i) & mask]!));
}
