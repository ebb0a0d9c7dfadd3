/**
 * The native histograms of the workload, as the bytes of a `Histogram` field: integers, schema 3, a zero bucket
 * and twenty buckets in two spans, all of which count up. Written field by field in the order and with the
 * omissions of Prometheus, so that whoever takes one apart and puts it together again arrives at the same bytes.
 */
import { mix } from './series.ts';
import { writeVarint } from './varint.ts';

/** Bound of one histogram, with room to spare. */
export const MAX_HISTOGRAM_BYTES = 256;

const SPAN_LENGTHS = [12, 8] as const;
const BUCKETS = SPAN_LENGTHS[0] + SPAN_LENGTHS[1];
const SCHEMA = 3;
const ZERO_THRESHOLD = 2 ** -128;
/** Bits of the signalling NaN that ends a series, little endian. */
const STALE_MARKER = Buffer.from('02000000 0000f07f'.replace(' ', ''), 'hex');

/** Writes the histogram of `series` in `round`; returns where it ends. */
export function writeHistogram(
  target: Buffer,
  start: number,
  row: {
    readonly series: number;
    readonly round: number;
    readonly timestamp: number;
    readonly stale: boolean;
  },
): number {
  const { series, round } = row;
  const seed = mix(series, 20);
  const bucket = (i: number): number => (mix(seed, i) & 0xfff) + round * (mix(seed, i + 100) & 31);
  const zeros = (seed & 15) + round * ((seed >>> 4) & 1);
  let count = zeros;
  for (let i = 0; i < BUCKETS; i++) count += bucket(i);

  let at = start;
  target[at++] = 0x08;
  at = writeVarint(target, at, count);
  target[at++] = 0x19;
  if (row.stale) at += STALE_MARKER.copy(target, at);
  else at = target.writeDoubleLE(count * 0.0037 + (mix(seed, round) % 997) / 991, at);
  target[at++] = 0x20;
  target[at++] = zigzag(SCHEMA);
  target[at++] = 0x29;
  at = target.writeDoubleLE(ZERO_THRESHOLD, at);
  target[at++] = 0x30;
  at = writeVarint(target, at, zeros);
  for (const [i, length] of SPAN_LENGTHS.entries()) {
    target[at++] = 0x5a;
    target[at++] = 4;
    target[at++] = 0x08;
    target[at++] = zigzag(i === 0 ? 4 + (seed % 24) : 3);
    target[at++] = 0x10;
    target[at++] = length;
  }
  target[at++] = 0x62;
  const lengthAt = at++;
  for (let i = 0, previous = 0; i < BUCKETS; i++) {
    const current = bucket(i);
    at = writeVarint(target, at, zigzag(current - previous));
    previous = current;
  }
  target[lengthAt] = at - lengthAt - 1; // three bytes a bucket at most: below 128
  target[at++] = 0x78;
  return writeVarint(target, at, row.timestamp);
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}
