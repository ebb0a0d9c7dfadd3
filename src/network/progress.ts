import * as fs from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { comparePositions, type Position } from '../serialization/position.ts';
import { KINDS } from '../serialization/rows.ts';

/** The hash space is cut into this many virtual shards. On disk: never change it. */
export const SHARDS = 256;

/**
 * How far an endpoint has come, as one block of bytes.
 *
 * A file of the endpoint has it by a plain write before each request leaves and after it is settled: the page cache
 * outlives the process, so after a kill -9 the next process knows to the row what was settled, and which rows
 * were on their way and may have been delivered (RLY-13). With the loop of each shard it forms the same requests
 * from them again. About once a second it is written there with a sync, which outlives a power cut; only then may
 * segments go. The ledger has it too, in case that the file is lost.
 *
 * The file has two slots for plain writes and two for synced ones, each pair written in turn; a block carries a
 * sequence number and a CRC, and the newest that is whole counts. A kill in the middle of a write leaves the other
 * slot, and the request that the torn block announced had not left.
 *
 *     0    8     "SPWPROG2"
 *     8    8     sequence, f64
 *     16   8     rows that were read and are not settled, f64
 *     24   12    front: segment f64, row u32
 *     36   4     routing, u32: what the shard of a series depends on beside its labels; 0 is nothing
 *     40   8     rows received, f64                what the queue got since the endpoint is there
 *     48   8     rows returned, f64                rows that wait again although they were settled
 *     56   12    known: segment f64, row u32       everything before it is counted as received
 *     68   12    furthest: segment f64, row u32    the furthest front there ever was
 *     80   1056  rows settled, f64                 33 outcomes of 4 kinds: delivered, and lost by reason
 *     1136 256   loop of each shard, u8
 *     1392 2048  low segments, f64                 everything of the shard before it is settled
 *     3440 1024  low rows, u32
 *     4464 2048  sent segments, f64                nothing of the shard behind it has been sent
 *     6512 1024  sent rows, u32
 *     7536 4     CRC-32 of all before
 *
 * Everything is little-endian. The arrays are used in place, so nothing is copied when a request leaves. Since the
 * counts are saved with the positions they belong to, they balance also after a kill.
 */
export const PROGRESS_BYTES = 7540;

const MAGIC = Buffer.from('SPWPROG2');
const FRONT_AT = 24;
const ROUTING_AT = 36;
const RECEIVED_AT = 40;
const KNOWN_AT = 56;
const FURTHEST_AT = 68;
const COUNTS_AT = 80;
const COUNTS = 33 * KINDS;
const LOOPS_AT = COUNTS_AT + 8 * COUNTS;
const LOW_SEGMENTS_AT = LOOPS_AT + SHARDS;
const LOW_ROWS_AT = LOW_SEGMENTS_AT + 8 * SHARDS;
const SENT_SEGMENTS_AT = LOW_ROWS_AT + 4 * SHARDS;
const SENT_ROWS_AT = SENT_SEGMENTS_AT + 8 * SHARDS;
const CRC_AT = SENT_ROWS_AT + 4 * SHARDS;

/** What is noted beside the shards and the counts. */
export interface Standing {
  /** Rows before `front` that are not settled. */
  readonly unsettled: number;
  readonly front: Position;
  /** The furthest front there ever was: nothing behind it is settled. */
  readonly furthest: Position;
  /** Rows that the queue got since the endpoint is there, as far as `known`. */
  readonly received: number;
  readonly known: Position;
  /** Rows that wait again although they were settled. */
  readonly returned: number;
}

export interface Progress extends Standing {
  readonly sequence: number;
  /** Rows that are settled: by kind delivered, then by kind for each reason (`EndpointStats.counts`). */
  readonly counts: Float64Array;
  /** Positions of shards mean something only under the routing that they were noted under. */
  readonly routing: number;
  readonly loops: Readonly<Uint8Array>;
  /** Everything of a shard before its position here is settled. */
  readonly low: readonly Position[];
  /** Nothing of a shard behind its position here has been sent. */
  readonly sent: readonly Position[];
}

/** The block that is being kept: its arrays are the live state of the shards. */
export class ProgressBlock {
  readonly bytes: Uint8Array = new Uint8Array(new ArrayBuffer(PROGRESS_BYTES));
  readonly #counts: Float64Array = new Float64Array(this.bytes.buffer, COUNTS_AT, COUNTS);
  readonly loop: Uint8Array = new Uint8Array(this.bytes.buffer, LOOPS_AT, SHARDS);
  readonly lowSegment: Float64Array = new Float64Array(this.bytes.buffer, LOW_SEGMENTS_AT, SHARDS);
  readonly lowRow: Uint32Array = new Uint32Array(this.bytes.buffer, LOW_ROWS_AT, SHARDS);
  readonly sentSegment: Float64Array = new Float64Array(this.bytes.buffer, SENT_SEGMENTS_AT, SHARDS);
  readonly sentRow: Uint32Array = new Uint32Array(this.bytes.buffer, SENT_ROWS_AT, SHARDS);
  readonly #view: DataView = new DataView(this.bytes.buffer);
  #sequence: number;
  #lastCrc = -1;

  /** `sequence` is that of the newest block there is; 0 when there is none. */
  constructor(sequence: number, routing = 0) {
    this.#sequence = sequence;
    this.bytes.set(MAGIC, 0);
    this.#view.setUint32(ROUTING_AT, routing, true);
  }

  get routing(): number {
    return this.#view.getUint32(ROUTING_AT, true);
  }

  /** True when the block says something else than when this was last asked. */
  changed(standing: Standing, counts: Float64Array): boolean {
    this.#put(standing, counts);
    // The CRC of what does not change by itself: all but the sequence.
    const crc = crc32(this.bytes.subarray(16, CRC_AT));
    const changed = crc !== this.#lastCrc;
    this.#lastCrc = crc;
    return changed;
  }

  /** Numbers the block and closes it with its CRC, to be written. */
  seal(standing: Standing, counts: Float64Array): Uint8Array {
    this.#put(standing, counts);
    this.#view.setFloat64(8, ++this.#sequence, true);
    this.#view.setUint32(CRC_AT, crc32(this.bytes.subarray(0, CRC_AT)), true);
    return this.bytes;
  }

  #put(standing: Standing, counts: Float64Array): void {
    const view = this.#view;
    view.setFloat64(16, standing.unsettled, true);
    putPosition(view, FRONT_AT, standing.front);
    view.setFloat64(RECEIVED_AT, standing.received, true);
    view.setFloat64(RECEIVED_AT + 8, standing.returned, true);
    putPosition(view, KNOWN_AT, standing.known);
    putPosition(view, FURTHEST_AT, standing.furthest);
    this.#counts.set(counts);
  }
}

function putPosition(view: DataView, at: number, position: Position): void {
  view.setFloat64(at, position.segment, true);
  view.setUint32(at + 8, position.row, true);
}

function positionAt(view: DataView, at: number): Position {
  return { segment: view.getFloat64(at, true), row: view.getUint32(at + 8, true) };
}

/** Reads a block; undefined when it is not whole. */
export function decodeProgress(bytes: Uint8Array): Progress | undefined {
  if (bytes.length < PROGRESS_BYTES || !MAGIC.equals(bytes.subarray(0, MAGIC.length))) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(CRC_AT, true) !== crc32(bytes.subarray(0, CRC_AT))) return undefined;
  const positions = (segmentsAt: number, rowsAt: number): Position[] =>
    Array.from({ length: SHARDS }, (_, s) => ({
      segment: view.getFloat64(segmentsAt + 8 * s, true),
      row: view.getUint32(rowsAt + 4 * s, true),
    }));
  return {
    sequence: view.getFloat64(8, true),
    unsettled: view.getFloat64(16, true),
    front: positionAt(view, FRONT_AT),
    received: view.getFloat64(RECEIVED_AT, true),
    returned: view.getFloat64(RECEIVED_AT + 8, true),
    known: positionAt(view, KNOWN_AT),
    furthest: positionAt(view, FURTHEST_AT),
    counts: Float64Array.from({ length: COUNTS }, (_, i) => view.getFloat64(COUNTS_AT + 8 * i, true)),
    routing: view.getUint32(ROUTING_AT, true),
    loops: bytes.slice(LOOPS_AT, LOOPS_AT + SHARDS),
    low: positions(LOW_SEGMENTS_AT, LOW_ROWS_AT),
    sent: positions(SENT_SEGMENTS_AT, SENT_ROWS_AT),
  };
}

/** The position before which nothing is needed any more. */
export function lowest(progress: Progress): Position {
  return progress.low.reduce((low, p) => (comparePositions(p, low) < 0 ? p : low));
}

/** The position behind which nothing has been sent. */
export function furthestSent(progress: Progress): Position {
  return progress.sent.reduce((sent, p) => (comparePositions(p, sent) > 0 ? p : sent));
}

/** Rows that are settled, in whatever way. */
export function settledRows(progress: Progress): number {
  return progress.counts.reduce((sum, rows) => sum + rows, 0);
}

/** The newest of several blocks; all come from one writer, so it is the furthest too. */
export function newestProgress(blocks: readonly (Progress | undefined)[]): Progress | undefined {
  let newest: Progress | undefined;
  for (const block of blocks) {
    if (block !== undefined && (newest === undefined || block.sequence > newest.sequence)) newest = block;
  }
  return newest;
}

/** The path of an endpoint's file. Names hold letters, digits, `_`, `.` and `-` only. */
export function progressPath(dataDir: string, endpoint: string): string {
  return path.join(dataDir, 'endpoints', `${endpoint}.progress`);
}

/** Names of the endpoints that there are files of. Throws what the file system throws. */
export function endpointNames(dataDir: string): string[] {
  try {
    return fs
      .readdirSync(path.join(dataDir, 'endpoints'))
      .flatMap((name) => /^(.+)\.progress$/.exec(name)?.[1] ?? []);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** The slots of a file as bytes, whole or not; none when there is no such file. */
export function readProgressFile(file: string): Uint8Array[] {
  let bytes: Uint8Array;
  try {
    bytes = fs.readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return Array.from({ length: SLOTS }, (_, i) => bytes.slice(i * PROGRESS_BYTES, (i + 1) * PROGRESS_BYTES));
}

/**
 * The lowest id that a new segment may have by the word of an endpoint's file: above the place that it has come to.
 * A row in a segment of a lower id would lie behind it, and never be delivered. Throws what the file system throws.
 */
export function nextSegmentAfter(file: string): number {
  const newest = newestProgress(readProgressFile(file).map(decodeProgress));
  return newest === undefined ? 1 : newest.front.segment + 1;
}

/** Two slots for plain writes, and two for synced ones. */
const SLOTS = 4;

/** The file, open for writing. In each pair of slots the older one is written over. */
export class ProgressFile {
  readonly #fd: number;
  #plain: number;
  #synced: number;

  constructor(file: string) {
    const dir = path.dirname(file);
    fs.mkdirSync(dir, { recursive: true });
    const isNew = !fs.existsSync(file);
    this.#fd = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o640);
    if (isNew) for (const parent of [dir, path.dirname(dir)]) syncDirectory(parent);
    const [a = -1, b = -1, c = -1, d = -1] = readProgressFile(file).map(
      (slot) => decodeProgress(slot)?.sequence ?? -1,
    );
    // The first write must not go over the newest block.
    this.#plain = a >= b ? 1 : 0;
    this.#synced = c >= d ? 3 : 2;
  }

  /**
   * Writes a block: it outlives the process. Throws what the file system throws, and when it takes only a part; then
   * the newer block is still whole, and the next one goes to the same slot.
   */
  write(block: Uint8Array): void {
    const written = fs.writeSync(this.#fd, block, 0, PROGRESS_BYTES, this.#plain * PROGRESS_BYTES);
    assertWhole(written);
    this.#plain = 1 - this.#plain;
  }

  /** Writes a block so that it outlives a power cut: resolves when it does. One at a time. Rejects as `write` throws. */
  async writeDurably(block: Uint8Array): Promise<void> {
    assertWhole(await writeAt(this.#fd, block, this.#synced * PROGRESS_BYTES));
    await syncData(this.#fd);
    this.#synced = 5 - this.#synced;
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

function writeAt(fd: number, block: Uint8Array, at: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(fd, block, 0, PROGRESS_BYTES, at, (error, written) =>
      error === null ? resolve(written) : reject(error),
    );
  });
}

const syncData = promisify(fs.fdatasync);

function assertWhole(written: number): void {
  if (written < PROGRESS_BYTES) throw new Error(`only ${written} of ${PROGRESS_BYTES} bytes were written`);
}

function syncDirectory(dir: string): void {
  const fd = fs.openSync(dir, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
