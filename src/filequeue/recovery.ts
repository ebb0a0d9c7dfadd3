import * as path from 'node:path';
import type { FileSystem } from '../runtime/fs.ts';
import type { FileMark } from '../serialization/record.ts';
import { takeStock } from './directory-stock.ts';
import { type SegmentIdentity, withFile } from './identify.ts';
import { copyAside, moveAside, quarantineOf } from './quarantine.ts';
import { type RecoveryEvent, readable } from './recovery-event.ts';
import { encodeEnd, type SegmentEnd, type SegmentInfo, segmentName, segmentPath } from './segment-file.ts';
import { summarise } from './segment-summary.ts';

export interface RecoveredDirectory {
  /** All segments that can be read, by ascending id; none is open. */
  readonly segments: SegmentInfo[];
  /** Segments that are not there, with the rows that their successors say they had: readers count them as lost. */
  readonly gone: SegmentEnd[];
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
 * A file that is another segment than its name says goes back to its own name (directory-stock.ts). One without
 * anything whole in it goes to `quarantine/`. Nothing is removed that has not first been copied there. A file of an
 * unknown version, or one that cannot be read for now, is left as it is.
 */
export async function recoverDirectory(files: FileSystem, dir: string): Promise<RecoveredDirectory> {
  await files.makeDir(dir);
  await files.makeDir(quarantineOf(dir));
  const { segments: found, nextId, events } = await takeStock(files, dir);
  const successors = new Map<number, SegmentEnd>();
  for (const { identity } of found.values()) {
    const previous = identity?.header?.previous;
    if (previous !== undefined) successors.set(previous.segment, previous);
  }
  const segments: SegmentInfo[] = [];
  for (const [id, { state, identity, info: held }] of [...found].sort(([a], [b]) => a - b)) {
    if (identity === undefined) continue;
    const stated = successors.get(id);
    let info: SegmentInfo | 'gone' | undefined = held;
    if (state === 'open') info = await recoverOpen(files, dir, id, identity, stated, events);
    else if (identity.mark.salt === undefined) info = await setAside(files, dir, id, events);
    if (info === 'gone') found.delete(id);
    else if (info !== undefined) segments.push({ ...info, rows: Math.max(info.rows, stated?.rows ?? 0) });
  }
  const gone = [...successors.values()].filter(({ segment }) => !found.has(segment));
  return { segments, gone, nextId, events };
}

/** A committed segment in which nothing can be read is no segment any more. */
async function setAside(
  files: FileSystem,
  dir: string,
  id: number,
  events: RecoveryEvent[],
): Promise<'gone'> {
  const file = segmentPath(dir, id, 'committed');
  const bytes = withFile(files, file, (f) => f.size());
  const name = await moveAside(files, dir, path.basename(file), 'damaged');
  const message = `nothing in a segment can be read; it is now quarantine/${name}`;
  events.push({ kind: 'damage', file, message, offset: 0, bytes });
  return 'gone';
}

/** `gone` when the file is not there any more, undefined when it cannot be read for now. */
async function recoverOpen(
  files: FileSystem,
  dir: string,
  id: number,
  identity: SegmentIdentity,
  stated: SegmentEnd | undefined,
  events: RecoveryEvent[],
): Promise<SegmentInfo | 'gone' | undefined> {
  const name = segmentName(id, 'open');
  const file = path.join(dir, name);
  const found = readable(file, events, () =>
    withFile(files, file, (f) => {
      const size = f.size();
      const limit = Math.min(size, stated?.bytes ?? size);
      return { size, limit, read: summarise(f, identity, limit) };
    }),
  );
  if (found === undefined) return undefined;
  const { size, limit, read } = found;
  const { damage } = read;
  const summary = { ...read.summary, rows: Math.max(read.summary.rows, stated?.rows ?? 0) };
  // All before a stated end was durable: what cannot be read there is damage, not a torn tail.
  const end = stated === undefined ? read.end : limit;
  if (read.end < end) damage.push({ at: read.end, to: end });
  for (const range of damage) {
    await copyAside(files, dir, name, range, 'damaged');
    events.push({
      kind: 'damage',
      file,
      message: 'a damaged part is stepped over; a copy is in quarantine/',
      offset: range.at,
      bytes: range.to - range.at,
    });
  }
  const sealed = read.sealedTo === size;
  if (end < size && !sealed) {
    await copyAside(files, dir, name, { at: end, to: size }, 'tail');
    events.push({
      kind: 'tail',
      file,
      message:
        'a torn tail was cut, which a kill or a power cut leaves of what was not acknowledged yet; a copy is in quarantine/',
      offset: end,
      bytes: size - end,
    });
    await files.truncate(file, end);
  }
  if (summary.frames === 0) {
    await files.remove(file);
    await files.syncDir(dir);
    return 'gone';
  }
  const handle = await files.openAppend(file);
  try {
    // The process that wrote the last frame may have been killed before its sync, and an end record promises
    // that all before it is durable.
    await handle.sync();
    if (!sealed) {
      // It has frames, so it has a salt.
      await handle.append(encodeEnd(summary, identity.mark as FileMark, end));
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
