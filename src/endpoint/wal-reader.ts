import type { SegmentRange } from '../filequeue/file-queue.ts';
import { copyAside, moveAside } from '../filequeue/quarantine.ts';
import { SegmentScanner } from '../filequeue/scanner.ts';
import {
  decodeEnd,
  ForeignSegmentError,
  parseSegmentName,
  type SegmentEnd,
  UnknownFormatError,
} from '../filequeue/segment-file.ts';
import { PlainBlocks, type SnappyBlocks } from '../protocol/snappy-blocks.ts';
import { describeError, SpillwayError } from '../runtime/errors.ts';
import type { FileSystem } from '../runtime/fs.ts';
import { BodyOpener, decodeFrameHead, type FrameHead, FrameRows } from '../serialization/frame.ts';
import type { Position } from '../serialization/position.ts';
import { END, FRAME } from '../serialization/record.ts';
import { type SegmentContext, statedEnd } from './segment-context.ts';

/** Frames after which whoever reads lets other readers, and the sockets, have their turn. */
export const FRAMES_A_TURN = 8;

/** How far may be read: all bytes of `segment` before `offset`, and all segments before it. */
export interface ReadLimit {
  readonly segment: number;
  readonly offset: number;
}

/** What a reader could not read. `rows` is how many rows that cost, as far as it is known. */
export interface Damage {
  readonly segment: number;
  readonly offset: number;
  /** The first of the rows, or where the reader stood. */
  readonly row: number;
  readonly rows: number;
  readonly message: string;
}

/** Lists segments and shares open ones among the readers of an endpoint. */
export class SegmentStore {
  readonly files: FileSystem;
  readonly dir: string;
  readonly newBlocks: () => SnappyBlocks;
  readonly #openContext: (segment: number, onIdle: (context: SegmentContext) => void) => SegmentContext;
  readonly #open = new Map<number, SegmentContext>();
  readonly #gaps: readonly SegmentRange[];

  /** `gaps` are not for this endpoint: readers pass over them. By ascending ids. */
  constructor(
    files: FileSystem,
    dir: string,
    openContext: (segment: number, onIdle: (context: SegmentContext) => void) => SegmentContext,
    newBlocks: () => SnappyBlocks = () => new PlainBlocks(),
    gaps: readonly SegmentRange[] = [],
  ) {
    this.#gaps = gaps;
    this.newBlocks = newBlocks;
    this.files = files;
    this.dir = dir;
    this.#openContext = openContext;
  }

  /** The first segment from `segment` on that is in no gap. */
  behindGaps(segment: number): number {
    return this.#gaps.reduce((id, { from, to }) => (id >= from && id < to ? to : id), segment);
  }

  /** The context of a segment, held once for the caller. */
  acquire(segment: number): SegmentContext {
    let context = this.#open.get(segment);
    if (context === undefined) {
      context = this.#openContext(segment, (idle) => this.#open.delete(idle.segment));
      this.#open.set(segment, context);
    }
    context.hold(1);
    return context;
  }

  /** Copies damaged bytes to quarantine/; says what came of it, for the log. */
  async copyAside(segment: number, at: number, to: number): Promise<string> {
    try {
      const name = (await this.#namesOf(segment))[0];
      if (name === undefined) return 'there is no copy of it';
      await copyAside(this.files, this.dir, name, { at, to }, 'damaged');
      return 'a copy is in quarantine/';
    } catch (error) {
      return `it could not be copied to quarantine/: ${describeError(error)}`;
    }
  }

  /** Moves the files that have the name of a segment and are not it to quarantine/; says what came of it. */
  async moveAside(segment: number): Promise<string> {
    try {
      for (const name of await this.#namesOf(segment)) await moveAside(this.files, this.dir, name, 'foreign');
      return 'it is now in quarantine/';
    } catch (error) {
      // Another endpoint may have been first.
      const gone = (error as NodeJS.ErrnoException).code === 'ENOENT';
      return gone ? 'it is now in quarantine/' : `it could not be moved aside: ${describeError(error)}`;
    }
  }

  async #namesOf(segment: number): Promise<string[]> {
    return (await this.files.list(this.dir)).filter((name) => parseSegmentName(name)?.id === segment).sort();
  }

  /** The lowest id at or above `from` that is on disk, or undefined. */
  async firstFrom(from: number): Promise<number | undefined> {
    let first: number | undefined;
    for (const name of await this.files.list(this.dir)) {
      const id = parseSegmentName(name)?.id;
      if (id !== undefined && id >= from && (first === undefined || id < first)) first = id;
    }
    return first;
  }
}

/**
 * Reads the queue frame by frame, from a position on, up to what is durable.
 *
 * After `advance` said true, `head` and `rows` are the next frame with rows at or behind the position, and
 * `context` its segment. Frames before the position only feed the dictionary. Damage is stepped over and
 * reported; a segment that is gone is skipped.
 */
export class WalReader {
  readonly #store: SegmentStore;
  readonly #onDamage: (damage: Damage) => void;
  readonly #opener: BodyOpener;
  readonly rows: FrameRows = new FrameRows();
  #segment: number;
  /** Rows before this one are done with. */
  #row: number;
  #context: SegmentContext | undefined;
  #scanner: SegmentScanner | undefined;
  #head: FrameHead | undefined;
  /** The row behind the last one of the current frame; 0 when there is none. */
  #frameEnd = 0;
  /** Where the segment ends, once it is known to be complete. */
  #end: number | undefined;
  /** Where its rows end, by the word of the next segment. */
  #stated: SegmentEnd | undefined;
  /** What its end record says, once that was read. */
  #endRows: number | undefined;
  /** A segment was not there: everything from here on up to the one that comes next is missing. */
  #missingFrom: Position | undefined;
  /** The row that the next frame should begin with, or undefined before the first frame. */
  #expectedRow: number | undefined;

  constructor(store: SegmentStore, from: Position, onDamage: (damage: Damage) => void) {
    this.#store = store;
    this.#opener = new BodyOpener(store.newBlocks());
    this.#onDamage = onDamage;
    this.#segment = store.behindGaps(from.segment);
    this.#row = this.#segment === from.segment ? from.row : 0;
  }

  /** Everything before this has been handed out. */
  get position(): Position {
    return { segment: this.#segment, row: this.#row };
  }

  /** The current frame. Only after `advance` said true. */
  get head(): FrameHead {
    return this.#head!;
  }

  /** The segment of the current frame. Only after `advance` said true. */
  get context(): SegmentContext {
    return this.#context!;
  }

  /** There are `head` and `context`: a frame was read, and a segment is open. */
  get isOpen(): boolean {
    return this.#context !== undefined && this.#head !== undefined;
  }

  /** There are rows of the current frame behind the position: `advance` is for when there are none. */
  get hasRows(): boolean {
    return this.#row < this.#frameEnd;
  }

  /** Moves the position behind `row` of the current frame. */
  passed(row: number): void {
    this.#row = row + 1;
  }

  /** Moves the position to the start of a later segment, without reading what lies between. */
  skipTo(segment: number): void {
    this.#leaveSegment(segment);
  }

  /** Moves on to the next frame. False when nothing more is durable; then call again after the next commit. */
  async advance(watermark: ReadLimit): Promise<boolean> {
    for (;;) {
      if (!this.#isDurable(watermark)) return false;
      if (this.#context === undefined && !(await this.#openSegment(watermark))) return false;
      if (this.#segment < watermark.segment) this.#end ??= await this.#completeEnd();
      const limit = this.#end ?? watermark.offset;
      const found = this.#scanner!.next(limit);
      if (found.kind === 'end') {
        if (this.#segment === watermark.segment) return false;
        await this.#checkEnd(found.at, limit);
        this.#leaveSegment(this.#segment + 1);
      } else if (found.kind === 'damage') {
        await this.#setAside(found.at, found.end, 0, 'a damaged part of the segment is stepped over');
      } else if (found.type === END) this.#endRows = rowsOfEnd(found.payload);
      else if (found.type === FRAME && (await this.#takeFrame(found.at, found.end, found.payload)))
        return true;
    }
  }

  close(): void {
    this.#context?.letGo(1);
    this.#context = undefined;
  }

  /** Something of the segment may be read. */
  #isDurable(watermark: ReadLimit): boolean {
    const { segment, offset } = watermark;
    return this.#segment < segment || (this.#segment === segment && offset > 0);
  }

  async #openSegment(watermark: ReadLimit): Promise<boolean> {
    try {
      this.#context = this.#store.acquire(this.#segment);
    } catch (error) {
      await this.#cannotOpen(error);
      const next = await this.#store.firstFrom(this.#segment + 1);
      if (next === undefined || next > watermark.segment) {
        this.#leaveSegment(Math.max(watermark.segment, this.#segment + 1));
        return this.#segment <= watermark.segment && watermark.offset > 0 && this.#openSegment(watermark);
      }
      this.#leaveSegment(next);
      return this.#isDurable(watermark) && this.#openSegment(watermark);
    }
    this.#reportMissing(this.#context.previous);
    const from = this.#context.offsetBefore(this.#row);
    this.#scanner = new SegmentScanner(this.#context.file, from, this.#context.mark);
    this.#expectedRow = from === 0 ? 0 : undefined;
    this.#end = undefined;
    this.#stated = undefined;
    this.#endRows = undefined;
    return true;
  }

  /** Takes note of a segment that cannot be opened. Throws the error again when it may go away by itself. */
  async #cannotOpen(error: unknown): Promise<void> {
    const segment = this.#segment;
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof UnknownFormatError) {
      this.#damaged(0, 0, `segment ${segment} is skipped: ${error.message}`);
    } else if (error instanceof ForeignSegmentError || code === 'EISDIR') {
      const aside = await this.#store.moveAside(segment);
      this.#damaged(0, 0, `segment ${segment} is skipped: ${describeError(error)}; ${aside}`);
    } else if (code !== 'ENOENT') throw error;
    this.#missingFrom ??= this.position;
  }

  /** Compares what was passed over with the segment that `previous` says was there. */
  #reportMissing(previous: SegmentEnd | undefined): void {
    const from = this.#missingFrom;
    this.#missingFrom = undefined;
    if (from === undefined || previous === undefined || previous.segment < from.segment) return;
    const { segment } = previous;
    if (this.#store.behindGaps(segment) !== segment) return;
    const row = segment === from.segment ? from.row : 0;
    const rows = previous.rows - row;
    if (rows <= 0) return;
    this.#onDamage({ segment, offset: 0, row, rows, message: `segment ${segment} is not there` });
  }

  #leaveSegment(next: number): void {
    this.close();
    this.#scanner = undefined;
    this.#segment = this.#store.behindGaps(next);
    this.#row = 0;
    this.#frameEnd = 0;
  }

  /** Where the frames of this segment, which is not the newest, end. */
  async #completeEnd(): Promise<number> {
    const size = this.#context!.file.size();
    const next = await this.#store.firstFrom(this.#segment + 1);
    if (next === undefined) return size;
    try {
      // Behind the stated end stands the end record, or what a failed fsync left: nothing to deliver.
      this.#stated = statedEnd(this.#store.files, this.#store.dir, next, this.#segment);
      return Math.min(size, this.#stated?.bytes ?? size);
    } catch (error) {
      const isUnknown = error instanceof UnknownFormatError || error instanceof ForeignSegmentError;
      if (isUnknown || ['ENOENT', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? ''))
        return size;
      throw error;
    }
  }

  /** Compares what was read of a segment with what its end record and the next segment say was in it. */
  async #checkEnd(at: number, limit: number): Promise<void> {
    const { file, mark } = this.#context!;
    const size = file.size();
    if (this.#endRows === undefined) {
      const found = new SegmentScanner(file, limit, mark).next(size);
      if (found.kind === 'record' && found.type === END) this.#endRows = rowsOfEnd(found.payload);
    }
    const rows = Math.max(this.#endRows ?? 0, this.#stated?.rows ?? 0);
    const missing = this.#expectedRow === undefined ? 0 : this.#ahead(this.#expectedRow, rows);
    const message = 'the end of the segment cannot be read';
    if (at < limit) await this.#setAside(at, limit, missing, message, this.#expectedRow);
    else if (missing > 0) this.#damaged(at, missing, message, this.#expectedRow);
  }

  /** Takes a frame in; true when it has rows at or behind the position. */
  async #takeFrame(at: number, end: number, payload: Uint8Array): Promise<boolean> {
    const context = this.#context!;
    let from = 0;
    let rows = 0;
    try {
      const head = decodeFrameHead(payload);
      from = head.row;
      rows = this.#ahead(head.row, head.row + head.rows);
      if (this.#expectedRow !== undefined && head.row > this.#expectedRow) {
        this.#damaged(
          at,
          this.#ahead(this.#expectedRow, head.row),
          'rows before this frame are missing',
          this.#expectedRow,
        );
      }
      this.#expectedRow = head.row + head.rows;
      const fresh = at >= context.addedTo;
      const wanted = head.row + head.rows > this.#row;
      if (!fresh && !wanted) return false;
      const body = this.#opener.open(head, context.codec);
      if (fresh) {
        context.addedTo = end;
        context.dictionary.add(body);
        context.addFrame(head.row, at, head.at);
      }
      if (wanted) this.rows.read(body, head.rows);
      else if (context.told !== undefined) this.rows.readMetadata(body);
      if (fresh) context.told?.add(this.rows);
      if (!wanted) return false;
      this.#row = Math.max(this.#row, head.row);
      this.#head = head;
      this.#frameEnd = head.row + head.rows;
      return true;
    } catch (error) {
      if (!(error instanceof SpillwayError)) throw error;
      const message = `a frame is whole by its checksum but cannot be read: ${error.message}`;
      await this.#setAside(at, end, rows, message, from);
      // They are counted, and never are again.
      if (rows > 0) this.#row = Math.max(this.#row, from) + rows;
      return false;
    }
  }

  /** How many of the rows from `from` up to `to` are at or behind the position: a restart counts no loss again. */
  #ahead(from: number, to: number): number {
    return Math.max(0, to - Math.max(from, this.#row));
  }

  async #setAside(at: number, to: number, rows: number, message: string, from = 0): Promise<void> {
    const aside = await this.#store.copyAside(this.#segment, at, to);
    this.#damaged(at, rows, `${message}; ${aside}`, from);
  }

  #damaged(offset: number, rows: number, message: string, from = 0): void {
    this.#onDamage({ segment: this.#segment, offset, row: Math.max(from, this.#row), rows, message });
  }
}

/** Undefined when the record is whole and makes no sense. */
function rowsOfEnd(payload: Uint8Array): number | undefined {
  try {
    return decodeEnd(payload).rows;
  } catch {
    return undefined;
  }
}
