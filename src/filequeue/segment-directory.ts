import type { FileSystem } from '../runtime/fs.ts';
import { identify, openSegment } from './identify.ts';
import { parseSegmentName, type SegmentInfo } from './segment-file.ts';
import type { Watermark } from './segment-log.ts';
import { readCommitted, summarise } from './segment-summary.ts';

/** A segment that is left out, and why. */
export interface SkippedSegment {
  readonly id: number;
  readonly cause: string;
}

/**
 * The segments of a directory as they stand at this moment, only read: of a backup, or of a queue that an agent uses.
 * What is written, renamed or deleted meanwhile is not looked at again.
 */
export class SegmentDirectory {
  readonly dir: string;
  /** By ascending ids. Rows of an open segment are those that are whole now. */
  readonly segments: readonly SegmentInfo[];
  readonly skipped: readonly SkippedSegment[];

  private constructor(dir: string, segments: readonly SegmentInfo[], skipped: readonly SkippedSegment[]) {
    this.dir = dir;
    this.segments = segments;
    this.skipped = skipped;
  }

  /** Throws what listing the directory throws. */
  static async open(files: FileSystem, dir: string): Promise<SegmentDirectory> {
    const committed = new Map<number, boolean>();
    for (const name of await files.list(dir)) {
      const parsed = parseSegmentName(name);
      if (parsed !== undefined)
        committed.set(parsed.id, committed.get(parsed.id) === true || parsed.state === 'committed');
    }
    const segments: SegmentInfo[] = [];
    const skipped: SkippedSegment[] = [];
    for (const id of [...committed.keys()].sort((a, b) => a - b)) {
      try {
        segments.push(summaryOf(files, dir, id, committed.get(id)!));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        // Deleted since it was listed: an agent is done with it.
        if (code === 'ENOENT') continue;
        // What the system or the format says of this file has a code; what has none is a defect of ours.
        if (code === undefined) throw error;
        skipped.push({ id, cause: (error as Error).message });
      }
    }
    return new SegmentDirectory(dir, segments, skipped);
  }

  get oldest(): number {
    return this.segments[0]?.id ?? this.watermark.segment;
  }

  /** Behind all of it. */
  get watermark(): Watermark {
    return { segment: (this.segments.at(-1)?.id ?? 0) + 1, offset: 0, rows: 0 };
  }

  /** Rows of all kinds at or behind a position. */
  rowsFrom(segment: number, row: number): number {
    return this.segments.reduce(
      (sum, { id, rows }) => sum + (id > segment ? rows : id === segment ? Math.max(0, rows - row) : 0),
      0,
    );
  }
}

function summaryOf(files: FileSystem, dir: string, id: number, committed: boolean): SegmentInfo {
  const file = openSegment(files, dir, id);
  try {
    const identity = identify(file, id);
    if (committed) return readCommitted(file, id, identity);
    const { summary, end } = summarise(file, identity, file.size());
    return { id, bytes: end, ...summary };
  } finally {
    file.close();
  }
}
