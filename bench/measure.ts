/** What a process tree has used, from /proc. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** User and system time of all threads of `pid` and its descendants, those that have ended included. */
export function cpuSeconds(pid: number): number {
  let ticks = 0;
  for (const member of tree(pid)) {
    // The name, in parentheses, may hold blanks; utime, stime, cutime and cstime are fields 14 to 17.
    const stat = readFileSync(`/proc/${member}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    for (const field of fields.slice(11, 15)) ticks += Number(field);
  }
  return ticks / TICKS_PER_SECOND;
}

/** The sum of the peaks (VmHWM) of `pid` and its descendants. */
export function peakRssBytes(pid: number): number {
  let bytes = 0;
  for (const member of tree(pid)) {
    const status = readFileSync(`/proc/${member}/status`, 'latin1');
    bytes += Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  }
  return bytes;
}

/** What `pid` and its descendants that are alive had written to disk, page cache that was never flushed included. */
export function writtenBytes(pid: number): number {
  let bytes = 0;
  for (const member of tree(pid)) {
    const io = readFileSync(`/proc/${member}/io`, 'latin1');
    bytes += Number(/^write_bytes: (\d+)$/m.exec(io)?.[1] ?? 0);
  }
  return bytes;
}

/** The memory of the process `pid`: all that is resident, and of it what no file holds. */
export function residentBytes(pid: number): { readonly rss: number; readonly anonymous: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const bytes = (key: string): number =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return { rss: bytes('VmRSS'), anonymous: bytes('RssAnon') };
}

/** What the files under `folder` occupy, as `du` counts: holes are free, reserved blocks are not. */
export function diskBytes(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    // A file may be renamed or deleted while we look.
    const stat = statSync(join(entry.path, entry.name), { throwIfNoEntry: false });
    if (stat?.isFile()) bytes += stat.blocks * 512;
  }
  return bytes;
}

function tree(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(tree)];
}
