import type { Label, Sparse, TimeSeriesV1, WriteRequestV1 } from '../../src/protocol/schema.ts';

/** A request to send; what is left out is empty. */
export type Message = Sparse<WriteRequestV1>;
export type Series = Sparse<TimeSeriesV1>;

const scratch = new DataView(new ArrayBuffer(8));

/** The bits of a double. */
export function bitsOf(value: number): bigint {
  scratch.setFloat64(0, value);
  return scratch.getBigUint64(0);
}

/** Labels from an object, in the order in which it lists them. */
export function labels(pairs: Record<string, string>): Label[] {
  return Object.entries(pairs).map(([name, value]) => ({ name, value }));
}

/** A series of float samples: `[milliseconds, value]`, or the bits of the value. */
export function series(
  pairs: Record<string, string>,
  ...samples: readonly (readonly [at: number, value: number | bigint])[]
): Series {
  return {
    labels: labels(pairs),
    samples: samples.map(([at, value]) => ({
      timestamp: BigInt(at),
      valueBits: typeof value === 'bigint' ? value : bitsOf(value),
    })),
  };
}

/** A request of these series. */
export function request(...timeseries: Series[]): Message {
  return { timeseries };
}
