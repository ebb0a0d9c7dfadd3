import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { tempDir } from './temp.ts';

/**
 * A command that runs the command behind it with these names instead of those of this machine's `/etc/hosts`: name ->
 * addresses, in their order. Undefined where a test may not mount: it takes root, or user namespaces.
 */
export async function withHosts(
  t: TestContext,
  names: Readonly<Record<string, readonly string[]>>,
): Promise<readonly string[] | undefined> {
  const file = join(await tempDir(t, 'hosts'), 'hosts');
  const lines = Object.entries(names).flatMap(([name, addresses]) =>
    addresses.map((address) => `${address} ${name}\n`),
  );
  await writeFile(file, lines.join(''));
  // Without a process between: who ends this ends what it has become.
  const script = 'mount --bind "$1" /etc/hosts && shift && exec "$@"';
  for (const options of ['--mount', '--map-root-user --mount']) {
    const through = ['unshare', ...options.split(' '), 'sh', '-c', script, 'sh', file];
    if (spawnSync(through[0]!, [...through.slice(1), 'true']).status === 0) return through;
  }
  return undefined;
}
