import { spawnSync } from 'node:child_process';
import { statfsSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { atEnd } from './cleanup.ts';
import { tempDir } from './temp.ts';

/** A real file system of its own, of a few MiB: it can be filled, and made read-only. */
export class SmallDisk {
  readonly dir: string;
  readonly #ballast: string;

  private constructor(dir: string) {
    this.dir = dir;
    this.#ballast = join(dir, 'of somebody else');
  }

  /** Undefined where the test may not mount one: it takes root, or CAP_SYS_ADMIN. */
  static async mount(t: TestContext, bytes: number): Promise<SmallDisk | undefined> {
    const dir = await tempDir(t, 'disk');
    const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', dir]);
    if (status !== 0) return undefined;
    atEnd(t, () => {
      const { status: left, stderr } = spawnSync('umount', [dir]);
      if (left !== 0) throw new Error(`${dir} cannot be unmounted: ${String(stderr)}`);
    });
    return new SmallDisk(dir);
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.dir);
    return bavail * bsize;
  }

  /** Somebody else takes all but `leave` bytes. */
  fill(leave = 0): void {
    try {
      writeFileSync(this.#ballast, Buffer.alloc(Math.max(0, this.freeBytes - leave), 1));
    } catch (error) {
      // The agent took some of it meanwhile: then it is as full as it can be.
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }

  /** Somebody else gives back what they took. */
  async empty(): Promise<void> {
    await rm(this.#ballast);
  }

  readOnly(yes: boolean): void {
    const { status, stderr } = spawnSync('mount', ['-o', `remount,${yes ? 'ro' : 'rw'}`, this.dir]);
    if (status !== 0) throw new Error(`remount: ${String(stderr)}`);
  }
}
