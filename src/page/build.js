import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

/*
 * Makes the status page: `node build.js FOLDER...` writes its files into every folder. One script and one style sheet,
 * uPlot included: a phone on a bad line has the page after three requests, and the agent serves files as they are.
 */
const here = import.meta.dirname;

for (const folder of process.argv.slice(2)) {
  mkdirSync(folder, { recursive: true });
  await build({
    entryPoints: { page: join(here, 'main.ts') },
    outdir: folder,
    bundle: true,
    minify: true,
    format: 'esm',
    target: ['es2022'],
    legalComments: 'inline',
    logLevel: 'warning',
  });
  await build({
    entryPoints: { page: join(here, 'page.css') },
    outdir: folder,
    bundle: true,
    minify: true,
    logLevel: 'warning',
  });
  for (const file of ['index.html', 'icon.svg']) copyFileSync(join(here, file), join(folder, file));
}
