import * as fs from 'node:fs';
import * as path from 'node:path';
import { makeDirectory } from './make-directory.ts';

/**
 * The file system as the queue needs it: small, so that tests can put one in its place that forgets what was
 * not synced and dies at any operation.
 *
 * Writing is asynchronous, for it happens on the thread that receives; reading is synchronous, for it
 * happens in worker threads, a frame at a time, mostly from the page cache.
 */
export interface FileSystem {
  /** Creates a directory and its parents, durably; it may be there already. */
  makeDir(dir: string): Promise<void>;
  /** Names in a directory, in no order. */
  list(dir: string): Promise<string[]>;
  /** Creates a file for appending. Fails with `EEXIST` when it is there. */
  create(file: string): Promise<WritableFile>;
  /** Opens a file that is there, for appending. */
  openAppend(file: string): Promise<WritableFile>;
  rename(from: string, to: string): Promise<void>;
  remove(file: string): Promise<void>;
  /** Cuts a file, durably. */
  truncate(file: string, length: number): Promise<void>;
  /** Makes creations, renames and removals in a directory durable. */
  syncDir(dir: string): Promise<void>;
  /** Opens a file for reading. */
  openRead(file: string): ReadableFile;
}

export interface WritableFile {
  /**
   * Writes all of `bytes` at the end, durably: resolves when they are on the disk, and when the length of the file says
   * so there. `bytes` must not change meanwhile.
   */
  append(bytes: Uint8Array): Promise<void>;
  /** Resolves when all of the file is on the disk (fdatasync): also what another process has left in the page cache. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface ReadableFile {
  /** Reads up to `length` bytes from `position` into the start of `into`; returns how many, 0 at the end. */
  read(into: Uint8Array, length: number, position: number): number;
  /** Length in bytes, now. */
  size(): number;
  close(): void;
}

/** The real one. */
export const nodeFileSystem: FileSystem = {
  async makeDir(dir) {
    // Each new directory is an entry in its parent, which a power cut would take with all that is in it.
    for (const made of makeDirectory(dir).reverse()) await this.syncDir(path.dirname(made));
  },
  list: (dir) => fs.promises.readdir(dir),
  create(file) {
    return openDurable(file, fs.constants.O_CREAT | fs.constants.O_EXCL);
  },
  openAppend(file) {
    return openDurable(file, 0);
  },
  rename: (from, to) => fs.promises.rename(from, to),
  remove: (file) => fs.promises.unlink(file),
  async truncate(file, length) {
    const handle = await fs.promises.open(file, 'r+');
    try {
      await handle.truncate(length);
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  async syncDir(dir) {
    const handle = await fs.promises.open(dir, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  openRead: (file) => new NodeReadableFile(file),
};

/** Writes a new file whole and durably: data, then its name. */
export async function writeDurably(files: FileSystem, file: string, bytes: Uint8Array): Promise<void> {
  const handle = await files.create(file);
  try {
    await handle.append(bytes);
  } finally {
    await handle.close();
  }
  await files.syncDir(path.dirname(file));
}

/** Opens a file whose writes are durable when they return, for appending. */
async function openDurable(file: string, flags: number): Promise<WritableFile> {
  const dsync = (await writesThrough(path.dirname(file))) ? fs.constants.O_DSYNC : 0;
  const fd = await open(file, fs.constants.O_WRONLY | fs.constants.O_APPEND | dsync | flags);
  return new NodeWritableFile(fd, dsync !== 0);
}

/**
 * True where O_DSYNC is as good as an fdatasync behind each write: bytes are on the disk when it returns, and what it
 * takes to find them. It is one errand to the thread pool for each commit, where write and fdatasync are two, and each of
 * them costs more CPU in waking threads than the write itself. Darwin does not flush the disk for it. To a server of FUSE
 * (virtiofs, too) that opens its files with direct I/O the flag is only passed on, and not all of them heed it, while an
 * fdatasync reaches each. What cannot be told counts as such.
 */
async function writesThrough(dir: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  return fs.promises.statfs(dir).then(
    ({ type }) => type !== FUSE,
    () => false,
  );
}

/** `FUSE_SUPER_MAGIC` of linux/magic.h. */
const FUSE = 0x65735546;

function open(file: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(file, flags, 0o640, (error, fd) => (error ? reject(error) : resolve(fd)));
  });
}

// The callback functions of node:fs: with a commit a request, its promises cost twice as much CPU.
class NodeWritableFile implements WritableFile {
  readonly #fd: number;
  readonly #writesThrough: boolean;

  constructor(fd: number, writesThrough: boolean) {
    this.#fd = fd;
    this.#writesThrough = writesThrough;
  }

  append(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const write = (at: number): void => {
        fs.write(this.#fd, bytes, at, bytes.length - at, null, (error, written) => {
          if (error) reject(error);
          else if (at + written < bytes.length) write(at + written);
          else resolve(this.#writesThrough ? undefined : this.sync());
        });
      };
      write(0);
    });
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) =>
      fs.fdatasync(this.#fd, (error) => (error ? reject(error) : resolve())),
    );
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) =>
      fs.close(this.#fd, (error) => (error ? reject(error) : resolve())),
    );
  }
}

class NodeReadableFile implements ReadableFile {
  readonly #fd: number;

  constructor(file: string) {
    this.#fd = fs.openSync(file, 'r');
  }

  read(into: Uint8Array, length: number, position: number): number {
    return fs.readSync(this.#fd, into, 0, length, position);
  }

  size(): number {
    return fs.fstatSync(this.#fd).size;
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}
