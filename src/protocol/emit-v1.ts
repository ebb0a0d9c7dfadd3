import { Column } from '../serialization/columns.ts';
import { HeapColumns, type LabelColumns } from '../serialization/label-columns.ts';
import { HISTOGRAM, METADATA, type Payload, SAMPLE } from '../serialization/rows.ts';
import type { SegmentDictionary } from '../serialization/segment-dictionary.ts';
import { putCopy, putFarCopy, type Scratch, SnappyCompressor } from './snappy.ts';

/** Rows in a ring of columns; row `i` stands at `(first + i) & mask`. Times and values are two words a row. */
export interface OutgoingRows {
  readonly mask: number;
  readonly series: Uint32Array;
  readonly time: Int32Array;
  readonly value: Int32Array;
  readonly kind: Uint8Array;
  /** Anything but 0 for a row that is left out. */
  readonly skip: Uint8Array;
  readonly payload: readonly (Payload | undefined)[];
}

/** A finished request body; `bytes` is a view that the next emission into the same buffer overwrites. */
export interface EmittedBody {
  readonly bytes: Uint8Array;
  /** Length before snappy. */
  readonly rawBytes: number;
}

/** What makes request bodies of rows. */
export interface Emitter {
  /** Columns for a new dictionary, of the kind that this emitter is fastest with; others do as well. */
  newColumns(): LabelColumns;
  /**
   * The body for `count` rows from index `first` on, all of one dictionary, none of them metadata, in their
   * order. May be written into `out`, which grows as needed; valid until the next call, and until the dictionary grows.
   */
  emit(
    rows: OutgoingRows,
    first: number,
    count: number,
    dictionary: SegmentDictionary,
    out: Scratch,
  ): EmittedBody;
  /** The body of a request with the metadata among these rows alone (INT-10). */
  emitMetadata(rows: OutgoingRows, first: number, count: number, out: Scratch): EmittedBody;
}

/**
 * Writes remote write 1.0 bodies straight from the dictionary, as snappy elements (RW1-S-04, RW1-S-07).
 *
 * A general compressor would be handed the whole message, four hundred bytes a row, to find again what was
 * known when it was put together: that these labels stood there a moment ago. Here the message is never put
 * together. For each label pair the place in the message where it last stood is remembered, and a copy is written;
 * a pair that is new in the message is written by what it shares with the one above it. Copies whose sources
 * follow one another become one. The
 * result uncompresses to exactly the plain message (test/protocol/emit-v1.test.ts holds it against
 * protobufjs and snappyjs); bench/ shows the gain.
 *
 *     TimeSeries: 0a <len> labels...  12 <len> 09 <value> 10 <time>     a sample; neighbours of one series share
 *                                     1a <len> labels... 11 <value> 18 <time>    an exemplar
 *                                     22 <len> histogram... 78 <time>            a histogram
 */
export class EmitterV1 implements Emitter {
  readonly #states = new WeakMap<SegmentDictionary, SlotPositions>();
  readonly #compressor: SnappyCompressor = new SnappyCompressor();
  readonly #plain: Column = new Column();
  #groups: Uint32Array = new Uint32Array(1024);
  /** Where some of the last values stood, and their bits: a small table by hash. Cleared for each body. */
  readonly #valueAt: Uint32Array = new Uint32Array(VALUES);
  readonly #valueBits: Int32Array = new Int32Array(2 * VALUES);

  #dst: Uint8Array = new Uint8Array(0);
  #op = 0;
  /** Where the tag of the open literal stands, or -1. */
  #literal = -1;
  /** The copy that has not been written yet, while its length is above 0. */
  #copyOffset = 0;
  #copyLength = 0;
  /** Where the next byte of the message goes, counted from a base that grows from body to body. */
  #at = 0;

  emit(
    rows: OutgoingRows,
    first: number,
    count: number,
    dictionary: SegmentDictionary,
    out: Scratch,
  ): EmittedBody {
    const rawBytes = this.#measure(rows, first, count, dictionary);
    // At worst all of it is literals of up to 60 bytes, each with a tag.
    out.ensure(rawBytes + Math.ceil(rawBytes / 60) * 2 + 64);
    this.#dst = out.bytes;
    this.#literal = -1;
    this.#copyLength = 0;
    let op = 0;
    let rest = rawBytes;
    for (; rest >= 0x80; rest >>>= 7) this.#dst[op++] = (rest & 0x7f) | 0x80;
    this.#dst[op++] = rest;
    this.#op = op;
    let state = this.#states.get(dictionary);
    if (state === undefined) {
      state = new SlotPositions();
      this.#states.set(dictionary, state);
    }
    this.#at = state.begin(dictionary.slots, rawBytes);
    this.#valueAt.fill(0);
    this.#write(rows, first, count, dictionary, state.at);
    this.#flushCopy();
    this.#closeLiteral();
    return { bytes: this.#dst.subarray(0, this.#op), rawBytes };
  }

  newColumns(): LabelColumns {
    return new HeapColumns();
  }

  emitMetadata(rows: OutgoingRows, first: number, count: number, out: Scratch): EmittedBody {
    const plain = this.#plain;
    plain.clear();
    for (let i = 0; i < count; i++) {
      const at = (first + i) & rows.mask;
      if (rows.skip[at] !== 0 || rows.kind[at] !== METADATA) continue;
      const { bytes } = rows.payload[at]!;
      plain.putVarint(0x1a);
      plain.putVarint(bytes.length);
      plain.putBytes(bytes, 0, bytes.length);
    }
    const length = plain.length;
    plain.reserve(8);
    const view = new DataView(plain.bytes.buffer, plain.bytes.byteOffset, plain.bytes.byteLength);
    const end = this.#compressor.compress(plain.bytes, view, length, out, 0);
    return { bytes: out.bytes.subarray(0, end), rawBytes: length };
  }

  /** The length of the message; leaves the length of each `TimeSeries` in `#groups`, at its first row. */
  #measure(rows: OutgoingRows, first: number, count: number, dictionary: SegmentDictionary): number {
    const { mask, series, time, kind, skip, payload } = rows;
    const { seriesBytes } = dictionary.columns;
    if (this.#groups.length < count) this.#groups = new Uint32Array(count * 2);
    const groups = this.#groups;
    let total = 0;
    let i = 0;
    while (i < count) {
      const start = i;
      const at = (first + i) & mask;
      i++;
      if (skip[at] !== 0) continue;
      const id = series[at]!;
      let size = seriesBytes[id]!;
      if (kind[at] === SAMPLE) {
        size += sampleBytes(rows, at);
        while (i < count) {
          const next = (first + i) & mask;
          if (skip[next] === 0) {
            if (series[next] !== id || kind[next] !== SAMPLE) break;
            size += sampleBytes(rows, next);
          }
          i++;
        }
      } else {
        const inner = rowBytes(kind[at]!, payload[at]!, time[2 * at]!, time[2 * at + 1]!);
        size += 1 + varintSize(inner) + inner;
      }
      groups[start] = size;
      total += 1 + varintSize(size) + size;
    }
    return total;
  }

  #write(
    rows: OutgoingRows,
    first: number,
    count: number,
    dictionary: SegmentDictionary,
    slotAt: Uint32Array,
  ): void {
    const { mask, series, time, value, kind, skip, payload } = rows;
    const { seriesAt, seriesSlots, slotAt: arenaAt, labels } = dictionary.columns;
    const arena = labels.bytes;
    const groups = this.#groups;
    // The time field of the row before: tag and varint.
    const stamp = new Uint8Array(11);
    stamp[0] = 0x10;
    let stampLength = 0;
    let stampLo = 0;
    let stampHi = 0;
    let stampSince = 0;
    // Where the same bytes stood in the row before.
    let headAt = 0;
    let headSize = -1;
    let prefixAt = 0;
    let lastPrefixSize = 0;
    let tailAt = 0;
    // The slots of the series before.
    let above = 0;
    let aboveCount = 0;
    const base = this.#at;
    const valueAt = this.#valueAt;
    const valueBits = this.#valueBits;
    let i = 0;
    while (i < count) {
      const start = i;
      const at = (first + i) & mask;
      i++;
      if (skip[at] !== 0) continue;
      const id = series[at]!;
      const size = groups[start]!;

      // Behind a copied time the copy may go on through the head of this series, or through its tag alone.
      const headLength = 1 + varintSize(size);
      if (!this.#extends(headAt)) this.#putHead(0x0a, size);
      else if (size === headSize) this.#copy(headAt, headLength);
      else {
        this.#copy(headAt, 1);
        this.#putLength(size);
      }
      headAt = this.#at - headLength;
      headSize = size;

      for (let k = seriesAt[id]!, to = seriesAt[id + 1]!; k < to; k++) {
        const slot = seriesSlots[k]!;
        const from = arenaAt[slot]!;
        const length = arenaAt[slot + 1]! - from;
        const seen = slotAt[slot]!;
        const index = k - seriesAt[id]!;
        if (seen >= base && (this.#at - seen <= NEAR || length >= FAR_MINIMUM)) {
          slotAt[slot] = this.#at;
          this.#copy(seen, length);
        } else {
          const before = index < aboveCount ? seriesSlots[above + index]! : slot;
          const beforeAt = slotAt[before]!;
          slotAt[slot] = this.#at;
          // From far away its few bytes would take more room than `emit` has made.
          if (before === slot || beforeAt < base || this.#at - beforeAt > NEAR)
            this.#putBytes(arena, from, length);
          else this.#putLike(arena, from, length, arenaAt[before]!, arenaAt[before + 1]!, beforeAt);
        }
      }
      above = seriesAt[id]!;
      aboveCount = seriesAt[id + 1]! - above;

      if (kind[at] !== SAMPLE) {
        this.#putRow(
          kind[at]!,
          payload[at]!,
          time[2 * at]!,
          time[2 * at + 1]!,
          value[2 * at]!,
          value[2 * at + 1]!,
        );
        continue;
      }
      let row = at;
      for (;;) {
        const lo = time[2 * row]!;
        const hi = time[2 * row + 1]!;
        const same = lo === stampLo && hi === stampHi && stampLength > 0;
        if (!same) {
          stampLength = putVarint64(stamp, 1, lo, hi);
          stampLo = lo;
          stampHi = hi;
          stampSince = this.#at;
        }
        const valueLo = value[2 * row]!;
        const valueHi = value[2 * row + 1]!;
        if (valueLo === 0 && valueHi === 0) {
          // proto3 leaves a zero out, and so do all senders; -0 has a bit set.
          this.#putHead(0x12, stampLength);
        } else {
          const prefixSize = 9 + stampLength;
          if (prefixSize === lastPrefixSize && this.#extends(prefixAt)) this.#copy(prefixAt, 3);
          else this.#putPrefix(prefixSize);
          prefixAt = this.#at - 3;
          lastPrefixSize = prefixSize;
          const memo = (Math.imul(valueHi ^ (valueLo >>> 7), 0x9e3779b1) >>> 24) & (VALUES - 1);
          const known = valueAt[memo]!;
          if (
            known >= base &&
            this.#at - known <= NEAR &&
            valueBits[2 * memo] === valueLo &&
            valueBits[2 * memo + 1] === valueHi
          ) {
            // Where the value stood, its time followed: go on from there if it was this one.
            if (same && known > stampSince) tailAt = known + 8;
            valueAt[memo] = this.#at;
            this.#copy(known, 8);
          } else {
            valueAt[memo] = this.#at;
            valueBits[2 * memo] = valueLo;
            valueBits[2 * memo + 1] = valueHi;
            this.#putWord64(valueLo, valueHi);
          }
        }
        // A copy of less than four bytes would take more room than `emit` has made.
        if (same && stampLength >= 4 && this.#at - tailAt <= NEAR) this.#copy(tailAt, stampLength);
        else this.#putBytes(stamp, 0, stampLength);
        tailAt = this.#at - stampLength;
        // The next row of the same series goes into the same TimeSeries; `#measure` counted it.
        while (i < count && skip[(first + i) & mask] !== 0) i++;
        if (i >= count) break;
        const next = (first + i) & mask;
        if (series[next] !== id || kind[next] !== SAMPLE) break;
        row = next;
        i++;
      }
    }
  }

  /** True when the pending copy would go on with the bytes at `from`. */
  #extends(from: number): boolean {
    return this.#copyLength > 0 && this.#at - from === this.#copyOffset;
  }

  /**
   * Writes the pair in `arena[from, from + length)`, which has not stood in this body, by what it shares with the
   * pair that stood in its place in the series before: `arena[like, likeEnd)`, at `likeAt` in the message. Usually
   * that is its name, and the start of its value.
   *
   *     0a <len> | 0a <len> name 12 | <len> | start of the value | rest
   *     literal    copy               literal copy                 literal
   */
  #putLike(
    arena: Uint8Array,
    from: number,
    length: number,
    like: number,
    likeEnd: number,
    likeAt: number,
  ): void {
    const most = Math.min(length, likeEnd - like);
    let i = 2;
    while (i < most && arena[from + i] === arena[like + i]) i++;
    if (i < 2 + 4) {
      this.#putBytes(arena, from, length);
      return;
    }
    if (arena[from + 1] === arena[like + 1]) this.#copy(likeAt, i);
    else {
      if (this.#extends(likeAt)) {
        this.#copy(likeAt, 1);
        this.#putBytes(arena, from + 1, 1);
      } else this.#putBytes(arena, from, 2);
      this.#copy(likeAt + 2, i - 2);
    }
    const start = i + 1;
    let j = start;
    while (j < most && arena[from + j] === arena[like + j]) j++;
    if (j - start < 4) {
      this.#putBytes(arena, from + i, length - i);
      return;
    }
    this.#putBytes(arena, from + i, 1);
    this.#copy(likeAt + start, j - start);
    this.#putBytes(arena, from + j, length - j);
  }

  /** Repeats `length` bytes that stand at `from` in this body. */
  #copy(from: number, length: number): void {
    const offset = this.#at - from;
    if (this.#copyLength > 0 && offset === this.#copyOffset) this.#copyLength += length;
    else {
      this.#flushCopy();
      this.#copyOffset = offset;
      this.#copyLength = length;
    }
    this.#at += length;
  }

  #flushCopy(): void {
    if (this.#copyLength === 0) return;
    this.#closeLiteral();
    const put = this.#copyOffset <= NEAR ? putCopy : putFarCopy;
    this.#op = put(this.#dst, this.#op, this.#copyOffset, this.#copyLength);
    this.#copyLength = 0;
  }

  #closeLiteral(): void {
    if (this.#literal < 0) return;
    this.#dst[this.#literal] = (this.#op - this.#literal - 2) << 2;
    this.#literal = -1;
  }

  /** Makes room in a literal for `length` bytes (at most 60): where they go. */
  #room(length: number): number {
    if (this.#copyLength > 0) this.#flushCopy();
    if (this.#literal < 0) this.#literal = this.#op++;
    else if (this.#op - this.#literal - 1 + length > 60) {
      this.#closeLiteral();
      this.#literal = this.#op++;
    }
    const at = this.#op;
    this.#op += length;
    this.#at += length;
    return at;
  }

  #putBytes(src: Uint8Array, from: number, length: number): void {
    const dst = this.#dst;
    let at = from;
    let rest = length;
    while (rest > 0) {
      const part = Math.min(rest, 60);
      const to = this.#room(part);
      for (let i = 0; i < part; i++) dst[to + i] = src[at + i]!;
      at += part;
      rest -= part;
    }
  }

  #putHead(tag: number, length: number): void {
    const dst = this.#dst;
    let at = this.#room(1 + varintSize(length));
    dst[at++] = tag;
    let v = length;
    for (; v >= 0x80; v >>>= 7) dst[at++] = (v & 0x7f) | 0x80;
    dst[at] = v;
  }

  #putLength(length: number): void {
    const dst = this.#dst;
    let at = this.#room(varintSize(length));
    let v = length;
    for (; v >= 0x80; v >>>= 7) dst[at++] = (v & 0x7f) | 0x80;
    dst[at] = v;
  }

  #putPrefix(length: number): void {
    const dst = this.#dst;
    const at = this.#room(3);
    dst[at] = 0x12;
    dst[at + 1] = length;
    dst[at + 2] = 0x09;
  }

  #putWord64(lo: number, hi: number): void {
    const dst = this.#dst;
    const at = this.#room(8);
    dst[at] = lo;
    dst[at + 1] = lo >>> 8;
    dst[at + 2] = lo >>> 16;
    dst[at + 3] = lo >>> 24;
    dst[at + 4] = hi;
    dst[at + 5] = hi >>> 8;
    dst[at + 6] = hi >>> 16;
    dst[at + 7] = hi >>> 24;
  }

  /** A histogram or an exemplar. */
  #putRow(
    kind: number,
    payload: Payload,
    timeLo: number,
    timeHi: number,
    valueLo: number,
    valueHi: number,
  ): void {
    const tail = new Uint8Array(11);
    const { bytes } = payload;
    this.#putHead(kind === HISTOGRAM ? 0x22 : 0x1a, rowBytes(kind, payload, timeLo, timeHi));
    this.#putBytes(bytes, 0, bytes.length);
    if (kind === HISTOGRAM) tail[0] = 0x78;
    else {
      this.#dst[this.#room(1)] = 0x11;
      this.#putWord64(valueLo, valueHi);
      tail[0] = 0x18;
    }
    this.#putBytes(tail, 0, putVarint64(tail, 1, timeLo, timeHi));
  }
}

/** How far back a short copy reaches, and how long bytes further away must be to be worth a long one. */
const NEAR = 65535;
const FAR_MINIMUM = 8;

const VALUES = 256;

/** Where each slot of a dictionary last stood, counted from a base that grows from body to body. */
class SlotPositions {
  at: Uint32Array = new Uint32Array(0);
  #base = 0;
  #length = 0;

  /**
   * Begins a body of `length` bytes and returns its base: above everything remembered from bodies before it, so
   * that a slot is known to have stood in this one by its place alone.
   */
  begin(slots: number, length: number): number {
    if (this.at.length < slots) {
      const grown = new Uint32Array(slots + (slots >>> 1) + 64);
      grown.set(this.at);
      this.at = grown;
    }
    this.#base += this.#length + 1;
    // Not up to 2^32: positions that V8 keeps as small integers make an emission a sixth faster, for good.
    if (this.#base + length > 0x7fffffff) {
      this.at.fill(0);
      this.#base = 1;
    }
    this.#length = length;
    return this.#base;
  }
}

/** Bytes of the field of a sample. */
function sampleBytes(rows: OutgoingRows, at: number): number {
  const { time, value } = rows;
  const zero = value[2 * at] === 0 && value[2 * at + 1] === 0;
  return (zero ? 3 : 12) + varintSize64(time[2 * at]!, time[2 * at + 1]!);
}

/** Bytes inside the field of a histogram or an exemplar. */
function rowBytes(kind: number, payload: Payload, timeLo: number, timeHi: number): number {
  return payload.bytes.length + (kind === HISTOGRAM ? 0 : 9) + 1 + varintSize64(timeLo, timeHi);
}

function varintSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}

function varintSize64(lo: number, hi: number): number {
  if (hi === 0) return varintSize(lo >>> 0);
  if (hi < 0) return 10;
  // 4 bits of the fifth byte come from the low half.
  const rest = (hi >>> 3) >>> 0;
  return rest === 0 ? 5 : 5 + varintSize(rest);
}

/** Writes a 64-bit varint at `at`; returns its end. */
function putVarint64(dst: Uint8Array, outAt: number, lo: number, hi: number): number {
  let at = outAt;
  let l = lo >>> 0;
  let h = hi >>> 0;
  while (h !== 0 || l >= 0x80) {
    dst[at++] = (l & 0x7f) | 0x80;
    l = ((l >>> 7) | (h << 25)) >>> 0;
    h >>>= 7;
  }
  dst[at++] = l;
  return at;
}
