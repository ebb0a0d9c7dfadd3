import * as path from 'node:path';
import type { FileSystem, ReadableFile, WritableFile } from '../../src/runtime/fs.ts';
import type { Random } from '../support/random.ts';

/**
 * A file system in memory that does no more than it promises, for tests of what a crash leaves.
 *
 * What is written goes to a cache, which everybody reads; a sync carries it to the disk. `powerCut` gives the
 * machine as it comes back: the disk, and of what was on the way to it whatever chance lets through:
 * - each unsynced write survives whole, torn at any byte, sector by sector, as zeros (the length reached the disk,
 *   the bytes did not), as anything, or not at all, whatever became of the writes around it;
 * - so does each unsynced creation, renaming or removal, and a renaming may leave both names.
 * `kill` ends the process alone: the cache stays, with any part of the write that was under way.
 *
 * A machine dies at operation n (`dieAt`): that operation may still have an effect, but nobody learns of it, and
 * nothing behind it happens. A disk can be sick (`sick`): after a failed sync what was to be synced is never
 * carried to the disk by a later one, though it can be read and may be found there after all (what Linux does).
 *
 * Taken for granted, as by every database: a write does not harm synced bytes beside it in the same sector, a
 * renaming does not lose both names, and a block that was never written does not show what a deleted file had in
 * it (ext4 with data=writeback may).
 */
export class ForgetfulFs implements FileSystem {
  /** Operations so far. Reading is none: it changes nothing. */
  operations = 0;
  /** Every operation, for messages. */
  readonly log: string[] = [];
  /** The number of the operation that is not survived. */
  dieAt: number = Number.POSITIVE_INFINITY;
  /** Says whether an operation fails. */
  sick: (operation: number) => boolean = () => false;
  #dead = false;
  /** Names as everybody sees them, and as they are on the disk. */
  #names: Map<string, Inode> = new Map();
  #namesOnDisk: Map<string, Inode> = new Map();
  /** Changes of names that are not on the disk yet. */
  #nameChanges: NameChange[] = [];
  readonly #dirs = new Set<string>();
  /** How directories are listed: another way after a power cut, by chance. */
  #newestFirst = true;
  /** What the machine died of writing to. */
  #writing: Inode | undefined;

  get dead(): boolean {
    return this.#dead;
  }

  /** The machine after a power cut and a restart. The one that it happened to is not changed. */
  powerCut(survival: Survival, random: Random): ForgetfulFs {
    const after = new ForgetfulFs();
    after.#newestFirst = random.next() < 0.5;
    for (const dir of this.#dirs) after.#dirs.add(dir);
    const names = new Map(this.#namesOnDisk);
    for (const change of this.#nameChanges) {
      if (survival === 'everything') apply(change, names);
      else if (survival === 'chance' && random.next() < 0.5) apply(change, names, random.next() < 0.3);
    }
    const inodes = new Map<Inode, Inode>();
    for (const [name, inode] of names) {
      let copy = inodes.get(inode);
      if (copy === undefined) {
        copy = new Inode(inode.found(survival, random));
        inodes.set(inode, copy);
      }
      after.#names.set(name, copy);
    }
    after.#namesOnDisk = new Map(after.#names);
    return after;
  }

  /**
   * The machine with the process killed: what was written is there, and is as durable as it was. Of the write that
   * it died of, if it did, as much is there as chance wants; all of it without `random`.
   */
  kill(random?: Random): ForgetfulFs {
    const after = new ForgetfulFs();
    for (const dir of this.#dirs) after.#dirs.add(dir);
    const copies = new Map<Inode, Inode>();
    const copyOf = (inode: Inode): Inode => {
      let copy = copies.get(inode);
      if (copy === undefined) {
        copy = inode.copy();
        if (random !== undefined && inode === this.#writing) copy.tearLast(random);
        copies.set(inode, copy);
      }
      return copy;
    };
    for (const [name, inode] of this.#names) after.#names.set(name, copyOf(inode));
    for (const [name, inode] of this.#namesOnDisk) after.#namesOnDisk.set(name, copyOf(inode));
    after.#nameChanges = this.#nameChanges.map((change) =>
      change.kind === 'create' ? { ...change, inode: copyOf(change.inode) } : change,
    );
    return after;
  }

  async makeDir(dir: string): Promise<void> {
    await this.#operate(`makeDir ${dir}`, () => {
      this.#dirs.add(dir);
    });
  }

  async list(dir: string): Promise<string[]> {
    this.#alive();
    const names = [...this.#names.keys()]
      .filter((name) => path.dirname(name) === dir)
      .map((name) => path.basename(name));
    // In no order, as the port says.
    return this.#newestFirst ? names.reverse() : names;
  }

  async create(file: string): Promise<ForgetfulFile> {
    const inode = new Inode(new Uint8Array(0));
    await this.#operate(`create ${file}`, () => {
      if (this.#names.has(file)) throw failure('EEXIST', file);
      this.#changeNames({ kind: 'create', name: file, inode });
    });
    return this.#writable(file, inode);
  }

  async openAppend(file: string): Promise<ForgetfulFile> {
    this.#alive();
    return this.#writable(file, this.#inode(file));
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#operate(`rename ${from} ${to}`, () => {
      this.#inode(from);
      this.#changeNames({ kind: 'rename', name: from, to });
    });
  }

  async remove(file: string): Promise<void> {
    await this.#operate(`remove ${file}`, () => {
      this.#inode(file);
      this.#changeNames({ kind: 'remove', name: file });
    });
  }

  async truncate(file: string, length: number): Promise<void> {
    await this.#operate(
      `truncate ${file} ${length}`,
      () => this.#inode(file).truncate(length),
      // Whether the disk got to it is open.
      () => this.#inode(file).tryTruncate(length),
    );
  }

  async syncDir(dir: string): Promise<void> {
    await this.#operate(
      `syncDir ${dir}`,
      () => {
        const inDir = (name: string): boolean => path.dirname(name) === dir;
        const staying: NameChange[] = [];
        for (const change of this.#nameChanges) {
          if (inDir(change.name) || (change.kind === 'rename' && inDir(change.to))) {
            apply(change, this.#namesOnDisk);
          } else staying.push(change);
        }
        this.#nameChanges = staying;
      },
      () => undefined,
    );
  }

  openRead(file: string): ReadableFile {
    this.#alive();
    const inode = this.#inode(file);
    return {
      read: (into, length, position) => {
        this.#alive();
        const part = inode.cache.subarray(position, position + length);
        into.set(part);
        return part.length;
      },
      size: () => inode.cache.length,
      close: () => undefined,
    };
  }

  #writable(file: string, inode: Inode): ForgetfulFile {
    const writable: ForgetfulFile = {
      append: async (bytes) => {
        await writable.write(bytes);
        await writable.sync();
      },
      write: async (bytes) => {
        const copy = Uint8Array.from(bytes);
        await this.#operate(
          `append ${file} ${copy.length}`,
          () => {
            inode.append(copy);
            if (this.operations > this.dieAt) this.#writing = inode;
          },
          // A disk that is full or sick has taken a part of it.
          () => inode.append(copy.subarray(0, copy.length >>> 1)),
        );
      },
      sync: async () => {
        // As long as a sync takes, others get their turn.
        await new Promise((resolve) => setImmediate(resolve));
        await this.#operate(
          `sync ${file}`,
          () => inode.sync(),
          () => inode.failSync(),
        );
      },
      close: async () => this.#alive(),
    };
    return writable;
  }

  /**
   * One operation: `act` carries it out, `fail` what there is of it when it fails. When the machine dies of it, a
   * write and a change of names have got as far as the cache, and a sync has not begun.
   */
  async #operate(what: string, act: () => void, fail?: () => void): Promise<void> {
    await Promise.resolve();
    this.#alive();
    const n = this.operations++;
    this.log.push(`${n} ${what}`);
    if (n >= this.dieAt) {
      if (!what.startsWith('sync')) (what.startsWith('truncate') ? fail! : act)();
      this.#dead = true;
      throw new Error(`the machine died at operation ${n}, ${what}`);
    }
    if (this.sick(n)) {
      this.log.push('  fails');
      fail?.();
      throw failure('EIO', what);
    }
    act();
  }

  #alive(): void {
    if (this.#dead) throw new Error('the machine is dead');
  }

  #changeNames(change: NameChange): void {
    apply(change, this.#names);
    this.#nameChanges.push(change);
  }

  #inode(file: string): Inode {
    const inode = this.#names.get(file);
    if (inode === undefined) throw failure('ENOENT', file);
    return inode;
  }
}

/** An append is two operations: what has reached the cache may be lost until the disk has it. */
export interface ForgetfulFile extends WritableFile {
  /** Puts `bytes` in the cache, at the end. */
  write(bytes: Uint8Array): Promise<void>;
}

/** What becomes of that which was not synced. */
export type Survival = 'nothing' | 'everything' | 'chance';

type NameChange =
  | { readonly kind: 'create'; readonly name: string; readonly inode: Inode }
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'rename'; readonly name: string; readonly to: string };

/** A change whose base did not survive has no effect. With `half`, the old name of a renaming stays. */
function apply(change: NameChange, names: Map<string, Inode>, half = false): void {
  if (change.kind === 'create') names.set(change.name, change.inode);
  else if (change.kind === 'remove') names.delete(change.name);
  else {
    const inode = names.get(change.name);
    if (inode === undefined) return;
    if (!half) names.delete(change.name);
    names.set(change.to, inode);
  }
}

/** On its way to the disk: bytes at an offset, or a cut at a length. */
interface Change {
  readonly at: number;
  /** Undefined for a cut. */
  readonly bytes: Uint8Array | undefined;
  /** A sync of it failed: no later one carries it. */
  readonly stranded: boolean;
}

/** The content of a file. */
class Inode {
  cache: Uint8Array;
  #disk: Uint8Array;
  #changes: Change[] = [];

  constructor(disk: Uint8Array) {
    this.cache = disk;
    this.#disk = disk;
  }

  append(bytes: Uint8Array): void {
    this.#changes.push({ at: this.cache.length, bytes, stranded: false });
    this.cache = written(this.cache, this.cache.length, bytes);
  }

  /** Durable when it returns, as the port promises. */
  truncate(length: number): void {
    this.cache = this.cache.slice(0, length);
    this.#disk = this.#disk.slice(0, length);
    this.#changes = this.#changes
      .filter(({ at, bytes }) => bytes !== undefined && at < length)
      .map((change) => ({ ...change, bytes: change.bytes!.subarray(0, length - change.at) }));
    this.sync();
  }

  tryTruncate(length: number): void {
    this.#changes.push({ at: length, bytes: undefined, stranded: true });
    this.cache = this.cache.slice(0, length);
  }

  sync(): void {
    for (const change of this.#changes) if (!change.stranded) this.#disk = changed(this.#disk, change);
    this.#changes = this.#changes.filter((change) => change.stranded);
  }

  failSync(): void {
    this.#changes = this.#changes.map((change) => ({ ...change, stranded: true }));
  }

  copy(): Inode {
    const copy = new Inode(this.#disk);
    copy.cache = this.cache;
    copy.#changes = [...this.#changes];
    return copy;
  }

  /** Takes a part of the last write back. */
  tearLast(random: Random): void {
    const { at, bytes, stranded } = this.#changes.pop()!;
    const part = bytes!.subarray(0, random.int(0, bytes!.length + 1));
    this.#changes.push({ at, bytes: part, stranded });
    this.cache = this.cache.slice(0, at + part.length);
  }

  /** The content after a power cut. */
  found(survival: Survival, random: Random): Uint8Array {
    let found = this.#disk;
    for (const change of this.#changes) {
      if (survival === 'nothing') continue;
      const fate = survival === 'everything' ? 'whole' : fates[random.int(0, fates.length)]!;
      const { at, bytes } = change;
      if (fate === 'whole') found = changed(found, change);
      else if (bytes !== undefined && fate !== 'lost') {
        found = written(found, at, survivingBytes(bytes, fate, random));
      }
    }
    return found;
  }
}

const fates = ['whole', 'lost', 'torn', 'sectors', 'zeros', 'anything'] as const;

/** Smaller than any real one, as the files of the tests are smaller than real ones. */
const SECTOR = 32;

function survivingBytes(
  bytes: Uint8Array,
  fate: 'torn' | 'sectors' | 'zeros' | 'anything',
  random: Random,
): Uint8Array {
  switch (fate) {
    case 'torn':
      return bytes.subarray(0, random.int(0, bytes.length + 1));
    case 'zeros':
      return new Uint8Array(bytes.length);
    case 'anything':
      return Uint8Array.from(bytes, () => random.int(0, 256));
    case 'sectors': {
      const found = bytes.slice();
      for (let at = 0; at < found.length; at += SECTOR) {
        if (random.next() < 0.5) found.fill(0, at, at + SECTOR);
      }
      return found;
    }
    default:
      return fate satisfies never;
  }
}

function changed(content: Uint8Array, { at, bytes }: Change): Uint8Array {
  return bytes === undefined ? content.slice(0, at) : written(content, at, bytes);
}

/** `content` with `bytes` at `at`; what lies between, if anything, is zeros. */
function written(content: Uint8Array, at: number, bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) return content;
  const result = new Uint8Array(Math.max(content.length, at + bytes.length));
  result.set(content);
  result.set(bytes, at);
  return result;
}

function failure(code: string, what: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}
