import {
  type BucketSpan,
  type HistogramV1,
  staleMarkerBits,
  type WriteRequestV1,
} from '../../src/protocol/schema.ts';

/** The rule that a histogram breaks, of HIST-01 to -07, by the plainest code; undefined when it is valid. */
export function brokenRule(h: HistogramV1): string | undefined {
  if (h.sumBits === staleMarkerBits) return undefined;
  const float = h.countFloatBits !== undefined;
  const zero = float ? numberOf(h.zeroCountFloatBits ?? 0n) : Number(h.zeroCountInt ?? 0n);
  const positive = float ? h.positiveCountsBits : h.positiveDeltas;
  const negative = float ? h.negativeCountsBits : h.negativeDeltas;
  const bounds = h.customValuesBits.map(numberOf);
  const custom = h.schema === -53;
  if (!custom && (h.schema < -4 || h.schema > 52)) return 'HIST-01';
  if (lengths(h.positiveSpans) !== positive.length) return 'HIST-02';
  if (lengths(h.negativeSpans) !== negative.length) return 'HIST-02';
  for (const spans of [h.positiveSpans, h.negativeSpans]) {
    if (spans.some(({ offset }, i) => offset < 0 && (i > 0 || custom))) return 'HIST-03';
  }
  const sides = custom ? [positive] : [positive, negative];
  let sum = h.zeroCountInt ?? 0n;
  for (const side of sides) {
    let bucket = 0n;
    for (const value of side) {
      if (float) {
        if (numberOf(value) < 0) return 'HIST-04';
        continue;
      }
      bucket = BigInt.asIntN(64, bucket + value);
      if (bucket < 0n) return 'HIST-04';
      sum += bucket;
    }
  }
  if (float && (numberOf(h.countFloatBits) < 0 || zero < 0)) return 'HIST-04';
  const count = h.countInt ?? 0n;
  sum = BigInt.asUintN(64, sum);
  if (!float && (Number.isNaN(numberOf(h.sumBits)) ? count < sum : count !== sum)) return 'HIST-05';
  if (!custom) return bounds.length > 0 ? 'HIST-07' : undefined;
  const increasing = bounds.every((bound, i) => bound > (bounds[i - 1] ?? Number.NEGATIVE_INFINITY));
  const reach = h.positiveSpans.reduce((total, { offset, length }) => total + offset + length, 0);
  const alone = h.negativeSpans.length === 0 && negative.length === 0 && zero === 0;
  const inBounds = bounds.at(-1) !== Number.POSITIVE_INFINITY && reach <= bounds.length + 1;
  return increasing && inBounds && alone && numberOf(h.zeroThresholdBits) === 0 ? undefined : 'HIST-06';
}

/**
 * The request as it is taken. A target of the capture of Prometheus 2.42 counted wrong in one histogram, which that
 * version let pass (HIST-05).
 */
export function withoutInvalidHistograms(request: WriteRequestV1): WriteRequestV1 {
  const timeseries = request.timeseries.map((one) => ({
    ...one,
    histograms: one.histograms.filter((histogram) => brokenRule(histogram) === undefined),
  }));
  return { ...request, timeseries };
}

function lengths(spans: readonly BucketSpan[]): number {
  return spans.reduce((sum, { length }) => sum + length, 0);
}

function numberOf(bits: bigint): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
}
