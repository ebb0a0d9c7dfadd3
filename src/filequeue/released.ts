import * as path from 'node:path';
import type { FileSystem } from '../runtime/fs.ts';

/**
 * `<wal>/released`: an id in decimal digits. Below it segments were released while older ones stayed, for an endpoint
 * that is not configured at the moment: a gap there is meant, and no damage. Without the file there is none.
 *
 * It tells `queue verify` apart what was lost and what was let go, and an endpoint that starts at the oldest data where
 * that begins for it. Nothing is lost with it.
 */
const NAME = 'released';

/** 0 when there is no such file, or nothing in it that could be one. Throws what the file system throws. */
export function readReleased(files: FileSystem, dir: string): number {
  const bytes = new Uint8Array(32);
  let length: number;
  try {
    const file = files.openRead(path.join(dir, NAME));
    try {
      length = file.read(bytes, bytes.length, 0);
    } finally {
      file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
  const id = Number(new TextDecoder().decode(bytes.subarray(0, length)));
  return Number.isSafeInteger(id) && id > 0 ? id : 0;
}

/** Writes it so that it outlives a power cut. Rejects with what the file system throws. */
export async function writeReleased(files: FileSystem, dir: string, segment: number): Promise<void> {
  const made = path.join(dir, `${NAME}.new`);
  try {
    await files.remove(made);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const file = await files.create(made);
  try {
    await file.append(new TextEncoder().encode(`${segment}\n`));
  } finally {
    await file.close();
  }
  await files.rename(made, path.join(dir, NAME));
  await files.syncDir(dir);
}
