import type { ReadableFile } from '../runtime/fs.ts';
import {
  claimedLength,
  nextRecord,
  RECORD_HEAD,
  type RecordType,
  recordAt,
  type WantedMark,
} from '../serialization/record.ts';

/** What a scanner came upon. Offsets are in the file; `payload` is valid until the next call. */
export type Scanned =
  | {
      readonly kind: 'record';
      readonly type: RecordType;
      readonly at: number;
      readonly end: number;
      readonly payload: Uint8Array;
      readonly salt: number;
    }
  /** Bytes that are no record, with a whole record behind them. */
  | { readonly kind: 'damage'; readonly at: number; readonly end: number }
  /** Nothing whole from `at` on: the end of what is there, or a torn tail. */
  | { readonly kind: 'end'; readonly at: number };

const WINDOW = 256 * 1024;

/**
 * Reads the records of a segment file in order, over damage, up to a limit that may grow.
 *
 * It serves the endpoints, recovery and the tools alike. Usually one read brings several records; a record
 * larger than the window brings its own. Without a salt it goes by that of the first whole record that it finds.
 */
export class SegmentScanner {
  readonly #file: ReadableFile;
  #at: number;
  #mark: WantedMark;
  #window: Uint8Array = new Uint8Array(0);
  #windowAt = 0;
  #windowLength = 0;

  constructor(file: ReadableFile, at: number, mark: WantedMark) {
    this.#file = file;
    this.#mark = mark;
    this.#at = at;
  }

  /** Where the next record is looked for. */
  get at(): number {
    return this.#at;
  }

  /** The next thing in the file before `limit`. At an end nothing moves: call again with a higher limit. */
  next(limit: number): Scanned {
    const at = this.#at;
    if (at >= limit) return { kind: 'end', at };
    let bytes = this.#load(at, Math.min(RECORD_HEAD, limit - at), limit);
    const claimed = claimedLength(bytes, 0);
    if (claimed !== undefined && claimed > bytes.length && at + claimed <= limit) {
      bytes = this.#load(at, claimed, limit);
    }
    const found = recordAt(bytes, 0, this.#mark, at);
    if (typeof found === 'object') {
      this.#learn(found.salt);
      this.#at = at + found.end;
      return {
        kind: 'record',
        type: found.type,
        at,
        end: this.#at,
        payload: bytes.subarray(RECORD_HEAD, found.end),
        salt: found.salt,
      };
    }
    // Damage or a torn tail. Rare, and a segment is small, so the rest of it is read at once to tell them apart.
    const rest = this.#load(at, limit - at, limit);
    const later = nextRecord(rest, 1, this.#mark, at);
    if (later === undefined) return { kind: 'end', at };
    this.#learn(later.salt);
    this.#at = at + later.at;
    return { kind: 'damage', at, end: this.#at };
  }

  #learn(salt: number): void {
    if (this.#mark.salt === undefined) this.#mark = { ...this.#mark, salt };
  }

  /** The bytes from `at` on: at least `need` unless the file is shorter, never beyond `limit`. */
  #load(at: number, need: number, limit: number): Uint8Array {
    const from = at - this.#windowAt;
    if (from < 0 || from + need > this.#windowLength) {
      // A read that fails half-way leaves other bytes there than those that are noted.
      this.#windowLength = 0;
      const size = Math.max(need, Math.min(WINDOW, limit - at));
      if (size > this.#window.length || (this.#window.length > 4 * WINDOW && need < WINDOW)) {
        this.#window = new Uint8Array(size);
      }
      const want = Math.min(this.#window.length, limit - at);
      let have = 0;
      while (have < want) {
        const read = this.#file.read(this.#window.subarray(have), want - have, at + have);
        if (read === 0) break;
        have += read;
      }
      this.#windowAt = at;
      this.#windowLength = have;
    }
    const start = at - this.#windowAt;
    return this.#window.subarray(start, Math.min(this.#windowLength, start + limit - at));
  }
}
