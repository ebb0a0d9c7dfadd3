import { identify, openSegment, type SegmentIdentity } from '../filequeue/identify.ts';
import type { SegmentEnd } from '../filequeue/segment-file.ts';
import type { MetadataOf } from '../protocol/emitter-v2.ts';
import type { FileSystem, ReadableFile } from '../runtime/fs.ts';
import type { Codec } from '../serialization/codec.ts';
import type { LabelColumns } from '../serialization/label-columns.ts';
import type { TenantChoice } from '../serialization/leaving-tenants.ts';
import type { WantedMark } from '../serialization/record.ts';
import { SegmentDictionary, type SeriesRewrite } from '../serialization/segment-dictionary.ts';
import type { MetadataCache } from './metadata-cache.ts';
import { SegmentMetadata } from './series-metadata.ts';
import { ToldMetadata } from './told-metadata.ts';

/** What is made of the metadata of a segment. */
export interface SegmentMetadataUse {
  /** For endpoints that may be sent remote write 2.0: what is known of families, wherever it came from. */
  readonly cache?: MetadataCache | undefined;
}

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
  /** What came with its series; undefined for endpoints that are sent no metadata. */
  readonly told: ToldMetadata | undefined;
  /** For endpoints that may be sent remote write 2.0. */
  readonly metadataOf: MetadataOf | undefined;
  readonly file: ReadableFile;
  /** Undefined when the header is damaged. */
  readonly codec: Codec | undefined;
  /** What its records are found by. */
  readonly mark: WantedMark;
  /** The segment before this one, where the header says. */
  readonly previous: SegmentEnd | undefined;
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
    { header, mark }: SegmentIdentity,
    rewrite: SeriesRewrite | undefined,
    onIdle: (context: SegmentContext) => void,
    columns: LabelColumns | undefined,
    tenants: TenantChoice | undefined,
    metadata: SegmentMetadataUse | undefined,
  ) {
    this.segment = segment;
    this.file = file;
    this.codec = header?.codec;
    this.previous = header?.previous;
    this.mark = mark;
    this.dictionary = new SegmentDictionary(rewrite, columns, tenants);
    this.told = metadata && new ToldMetadata(this.dictionary);
    this.metadataOf =
      this.told && metadata?.cache && new SegmentMetadata(this.dictionary, this.told, metadata.cache).of;
    this.#onIdle = onIdle;
  }

  /**
   * Opens the file of a segment; its dictionary is kept in `columns`. Without `metadata` none is sent. Throws what the
   * file system throws, `UnknownFormatError`, and `ForeignSegmentError` when it is another segment.
   */
  static open(
    files: FileSystem,
    dir: string,
    segment: number,
    rewrite: SeriesRewrite | undefined,
    onIdle: (context: SegmentContext) => void,
    columns?: LabelColumns,
    tenants?: TenantChoice,
    metadata?: SegmentMetadataUse,
  ): SegmentContext {
    const file = openSegment(files, dir, segment);
    try {
      const header = identify(file, segment);
      return new SegmentContext(segment, file, header, rewrite, onIdle, columns, tenants, metadata);
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
    this.dictionary.release();
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

/** Where the segment before ends by the word of `segment`'s header; undefined when it does not say. */
export function statedEnd(
  files: FileSystem,
  dir: string,
  segment: number,
  before: number,
): SegmentEnd | undefined {
  const file = openSegment(files, dir, segment);
  try {
    const previous = identify(file, segment).header?.previous;
    return previous?.segment === before ? previous : undefined;
  } finally {
    file.close();
  }
}
