import * as path from 'node:path';
import { type FileSystem, type ReadableFile, writeDurably } from '../runtime/fs.ts';
import { withFile } from './identify.ts';
import type { ByteRange } from './segment-summary.ts';

/**
 * `quarantine/` keeps what was cut, found damaged or did not belong: nothing is removed from a queue that is not
 * there first, and nothing is read from there. Names say where it was:
 *
 *     <name>.<from>-<to>.<what>    bytes of a file: tail, damaged
 *     <name>.<what>                a whole file: damaged, duplicate, foreign, directory
 */
export function quarantineOf(dir: string): string {
  return path.join(dir, 'quarantine');
}

/** Copies bytes `[from, to)` of `name` in `dir`. A copy that is there already is the same: damage does not heal. */
export async function copyAside(
  files: FileSystem,
  dir: string,
  name: string,
  { at: from, to }: ByteRange,
  what: 'tail' | 'damaged',
): Promise<void> {
  const bytes = withFile(files, path.join(dir, name), (f) => readRange(f, from, to));
  await keepAside(files, dir, name, { at: from, to }, bytes, what);
}

/** The same, of bytes that were read already. */
export async function keepAside(
  files: FileSystem,
  dir: string,
  name: string,
  { at, to }: ByteRange,
  bytes: Uint8Array,
  what: 'tail' | 'damaged',
): Promise<void> {
  const target = path.join(quarantineOf(dir), `${name}.${at}-${to}.${what}`);
  // A copy of which a crash left something else is made anew; its size may be right all the same.
  const there = contentOf(files, target);
  if (there !== undefined && Buffer.compare(there, bytes) === 0) return;
  await files.remove(target).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  });
  await writeDurably(files, target, bytes).catch((error: unknown) => {
    // The readers of several endpoints come upon the same damage.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  });
}

/** Moves a whole file (or directory) out of `dir`, and never over another; returns the name that it got. */
export async function moveAside(files: FileSystem, dir: string, name: string, what: string): Promise<string> {
  const quarantine = quarantineOf(dir);
  const taken = new Set(await files.list(quarantine));
  let target = `${name}.${what}`;
  for (let n = 2; taken.has(target); n++) target = `${name}.${what}.${n}`;
  await files.rename(path.join(dir, name), path.join(quarantine, target));
  await files.syncDir(quarantine);
  await files.syncDir(dir);
  return target;
}

function contentOf(files: FileSystem, file: string): Uint8Array | undefined {
  try {
    return withFile(files, file, (f) => readRange(f, 0, f.size()));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Bytes `[from, to)`, or as many of them as there are. */
function readRange(f: ReadableFile, from: number, to: number): Uint8Array {
  const into = new Uint8Array(Math.max(0, Math.min(f.size(), to) - from));
  let have = 0;
  for (let read = -1; have < into.length && read !== 0; have += read) {
    read = f.read(into.subarray(have), into.length - have, from + have);
  }
  return into.subarray(0, have);
}
