import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderOptionsDoc } from '../config/options-doc.ts';
import { renderDefaults } from '../config/sample.ts';
import { packageRoot } from '../runtime/version.ts';

/** Prints a configuration with every setting at its default. */
export function printDefaults(): void {
  process.stdout.write(renderDefaults());
}

/** Writes the generated pages of the repository; `npm run docs`. */
export function writeDocs(): void {
  writeFileSync(join(packageRoot(), 'docs', 'configuration.md'), renderOptionsDoc());
  writeFileSync(join(packageRoot(), 'spillway.example.yaml'), renderDefaults());
}
