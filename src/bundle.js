import { readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

/*
 * Makes the program from its sources: `node bundle.js FOLDER`. A start loads some 350 modules one by one, in each
 * thread, and those of four packages; as a few files it takes less CPU and less memory (`npm run bench:start`). What two
 * modules that are loaded at run time have in common is a file of its own, so each such module makes more of them:
 * main.ts has two, the agent and the tools.
 *
 * Bundled are our own modules and the packages that every start loads. The others stay what npm installed: they are
 * loaded only where they are needed.
 */
const bundled = ['@msgpack/msgpack', 'prom-client', 'snappyjs', 'yaml'];
const here = import.meta.dirname;
const folder = resolve(process.argv[2]);

// Each by itself, for the same reason: no two of them run in one thread, so they have nothing to share.
const outputs = new Set();
for (const program of ['main', 'index', 'endpoint/worker', 'receiver/password-worker']) {
  const { metafile } = await build({
    // Beside runtime/program-files.js, which looks for other files from where it is.
    entryPoints: [program, 'runtime/program-files'].map((path) => join(here, `${path}.ts`)),
    chunkNames: 'runtime/[name]-[hash]',
    outbase: here,
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.15',
    // For what packages of CommonJS require of Node.
    banner: {
      js: "import { createRequire as requirer } from 'node:module'; const require = requirer(import.meta.url);",
    },
    sourcemap: true,
    sourcesContent: false,
    legalComments: 'none',
    plugins: [{ name: 'packages', setup: leaveOut }],
    metafile: true,
    logLevel: 'warning',
  });
  for (const path of Object.keys(metafile.outputs)) outputs.add(resolve(path));
}

/** @param {import('esbuild').PluginBuild} build */
function leaveOut(build) {
  // A package is named in our own sources; what a bundled package needs is bundled with it.
  build.onResolve({ filter: /^[^./]/ }, ({ path, importer }) => {
    const ours = importer.startsWith(here);
    return ours && !path.startsWith('node:') && !bundled.includes(path)
      ? { path, external: true }
      : undefined;
  });
}

// Chunks are named by their content: those of earlier builds go.
for (const name of readdirSync(join(folder, 'runtime'))) {
  const path = join(folder, 'runtime', name);
  if (/\.js(\.map)?$/.test(name) && !outputs.has(path)) rmSync(path);
}
