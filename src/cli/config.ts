import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseConfig } from '../config/load.ts';
import { renderOptionsDoc } from '../config/options-doc.ts';
import { renderDefaults } from '../config/sample.ts';
import { loadWebConfig } from '../receiver/web-config-file.ts';
import { packageRoot } from '../runtime/version.ts';
import { readConfig } from './config-text.ts';

/** Says that a configuration file, and the web configuration that it names, are valid. Throws `ConfigError`. */
export function checkConfig(file: string): void {
  const source = readConfig(file);
  const { webConfigFile } = parseConfig(source.text, source);
  if (webConfigFile !== undefined) loadWebConfig(webConfigFile);
  process.stdout.write(`${file} is valid\n`);
}

/** Prints a configuration with every setting at its default. */
export function printDefaults(): void {
  process.stdout.write(renderDefaults());
}

/** Writes the generated pages of the repository; `npm run docs`. */
export function writeDocs(): void {
  writeFileSync(join(packageRoot(), 'docs', 'configuration.md'), renderOptionsDoc());
  writeFileSync(join(packageRoot(), 'spillway.example.yaml'), renderDefaults());
}
