import type { TestContext } from 'node:test';
import { Child } from './child.ts';
import { projectDir, spillway } from './paths.ts';

export interface Ran {
  readonly code: number | null;
  /** Standard output and errors, in the order in which they came. */
  readonly text: string;
}

/** Runs the program, as built, to its end. */
export function runSpillway(t: TestContext, ...args: string[]): Promise<Ran> {
  return runSpillwayIn(t, projectDir, ...args);
}

/** The same, in another directory. */
export async function runSpillwayIn(t: TestContext, cwd: string, ...args: string[]): Promise<Ran> {
  const name = `spillway ${args.join(' ')}`;
  const child = Child.spawn(t, name, process.execPath, [spillway, ...args], { cwd });
  const { code } = await child.end();
  return { code, text: child.lines.join('\n') };
}
