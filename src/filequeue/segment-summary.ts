import type { ReadableFile } from '../runtime/fs.ts';
import { BodyOpener, decodeFrameHead, FrameRows } from '../serialization/frame.ts';
import { END, FRAME, nextRecord, RECORD_HEAD } from '../serialization/record.ts';
import { KINDS } from '../serialization/rows.ts';
import type { SegmentIdentity } from './identify.ts';
import { SegmentScanner } from './scanner.ts';
import { decodeEnd, type SegmentInfo, type SegmentSummary } from './segment-file.ts';

/** Bytes `[at, to)` of a file. */
export interface ByteRange {
  readonly at: number;
  readonly to: number;
}

/** For the end record; one for all files. */
const tail = new Uint8Array(512);

/** The facts of a committed segment, from its end record, or by reading it when that is damaged. */
export function readCommitted(file: ReadableFile, id: number, identity: SegmentIdentity): SegmentInfo {
  const size = file.size();
  const from = Math.max(0, size - tail.length);
  const window = tail.subarray(0, file.read(tail, size - from, from));
  const { mark } = identity;
  for (
    let found = nextRecord(window, 0, mark, from);
    found !== undefined;
    found = nextRecord(window, found.at + 1, mark, from)
  ) {
    if (found.type !== END || from + found.end !== size) continue;
    try {
      const summary = decodeEnd(window.subarray(found.at + RECORD_HEAD, found.end));
      return { id, bytes: from + found.at, ...summary };
    } catch {
      break;
    }
  }
  const { summary, end } = summarise(file, identity, size);
  return { id, bytes: end, ...summary };
}

/** Reads a segment up to `limit`: what it holds, where its last whole frame and its end record end, what is damaged. */
export function summarise(
  file: ReadableFile,
  { header, mark }: SegmentIdentity,
  limit: number,
): { summary: SegmentSummary; end: number; sealedTo: number; damage: ByteRange[] } {
  const scanner = new SegmentScanner(file, 0, mark);
  const opener = new BodyOpener();
  const rowsOfFrame = new FrameRows();
  const counts = new Array<number>(KINDS).fill(0);
  const damage: ByteRange[] = [];
  let rows = 0;
  let frames = 0;
  let firstMs = 0;
  let lastMs = 0;
  let end = 0;
  let sealedTo = 0;
  for (;;) {
    const found = scanner.next(limit);
    if (found.kind === 'end') break;
    if (found.kind === 'damage') {
      damage.push({ at: found.at, to: found.end });
      continue;
    }
    if (found.type === END) sealedTo = found.end;
    else end = found.end;
    if (found.type !== FRAME) continue;
    try {
      const head = decodeFrameHead(found.payload);
      rowsOfFrame.read(opener.open(head, header?.codec), head.rows);
      for (let kind = 0; kind < KINDS; kind++) counts[kind] = counts[kind]! + rowsOfFrame.counts[kind]!;
      rows = Math.max(rows, head.row + head.rows);
      frames++;
      if (firstMs === 0) firstMs = head.at;
      lastMs = head.at;
    } catch {
      // Whole by its CRC, yet not what the format says: of another maker, or a defect of ours. Stepped over.
      damage.push({ at: found.at, to: found.end });
    }
  }
  return { summary: { rows, counts, frames, firstMs, lastMs }, end, sealedTo, damage };
}
