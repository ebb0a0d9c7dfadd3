import * as path from 'node:path';
import { type FileSystem, type ReadableFile, writeDurably } from '../runtime/fs.ts';
import { encodeRecord, type FileMark, GAP, MAX_PAYLOAD, RECORD_HEAD } from '../serialization/record.ts';
import { checkSegment } from './check-segment.ts';
import { identify, type SegmentIdentity, withFile } from './identify.ts';
import { keepAside } from './quarantine.ts';
import { recoverDirectory } from './recovery.ts';
import { isUnreadable, type RecoveryEvent } from './recovery-event.ts';
import { encodeEnd, parseSegmentName, type SegmentEnd } from './segment-file.ts';
import { summarise } from './segment-summary.ts';
import { type FileReport, type Verification, verifyDirectory } from './verify.ts';

/** What repair does with a file; with `--dry-run`, what it would do. */
export interface RepairStep {
  readonly name: string;
  readonly what: string;
}

/** The steps for what verify found. Files without one stay as they are. */
export function planRepair({ files }: Verification): RepairStep[] {
  return files.flatMap(({ name, verdict, check }) => {
    const what = stepFor(name, verdict, check?.tailBytes ?? 0);
    return what === undefined ? [] : [{ name, what }];
  });
}

function stepFor(name: string, verdict: FileReport['verdict'], tailBytes: number): string | undefined {
  const open = name.endsWith('.open');
  const end = `its end is written, and it gets its final name${tailBytes > 0 ? `; ${tailBytes} bytes behind its last whole frame go to quarantine/` : ''}`;
  switch (verdict) {
    case 'whole':
      return open ? end : undefined;
    case 'damaged':
      return `damaged bytes go to quarantine/, whole frames stay where they are${open ? `; ${end}` : ''}`;
    case 'unended':
      return 'its end is written anew';
    case 'empty':
      return 'nothing in it can be read: it goes to quarantine/';
    case 'foreign':
      return 'it gets the name of the segment that it is, or goes to quarantine/ when that is there';
    case 'duplicate':
      return 'it goes to quarantine/';
    case 'unreadable':
      if (open) return undefined;
      return 'what the disk gives of it is written anew; the rest is lost';
    case 'unknown_format':
      return undefined;
    default:
      return verdict satisfies never;
  }
}

export interface RepairResult {
  readonly events: readonly RecoveryEvent[];
  /** Files of which damaged bytes were taken out. */
  readonly mended: readonly string[];
  /** What is left to be said afterwards. */
  readonly after: Verification;
}

/**
 * Saves what can be saved. The caller holds the lock of the directory.
 *
 * First all that a start of the agent does (recovery.ts); then damaged bytes of committed segments are copied to
 * `quarantine/`, and a gap of the same length takes their place. So frames stay byte for byte where they are, ordinals
 * and positions of endpoints hold, and the next segment still knows where this one ends. The new file is written
 * beside the old one, made durable, and renamed over it: a repair that is cut short is done by the next one.
 */
export async function repairDirectory(files: FileSystem, dir: string): Promise<RepairResult> {
  const { events } = await recoverDirectory(files, dir);
  const found = await verifyDirectory(files, dir);
  const ends = statedEnds(files, dir, found);
  const mended: string[] = [];
  for (const { name, verdict, segment } of found.files) {
    if (verdict !== 'damaged' && verdict !== 'unended' && verdict !== 'unreadable') continue;
    if (await mend(files, dir, name, ends.get(segment))) mended.push(name);
  }
  return { events, mended, after: await verifyDirectory(files, dir) };
}

/** Where each segment ends by the header of the next one. */
function statedEnds(files: FileSystem, dir: string, { files: list }: Verification): Map<number, SegmentEnd> {
  const ends = new Map<number, SegmentEnd>();
  for (const { name, segment, check } of list) {
    if (check === undefined) continue;
    const previous = withFile(files, path.join(dir, name), (f) => identify(f, segment)).header?.previous;
    if (previous !== undefined) ends.set(previous.segment, previous);
  }
  return ends;
}

/** Rewrites a committed segment without its damage; false when there was nothing to be done. */
async function mend(
  files: FileSystem,
  dir: string,
  name: string,
  stated: SegmentEnd | undefined,
): Promise<boolean> {
  const { id, state } = parseSegmentName(name)!;
  const bytes = state === 'committed' ? readOver(files, path.join(dir, name)) : undefined;
  if (bytes === undefined) return false;
  const file = inMemory(bytes);
  const identity = identify(file, id);
  if (identity.mark.salt === undefined) return false;
  const { damage } = checkSegment(file, identity, state, stated);
  for (const range of damage) {
    await keepAside(files, dir, name, range, bytes.subarray(range.at, range.to), 'damaged');
  }
  const target = path.join(dir, `${name}.repaired`);
  await files.remove(target).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  });
  await writeDurably(files, target, mendedBytes(bytes, identity, stated));
  await files.rename(target, path.join(dir, name));
  await files.syncDir(dir);
  return true;
}

/** A committed segment with gaps in place of what cannot be read, and an end. */
function mendedBytes(
  bytes: Uint8Array,
  identity: SegmentIdentity,
  stated: SegmentEnd | undefined,
): Uint8Array {
  const file = inMemory(bytes);
  const mark = identity.mark as FileMark;
  const { damage, endTo } = checkSegment(file, identity, 'committed', stated);
  const { summary, end } = summarise(file, identity, bytes.length);
  const rows = Math.max(summary.rows, stated?.rows ?? 0);
  const out = bytes.slice();
  for (const { at, to } of damage) if (at < (endTo ?? end)) putGaps(out, at, to, mark);
  // Nothing belongs behind the end.
  if (endTo !== undefined) return out.subarray(0, endTo);
  // What was lost before the stated end leaves a gap, so that the end stands where the next segment says.
  const lost = stated !== undefined && stated.bytes <= out.length ? stated.bytes - end : 0;
  const at = lost >= RECORD_HEAD ? end + lost : end;
  if (at > end) putGaps(out, end, at, mark);
  return Buffer.concat([out.subarray(0, at), encodeEnd({ ...summary, rows }, mark, at)]);
}

/** Fills `[at, to)` with gap records. Nothing shorter than a record was ever written, so there is room for one. */
function putGaps(out: Uint8Array, at: number, to: number, mark: FileMark): void {
  while (to - at >= RECORD_HEAD) {
    let length = Math.min(to - at, RECORD_HEAD + MAX_PAYLOAD);
    if (to - at - length > 0 && to - at - length < RECORD_HEAD) length -= RECORD_HEAD;
    out.set(encodeRecord(GAP, new Uint8Array(length - RECORD_HEAD), mark, at), at);
    at += length;
  }
}

const BLOCK = 4096;

/** All of a file, with zeros for the blocks that the disk does not give; undefined when it gives none. */
function readOver(files: FileSystem, name: string): Uint8Array | undefined {
  let file: ReadableFile;
  try {
    file = files.openRead(name);
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  }
  try {
    const bytes = new Uint8Array(file.size());
    let given = bytes.length === 0;
    for (let at = 0; at < bytes.length; ) {
      // To the end of a block, so that one bad block takes no more than itself.
      const length = Math.min(BLOCK - (at % BLOCK), bytes.length - at);
      try {
        const read = file.read(bytes.subarray(at), length, at);
        given = true;
        at += read === 0 ? length : read;
      } catch (error) {
        if (!isUnreadable(error)) throw error;
        at += length;
      }
    }
    return given ? bytes : undefined;
  } finally {
    file.close();
  }
}

function inMemory(bytes: Uint8Array): ReadableFile {
  return {
    read: (into, length, position) => {
      const part = bytes.subarray(position, position + length);
      into.set(part);
      return part.length;
    },
    size: () => bytes.length,
    close: () => undefined,
  };
}
