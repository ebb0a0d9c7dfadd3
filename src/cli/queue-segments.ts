import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError } from './errors.ts';

/** The folder with the segments: `dir`, or the queue of the data directory that it is. Throws `CommandError`. */
export function segmentsIn(dir: string): string {
  const wal = join(dir, 'wal');
  if (existsSync(wal)) return wal;
  if (existsSync(dir)) return dir;
  throw new CommandError(
    `there is no directory ${dir}: name the data directory of the agent by --data-dir, or its configuration by --config`,
  );
}
