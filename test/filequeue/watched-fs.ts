import * as path from 'node:path';
import {
  type FileSystem,
  nodeFileSystem,
  type ReadableFile,
  type WritableFile,
} from '../../src/runtime/fs.ts';
import { within } from '../support/deadline.ts';

/**
 * A file system that writes down what is asked of it, and holds or fails what a test chooses.
 *
 * An operation is written as its name and the name of the file, ids without their zeros: `sync 1.open`,
 * `rename 1.open 1.committed`, `append 1.open 133`; the directory is `syncDir`.
 */
export class WatchedFs implements FileSystem {
  /** Operations in the order in which they began. Reading and closing are not among them. */
  readonly log: string[] = [];
  /** Bytes read. */
  bytesRead = 0;
  /** Files opened for reading. */
  opened = 0;
  /** The error that reading these bytes of a file, or opening it (no bytes), gives. */
  readFault: (file: string, position: number, length: number) => string | undefined = () => undefined;
  readonly #base: FileSystem;
  readonly #holds: { readonly pattern: RegExp; readonly hold: Hold }[] = [];
  #failures: Failure[] = [];

  constructor(base: FileSystem = nodeFileSystem) {
    this.#base = base;
  }

  /** The next operation that matches waits until it is let go. */
  hold(pattern: RegExp): Hold {
    const hold = new Hold(pattern);
    this.#holds.push({ pattern, hold });
    return hold;
  }

  /**
   * Of the operations to come that match, `times` fail after the first `skip`: a write half done, a sync without
   * its effect.
   */
  fail(
    pattern: RegExp,
    { skip = 0, times = 1, code = 'EIO' }: { skip?: number; times?: number; code?: string } = {},
  ): void {
    this.#failures.push({ pattern, skip, left: times, code });
  }

  /** Nothing fails any more. */
  heal(): void {
    this.#failures = [];
  }

  /** Operations so far that match. */
  count(pattern: RegExp): number {
    return this.log.filter((line) => pattern.test(line)).length;
  }

  /** What was done since the last call. */
  taken(): string[] {
    return this.log.splice(0);
  }

  async makeDir(dir: string): Promise<void> {
    await this.#base.makeDir(dir);
  }

  async list(dir: string): Promise<string[]> {
    return await this.#base.list(dir);
  }

  async create(file: string): Promise<WritableFile> {
    await this.#operate(`create ${short(file)}`);
    return this.#watch(file, await this.#base.create(file));
  }

  async openAppend(file: string): Promise<WritableFile> {
    return this.#watch(file, await this.#base.openAppend(file));
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#operate(`rename ${short(from)} ${short(to)}`);
    await this.#base.rename(from, to);
  }

  async remove(file: string): Promise<void> {
    await this.#operate(`remove ${short(file)}`);
    await this.#base.remove(file);
  }

  async truncate(file: string, length: number): Promise<void> {
    await this.#operate(`truncate ${short(file)} ${length}`);
    await this.#base.truncate(file, length);
  }

  async syncDir(dir: string): Promise<void> {
    await this.#operate('syncDir');
    await this.#base.syncDir(dir);
  }

  openRead(file: string): ReadableFile {
    const refuse = (position: number, length: number): void => {
      const code = this.readFault(short(file), position, length);
      if (code === undefined) return;
      throw Object.assign(new Error(`${code}: read of ${short(file)}, as the test asked for`), { code });
    };
    refuse(0, 0);
    const base = this.#base.openRead(file);
    this.opened++;
    return {
      read: (into, length, position) => {
        refuse(position, length);
        const read = base.read(into, length, position);
        this.bytesRead += read;
        return read;
      },
      size: () => base.size(),
      close: () => base.close(),
    };
  }

  #watch(file: string, base: WritableFile): WritableFile {
    return {
      append: (bytes) =>
        this.#operate(`append ${short(file)} ${bytes.length}`, () =>
          base.append(bytes.subarray(0, bytes.length >>> 1)),
        )
          .then(() => base.append(bytes))
          .then(() => this.#operate(`sync ${short(file)}`)),
      sync: () => this.#operate(`sync ${short(file)}`).then(() => base.sync()),
      close: () => base.close(),
    };
  }

  /** Writes an operation down, holds it, and throws when it is to fail, after `half` of it. */
  async #operate(what: string, half?: () => Promise<void>): Promise<void> {
    this.log.push(what);
    const at = this.#holds.findIndex(({ pattern }) => pattern.test(what));
    if (at >= 0) await this.#holds.splice(at, 1)[0]!.hold.pass();
    const failure = this.#failures.find(({ pattern, left }) => left > 0 && pattern.test(what));
    if (failure === undefined || failure.skip-- > 0) return;
    failure.left--;
    await half?.();
    throw Object.assign(new Error(`${failure.code}: ${what}, as the test asked for`), { code: failure.code });
  }
}

interface Failure {
  readonly pattern: RegExp;
  skip: number;
  left: number;
  readonly code: string;
}

/** An operation that waits. */
export class Hold {
  readonly #pattern: RegExp;
  #reach!: () => void;
  readonly #reached = new Promise<void>((resolve) => {
    this.#reach = resolve;
  });
  /** Lets the operation go on. */
  letGo!: () => void;
  readonly #passed = new Promise<void>((resolve) => {
    this.letGo = resolve;
  });

  constructor(pattern: RegExp) {
    this.#pattern = pattern;
  }

  /** Resolves when the operation has come and waits. */
  async reached(): Promise<void> {
    await within(() => `no operation ${this.#pattern}`, this.#reached);
  }

  async pass(): Promise<void> {
    this.#reach();
    await this.#passed;
  }
}

function short(file: string): string {
  return path.basename(file).replace(/^0{1,19}(?=\d)/, '');
}
