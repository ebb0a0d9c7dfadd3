import type { FileSystem, WritableFile } from '../runtime/fs.ts';
import type { Codec } from '../serialization/codec.ts';
import { FRAME, RECORD_HEAD, sealRecord } from '../serialization/record.ts';
import { KINDS } from '../serialization/rows.ts';
import { encodeEnd, encodeHeader, type SegmentEnd, type SegmentInfo, segmentPath } from './segment-file.ts';

/** Rows and time of one frame, as the log counts them. */
export interface FrameFacts {
  readonly rows: number;
  readonly counts: Readonly<Uint32Array>;
  readonly atMs: number;
}

/** How far the queue is durable: all bytes of `segment` before `offset`, and all segments before it. */
export interface Watermark {
  readonly segment: number;
  readonly offset: number;
  readonly rows: number;
}

/** Something went wrong with a file, and no sender was told of it: its frames are durable, or nobody waits for them. */
export interface LogTrouble {
  readonly message: string;
  readonly file: string;
  readonly error: unknown;
}

/**
 * The file that is being written. One append at a time; the caller (GroupCommit) sees to it.
 *
 * Durable order of an append: a new file and its directory entry, then header and frame by one synchronous write;
 * only then is the frame durable. A segment is renamed after its last frame is durable, so a crash at any
 * point leaves a file that recovery can read.
 *
 * A failed write or sync ends the segment where it was last durable. That offset goes into the header of the
 * next segment, so that what lies behind it is never delivered, whatever the disk did with it in the end. A
 * segment that fails before its first frame is durable states nothing durably, so it is removed before the
 * next one is created: that one then states the end of the last segment with frames.
 */
export class SegmentLog {
  readonly #files: FileSystem;
  readonly #dir: string;
  readonly #codec: Codec;
  readonly #randomSalt: () => number;
  readonly #onSealed: (info: SegmentInfo) => void;
  readonly #onTrouble: (trouble: LogTrouble) => void;
  #file: WritableFile | undefined;
  #id = 0;
  #nextId: number;
  #previous: SegmentEnd | undefined;
  #salt = 0;
  /** A file without a durable frame that is still to be removed. */
  #debris: string | undefined;
  /** Nothing lies behind the durable end of the segment before, but its end record. */
  #endedWhole = true;
  #bytes = 0;
  #counts: number[] = [];
  #frames = 0;
  #rows = 0;
  #firstMs = 0;
  #lastMs = 0;
  #openedMs = 0;

  constructor(options: {
    files: FileSystem;
    dir: string;
    codec: Codec;
    nextId: number;
    /** The newest segment there is, and where it ends. */
    previous: SegmentEnd | undefined;
    /** A number of 32 bits that nobody can guess. */
    randomSalt: () => number;
    onSealed: (info: SegmentInfo) => void;
    onTrouble: (trouble: LogTrouble) => void;
  }) {
    this.#files = options.files;
    this.#dir = options.dir;
    this.#codec = options.codec;
    this.#nextId = options.nextId;
    this.#previous = options.previous;
    this.#randomSalt = options.randomSalt;
    this.#onSealed = options.onSealed;
    this.#onTrouble = options.onTrouble;
  }

  /**
   * The id of the next segment, when none is open and readers may go to the end of every file there is: what
   * lies there is durable. Undefined else; after a failed sync the header of the next segment has to say first
   * how far the last one counts.
   */
  get nextSegment(): number | undefined {
    return this.#file === undefined && this.#debris === undefined && this.#endedWhole
      ? this.#nextId
      : undefined;
  }

  /** The id that the next segment gets, or a higher one. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Durable bytes of the open segment; 0 when none is open. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Rows of the open segment: the ordinal of the next one. */
  get rows(): number {
    return this.#rows;
  }

  /** When the open segment was created, ms since the epoch. */
  get openedMs(): number {
    return this.#openedMs;
  }

  /** The open segment as it stands, or undefined when none is. */
  get open(): SegmentInfo | undefined {
    return this.#file === undefined ? undefined : this.#info();
  }

  /**
   * Appends the record of a frame, whose head is written here, and makes it durable; `last` ends the segment behind
   * it. Returns how far the queue is durable now. Throws what the file system threw; then nothing of the record is
   * ever delivered.
   */
  async append(record: Uint8Array, facts: FrameFacts, last: boolean): Promise<Watermark> {
    try {
      const header = this.#file === undefined ? await this.#create(facts.atMs) : undefined;
      const mark = { segment: this.#id, salt: this.#salt };
      sealRecord(record, 0, FRAME, record.length - RECORD_HEAD, mark, this.#bytes);
      await this.#file!.append(header === undefined ? record : Buffer.concat([header, record]));
    } catch (error) {
      await this.#abandon();
      throw error;
    }
    this.#bytes += record.length;
    this.#rows += facts.rows;
    this.#frames++;
    for (let kind = 0; kind < KINDS; kind++) this.#counts[kind] = this.#counts[kind]! + facts.counts[kind]!;
    if (this.#firstMs === 0) this.#firstMs = facts.atMs;
    this.#lastMs = facts.atMs;
    const watermark = { segment: this.#id, offset: this.#bytes, rows: this.#rows };
    if (last) await this.seal();
    return watermark;
  }

  /** Ends the open segment, if there is one: end record, then its final name. Never throws. */
  async seal(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    const info = this.#info();
    const name = segmentPath(this.#dir, info.id, 'open');
    let written = false;
    try {
      await file.append(encodeEnd(info, { segment: info.id, salt: this.#salt }, info.bytes));
      written = true;
      await this.#files.rename(name, segmentPath(this.#dir, info.id, 'committed'));
      await this.#files.syncDir(this.#dir);
    } catch (error) {
      this.#trouble(
        'a segment could not be ended; its frames are durable, the next start ends it',
        name,
        error,
      );
    }
    await this.#close(file, name);
    this.#end(info, written || (await this.#cut(name, info.bytes)));
  }

  /** Creates the next file; returns its header, which is to be written with the first frame. */
  async #create(nowMs: number): Promise<Uint8Array> {
    await this.#removeDebris();
    // An id is used up even when this fails: something of that name may be there.
    this.#id = this.#nextId++;
    this.#file = await this.#files.create(segmentPath(this.#dir, this.#id, 'open'));
    this.#counts = new Array<number>(KINDS).fill(0);
    this.#openedMs = nowMs;
    await this.#files.syncDir(this.#dir);
    this.#salt = this.#randomSalt() >>> 0;
    const header = encodeHeader(
      { segment: this.#id, codec: this.#codec, createdMs: nowMs, previous: this.#previous },
      this.#salt,
    );
    this.#bytes = header.length;
    return header;
  }

  async #abandon(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    const info = this.#info();
    const name = segmentPath(this.#dir, info.id, 'open');
    await this.#close(file, name);
    if (info.frames === 0) {
      this.#debris = name;
      this.#forget();
      await this.#removeDebris().catch((error: unknown) => {
        this.#trouble(
          'a file without a durable frame could not be removed; nothing is written until it can be',
          name,
          error,
        );
      });
      return;
    }
    this.#end(info, await this.#cut(name, info.bytes));
  }

  /** Cuts what was never durable; false when the disk refuses: then the offset in the successor's header holds. */
  async #cut(name: string, bytes: number): Promise<boolean> {
    try {
      await this.#files.truncate(name, bytes);
      return true;
    } catch (error) {
      this.#trouble(
        'what was not durable could not be cut off; the next segment says where this one ends',
        name,
        error,
      );
      return false;
    }
  }

  async #close(file: WritableFile, name: string): Promise<void> {
    try {
      await file.close();
    } catch (error) {
      this.#trouble('a segment could not be closed', name, error);
    }
  }

  #trouble(message: string, file: string, error: unknown): void {
    this.#onTrouble({ message, file, error });
  }

  /** Throws what the file system throws: nothing may be acknowledged while the file is there. */
  async #removeDebris(): Promise<void> {
    if (this.#debris === undefined) return;
    try {
      await this.#files.remove(this.#debris);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    this.#debris = undefined;
  }

  #end(info: SegmentInfo, whole: boolean): void {
    this.#endedWhole = whole;
    this.#previous = { segment: info.id, bytes: info.bytes, rows: info.rows };
    this.#forget();
    this.#onSealed(info);
  }

  #forget(): void {
    this.#file = undefined;
    this.#bytes = 0;
    this.#rows = 0;
    this.#frames = 0;
    this.#firstMs = 0;
    this.#lastMs = 0;
  }

  #info(): SegmentInfo {
    return {
      id: this.#id,
      bytes: this.#bytes,
      rows: this.#rows,
      counts: [...this.#counts],
      frames: this.#frames,
      firstMs: this.#firstMs,
      lastMs: this.#lastMs,
    };
  }
}
