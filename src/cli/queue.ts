import { existsSync } from 'node:fs';
import { walDirectory } from '../filequeue/file-queue.ts';
import { planRepair, type RepairStep, repairDirectory } from '../filequeue/repair.ts';
import { type FileReport, type Verification, verifyDirectory } from '../filequeue/verify.ts';
import { lockDirectory } from '../runtime/directory-lock.ts';
import { nodeFileSystem } from '../runtime/fs.ts';
import { UsageError } from './errors.ts';

export interface QueueFlags {
  readonly dataDir: string;
  readonly json: boolean;
  readonly dryRun: boolean;
}

/**
 * `spillway queue verify` and `spillway queue repair`; returns the exit code: 0 all is whole (after a repair: all that
 * is left), 1 it is not. Throws `UsageError` and `DirectoryLockedError`.
 */
export async function queueCommand(
  what: 'verify' | 'repair',
  { dataDir, json, dryRun }: QueueFlags,
  write: (text: string) => void,
): Promise<number> {
  const dir = walDirectory(dataDir);
  if (!existsSync(dir))
    throw new UsageError(
      `there is no queue in ${dataDir}: name the data directory of the agent by --data-dir, or its configuration by --config`,
    );
  if (what === 'verify') {
    const found = await verifyDirectory(nodeFileSystem, dir);
    write(json ? `${JSON.stringify(found)}\n` : verificationText(found));
    return found.whole ? 0 : 1;
  }
  if (dryRun) {
    const found = await verifyDirectory(nodeFileSystem, dir);
    const steps = planRepair(found);
    write(json ? `${JSON.stringify({ steps })}\n` : planText(steps));
    return found.whole ? 0 : 1;
  }
  const locks = [lockDirectory(dataDir)];
  try {
    locks.push(lockDirectory(dir));
    const { events, mended, after } = await repairDirectory(nodeFileSystem, dir);
    if (json) write(`${JSON.stringify({ events, mended, after })}\n`);
    else {
      for (const { file, message } of events) write(`${file}: ${message}\n`);
      for (const name of mended) write(`${name}: damaged bytes were taken out; a copy is in quarantine/\n`);
      if (events.length + mended.length > 0) write('\n');
      write(verificationText(after));
    }
    return after.whole ? 0 : 1;
  } finally {
    for (const lock of locks.reverse()) lock.release();
  }
}

function planText(steps: readonly RepairStep[]): string {
  if (steps.length === 0) return 'there is nothing to repair\n';
  return `repair would do this:\n${steps.map(({ name, what }) => `  ${name}: ${what}\n`).join('')}`;
}

/** What verify found, for people: a line for each file that needs words, then the sum. */
function verificationText({ files, missing, whole }: Verification): string {
  const lines = files.flatMap((report) => {
    const words = wordsFor(report);
    return words === undefined ? [] : [`${report.name}: ${words}`];
  });
  for (const { segment, rows } of missing)
    lines.push(`segment ${segment} is not there: ${rows} rows are lost`);
  const sum = (of: (check: NonNullable<FileReport['check']>) => number): number =>
    files.reduce((total, { check }) => total + (check === undefined ? 0 : of(check)), 0);
  const good = files.filter(({ verdict }) => verdict === 'whole').length;
  lines.push(
    `${good} of ${files.length} segments are whole; ${sum((c) => c.rows)} rows in ${sum((c) => c.bytes)} bytes can be read`,
  );
  if (!whole && lines.length > 0) {
    lines.push('what can be read is delivered as it is; damaged parts are stepped over, counted and kept');
  }
  return `${lines.join('\n')}\n`;
}

function wordsFor({ verdict, cause, check }: FileReport): string | undefined {
  const words: string[] = [];
  if (verdict !== 'whole') words.push(cause === undefined ? verdict : `${verdict}: ${cause}`);
  if (check !== undefined) {
    for (const { at, to } of check.damage) words.push(`${to - at} bytes from ${at} on cannot be read`);
    if (check.lostRows > 0) words.push(`${check.lostRows} rows are lost`);
    if (check.orphanRows > 0) words.push(`${check.orphanRows} rows lost the name of their series`);
    if (check.gapBytes > 0) words.push(`${check.gapBytes} bytes were taken out by a repair`);
    if (check.tailBytes > 0) words.push(`${check.tailBytes} bytes at the end are being written, or torn`);
  }
  return words.length === 0 ? undefined : words.join('; ');
}
