import { MalformedError } from './proto-reader.ts';

/**
 * Native histograms at the door: whether one is well-formed (WIRE-07), keeps the rules of its format, which fields of it
 * are passed on, and its times.
 *
 * The rules (HIST-01 to HIST-07) are those that a Prometheus holds against it. Older ones answer one that breaks them
 * with a 500, which is retried for ever: such a row must not come in.
 *
 * All in one pass over the message, without an object. 64-bit counts are two halves, and wrap as they do in Prometheus.
 */

/** What the spans and the buckets of one side add up to, in both flavours: which one counts is known at the end. */
class Side {
  readonly name: string;
  spans = 0;
  /** Sums of the lengths of the spans, and of their offsets. */
  lengths = 0;
  offsets = 0;
  negativeFirst = false;
  negativeLater = false;
  deltas = 0;
  /** The bucket that the deltas so far lead to. */
  lo = 0;
  hi = 0;
  belowZero = false;
  sumLo = 0;
  sumHi = 0;
  floats = 0;
  floatBelowZero = false;

  constructor(name: string) {
    this.name = name;
  }

  clear(): void {
    this.spans = this.lengths = this.offsets = this.deltas = this.lo = this.hi = 0;
    this.sumLo = this.sumHi = this.floats = 0;
    this.negativeFirst = this.negativeLater = this.belowZero = this.floatBelowZero = false;
  }
}

const STALE_LO = 0x00000002;
const STALE_HI = 0x7ff00000;
const CUSTOM = -53;
const TIME = 0x78;
const START = 0x88;
/** Offsets of runs of known fields. Unknown fields end a run; a sender of a later version may have some. */
const MAX_PARTS = 2 * 1000;

const positive = new Side('positive');
const negative = new Side('negative');
const word = new DataView(new ArrayBuffer(8));
const wordBytes = new Uint8Array(word.buffer);

// The cursor, the end of the message that it is in, and the high half of the number that was read last.
let at = 0;
let limit = 0;
let high = 0;

/** A histogram as `readHistogram` found it; overwritten by the next. */
export class HistogramFields {
  /** What is wrong with it, in words that go on from "a histogram:"; undefined when nothing is. */
  fault: string | undefined;
  timeLo = 0;
  timeHi = 0;
  startLo = 0;
  startHi = 0;
  /** Pairs of offsets: its known fields but for the times, in runs. Not all of them when it is `unpacked`. */
  readonly parts: number[] = [];
  /** A repeated number of it came as a field of its own, not packed (WIRE-05). */
  unpacked = false;
}

const fields = new HistogramFields();

/**
 * Reads the histogram in `raw[start, end)`; the result is overwritten by the next. `hasStart` says that its message has
 * start times, as in 2.0. A stale marker has no fault (RW-STALE-02), and schemas from 9 to 52 have none either, as in
 * Prometheus. Throws `MalformedError`.
 */
export function readHistogram(
  raw: Uint8Array,
  start: number,
  end: number,
  hasStart: boolean,
): HistogramFields {
  positive.clear();
  negative.clear();
  fields.timeLo = fields.timeHi = fields.startLo = fields.startHi = 0;
  fields.unpacked = false;
  fields.fault = faultIn(raw, start, end, hasStart);
  return fields;
}

function faultIn(raw: Uint8Array, start: number, end: number, hasStart: boolean): string | undefined {
  let isFloat = false;
  let countLo = 0;
  let countHi = 0;
  let count = 0;
  let zeroLo = 0;
  let zeroHi = 0;
  let zero = 0;
  let sumLo = 0;
  let sumHi = 0;
  let schema = 0;
  let zeroThreshold = 0;
  let bounds = 0;
  let lastBound = Number.NEGATIVE_INFINITY;
  let increasing = true;
  // The run of known fields that is under way, and how many numbers of `parts` those before it take.
  let run = start;
  let runTo = start;
  let parts = 0;
  at = start;
  limit = end;
  while (at < end) {
    const from = at;
    const tag = readTag(raw);
    switch (tag) {
      case TIME:
        fields.timeLo = varint(raw);
        fields.timeHi = high;
        continue;
      case START:
        if (hasStart) {
          fields.startLo = varint(raw);
          fields.startHi = high;
        } else varint(raw);
        continue;
      case 0x08:
        countLo = varint(raw);
        countHi = high;
        isFloat = false;
        break;
      case 0x11:
        count = double(raw);
        isFloat = true;
        break;
      case 0x19:
        double(raw);
        sumLo = word.getInt32(0, true);
        sumHi = word.getInt32(4, true);
        break;
      case 0x20:
        schema = zigzag32(varint(raw));
        break;
      case 0x29:
        zeroThreshold = double(raw);
        break;
      case 0x30:
        zeroLo = varint(raw);
        zeroHi = high;
        zero = 0;
        break;
      case 0x39:
        zero = double(raw);
        zeroLo = zeroHi = 0;
        break;
      case 0x42:
        span(raw, negative);
        break;
      case 0x5a:
        span(raw, positive);
        break;
      case 0x4a:
      case 0x62:
        limit = runEnd(raw);
        deltas(raw, tag === 0x4a ? negative : positive);
        limit = end;
        break;
      case 0x48:
      case 0x60:
        limit = numberEnd(raw);
        deltas(raw, tag === 0x48 ? negative : positive);
        limit = end;
        fields.unpacked = true;
        break;
      case 0x52:
      case 0x6a: {
        const side = tag === 0x52 ? negative : positive;
        const to = doublesEnd(raw);
        while (at < to) floatBucket(raw, side);
        break;
      }
      case 0x51:
      case 0x69:
        floatBucket(raw, tag === 0x51 ? negative : positive);
        fields.unpacked = true;
        break;
      case 0x81:
      case 0x82: {
        if (tag === 0x81) fields.unpacked = true;
        const to = tag === 0x82 ? doublesEnd(raw) : at + 8;
        while (at < to) {
          const bound = double(raw);
          if (!(bound > lastBound)) increasing = false;
          lastBound = bound;
          bounds++;
        }
        break;
      }
      case 0x70:
        varint(raw);
        break;
      default:
        skip(raw, tag);
        continue;
    }
    if (from !== runTo) {
      if (runTo > run) parts = addPart(parts, run, runTo);
      run = from;
    }
    runTo = at;
  }
  if (runTo > run) parts = addPart(parts, run, runTo);
  // Of nearly all histograms it is one run, and the array stays as it is.
  if (fields.parts.length > parts) fields.parts.length = parts;
  if (sumLo === STALE_LO && sumHi === STALE_HI) return undefined;

  if (schema === CUSTOM) {
    if (!increasing) return 'the bounds of its custom buckets do not increase (HIST-06)';
    if (lastBound === Number.POSITIVE_INFINITY)
      return 'the last bound of its custom buckets is +Inf (HIST-06)';
    if (isFloat ? zero !== 0 : (zeroLo | zeroHi) !== 0)
      return 'it has custom buckets and a zero count (HIST-06)';
    if (zeroThreshold !== 0) return 'it has custom buckets and a zero threshold (HIST-06)';
    if (negative.spans > 0 || (isFloat ? negative.floats : negative.deltas) > 0) {
      return 'it has custom buckets and negative ones (HIST-06)';
    }
    if (positive.negativeFirst) return 'it has custom buckets, and a span with a negative offset (HIST-03)';
  } else if (schema < -4 || schema > 52) {
    return `the schema ${schema} is none: it is -53, or from -4 to 8 (HIST-01)`;
  } else if (bounds > 0) return 'it has bounds of custom buckets, but another schema (HIST-07)';

  const fault = faultOf(positive, isFloat) ?? faultOf(negative, isFloat);
  if (fault !== undefined) return fault;
  if (schema === CUSTOM && positive.lengths + positive.offsets > bounds + 1) {
    return `its spans reach beyond its ${bounds} bounds (HIST-06)`;
  }
  if (isFloat) {
    if (count < 0) return 'its count is negative (HIST-04)';
    return zero < 0 ? 'its zero count is negative (HIST-04)' : undefined;
  }
  // All as unsigned halves: buckets and zero count.
  let lo = (positive.sumLo >>> 0) + (negative.sumLo >>> 0) + (zeroLo >>> 0);
  const carry = Math.floor(lo / 4294967296);
  lo >>>= 0;
  const hi = (positive.sumHi + negative.sumHi + zeroHi + carry) >>> 0;
  const expectedLo = countLo >>> 0;
  const expectedHi = countHi >>> 0;
  if (hi === expectedHi && lo === expectedLo) return undefined;
  word.setInt32(0, sumLo, true);
  word.setInt32(4, sumHi, true);
  if (!Number.isNaN(word.getFloat64(0, true))) return 'its count is not the sum of its buckets (HIST-05)';
  if (hi < expectedHi || (hi === expectedHi && lo < expectedLo)) return undefined;
  return 'its count is less than the sum of its buckets (HIST-05)';
}

/** Puts down a run behind the `parts` numbers before it; returns how many there are then. */
function addPart(parts: number, from: number, to: number): number {
  // Unpacked fields are put together first, and then it is read again: these parts are none of what is kept.
  if (fields.unpacked) return parts;
  if (parts >= MAX_PARTS)
    throw new MalformedError('a histogram is scattered over too many fields', { offset: from });
  fields.parts[parts] = from;
  fields.parts[parts + 1] = to;
  return parts + 2;
}

function faultOf(side: Side, isFloat: boolean): string | undefined {
  const buckets = isFloat ? side.floats : side.deltas;
  if (side.negativeLater) return `a ${side.name} span that is not the first has a negative offset (HIST-03)`;
  if (side.lengths !== buckets) {
    return `its ${side.name} spans are ${side.lengths} buckets long, and ${buckets} are there (HIST-02)`;
  }
  if (isFloat ? side.floatBelowZero : side.belowZero) return `a ${side.name} bucket is below zero (HIST-04)`;
  return undefined;
}

function span(raw: Uint8Array, side: Side): void {
  const end = limit;
  limit = runEnd(raw);
  let offset = 0;
  let length = 0;
  while (at < limit) {
    const tag = readTag(raw);
    if (tag === 0x08) offset = zigzag32(varint(raw));
    else if (tag === 0x10) length = varint(raw) >>> 0;
    else skip(raw, tag);
  }
  limit = end;
  if (offset < 0) {
    if (side.spans === 0) side.negativeFirst = true;
    else side.negativeLater = true;
  }
  side.spans++;
  side.lengths += length;
  side.offsets += offset;
}

/** The next buckets of an integer histogram, up to the limit. */
function deltas(raw: Uint8Array, side: Side): void {
  const to = limit;
  let { lo, hi, sumLo, sumHi } = side;
  let belowZero = false;
  let from = at;
  let count = 0;
  for (; from < to; count++) {
    let z = raw[from]!;
    let zHigh = 0;
    // As good as all deltas have one or two bytes.
    if (z < 0x80) from++;
    else if (from + 1 < to && raw[from + 1]! < 0x80) {
      z = (z & 0x7f) | (raw[from + 1]! << 7);
      from += 2;
    } else {
      at = from;
      z = varint(raw);
      zHigh = high;
      from = at;
    }
    const sign = -(z & 1);
    const next = (lo >>> 0) + ((((z >>> 1) | (zHigh << 31)) ^ sign) >>> 0);
    hi = (hi + ((zHigh >>> 1) ^ sign) + (next > 0xffffffff ? 1 : 0)) | 0;
    lo = next | 0;
    if (hi < 0) belowZero = true;
    const sum = (sumLo >>> 0) + (lo >>> 0);
    sumHi = (sumHi + hi + (sum > 0xffffffff ? 1 : 0)) | 0;
    sumLo = sum | 0;
  }
  at = from;
  side.lo = lo;
  side.hi = hi;
  side.sumLo = sumLo;
  side.sumHi = sumHi;
  if (belowZero) side.belowZero = true;
  side.deltas += count;
}

/** The next bucket of a float histogram. */
function floatBucket(raw: Uint8Array, side: Side): void {
  if (double(raw) < 0) side.floatBelowZero = true;
  side.floats++;
}

/** The low half of the varint at the cursor; the other is in `high`. */
function varint(raw: Uint8Array): number {
  let lo = 0;
  high = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    if (at >= limit) throw new MalformedError('a number is cut short', { offset: at });
    const byte = raw[at++]!;
    const bits = byte & 0x7f;
    if (shift < 28) lo |= bits << shift;
    else if (shift === 28) {
      lo |= bits << 28;
      high = bits >>> 4;
    } else if (shift < 63) high |= bits << (shift - 32);
    else high |= (bits & 1) << 31;
    if (byte < 0x80) return lo;
  }
  throw new MalformedError('a number has more than ten bytes', { offset: at });
}

/** The tag at the cursor. */
function readTag(raw: Uint8Array): number {
  const from = at;
  const tag = varint(raw) >>> 0;
  if (at - from > 5 || high !== 0)
    throw new MalformedError('a tag or a length has more than 32 bits', { offset: at });
  if (tag >>> 3 === 0) throw new MalformedError('a field has the number 0', { offset: at });
  return tag;
}

/** Where the field whose length is at the cursor ends. */
function runEnd(raw: Uint8Array): number {
  const from = at;
  const length = varint(raw) >>> 0;
  if (at - from > 5 || high !== 0)
    throw new MalformedError('a tag or a length has more than 32 bits', { offset: at });
  if (length > limit - at)
    throw new MalformedError('a field reaches past the end of its message', { offset: at });
  return at + length;
}

/** The same of packed doubles. */
function doublesEnd(raw: Uint8Array): number {
  const from = at;
  const end = runEnd(raw);
  if ((end - at) % 8 !== 0) throw new MalformedError('packed doubles are cut short', { offset: from });
  return end;
}

/** Where the varint at the cursor ends. */
function numberEnd(raw: Uint8Array): number {
  const from = at;
  varint(raw);
  const end = at;
  at = from;
  return end;
}

function zigzag32(z: number): number {
  return (z >>> 1) ^ -(z & 1);
}

/** The double at the cursor; its halves are left in `word`. */
function double(raw: Uint8Array): number {
  const from = at;
  skipBytes(8);
  for (let i = 0; i < 8; i++) wordBytes[i] = raw[from + i]!;
  return word.getFloat64(0, true);
}

function skipBytes(count: number): void {
  if (count > limit - at) throw new MalformedError('a field is cut short', { offset: at });
  at += count;
}

function skip(raw: Uint8Array, tag: number): void {
  switch (tag & 7) {
    case 0:
      varint(raw);
      return;
    case 1:
      skipBytes(8);
      return;
    case 2:
      at = runEnd(raw);
      return;
    case 5:
      skipBytes(4);
      return;
    default:
      throw new MalformedError(`wire type ${tag & 7} is not used in proto3`, { offset: at });
  }
}
