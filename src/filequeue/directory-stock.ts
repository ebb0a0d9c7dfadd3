import * as path from 'node:path';
import type { FileSystem } from '../runtime/fs.ts';
import { identify, type SegmentIdentity, withFile } from './identify.ts';
import { moveAside } from './quarantine.ts';
import { isUnreadable, type RecoveryEvent, unreadable } from './recovery-event.ts';
import { ForeignSegmentError, parseSegmentName, segmentName, UnknownFormatError } from './segment-file.ts';

type State = 'open' | 'committed';

/** A file of the directory that is the segment that its name says. */
export interface StockedSegment {
  readonly state: State;
  /** Undefined when it is of an unknown version, or cannot be read for now: it is left as it is. */
  readonly identity: SegmentIdentity | undefined;
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
    const looked = look(files, dir, name, parsed.id, events);
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
        segments.set(parsed.id, { state: parsed.state, identity: looked });
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
    const identity = look(files, dir, own, parsed.id, events);
    if (typeof identity === 'object' || identity === undefined) {
      segments.set(parsed.id, { state: parsed.state, identity });
    }
  }
  if (returned.length > 0) await files.syncDir(dir);
  return { segments, nextId, events };
}

/** What a file is: a segment, undefined when that cannot be known, the id of another, or a directory. */
function look(
  files: FileSystem,
  dir: string,
  name: string,
  id: number,
  events: RecoveryEvent[],
): SegmentIdentity | undefined | number | 'directory' {
  const file = path.join(dir, name);
  try {
    return withFile(files, file, (f) => identify(f, id));
  } catch (error) {
    if (error instanceof ForeignSegmentError) return error.facts.segment as number;
    if ((error as NodeJS.ErrnoException).code === 'EISDIR') return 'directory';
    if (error instanceof UnknownFormatError) {
      events.push({ kind: 'unknown_format', file, message: `${error.message}; the file is left as it is` });
      return undefined;
    }
    if (!isUnreadable(error)) throw error;
    events.push(unreadable(file, error));
    return undefined;
  }
}
