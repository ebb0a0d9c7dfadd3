import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';

/*
 * Compiles the WebAssembly modules of this folder: `node build.js FOLDER...` writes each into every folder.
 * A module that is newer than all of the sources is left as it is, since a compilation takes seconds.
 */
const modules = ['ingest', 'emit', 'blocks'];
const here = import.meta.dirname;
const folders = process.argv.slice(2);

const newestSource = Math.max(...readdirSync(here).map((file) => statSync(join(here, file)).mtimeMs));

for (const name of modules) {
  const targets = folders.map((folder) => join(folder, `${name}.wasm`));
  if (targets.every(isFresh)) continue;
  const binary = await compile(name);
  for (const folder of folders) mkdirSync(folder, { recursive: true });
  for (const target of targets) writeFileSync(target, binary);
}

/** @param {string} path */
function isFresh(path) {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && found.mtimeMs >= newestSource;
}

/**
 * Memory is laid out by the modules themselves: there is no heap, no garbage collector and no import.
 *
 * @param {string} name
 */
async function compile(name) {
  let binary;
  const { error, stderr } = await asc.main(
    [
      `${name}.ts`,
      ...['--baseDir', here],
      ...['--outFile', `${name}.wasm`],
      ...['--runtime', 'stub'],
      ...['--enable', 'simd'],
      ...['--use', 'abort='],
      ...['-O3', '--converge', '--noAssert'],
    ],
    {
      writeFile: (_, contents) => {
        binary = contents;
      },
    },
  );
  if (error) throw new Error(`${name}.ts does not compile:\n${stderr}`, { cause: error });
  return binary;
}
