import * as path from 'node:path';
import { Decoder, encode } from '@msgpack/msgpack';
import { SpillwayError } from '../runtime/errors.ts';
import { type Codec, codecs } from '../serialization/codec.ts';
import { count, FrameError, section } from '../serialization/frame.ts';
import { END, encodeRecord, type FileMark, HEADER } from '../serialization/record.ts';

/**
 * Names, headers and ends of segment files.
 *
 *     <id>.open        being written, or left so by a crash
 *     <id>.committed   ended; never changes again
 *
 * with the id as twenty digits, so that names sort. A file is a header record, frame records, and, once it is
 * committed, an end record that sums it up, so that a start reads two small pieces of each file instead of
 * the backlog. docs/format.md has the details.
 */
export const FORMAT = 'spillway-segment';
export const FORMAT_VERSION = 1;

/** A file that says that it is another segment than its name says. */
export class ForeignSegmentError extends SpillwayError {
  readonly code = 'SEGMENT_FOREIGN';
}

/** A segment of a format that this version does not know. It is left as it is. */
export class UnknownFormatError extends SpillwayError {
  readonly code = 'FORMAT_UNKNOWN';
}

export interface SegmentHeader {
  readonly segment: number;
  readonly codec: Codec;
  readonly createdMs: number;
  /**
   * The segment before, and where it ends: what lies behind that was never durable, and is never delivered. With
   * its rows, so that it is known what was lost when it is damaged or gone. Undefined for the first one.
   */
  readonly previous: SegmentEnd | undefined;
}

/** Where the frames of a segment end, by the header of the next one. */
export interface SegmentEnd {
  readonly segment: number;
  readonly bytes: number;
  /** The ordinal behind its last row. */
  readonly rows: number;
}

/** What an ended segment holds. */
export interface SegmentSummary {
  /** Rows of all kinds; the last row has ordinal `rows - 1`. */
  readonly rows: number;
  /** Rows by kind, in the order of rows.ts. */
  readonly counts: readonly number[];
  readonly frames: number;
  /** Commit times of its first and last frame, ms since the epoch; 0 when it has none. */
  readonly firstMs: number;
  readonly lastMs: number;
}

/** A segment as the queue knows it. */
export interface SegmentInfo extends SegmentSummary {
  readonly id: number;
  /** Length in bytes that counts: up to here it is durable and whole. */
  readonly bytes: number;
}

export type SegmentState = 'open' | 'committed';

export function segmentName(id: number, state: SegmentState): string {
  return `${String(id).padStart(20, '0')}.${state}`;
}

/** The id and state that a file name says, or undefined for a file that is no segment. */
export function parseSegmentName(name: string): { id: number; state: SegmentState } | undefined {
  const match = /^(\d{20})\.(open|committed)$/.exec(name);
  if (match === null) return undefined;
  const id = Number(match[1]);
  return Number.isSafeInteger(id) ? { id, state: match[2] as SegmentState } : undefined;
}

export function segmentPath(dir: string, id: number, state: SegmentState): string {
  return path.join(dir, segmentName(id, state));
}

/** The header record of a file whose records carry `salt`. */
export function encodeHeader(header: SegmentHeader, salt: number): Uint8Array {
  const payload = encode({
    format: FORMAT,
    version: FORMAT_VERSION,
    segment: header.segment,
    codec: header.codec,
    created: header.createdMs,
    previous: header.previous ?? null,
  });
  return encodeRecord(HEADER, payload, { segment: header.segment, salt }, 0);
}

/** One for all: a start decodes two records of each segment of the backlog. */
const decoder: Decoder = new Decoder();

/** Throws `UnknownFormatError` for a version or codec that is not known here, `FrameError` for other content. */
export function decodeHeader(payload: Uint8Array): SegmentHeader {
  const value = section(decoder.decode(payload), 'the header');
  const { format, version, codec } = value;
  if (format !== FORMAT || version !== FORMAT_VERSION) {
    throw new UnknownFormatError(
      `the file is ${String(format)} version ${String(version)}, not ${FORMAT} ${FORMAT_VERSION}`,
    );
  }
  if (!isCodec(codec)) {
    throw new UnknownFormatError(
      `the frames are packed with ${String(codec)}, which this version does not know`,
    );
  }
  const previous = value.previous === null ? undefined : section(value.previous, 'previous');
  return {
    segment: count(value, 'segment'),
    codec,
    createdMs: count(value, 'created'),
    previous: previous && {
      segment: count(previous, 'segment'),
      bytes: count(previous, 'bytes'),
      rows: count(previous, 'rows'),
    },
  };
}

/** The end record for `offset` of the file with this mark. */
export function encodeEnd(summary: SegmentSummary, mark: FileMark, offset: number): Uint8Array {
  const { rows, counts, frames, firstMs, lastMs } = summary;
  return encodeRecord(END, encode({ rows, counts, frames, first: firstMs, last: lastMs }), mark, offset);
}

/** Throws `FrameError`. */
export function decodeEnd(payload: Uint8Array): SegmentSummary {
  const value = section(decoder.decode(payload), 'the end');
  if (!Array.isArray(value.counts) || !value.counts.every((n) => Number.isSafeInteger(n))) {
    throw new FrameError('the counts of the end are not numbers');
  }
  return {
    rows: count(value, 'rows'),
    counts: value.counts as number[],
    frames: count(value, 'frames'),
    firstMs: count(value, 'first'),
    lastMs: count(value, 'last'),
  };
}

function isCodec(value: unknown): value is Codec {
  return (codecs as readonly unknown[]).includes(value);
}
