import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { options } from '../config/options.ts';
import { renderOptionsDoc } from '../config/options-doc.ts';
import type { Section } from '../config/rows.ts';
import { renderDefaults } from '../config/sample.ts';
import { accepted } from '../config/values.ts';
import { packageRoot } from '../runtime/program-files.ts';

/** Prints a configuration with every setting at its default; as JSON each setting by its path. */
export function printDefaults(json: boolean, write: (text: string) => void): void {
  write(json ? `${JSON.stringify(settingsOf(options, ''))}\n` : renderDefaults());
}

interface Setting {
  readonly path: string;
  readonly about: string;
  /** In words: what it may be. */
  readonly values: string;
  /** As the file spells it; null when there is none. */
  readonly default: string | number | boolean | null;
  readonly required: boolean;
  /** A change takes a restart. */
  readonly restart: boolean;
}

function settingsOf(section: Section, path: string): Setting[] {
  return Object.entries(section).flatMap(([key, row]): Setting[] => {
    const own = `${path}${key}`;
    if ('options' in row) return settingsOf(row.options, row.type === 'list' ? `${own}[].` : `${own}.`);
    const byDefault = 'default' in row ? row.default : null;
    const required = 'required' in row && row.required === true;
    const { about, restart = false } = row;
    return [{ path: own, about, values: accepted(row), default: byDefault, required, restart }];
  });
}

/** Writes the generated pages of the repository; `npm run docs`. */
export function writeDocs(): void {
  writeFileSync(join(packageRoot(), 'docs', 'configuration.md'), renderOptionsDoc());
  writeFileSync(join(packageRoot(), 'spillway.example.yaml'), renderDefaults());
}
