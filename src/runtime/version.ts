import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from './program-files.ts';

let version: string | undefined;

/** The version in the `package.json` that this module belongs to. */
export function packageVersion(): string {
  version ??= (JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string })
    .version;
  return version;
}
