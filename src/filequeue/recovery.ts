import * as path from 'node:path';
import { type FileSystem, type ReadableFile, writeDurably } from '../runtime/fs.ts';
import { BodyOpener, decodeFrameHead, FrameRows } from '../serialization/frame.ts';
import { END, FRAME, HEADER, nextRecord, RECORD_HEAD } from '../serialization/record.ts';
import { KINDS } from '../serialization/rows.ts';
import { SegmentScanner } from './scanner.ts';
import {
  decodeEnd,
  decodeHeader,
  encodeEnd,
  parseSegmentName,
  type SegmentHeader,
  type SegmentInfo,
  type SegmentSummary,
  segmentName,
  segmentPath,
  UnknownFormatError,
} from './segment-file.ts';

/** Something that recovery came upon, for the log. */
export interface RecoveryEvent {
  readonly kind: 'recovered' | 'tail' | 'damage' | 'unknown_format' | 'duplicate';
  readonly file: string;
  readonly message: string;
  /** Offset and length in bytes, where it is about a part of the file. */
  readonly offset?: number;
  readonly bytes?: number;
}

export interface RecoveredDirectory {
  /** All segments that can be read, by ascending id; none is open. */
  readonly segments: SegmentInfo[];
  /** Higher than every id that was ever seen in a file name here. */
  readonly nextId: number;
  readonly events: readonly RecoveryEvent[];
}

/**
 * Makes a WAL directory whole after whatever ended the last process.
 *
 * Committed segments are not read, but for their first and last bytes. Open ones are read frame by frame:
 *
 * - what lies behind the end that a successor's header states was never durable (a failed fsync): it is cut;
 * - a torn tail, with no whole record behind it, was never acknowledged: it is set aside and cut;
 * - damage with whole records behind it stays where it is, for the readers to step over, and is copied aside;
 * - then the file gets its end record and its final name.
 *
 * Nothing is removed that has not first been copied to `quarantine/`, and a file of an unknown version is left
 * as it is.
 */
export async function recoverDirectory(files: FileSystem, dir: string): Promise<RecoveredDirectory> {
  const quarantine = path.join(dir, 'quarantine');
  await files.makeDir(dir);
  await files.makeDir(quarantine);
  const states = new Map<number, 'open' | 'committed'>();
  const events: RecoveryEvent[] = [];
  let nextId = 1;
  for (const name of await files.list(dir)) {
    const parsed = parseSegmentName(name);
    if (parsed === undefined) continue;
    nextId = Math.max(nextId, parsed.id + 1);
    if (states.has(parsed.id)) {
      events.push({
        kind: 'duplicate',
        file: name,
        message: 'a segment is there twice; the committed one counts',
      });
      await files.rename(
        segmentPath(dir, parsed.id, 'open'),
        path.join(quarantine, `${segmentName(parsed.id, 'open')}.duplicate`),
      );
      states.set(parsed.id, 'committed');
    } else states.set(parsed.id, parsed.state);
  }
  const ids = [...states.keys()].sort((a, b) => a - b);
  const ends = new Map<number, number>();
  const headers = new Map<number, SegmentHeader | undefined>();
  const readable: number[] = [];
  for (const id of ids) {
    const file = segmentPath(dir, id, states.get(id)!);
    try {
      const header = withFile(files, file, readHeader);
      headers.set(id, header);
      if (header?.previous !== undefined) ends.set(header.previous.segment, header.previous.bytes);
      readable.push(id);
    } catch (error) {
      if (!(error instanceof UnknownFormatError)) throw error;
      events.push({ kind: 'unknown_format', file, message: `${error.message}; the file is left as it is` });
    }
  }
  const segments: SegmentInfo[] = [];
  for (const id of readable) {
    const state = states.get(id)!;
    const file = segmentPath(dir, id, state);
    const info =
      state === 'committed'
        ? withFile(files, file, (f) => readCommitted(f, id, headers.get(id)))
        : await recoverOpen(files, dir, id, headers.get(id), ends.get(id), events);
    if (info !== undefined) segments.push(info);
  }
  return { segments, nextId, events };
}

function withFile<T>(files: FileSystem, file: string, use: (f: ReadableFile) => T): T {
  const f = files.openRead(file);
  try {
    return use(f);
  } finally {
    f.close();
  }
}

/** The header of a segment, or undefined when it is damaged or missing. Throws `UnknownFormatError`. */
export function readHeader(file: ReadableFile): SegmentHeader | undefined {
  // A start reads the headers of the whole backlog: no more of each file than it needs.
  const found = new SegmentScanner(file, 0).next(Math.min(file.size(), HEADER_WINDOW));
  if (found.kind !== 'record' || found.type !== HEADER) return undefined;
  try {
    return decodeHeader(found.payload);
  } catch (error) {
    if (error instanceof UnknownFormatError) throw error;
    return undefined;
  }
}

/** No version has a longer header record: docs/format.md. */
const HEADER_WINDOW = 4096;
const END_WINDOW = 512;

/** The facts of a committed segment, from its end record, or by reading it when that is damaged. */
function readCommitted(file: ReadableFile, id: number, header: SegmentHeader | undefined): SegmentInfo {
  const size = file.size();
  const window = new Uint8Array(Math.min(size, END_WINDOW));
  const from = size - window.length;
  file.read(window, window.length, from);
  for (let found = nextRecord(window, 0); found !== undefined; found = nextRecord(window, found.at + 1)) {
    if (found.type !== END || found.end !== window.length) continue;
    try {
      const summary = decodeEnd(window.subarray(found.at + RECORD_HEAD, found.end));
      return { id, bytes: from + found.at, ...summary };
    } catch {
      break;
    }
  }
  const { summary, end } = summarise(file, header, size);
  return { id, bytes: end, ...summary };
}

async function recoverOpen(
  files: FileSystem,
  dir: string,
  id: number,
  header: SegmentHeader | undefined,
  statedEnd: number | undefined,
  events: RecoveryEvent[],
): Promise<SegmentInfo | undefined> {
  const file = segmentPath(dir, id, 'open');
  const size = withFile(files, file, (f) => f.size());
  const limit = Math.min(size, statedEnd ?? size);
  const { summary, end: read, sealedTo, damage } = withFile(files, file, (f) => summarise(f, header, limit));
  // All before a stated end was durable: what cannot be read there is damage, not a torn tail.
  const end = statedEnd === undefined ? read : limit;
  if (read < end) damage.push({ at: read, to: end });
  for (const { at, to } of damage) {
    await setAside(files, dir, id, file, at, to, 'damaged');
    events.push({
      kind: 'damage',
      file,
      message: 'a damaged part is stepped over; a copy is in quarantine/',
      offset: at,
      bytes: to - at,
    });
  }
  const sealed = sealedTo === size;
  if (end < size && !sealed) {
    await setAside(files, dir, id, file, end, size, 'tail');
    events.push({
      kind: 'tail',
      file,
      message: 'a torn tail was cut: it was written but never acknowledged; a copy is in quarantine/',
      offset: end,
      bytes: size - end,
    });
    await files.truncate(file, end);
  }
  if (summary.frames === 0) {
    await files.remove(file);
    await files.syncDir(dir);
    return undefined;
  }
  const handle = await files.openAppend(file);
  try {
    // The process that wrote the last frame may have been killed before its sync, and an end record promises
    // that all before it is durable.
    await handle.sync();
    if (!sealed) {
      await handle.append(encodeEnd(summary));
      await handle.sync();
    }
  } finally {
    await handle.close();
  }
  await files.rename(file, segmentPath(dir, id, 'committed'));
  await files.syncDir(dir);
  events.push({
    kind: 'recovered',
    file,
    message: `an open segment was ended: ${summary.rows} rows`,
    bytes: end,
  });
  return { id, bytes: end, ...summary };
}

/** Reads a segment up to `limit`: what it holds, where its last whole frame and its end record end, what is damaged. */
function summarise(
  file: ReadableFile,
  header: SegmentHeader | undefined,
  limit: number,
): { summary: SegmentSummary; end: number; sealedTo: number; damage: { at: number; to: number }[] } {
  const scanner = new SegmentScanner(file, 0);
  const opener = new BodyOpener();
  const rowsOfFrame = new FrameRows();
  const counts = new Array<number>(KINDS).fill(0);
  const damage: { at: number; to: number }[] = [];
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

async function setAside(
  files: FileSystem,
  dir: string,
  id: number,
  file: string,
  at: number,
  to: number,
  what: string,
): Promise<void> {
  const bytes = new Uint8Array(to - at);
  withFile(files, file, (f) => f.read(bytes, bytes.length, at));
  const name = `${segmentName(id, 'open')}.${at}-${to}.${what}`;
  const target = path.join(dir, 'quarantine', name);
  // A start that was itself cut short may have been here before.
  await files.remove(target).catch(() => undefined);
  await writeDurably(files, target, bytes);
}
