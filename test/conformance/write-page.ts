/** `npm run docs`: writes docs/conformance.md. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectDir } from '../support/paths.ts';
import { renderConformance } from './page.ts';

writeFileSync(join(projectDir, 'docs', 'conformance.md'), renderConformance(join(projectDir, 'test')));
