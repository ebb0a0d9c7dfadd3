import { execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { projectDir } from './paths.ts';

/** Programs that some tests run and npm does not install, with the command that does. */
export const programs = {
  prometheus: 'apt-get install -y --no-install-recommends prometheus',
  chromium: 'apt-get install -y --no-install-recommends chromium',
  promtool: 'apt-get install -y --no-install-recommends prometheus',
  fish: 'apt-get install -y --no-install-recommends fish',
  'systemd-analyze': 'apt-get install -y --no-install-recommends systemd',
  'prometheus-3': '.ci/get-peers',
  vmagent: '.ci/get-peers',
  'vmagent-debian': '.ci/get-peers',
  'victoria-metrics': '.ci/get-peers',
  'victoria-metrics-debian': '.ci/get-peers',
} as const;

export type Program = keyof typeof programs;

/** What `.ci/get-peers` makes. */
const peersDir = process.env.SPILLWAY_PEERS ?? join(projectDir, '.peers');

/** The program's path, among what `.ci/get-peers` unpacked or on the PATH; undefined when it is nowhere. */
export function find(program: Program): string | undefined {
  for (const folder of [join(peersDir, 'bin'), ...(process.env.PATH ?? '').split(delimiter)]) {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** Options for a test that needs all of `names`: skipped where one is missing, with the command that installs it. */
export function needs(...names: readonly Program[]): { skip: string | false } {
  const missing = [...new Set(names)].filter((name) => find(name) === undefined);
  const text = missing.map((name) => `${name} is missing; it comes with: ${programs[name]}`).join(', ');
  return { skip: missing.length > 0 && text };
}

/** The version of a program that is there, for messages: nobody decides by it. */
export function versionOf(program: Program): string {
  const path = find(program)!;
  if (path.startsWith(peersDir)) {
    const lines = readFileSync(join(peersDir, 'versions'), 'utf8').split('\n');
    const line = lines.find((text) => text.startsWith(`${program} `));
    if (line !== undefined) return line.slice(program.length + 1);
  }
  return /version (\S+)/.exec(execFileSync(path, ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown';
}
