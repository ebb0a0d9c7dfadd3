/** Child processes of the bench: their death is noticed, and each is stopped by whoever started it. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

const STOP_MS = 20_000;

/** Rejects when `child` cannot be started or ends, whoever ended it. */
export function deathOf(child: ChildProcess, name: string): Promise<never> {
  const death = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(new Error(`${name} ended with ${signal ?? `status ${code}`}`)),
    );
  });
  death.catch(() => {}); // expected once it was told to stop
  return death;
}

/** Asks `child` to end, insists after a while, and waits until it has. */
export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  const insist = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await exit;
  clearTimeout(insist);
}
