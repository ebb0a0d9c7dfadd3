import { Column } from '../serialization/columns.ts';
import { HeapColumns, type LabelColumns } from '../serialization/label-columns.ts';
import type { Payloads } from '../serialization/payloads.ts';
import { HISTOGRAM, METADATA, SAMPLE } from '../serialization/rows.ts';
import type { SegmentDictionary } from '../serialization/segment-dictionary.ts';
import { BodyWriter, FAR_MINIMUM, NEAR, varintSize } from './body-writer.ts';
import { NewLabels } from './new-labels.ts';
import { type Scratch, SnappyCompressor } from './snappy.ts';
import { putVarint64, varintSize64 } from './varint64.ts';

/** Rows in a ring of columns; row `i` stands at `(first + i) & mask`. Times and values are two words a row. */
export interface OutgoingRows {
  readonly mask: number;
  readonly series: Uint32Array;
  readonly time: Int32Array;
  /** Start times of samples and histograms, two words a row as `time`; 0 is unset. Undefined when all are. */
  readonly start?: Int32Array | undefined;
  readonly value: Int32Array;
  readonly kind: Uint8Array;
  /** Anything but 0 for a row that is left out. */
  readonly skip: Uint8Array;
  /** Undefined while all rows are samples. */
  readonly payload: Payloads | undefined;
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
 * only a pair that is new in the message is searched for what it shares with others (new-labels.ts). A field of a
 * sample is a copy of one with the same value and time, or copies what its value shares, at both ends, with the value
 * before: small integers have most of their bytes in common. Copies whose sources follow one another become one. The
 * result uncompresses to exactly the plain message (test/protocol/emit-v1.test.ts holds it against protobufjs and
 * snappyjs); bench/ shows the gain.
 *
 *     TimeSeries: 0a <len> labels...  12 <len> 09 <value> 10 <time>     a sample; neighbours of one series share
 *                                     1a <len> labels... 11 <value> 18 <time>    an exemplar
 *                                     22 <len> histogram... 78 <time>            a histogram
 */
export class EmitterV1 implements Emitter {
  readonly #states = new WeakMap<SegmentDictionary, SlotPositions>();
  readonly #compressor: SnappyCompressor = new SnappyCompressor();
  readonly #plain: Column = new Column();
  readonly #body: BodyWriter = new BodyWriter();
  readonly #newLabels: NewLabels = new NewLabels(this.#body);
  /** Of histograms and exemplars: what they share with those before them is found in the same way. */
  readonly #payloads: NewLabels = new NewLabels(this.#body);
  #groups: Uint32Array = new Uint32Array(1024);
  /** The field of a time, on its way out. */
  readonly #tail: Uint8Array = new Uint8Array(11);
  /** Where the fields of some of the last values stood, and their bits: a small table by hash. Cleared for each body. */
  readonly #valueAt: Uint32Array = new Uint32Array(VALUES);
  readonly #valueBits: Int32Array = new Int32Array(2 * VALUES);

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
    let state = this.#states.get(dictionary);
    if (state === undefined) {
      state = new SlotPositions();
      this.#states.set(dictionary, state);
    }
    this.#body.begin(out, rawBytes, state.begin(dictionary.slots, rawBytes));
    this.#newLabels.begin(dictionary.columns.labels.bytes);
    if (rows.payload !== undefined) this.#payloads.begin(rows.payload.bytes);
    this.#valueAt.fill(0);
    this.#write(rows, first, count, dictionary, state.at);
    return { bytes: out.bytes.subarray(0, this.#body.end()), rawBytes };
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
      const payload = rows.payload!;
      const from = payload.at[at]!;
      const size = payload.size[at]!;
      plain.putVarint(0x1a);
      plain.putVarint(size);
      plain.putBytes(payload.bytes, from, from + size);
    }
    const length = plain.length;
    plain.reserve(8);
    const view = new DataView(plain.bytes.buffer, plain.bytes.byteOffset, plain.bytes.byteLength);
    const end = this.#compressor.compress(plain.bytes, view, length, out, 0);
    return { bytes: out.bytes.subarray(0, end), rawBytes: length };
  }

  /** The length of the message; leaves the length of each `TimeSeries` in `#groups`, at its first row. */
  #measure(rows: OutgoingRows, first: number, count: number, dictionary: SegmentDictionary): number {
    const { mask, series, kind, skip } = rows;
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
        const inner = rowBytes(rows, at);
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
    const { mask, series, time, value, kind, skip } = rows;
    const { seriesAt, seriesSlots, slotAt: arenaAt } = dictionary.columns;
    const out = this.#body;
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
    let tailAt = 0;
    // The field of the last sample that is not zero: where it stood, its length, its value.
    let fieldAt = 0;
    let fieldSize = -1;
    let fieldLo = 0;
    let fieldHi = 0;
    // The slots of the series before.
    let above = 0;
    let aboveCount = 0;
    const base = out.at;
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
      if (!out.extends(headAt)) out.putHead(0x0a, size);
      else if (size === headSize) out.copy(headAt, headLength);
      else {
        out.copy(headAt, 1);
        out.putVarint(size);
      }
      headAt = out.at - headLength;
      headSize = size;

      const labelsAt = out.at;
      const slotsAt = seriesAt[id]!;
      const labelCount = seriesAt[id + 1]! - slotsAt;
      for (let k = 0; k < labelCount; k++) {
        const slot = seriesSlots[slotsAt + k]!;
        const from = arenaAt[slot]!;
        const length = arenaAt[slot + 1]! - from;
        const seen = slotAt[slot]!;
        if (seen >= base && (out.at - seen <= NEAR || length >= FAR_MINIMUM)) {
          slotAt[slot] = out.at;
          out.copy(seen, length);
        } else {
          const before = k < aboveCount ? seriesSlots[above + k]! : slot;
          const beforeAt = slotAt[before]!;
          slotAt[slot] = out.at;
          // From far away its few bytes would take more room than `emit` has made.
          const near = before !== slot && beforeAt >= base && out.at - beforeAt <= NEAR;
          // Behind the label above there stands what stands behind this one: a copy goes on, however short.
          const goesOn =
            beforeAt < labelsAt &&
            k + 1 < labelCount &&
            k + 1 < aboveCount &&
            seriesSlots[slotsAt + k + 1] === seriesSlots[above + k + 1];
          this.#newLabels.put(
            from,
            from + length,
            arenaAt[before]!,
            arenaAt[before + 1]!,
            near ? beforeAt : 0,
            goesOn ? 1 : 4,
          );
        }
      }
      above = slotsAt;
      aboveCount = labelCount;

      if (kind[at] !== SAMPLE) {
        this.#putRow(rows, at);
        continue;
      }
      let row = at;
      for (;;) {
        const here = out.at;
        const lo = time[2 * row]!;
        const hi = time[2 * row + 1]!;
        let same = lo === stampLo && hi === stampHi && stampLength > 0;
        if (!same) {
          stampLength = putVarint64(stamp, 1, lo, hi);
          stampLo = lo;
          stampHi = hi;
          stampSince = here;
        }
        // A copy of less than four bytes would take more room than `emit` has made.
        if (stampLength < 4) same = false;
        const valueLo = value[2 * row]!;
        const valueHi = value[2 * row + 1]!;
        const zero = valueLo === 0 && valueHi === 0;
        const size = 9 + stampLength;
        const memo = (Math.imul(valueHi ^ (valueLo >>> 7), 0x9e3779b1) >>> 24) & (VALUES - 1);
        const known = valueAt[memo]!;
        const isKnown =
          known >= base &&
          here - known <= NEAR &&
          valueBits[2 * memo] === valueLo &&
          valueBits[2 * memo + 1] === valueHi;
        valueAt[memo] = here;
        valueBits[2 * memo] = valueLo;
        valueBits[2 * memo + 1] = valueHi;
        if (isKnown && same && known >= stampSince) out.copy(known, (zero ? 2 : 11) + stampLength);
        else {
          // Bytes of the value, from its end, that stand before the time too.
          let high = 0;
          if (zero) {
            // proto3 leaves a zero out, and so do all senders; -0 has a bit set.
            out.putHead(0x12, stampLength);
          } else {
            let low = 0;
            if (size === fieldSize && here - fieldAt <= NEAR) {
              if (!isKnown) {
                low = sameBelow(valueLo ^ fieldLo, valueHi ^ fieldHi);
                if (same && tailAt === fieldAt + 11) high = sameAbove(valueLo ^ fieldLo, valueHi ^ fieldHi);
              }
              if (low > 0 || out.extends(fieldAt)) out.copy(fieldAt, 3 + low);
              else out.putTriple(0x12, size, 0x09);
            } else out.putTriple(0x12, size, 0x09);
            if (isKnown) out.copy(known + 3, 8);
            else out.putWord64(valueLo, valueHi, low, 8 - high);
          }
          if (same && out.at + high - tailAt <= NEAR) out.copy(tailAt - high, high + stampLength);
          else out.putBytes(stamp, 0, stampLength);
        }
        if (!zero) {
          fieldAt = here;
          fieldSize = size;
          fieldLo = valueLo;
          fieldHi = valueHi;
        }
        tailAt = out.at - stampLength;
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

  /** A histogram or an exemplar. */
  #putRow(rows: OutgoingRows, at: number): void {
    const { time, value } = rows;
    const payload = rows.payload!;
    const isHistogram = rows.kind[at] === HISTOGRAM;
    const tail = this.#tail;
    const out = this.#body;
    out.putHead(isHistogram ? 0x22 : 0x1a, rowBytes(rows, at));
    const from = payload.at[at]!;
    this.#payloads.putPayload(from, from + payload.size[at]!);
    if (isHistogram) tail[0] = 0x78;
    else {
      out.putBytes(EXEMPLAR_VALUE, 0, 1);
      out.putWord64(value[2 * at]!, value[2 * at + 1]!, 0, 8);
      tail[0] = 0x18;
    }
    out.putBytes(tail, 0, putVarint64(tail, 1, time[2 * at]!, time[2 * at + 1]!));
  }
}

/** Values that are remembered. */
const VALUES = 256;
/** The tag of the value in an exemplar. */
const EXEMPLAR_VALUE = Uint8Array.of(0x11);

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
function rowBytes({ kind, payload, time }: OutgoingRows, at: number): number {
  const value = kind[at] === HISTOGRAM ? 0 : 9;
  return payload!.size[at]! + value + 1 + varintSize64(time[2 * at]!, time[2 * at + 1]!);
}

/** How many of the eight bytes are 0, from the lowest on; 0 for no bit at all. */
function sameBelow(lo: number, hi: number): number {
  if (lo !== 0) return (31 - Math.clz32(lo & -lo)) >>> 3;
  return hi === 0 ? 0 : 4 + ((31 - Math.clz32(hi & -hi)) >>> 3);
}

/** How many of the eight bytes are 0, from the highest on; 0 for no bit at all. */
function sameAbove(lo: number, hi: number): number {
  if (hi !== 0) return Math.clz32(hi) >>> 3;
  return lo === 0 ? 0 : 4 + (Math.clz32(lo) >>> 3);
}
