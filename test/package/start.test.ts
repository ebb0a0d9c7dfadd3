import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { projectDir } from '../support/paths.ts';

const dist = join(projectDir, 'dist');

/** What Node loads with a file of the built program before any of it runs. */
function loadedWith(...entries: string[]): { readonly files: Set<string>; readonly packages: Set<string> } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const follow = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    const imports = readFileSync(file, 'utf8').matchAll(
      /^(?:import|export) ?(?:[^;"'()]*from )?"([^"]+)";$/gm,
    );
    for (const [, name] of imports) {
      if (name!.startsWith('.')) follow(join(dirname(file), name!));
      else if (!name!.startsWith('node:')) packages.add(name!);
    }
  };
  for (const entry of entries) follow(join(dist, entry));
  return { files, packages };
}

// Each file costs a start two milliseconds, and so does a package that is there for a setting that few have.
test('a start loads few files, and no package beside them', () => {
  const [, run] = /import\("\.\/(runtime\/run-[^"]+)"\)/.exec(readFileSync(join(dist, 'main.js'), 'utf8'))!;
  for (const [entries, most] of [
    [['main.js', run!], 8],
    [['endpoint/worker.js'], 3],
    [['index.js'], 3],
  ] as const) {
    const { files, packages } = loadedWith(...entries);
    assert.ok(files.size <= most, `${entries}: ${[...files]}`);
    assert.deepEqual([...packages], []);
  }
});
