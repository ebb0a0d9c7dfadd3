import { statfs } from 'node:fs/promises';

/** The file system that a directory is on, in bytes. */
export interface DiskSpace {
  /** What an unprivileged process may still write. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** Throws what the file system throws. */
export async function diskSpace(dir: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(dir);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}

const outOfSpace: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'SQLITE_FULL']);

/** True when `error`, or what caused it, says that there is no room on the disk or in the quota. */
export function isOutOfSpace(error: unknown): boolean {
  for (let e = error; e instanceof Error; e = e.cause) {
    if (outOfSpace.has((e as NodeJS.ErrnoException).code)) return true;
  }
  return false;
}
