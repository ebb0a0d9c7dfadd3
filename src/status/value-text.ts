import { type HistogramV1, staleMarkerBits } from '../protocol/schema.ts';

const scratch = new DataView(new ArrayBuffer(8));

/**
 * The text of a value, given as the 64 bits of a double (signed or not), as the Prometheus HTTP API prints
 * it: `1e-07`, `-0`, `NaN`, `+Inf`. A stale marker, which that API never shows, is `stale`.
 */
export function valueText(bits: bigint): string {
  if (bits === staleMarkerBits) return 'stale';
  scratch.setBigUint64(0, bits);
  const value = scratch.getFloat64(0);
  if (Object.is(value, -0)) return '-0';
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value).replace(/e([+-])(\d)$/, 'e$10$2'); // Go writes exponents with two digits at least
}

/** A native histogram as PromQL notes it, less the buckets: `{count:3, sum:0.5}`, or `stale`. */
export function histogramText(histogram: HistogramV1): string {
  if (histogram.sumBits === staleMarkerBits) return 'stale';
  const count = countText(histogram.countInt, histogram.countFloatBits);
  return `{count:${count}, sum:${valueText(histogram.sumBits)}}`;
}

/** The text of a oneof of integer and float: of the member that is there. Absent is 0 (WIRE-06). */
export function countText(int: bigint | undefined, floatBits: bigint | undefined): string {
  return floatBits === undefined ? String(int ?? 0n) : valueText(floatBits);
}
