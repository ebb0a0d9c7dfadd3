import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Programs that some tests run and npm does not install, with the command that does. */
export const programs = {
  prometheus: 'apt-get install -y --no-install-recommends prometheus',
} as const;

export type Program = keyof typeof programs;

/** The program's path, or undefined when it is not on the PATH. */
export function find(program: Program): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** Options for a test that needs `program`: skipped, with the reason, where there is none. */
export function needs(program: Program): { skip: string | false } {
  return { skip: find(program) === undefined && `${program} is missing` };
}
