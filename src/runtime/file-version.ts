import { statSync } from 'node:fs';
import { stat } from 'node:fs/promises';

interface Facts {
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

/** What tells one content of a file from the next, also when it was replaced by another file of the same size. */
export function fileVersionSync(file: string): string {
  try {
    return versionOf(statSync(file, { bigint: true }));
  } catch (error) {
    return missing(error);
  }
}

/** As `fileVersionSync`. A file that is not there, or not to be seen, has a version as well. */
export async function fileVersion(file: string): Promise<string> {
  try {
    return versionOf(await stat(file, { bigint: true }));
  } catch (error) {
    return missing(error);
  }
}

function versionOf({ ino, size, mtimeNs, ctimeNs }: Facts): string {
  return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}

function missing(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'missing';
}
