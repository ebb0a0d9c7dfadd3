/**
 * Whether a native histogram keeps the rules of its format (HIST-01 to HIST-07): those that a Prometheus holds against
 * it. Older ones answer one that breaks them with a 500, which is retried for ever: such a row must not come in.
 *
 * One pass over the message, without an object. 64-bit counts are two halves, and wrap as they do in Prometheus.
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

const positive = new Side('positive');
const negative = new Side('negative');
const word = new DataView(new ArrayBuffer(8));

// The cursor, and the high half of the number that was read last.
let at = 0;
let high = 0;

/**
 * What is wrong with the histogram in `raw[start, end)`, in words that go on from "a histogram:", or undefined. It must
 * be well-formed. A stale marker is never wrong (RW-STALE-02). Schemas from 9 to 52 pass, as they do in Prometheus.
 */
export function histogramFault(raw: Uint8Array, start: number, end: number): string | undefined {
  positive.clear();
  negative.clear();
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
  at = start;
  while (at < end) {
    const tag = varint(raw);
    switch (tag) {
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
        sumLo = word32(raw);
        sumHi = word32(raw);
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
      case 0x62: {
        const side = tag === 0x4a ? negative : positive;
        const to = runEnd(raw);
        while (at < to) delta(raw, side);
        break;
      }
      case 0x48:
        delta(raw, negative);
        break;
      case 0x60:
        delta(raw, positive);
        break;
      case 0x52:
      case 0x6a: {
        const side = tag === 0x52 ? negative : positive;
        const to = runEnd(raw);
        while (at < to) floatBucket(raw, side);
        break;
      }
      case 0x51:
        floatBucket(raw, negative);
        break;
      case 0x69:
        floatBucket(raw, positive);
        break;
      case 0x81:
      case 0x82: {
        const to = tag === 0x82 ? runEnd(raw) : at + 8;
        while (at < to) {
          const bound = double(raw);
          if (!(bound > lastBound)) increasing = false;
          lastBound = bound;
          bounds++;
        }
        break;
      }
      default:
        skip(raw, tag);
    }
  }
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
  const to = runEnd(raw);
  let offset = 0;
  let length = 0;
  while (at < to) {
    const tag = varint(raw);
    if (tag === 0x08) offset = zigzag32(varint(raw));
    else if (tag === 0x10) length = varint(raw) >>> 0;
    else skip(raw, tag);
  }
  if (offset < 0) {
    if (side.spans === 0) side.negativeFirst = true;
    else side.negativeLater = true;
  }
  side.spans++;
  side.lengths += length;
  side.offsets += offset;
}

/** The next bucket of an integer histogram. */
function delta(raw: Uint8Array, side: Side): void {
  const z = varint(raw);
  const sign = -(z & 1);
  const lo = (side.lo >>> 0) + ((((z >>> 1) | (high << 31)) ^ sign) >>> 0);
  side.hi = (side.hi + ((high >>> 1) ^ sign) + (lo > 0xffffffff ? 1 : 0)) | 0;
  side.lo = lo | 0;
  if (side.hi < 0) side.belowZero = true;
  const sum = (side.sumLo >>> 0) + (side.lo >>> 0);
  side.sumHi = (side.sumHi + side.hi + (sum > 0xffffffff ? 1 : 0)) | 0;
  side.sumLo = sum | 0;
  side.deltas++;
}

/** The next bucket of a float histogram. */
function floatBucket(raw: Uint8Array, side: Side): void {
  if (double(raw) < 0) side.floatBelowZero = true;
  side.floats++;
}

/** The low half of the varint at the cursor; the other is in `high`. */
function varint(raw: Uint8Array): number {
  let byte = raw[at++]!;
  let lo = byte & 0x7f;
  high = 0;
  for (let shift = 7; byte >= 0x80; shift += 7) {
    byte = raw[at++]!;
    const bits = byte & 0x7f;
    if (shift < 28) lo |= bits << shift;
    else if (shift === 28) {
      lo |= bits << 28;
      high = bits >>> 4;
    } else if (shift < 63) high |= bits << (shift - 32);
    else high |= (bits & 1) << 31;
  }
  return lo;
}

function zigzag32(z: number): number {
  return (z >>> 1) ^ -(z & 1);
}

function word32(raw: Uint8Array): number {
  at += 4;
  return raw[at - 4]! | (raw[at - 3]! << 8) | (raw[at - 2]! << 16) | (raw[at - 1]! << 24);
}

function double(raw: Uint8Array): number {
  word.setInt32(0, word32(raw), true);
  word.setInt32(4, word32(raw), true);
  return word.getFloat64(0, true);
}

/** Where the field whose length is at the cursor ends. */
function runEnd(raw: Uint8Array): number {
  const length = varint(raw) >>> 0;
  return at + length;
}

function skip(raw: Uint8Array, tag: number): void {
  const type = tag & 7;
  if (type === 0) varint(raw);
  else if (type === 1) at += 8;
  else if (type === 5) at += 4;
  else at = runEnd(raw);
}
