import type { FileSystem, ReadableFile } from '../runtime/fs.ts';
import { HEADER, RECORD_HEAD, recordAt, type WantedMark } from '../serialization/record.ts';
import { SegmentScanner } from './scanner.ts';
import {
  decodeHeader,
  ForeignSegmentError,
  type SegmentHeader,
  segmentPath,
  UnknownFormatError,
} from './segment-file.ts';

/** What the first bytes of a segment say. */
export interface SegmentIdentity {
  /** Undefined when it is damaged. */
  readonly header: SegmentHeader | undefined;
  /** What its records are found by. Without a salt there was nothing whole in the file. */
  readonly mark: WantedMark;
}

/** No version has a longer header record: docs/format.md. One window for all files: what is found is copied out of it. */
const window = new Uint8Array(4096);

/**
 * Whose file this is. Under a damaged header the salt is that of the first whole record behind it.
 *
 * Throws `UnknownFormatError`, `ForeignSegmentError` when the header names another segment than `id`, and what
 * reading throws.
 */
export function identify(file: ReadableFile, id: number): SegmentIdentity {
  const unmarked = { segment: id, salt: undefined };
  // A start reads the headers of the whole backlog: no more of each file than it needs.
  const head = window.subarray(0, file.read(window, window.length, 0));
  const first = recordAt(head, 0, unmarked, 0);
  if (typeof first === 'object' && first.type === HEADER) {
    return {
      header: headerIn(head.subarray(RECORD_HEAD, first.end), id),
      mark: { segment: id, salt: first.salt },
    };
  }
  const size = file.size();
  const scanner = new SegmentScanner(file, 0, unmarked);
  let found = scanner.next(size);
  while (found.kind === 'damage') found = scanner.next(size);
  const salt = found.kind === 'record' ? found.salt : undefined;
  return { header: undefined, mark: { segment: id, salt } };
}

function headerIn(payload: Uint8Array, id: number): SegmentHeader | undefined {
  let header: SegmentHeader;
  try {
    header = decodeHeader(payload);
  } catch (error) {
    if (error instanceof UnknownFormatError) throw error;
    // Whole by its CRC, and not what the format says: as good as damaged.
    return undefined;
  }
  if (header.segment === id) return header;
  throw new ForeignSegmentError(`the file says that it is segment ${header.segment}, its name says ${id}`, {
    segment: header.segment,
  });
}

/** The file of a segment under either of its names: it may be renamed at any moment. */
export function openSegment(files: FileSystem, dir: string, segment: number): ReadableFile {
  const states = ['committed', 'open', 'committed'] as const;
  for (let i = 0; ; i++) {
    try {
      return files.openRead(segmentPath(dir, segment, states[i]!));
    } catch (error) {
      if (i === states.length - 1 || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

/** Uses a file that is open meanwhile. */
export function withFile<T>(files: FileSystem, file: string, use: (f: ReadableFile) => T): T {
  const f = files.openRead(file);
  try {
    return use(f);
  } finally {
    f.close();
  }
}
