/** Where it was measured, in one line: no host name, no path. */
import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, release, tmpdir, totalmem } from 'node:os';

export function describeMachine(): string {
  const memory = `${Math.round(totalmem() / 2 ** 30)} GB`;
  const cores = `${availableParallelism()} cores`;
  const linux = `Linux ${release()}, Node ${process.version}`;
  return `${cpus()[0]?.model}, ${cores}, ${memory}; ${linux}; data on ${fileSystem(tmpdir())}`;
}

function fileSystem(path: string): string {
  return execFileSync('df', ['--output=fstype', path], { encoding: 'utf8' }).trim().split('\n').at(-1)!;
}
