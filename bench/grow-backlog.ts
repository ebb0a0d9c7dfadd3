/** Makes a large backlog of a small one: to fill ten gigabytes by a load takes the better part of an hour. */
import { closeSync, openSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { identify, withFile } from '../src/filequeue/identify.ts';
import { SegmentScanner } from '../src/filequeue/scanner.ts';
import {
  encodeHeader,
  parseSegmentName,
  type SegmentEnd,
  type SegmentHeader,
  segmentPath,
} from '../src/filequeue/segment-file.ts';
import { readCommitted } from '../src/filequeue/segment-summary.ts';
import { nodeFileSystem, type ReadableFile } from '../src/runtime/fs.ts';
import { encodeRecord, HEADER } from '../src/serialization/record.ts';

/** What was added to a backlog. */
export interface Growth {
  readonly bytes: number;
  /** How many times the original. */
  readonly share: number;
}

/**
 * Appends copies of the committed segments of a data directory that nobody uses, under ids of their own, until all
 * segments have `bytes` bytes at least. Every record is written anew, since each knows its segment and its place; the
 * rows are those of the originals, so whoever delivers as far as the first copy delivers twice.
 */
export function growBacklog(dataDir: string, bytes: number): Growth {
  const dir = join(dataDir, 'wal');
  const sources = readdirSync(dir)
    .map((name) => parseSegmentName(name))
    .filter((parsed) => parsed?.state === 'committed')
    .map((parsed) => parsed!.id)
    .sort((a, b) => a - b);
  let last = 0;
  let previous: SegmentEnd | undefined;
  let total = 0;
  for (const id of sources) {
    last = id;
    withFile(nodeFileSystem, segmentPath(dir, id, 'committed'), (file) => {
      previous = endOf(file, id);
      total += file.size();
    });
  }
  if (previous === undefined) throw new Error(`${dir} has no committed segment`);
  const original = total;
  for (let i = 0; total < bytes; i++) {
    const source = sources[i % sources.length]!;
    const id = ++last;
    const before = previous;
    total += withFile(nodeFileSystem, segmentPath(dir, source, 'committed'), (file) =>
      copySegment(file, source, segmentPath(dir, id, 'committed'), id, before),
    );
    previous = withFile(nodeFileSystem, segmentPath(dir, id, 'committed'), (file) => endOf(file, id));
  }
  return { bytes: total - original, share: (total - original) / original };
}

function endOf(file: ReadableFile, id: number): SegmentEnd {
  const { bytes, rows } = readCommitted(file, id, identify(file, id));
  return { segment: id, bytes, rows };
}

/** Returns the length of the copy in bytes. */
function copySegment(
  from: ReadableFile,
  source: number,
  to: string,
  id: number,
  previous: SegmentEnd,
): number {
  const { header, mark } = identify(from, source);
  if (header === undefined || mark.salt === undefined) throw new Error(`segment ${source} is damaged`);
  const copied: SegmentHeader = { ...header, segment: id, previous };
  const scanner = new SegmentScanner(from, 0, mark);
  const size = from.size();
  const fd = openSync(to, 'wx');
  try {
    let at = 0;
    for (;;) {
      const found = scanner.next(size);
      if (found.kind === 'end') return at;
      if (found.kind === 'damage') throw new Error(`segment ${source} is damaged at ${found.at}`);
      const record =
        found.type === HEADER
          ? encodeHeader(copied, mark.salt)
          : encodeRecord(found.type, found.payload, { segment: id, salt: mark.salt }, at);
      at += writeSync(fd, record);
    }
  } finally {
    closeSync(fd);
  }
}
