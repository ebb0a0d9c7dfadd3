import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { ConfigText } from '../agent.ts';
import { ConfigFileError } from '../config/load.ts';
import { renderDefaults } from '../config/sample.ts';

/** The text of a configuration file; without one, of the defaults. Throws `ConfigFileError`. */
export function readConfig(file: string | undefined): ConfigText {
  if (file === undefined) return { text: renderDefaults(), file: 'defaults', baseDir: process.cwd() };
  try {
    return { text: readFileSync(file, 'utf8'), file, baseDir: dirname(resolve(file)) };
  } catch (cause) {
    throw new ConfigFileError(file, cause);
  }
}
