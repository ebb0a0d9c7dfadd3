import assert from 'node:assert/strict';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { blocks } from '../docs/pages.ts';
import { Child } from '../support/child.ts';
import { poll } from '../support/deadline.ts';
import { request, series } from '../support/messages.ts';
import { projectDir } from '../support/paths.ts';
import { Sender } from '../support/sender.ts';
import { tempDir } from '../support/temp.ts';

const nodeModules = join(projectDir, 'node_modules');

/** Runs a program to its end, which is to be a good one; returns what it said. */
async function run(t: TestContext, cwd: string, command: string, ...args: string[]): Promise<string> {
  const child = Child.spawn(t, command, command, args, { cwd });
  assert.equal((await child.end()).code, 0, child.tail());
  return child.lines.join('\n');
}

/** What is in node_modules here, there: of the project, so that nothing is compiled again. */
async function link(there: string, ...names: string[]): Promise<void> {
  for (const name of names) await symlink(join(nodeModules, name), join(there, 'node_modules', name));
}

describe('the package, packed and installed in an empty folder', () => {
  it('runs, and has types for a program that embeds it', async (t) => {
    const folder = await tempDir(t, 'package');
    // Without scripts: others use dist/ at this moment.
    await run(t, projectDir, 'npm', 'pack', '--ignore-scripts', '--pack-destination', folder);
    const version = JSON.parse(await readFile(join(projectDir, 'package.json'), 'utf8')).version as string;
    const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
    await run(t, folder, 'npm', 'install', '--omit=optional', ...quiet, `./spillway-${version}.tgz`);

    const said = await run(t, folder, 'npx', '--no-install', 'spillway', '--version');
    assert.ok(said.split('\n').includes(version), said);
    await withoutSqlite(t, folder);
    await link(folder, 'better-sqlite3', 'better-sqlite3-napi');
    await runs(t, folder);
    await compiles(t, folder);
  });
});

/** SQLite is what has to be compiled, and may be missing: then it says what to do. */
async function withoutSqlite(t: TestContext, folder: string): Promise<void> {
  const args = ['run', '--listen', '127.0.0.1:0'];
  const child = Child.spawn(t, 'spillway', join(folder, 'node_modules/.bin/spillway'), args, { cwd: folder });
  assert.equal((await child.end()).code, 1);
  assert.match(child.lines.join('\n'), /cannot be loaded by Node .*npm rebuild better-sqlite3/);
}

async function runs(t: TestContext, folder: string): Promise<void> {
  const args = ['run', '--listen', '127.0.0.1:0'];
  const child = Child.spawn(t, 'spillway', join(folder, 'node_modules/.bin/spillway'), args, { cwd: folder });
  const [, url] = await child.line(/listening on (http:\/\/\S+)/);
  const reply = await new Sender(t, url!).write(request(series({ __name__: 'up' }, [Date.now(), 1])));
  assert.equal(reply?.status, 204);
  await poll(
    () => `what was written is not delivered:\n${child.tail()}`,
    async () => {
      const found = await (await fetch(`${url}/api/v1/recent?match=up`)).text();
      return found.includes('"up"') ? true : undefined;
    },
  );
  // Where WebAssembly is missing from the package it says so, and runs all the same.
  assert.ok(!child.lines.some((line) => /level=(warn|error)/.test(line)), child.tail());
  assert.equal((await child.kill('SIGTERM')).code, 0);
}

/** Of TypeScript in the page about extending, by a compiler that looks into all declarations of the package. */
async function compiles(t: TestContext, folder: string): Promise<void> {
  await mkdir(join(folder, 'node_modules/@types'), { recursive: true });
  await link(folder, '@types/node');
  const programs = blocks('ts').filter(({ text }) => text.includes("from 'spillway'"));
  assert.ok(programs.length > 0);
  const files = programs.map((_, i) => `program-${i}.mts`);
  for (const [i, file] of files.entries()) await writeFile(join(folder, file), programs[i]!.text);
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node'];
  await run(t, folder, join(nodeModules, '.bin/tsc'), ...options, ...files);
}
