import { isAbsolute, relative, resolve } from 'node:path';

/** What `path`, which is relative to `from`, has to be in a file in the folder `to` to mean the same. */
export function movedPath(path: string, from: string, to: string | undefined): string {
  if (path === '' || isAbsolute(path)) return path;
  const absolute = resolve(from, path);
  if (to === undefined) return absolute;
  // A plain name is a path already, and stays as it was written when nothing moves.
  return to === from ? path : relative(to, absolute) || '.';
}
