import type { FrameRows } from '../serialization/frame.ts';
import type { SegmentDictionary } from '../serialization/segment-dictionary.ts';
import { familyName } from './family-names.ts';
import { nameOf } from './metadata-cache.ts';

const metricName = Buffer.from('__name__');

/**
 * The name of the family that metadata row `i` is of, its bytes as latin1; undefined when it was lost to damage. A row
 * that came with a series and has no name of its own is of the family that the series belongs to by its name.
 */
export function familyOfRow(rows: FrameRows, i: number, dictionary: SegmentDictionary): string | undefined {
  const family = dictionary.string(rows.metadataFamily[i]!);
  if (family === undefined) return undefined;
  const series = rows.metadataSeries[i]! - 1;
  if (family.length > 0 || series < 0 || !dictionary.has(series)) return nameOf(family);
  return familyName(seriesName(dictionary, series) ?? '', rows.metadataType[i]!);
}

/** The metric name of a series as it leaves, its bytes as latin1; undefined when it has none. */
export function seriesName(dictionary: SegmentDictionary, series: number): string | undefined {
  const { seriesAt, seriesSlots } = dictionary.columns;
  for (let at = seriesAt[series]!; at < seriesAt[series + 1]!; at++) {
    const slot = seriesSlots[at]!;
    if (Buffer.compare(dictionary.slotName(slot), metricName) === 0)
      return nameOf(dictionary.slotValue(slot));
  }
  return undefined;
}
