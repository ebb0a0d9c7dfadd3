import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Makes `dir` and the directories above it that are not there; returns those that were made, the highest first. Throws
 * what the system says.
 *
 * In place of node's own `recursive`, which spins for ever (20.20) where mkdir says ENOENT below a directory that is
 * there, as in /proc.
 */
export function makeDirectory(dir: string): string[] {
  const absolute = resolve(dir);
  const above = dirname(absolute);
  const made = makeOne(absolute, above !== absolute);
  if (made !== undefined) return made ? [absolute] : [];
  const higher = makeDirectory(above);
  return makeOne(absolute, false) === true ? [...higher, absolute] : higher;
}

/** Whether the directory was made; false when it was there; undefined when `mayLack` and one above it is missing. */
function makeOne(dir: string, mayLack: boolean): boolean | undefined {
  try {
    mkdirSync(dir);
    return true;
  } catch (error) {
    // Whatever mkdir says of a directory that is there (EEXIST, EROFS, EACCES, EISDIR), it need not be made.
    if (statSync(dir, { throwIfNoEntry: false })?.isDirectory()) return false;
    if (mayLack && (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
