/** `npm run docs`: writes the reasons into docs/troubleshooting.md. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectDir } from '../support/paths.ts';
import { readPage } from './pages.ts';
import { withReasons } from './reasons.ts';

const page = 'docs/troubleshooting.md';
writeFileSync(join(projectDir, page), withReasons(readPage(page)));
