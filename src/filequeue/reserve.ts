import { randomBytes } from 'node:crypto';
import * as path from 'node:path';
import { type FileSystem, writeDurably } from '../runtime/fs.ts';

/**
 * Disk space put aside for the worst moment: `<wal>/reserve`, a file of real bytes.
 *
 * When the file system is full it is given up, so that the ledger can save positions and a segment can be ended:
 * without these nothing could be deleted, and a full disk would stay full. Writes are refused until it could be
 * made again, which also is what shows that the disk stores bytes again.
 */
export class Reserve {
  readonly #files: FileSystem;
  readonly #dir: string;
  #bytes: number;
  #held = false;
  /** Making and giving up come one after the other: a file that is being made must not outlive its giving up. */
  #last: Promise<unknown> = Promise.resolve();

  /** `bytes` is its size. Nothing is there before `make`. */
  constructor(files: FileSystem, dir: string, bytes: number) {
    this.#files = files;
    this.#dir = dir;
    this.#bytes = bytes;
  }

  get held(): boolean {
    return this.#held;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Makes it, or makes it again. Throws what the file system throws; then nothing of it is left, if that is possible. */
  make(): Promise<void> {
    return this.#inTurn(() => this.#make());
  }

  /** Gives the space up. Throws what the file system throws, unless there is no such file. */
  giveUp(): Promise<void> {
    return this.#inTurn(async () => {
      this.#held = false;
      await this.#remove();
    });
  }

  #inTurn(action: () => Promise<void>): Promise<void> {
    const done = this.#last.then(action, action);
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #make(): Promise<void> {
    if (this.#held) return;
    await this.#remove();
    try {
      // Not zeros: a file system that compresses would keep nothing free.
      await writeDurably(this.#files, reservePath(this.#dir), randomBytes(this.#bytes));
      this.#held = true;
    } catch (error) {
      await this.#remove();
      throw error;
    }
  }

  async #remove(): Promise<void> {
    try {
      await this.#files.remove(reservePath(this.#dir));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

export function reservePath(dir: string): string {
  return path.join(dir, 'reserve');
}
