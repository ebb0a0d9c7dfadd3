import { readHeader } from '../filequeue/recovery.ts';
import { segmentPath } from '../filequeue/segment-file.ts';
import type { FileSystem, ReadableFile } from '../runtime/fs.ts';
import type { Codec } from '../serialization/frame.ts';
import { SegmentDictionary, type SeriesRewrite } from '../serialization/segment-dictionary.ts';

/**
 * One segment as an endpoint has it open: its file, its dictionary so far, and where its frames begin.
 *
 * Queued rows refer to the dictionary by series id, so a context lives as long as a reader is in it or a row
 * of it is queued (`hold`, `letGo`); the file is closed then. Two readers may share it: whichever first comes
 * to a frame adds what that brings to the dictionary.
 */
export class SegmentContext {
  readonly segment: number;
  readonly dictionary: SegmentDictionary;
  readonly file: ReadableFile;
  /** Undefined when the header is damaged. */
  readonly codec: Codec | undefined;
  /** The dictionary has what all frames before this offset bring. */
  addedTo = 0;
  /** First row, offset and commit time of each frame that was read, as columns. */
  readonly #frameRows: number[] = [];
  readonly #frameOffsets: number[] = [];
  readonly #frameTimes: number[] = [];
  #holds = 0;
  readonly #onIdle: (context: SegmentContext) => void;

  private constructor(
    segment: number,
    file: ReadableFile,
    codec: Codec | undefined,
    rewrite: SeriesRewrite | undefined,
    onIdle: (context: SegmentContext) => void,
  ) {
    this.segment = segment;
    this.file = file;
    this.codec = codec;
    this.dictionary = new SegmentDictionary(rewrite);
    this.#onIdle = onIdle;
  }

  /** Opens the file of a segment. Throws what the file system throws, and `UnknownFormatError`. */
  static open(
    files: FileSystem,
    dir: string,
    segment: number,
    rewrite: SeriesRewrite | undefined,
    onIdle: (context: SegmentContext) => void,
  ): SegmentContext {
    const file = openEither(files, dir, segment);
    try {
      return new SegmentContext(segment, file, readHeader(file)?.codec, rewrite, onIdle);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Counts `n` more users of the dictionary. */
  hold(n: number): void {
    this.#holds += n;
  }

  /** Counts `n` users less; without any, the file is closed and the owner told. */
  letGo(n: number): void {
    this.#holds -= n;
    if (this.#holds > 0) return;
    this.file.close();
    this.#onIdle(this);
  }

  /** Remembers a frame; they come in order. */
  addFrame(row: number, offset: number, committedMs: number): void {
    this.#frameRows.push(row);
    this.#frameOffsets.push(offset);
    this.#frameTimes.push(committedMs);
  }

  /** The offset of the last frame known to begin at or before `row`; 0 when none is. */
  offsetBefore(row: number): number {
    return this.#frameOffsets[this.#frameOf(row)] ?? 0;
  }

  /** When the frame with `row` was committed, ms since the epoch; undefined when it is not known. */
  committedMs(row: number): number | undefined {
    return this.#frameTimes[this.#frameOf(row)];
  }

  /** Index of the last frame that begins at or before `row`, or -1. */
  #frameOf(row: number): number {
    let lo = 0;
    let hi = this.#frameRows.length;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      if (this.#frameRows[mid]! <= row) lo = mid + 1;
      else hi = mid;
    }
    return lo - 1;
  }
}

/** The file of a segment under either of its names: it may be renamed at any moment. */
function openEither(files: FileSystem, dir: string, segment: number): ReadableFile {
  const states = ['committed', 'open', 'committed'] as const;
  for (let i = 0; ; i++) {
    try {
      return files.openRead(segmentPath(dir, segment, states[i]!));
    } catch (error) {
      if (i === states.length - 1 || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

/** Where the segment before ends by the word of `segment`'s header; undefined when it does not say. */
export function statedEnd(
  files: FileSystem,
  dir: string,
  segment: number,
  before: number,
): number | undefined {
  const file = openEither(files, dir, segment);
  try {
    const previous = readHeader(file)?.previous;
    return previous?.segment === before ? previous.bytes : undefined;
  } finally {
    file.close();
  }
}
