import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { atEnd, hasFailed } from './cleanup.ts';

/** An empty directory that is gone after the test; the directory of a failed test stays if KEEP is set. */
export async function tempDir(t: TestContext, what: string): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), `spillway-${what}-`));
  atEnd(t, async () => {
    if (process.env.KEEP !== undefined && hasFailed(t)) t.diagnostic(`kept ${path}`);
    else await rm(path, { recursive: true, force: true });
  });
  return path;
}
