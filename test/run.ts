import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { find, type Program, programs } from './support/programs.ts';

/*
 * `npm test [-- WORD...]`: runs the test files of this folder by node's test runner; with words, those that have
 * one of them in their path (`npm test -- crash filequeue/`).
 *
 * At the end it says which programs are missing and what was skipped for want of them. With CI=true either is a
 * failure: there, nothing passes by not having run.
 */
const here = import.meta.dirname;
const words = process.argv.slice(2);

const files = readdirSync(here, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.test.js'))
  .filter((path) => words.length === 0 || words.some((word) => path.includes(word)))
  .sort()
  .map((path) => join(here, path));

if (files.length === 0) {
  console.error(`no test file has ${words.join(' or ')} in its path`);
  process.exit(1);
}

const skipped: string[] = [];
const stream = run({ files, concurrency: 2 });
stream.on('test:fail', () => {
  process.exitCode = 1;
});
stream.on('test:pass', ({ file, name, skip }) => {
  if (skip !== undefined) skipped.push(`${relative(here, file ?? '')}: ${name} (${skip})`);
});
await pipeline(stream.compose(new spec()), process.stdout, { end: false });

const missing = (Object.keys(programs) as Program[]).filter((program) => find(program) === undefined);
for (const program of missing) console.log(`missing: ${program}; it comes with: ${programs[program]}`);
for (const test of skipped) console.log(`skipped: ${test}`);
if (process.env.CI === 'true' && missing.length + skipped.length > 0) {
  console.log('CI=true: a missing program or a skipped test is a failure');
  process.exitCode = 1;
}
