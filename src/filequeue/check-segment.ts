import type { ReadableFile } from '../runtime/fs.ts';
import { BodyOpener, decodeFrameHead, FrameRows } from '../serialization/frame.ts';
import { END, FRAME, GAP } from '../serialization/record.ts';
import { EXEMPLAR, HISTOGRAM, METADATA, SAMPLE } from '../serialization/rows.ts';
import { SegmentDictionary } from '../serialization/segment-dictionary.ts';
import type { SegmentIdentity } from './identify.ts';
import { SegmentScanner } from './scanner.ts';
import { decodeEnd, type SegmentEnd, type SegmentState } from './segment-file.ts';
import type { ByteRange } from './segment-summary.ts';

/** What is in the file of a segment, read to the last byte. */
export interface SegmentCheck {
  readonly bytes: number;
  readonly frames: number;
  /** Rows that can be read. */
  readonly rows: number;
  /** Ordinals that no frame has: rows of frames that are damaged, or that repair took out. */
  readonly lostRows: number;
  /** Rows of frames that are whole, whose series or strings were first named in a frame that is not. */
  readonly orphanRows: number;
  /** Bytes that cannot be read. */
  readonly damage: readonly ByteRange[];
  /** Bytes of gaps, where repair took damage out. */
  readonly gapBytes: number;
  /** Bytes behind the last whole record of an open segment: being written, or torn, or of a write that failed. */
  readonly tailBytes: number;
  /** Where its end record ends; undefined without one. */
  readonly endTo: number | undefined;
}

/** Reads all of a segment. `stated` is what the next segment says of it. Throws what reading throws. */
export function checkSegment(
  file: ReadableFile,
  { header, mark }: SegmentIdentity,
  state: SegmentState,
  stated: SegmentEnd | undefined,
): SegmentCheck {
  const bytes = file.size();
  const limit = state === 'open' ? Math.min(bytes, stated?.bytes ?? bytes) : bytes;
  const scanner = new SegmentScanner(file, 0, mark);
  const opener = new BodyOpener();
  const frameRows = new FrameRows();
  const dictionary = new SegmentDictionary();
  const damage: ByteRange[] = [];
  let frames = 0;
  let rows = 0;
  let lostRows = 0;
  let orphanRows = 0;
  let gapBytes = 0;
  let expected = 0;
  let endRows = 0;
  let endTo: number | undefined;
  for (;;) {
    const found = scanner.next(limit);
    if (found.kind === 'end') {
      lostRows += Math.max(0, Math.max(endRows, stated?.rows ?? 0) - expected);
      // Before a stated end all was durable once, and a committed file has no tail.
      const isTail = state === 'open' && stated === undefined && endTo === undefined;
      if (found.at < limit && !isTail) damage.push({ at: found.at, to: limit });
      const tailBytes = isTail ? bytes - found.at : bytes - limit;
      return { bytes, frames, rows, lostRows, orphanRows, damage, gapBytes, tailBytes, endTo };
    }
    const range = { at: found.at, to: found.end };
    if (found.kind === 'damage' || endTo !== undefined) {
      damage.push(range);
      continue;
    }
    try {
      if (found.type === GAP) gapBytes += range.to - range.at;
      if (found.type === END) {
        endRows = decodeEnd(found.payload).rows;
        endTo = found.end;
      }
      if (found.type !== FRAME) continue;
      const head = decodeFrameHead(found.payload);
      const body = opener.open(head, header?.codec);
      dictionary.add(body);
      frameRows.read(body, head.rows);
      const orphans = countOrphans(frameRows, dictionary);
      lostRows += Math.max(0, head.row - expected);
      expected = head.row + head.rows;
      frames++;
      rows += head.rows - orphans;
      orphanRows += orphans;
    } catch {
      // Whole by its CRC, yet not what the format says: readers step over it as well.
      damage.push(range);
    }
  }
}

/** Rows of a frame that cannot be told, as their series or strings are missing. */
function countOrphans(rows: FrameRows, dictionary: SegmentDictionary): number {
  const hasString = (id: number): boolean => dictionary.string(id) !== undefined;
  let orphans = 0;
  for (const [kind, ids] of [
    [SAMPLE, rows.sampleSeries],
    [HISTOGRAM, rows.histogramSeries],
    [EXEMPLAR, rows.exemplarSeries],
  ] as const) {
    for (let i = 0; i < rows.counts[kind]!; i++) if (!dictionary.has(ids[i]!)) orphans++;
  }
  for (let i = 0; i < rows.counts[METADATA]!; i++) {
    const series = rows.metadataSeries[i]!;
    const known =
      (series === 0 || dictionary.has(series - 1)) &&
      hasString(rows.metadataFamily[i]!) &&
      hasString(rows.metadataHelp[i]!) &&
      hasString(rows.metadataUnit[i]!);
    if (!known) orphans++;
  }
  return orphans;
}
