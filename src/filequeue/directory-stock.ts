import * as path from 'node:path';
import type { FileSystem } from '../runtime/fs.ts';
import { identify, type SegmentIdentity, withFile } from './identify.ts';
import { moveAside } from './quarantine.ts';
import { isUnreadable, type RecoveryEvent, readable, unreadable } from './recovery-event.ts';
import {
  ForeignSegmentError,
  parseSegmentName,
  type SegmentInfo,
  type SegmentState,
  segmentName,
  UnknownFormatError,
} from './segment-file.ts';
import { readCommitted } from './segment-summary.ts';

/** A file of the directory that is the segment that its name says. */
export interface StockedSegment {
  readonly state: SegmentState;
  /** Undefined when it is of an unknown version, or cannot be read for now: it is left as it is. */
  readonly identity: SegmentIdentity | undefined;
  /** What a committed one holds. Undefined when nothing in it is whole, or that cannot be read for now. */
  readonly info: SegmentInfo | undefined;
}

export interface Stock {
  readonly segments: Map<number, StockedSegment>;
  readonly nextId: number;
  readonly events: RecoveryEvent[];
}

/** A file on its way back to its own name has this behind it. */
const RETURNED = '.returned';

/**
 * Finds out which file is which segment, and puts right what stands under another's name.
 *
 * A file whose header names another segment is given that name, unless a segment has it; then it is a copy, and goes
 * to `quarantine/`. Records are whole only in the segment that they were written for, so it cannot be read under the
 * wrong name anyhow. It goes by way of `<name>.returned`, since the names of two files may be exchanged.
 *
 * Each file is opened once, and all that a start wants to know of a committed one is read meanwhile: a large backlog is
 * hundreds of files.
 */
export async function takeStock(files: FileSystem, dir: string): Promise<Stock> {
  const segments = new Map<number, StockedSegment>();
  const events: RecoveryEvent[] = [];
  const foreign: { name: string; own: string }[] = [];
  let nextId = 1;
  const names = (await files.list(dir)).sort();
  for (const name of names) {
    const parsed = parseSegmentName(name);
    if (parsed === undefined) continue;
    nextId = Math.max(nextId, parsed.id + 1);
    const looked = look(files, dir, name, parsed, events);
    if (looked === 'directory') {
      const aside = await moveAside(files, dir, name, 'directory');
      const message = `a directory has the name of a segment; it is now quarantine/${aside}`;
      events.push({ kind: 'unreadable', file: path.join(dir, name), message });
    } else if (typeof looked === 'number') {
      foreign.push({ name, own: segmentName(looked, parsed.state) });
    } else {
      // In the order of names the committed file comes first, and it counts unless nothing in it is whole.
      const first = segments.get(parsed.id);
      const empty = first?.identity !== undefined && first.identity.mark.salt === undefined;
      if (first !== undefined) {
        await moveAside(files, dir, empty ? segmentName(parsed.id, first.state) : name, 'duplicate');
        const message = `a segment is there twice; the ${empty ? 'open' : 'committed'} one counts`;
        events.push({ kind: 'duplicate', file: name, message });
      }
      if (first === undefined || empty) {
        segments.set(parsed.id, looked);
      }
    }
  }
  const returned = names.filter((name) => name.endsWith(RETURNED));
  const claimed = new Set(returned);
  for (const { name, own } of foreign) {
    const { id } = parseSegmentName(own)!;
    const free = !segments.has(id) && !claimed.has(own + RETURNED);
    const file = path.join(dir, name);
    if (free) {
      claimed.add(own + RETURNED);
      returned.push(own + RETURNED);
      await files.rename(file, path.join(dir, own + RETURNED));
      const message = `a file is another segment than its name says; it is read as ${own}`;
      events.push({ kind: 'foreign', file, message });
    } else {
      const aside = await moveAside(files, dir, name, 'foreign');
      const message = `a file is a copy of another segment; it is now quarantine/${aside}`;
      events.push({ kind: 'foreign', file, message });
    }
  }
  for (const name of returned) {
    const own = name.slice(0, -RETURNED.length);
    const parsed = parseSegmentName(own);
    if (parsed === undefined) continue;
    if (segments.has(parsed.id)) {
      await moveAside(files, dir, name, 'duplicate');
      continue;
    }
    await files.rename(path.join(dir, name), path.join(dir, own));
    nextId = Math.max(nextId, parsed.id + 1);
    const looked = look(files, dir, own, parsed, events);
    if (typeof looked === 'object') segments.set(parsed.id, looked);
  }
  if (returned.length > 0) await files.syncDir(dir);
  return { segments, nextId, events };
}

/** What a file is: the segment that its name says, the id of another, or a directory. */
function look(
  files: FileSystem,
  dir: string,
  name: string,
  { id, state }: { readonly id: number; readonly state: SegmentState },
  events: RecoveryEvent[],
): StockedSegment | number | 'directory' {
  const file = path.join(dir, name);
  try {
    return withFile(files, file, (f) => {
      const identity = identify(f, id);
      const ended = state === 'committed' && identity.mark.salt !== undefined;
      const info = ended ? readable(file, events, () => readCommitted(f, id, identity)) : undefined;
      return { state, identity, info };
    });
  } catch (error) {
    if (error instanceof ForeignSegmentError) return error.facts.segment as number;
    if ((error as NodeJS.ErrnoException).code === 'EISDIR') return 'directory';
    if (error instanceof UnknownFormatError) {
      events.push({ kind: 'unknown_format', file, message: `${error.message}; the file is left as it is` });
    } else if (isUnreadable(error)) {
      events.push(unreadable(file, error));
    } else {
      throw error;
    }
    return { state, identity: undefined, info: undefined };
  }
}
