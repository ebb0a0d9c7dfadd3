import * as path from 'node:path';
import type { FileSystem, ReadableFile } from '../runtime/fs.ts';
import { checkSegment, type SegmentCheck } from './check-segment.ts';
import { identify, type SegmentIdentity } from './identify.ts';
import { readReleased } from './released.ts';
import {
  ForeignSegmentError,
  parseSegmentName,
  type SegmentEnd,
  type SegmentState,
  UnknownFormatError,
} from './segment-file.ts';

/**
 * What is wrong with a file, if anything:
 *
 * - `damaged`: bytes of it cannot be read; the rest can
 * - `unended`: all its frames can be read, but its end record cannot
 * - `empty`: nothing in it can be read
 * - `foreign`: it is another segment than its name says
 * - `duplicate`: its segment is there under the final name too
 * - `unknown_format`: of a version that this one does not know
 * - `unreadable`: the system does not let us read it
 */
export type Verdict =
  | 'whole'
  | 'damaged'
  | 'unended'
  | 'empty'
  | 'foreign'
  | 'duplicate'
  | 'unknown_format'
  | 'unreadable';

export interface FileReport {
  readonly name: string;
  readonly segment: number;
  readonly verdict: Verdict;
  /** Words of the error, for those that were not read. */
  readonly cause?: string;
  /** Undefined when it was not read. */
  readonly check?: SegmentCheck;
}

export interface Verification {
  /** In the order of names. */
  readonly files: readonly FileReport[];
  /**
   * Segments that are not there although an older one is. What is deleted in that order, for the sake of an endpoint
   * that was taken out of the configuration, is below the id of released.ts and not among them.
   */
  readonly missing: readonly SegmentEnd[];
  readonly whole: boolean;
}

/**
 * Reads all of every segment in a directory. It changes nothing, and may run beside an agent: what is renamed or
 * deleted meanwhile is looked for again or left out. Throws what listing the directory throws.
 */
export async function verifyDirectory(files: FileSystem, dir: string): Promise<Verification> {
  const names = segmentNames(await files.list(dir));
  const reports = new Map<string, FileReport>();
  const identities = new Map<string, SegmentIdentity>();
  const ends = new Map<number, SegmentEnd>();
  const strays = new Set<number>();
  for (const name of names) {
    const { id } = parseSegmentName(name)!;
    try {
      const identity = using(files, dir, name, (file) => identify(file, id));
      if (identity === undefined) continue;
      identities.set(name, identity);
      const previous = identity.header?.previous;
      if (previous !== undefined) ends.set(previous.segment, previous);
    } catch (error) {
      if (error instanceof ForeignSegmentError) strays.add(error.facts.segment as number);
      reports.set(name, refused(name, id, error));
    }
  }
  const seen = new Set<number>();
  for (const [name, identity] of identities) {
    const { id, state } = parseSegmentName(name)!;
    try {
      const check = using(files, dir, name, (file) => checkSegment(file, identity, state, ends.get(id)));
      if (check === undefined) continue;
      const empty = state === 'committed' && identity.mark.salt === undefined;
      const verdict = seen.has(id) ? 'duplicate' : empty ? 'empty' : judge(check, state);
      reports.set(name, { name, segment: id, verdict, check });
      // The other file counts when nothing in this one can be read.
      if (verdict !== 'empty') seen.add(id);
    } catch (error) {
      reports.set(name, refused(name, id, error));
    }
  }
  const list = [...reports.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const present = new Set(list.filter(({ verdict }) => verdict !== 'foreign').map(({ segment }) => segment));
  // Once more: while segments are being deleted, the oldest first, a listing may show an older one without a newer.
  const oldest = Math.min(...segmentNames(await files.list(dir)).map((name) => parseSegmentName(name)!.id));
  const released = readReleased(files, dir);
  const missing = [...ends.values()].filter(
    ({ segment, rows }) =>
      rows > 0 && segment > oldest && segment >= released && !present.has(segment) && !strays.has(segment),
  );
  const whole = missing.length === 0 && list.every(({ verdict }) => verdict === 'whole');
  return { files: list, missing, whole };
}

function segmentNames(names: readonly string[]): string[] {
  return names.filter((name) => parseSegmentName(name) !== undefined).sort();
}

function judge(check: SegmentCheck, state: SegmentState): Verdict {
  if (check.damage.length === 0) {
    return check.endTo !== undefined || state === 'open' ? 'whole' : 'unended';
  }
  return 'damaged';
}

function refused(name: string, segment: number, error: unknown): FileReport {
  const cause = (error as Error).message;
  if (error instanceof ForeignSegmentError) return { name, segment, verdict: 'foreign', cause };
  if (error instanceof UnknownFormatError) return { name, segment, verdict: 'unknown_format', cause };
  if ((error as NodeJS.ErrnoException).code === undefined) throw error;
  return { name, segment, verdict: 'unreadable', cause };
}

/** Uses the file with that name, or with its final one when it was just given that; undefined when it is gone. */
function using<T>(
  files: FileSystem,
  dir: string,
  name: string,
  use: (file: ReadableFile) => T,
): T | undefined {
  let file: ReadableFile | undefined;
  for (const one of [name, name.replace('.open', '.committed')]) {
    try {
      file = files.openRead(path.join(dir, one));
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  if (file === undefined) return undefined;
  try {
    return use(file);
  } finally {
    file.close();
  }
}
