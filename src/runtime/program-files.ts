import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * A file of the built program, by its path in src/: a thread's module, a WebAssembly module, a file of the page.
 * Modules that are bundled (bundle.js) lose their place; this one keeps it, in the folder `runtime`.
 */
export function programFile(path: string): URL {
  return new URL(`../${path}`, import.meta.url);
}

let root: string | undefined;

/** The folder of the package: the nearest one above this module with a `package.json`. */
export function packageRoot(): string {
  root ??= packageAbove(dirname(fileURLToPath(import.meta.url)));
  return root;
}

function packageAbove(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  if (folder === dirname(folder)) throw new Error(`no package.json above ${import.meta.url}`);
  return packageAbove(dirname(folder));
}
