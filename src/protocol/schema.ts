/**
 * Remote write messages, decoded by protobufjs over `proto/`: the oracle that the fast decoder is held
 * against, and the decoder of cold paths (tools, tests, the built-in destination). Plain, complete and slow.
 *
 * Two things differ from what protobufjs gives by itself:
 * - A `double` is read as the `fixed64` that it is on the wire, and named so: `double value` becomes the
 *   bigint `valueBits`. A number would do for a field, but protobufjs collects a `repeated double` in a plain
 *   array, where V8 turns the stale marker 7ff0000000000002 into 7ff8000000000002 (RW-STALE-03, WIRE-09).
 * - 64-bit integers are bigints (WIRE-10).
 *
 * Field names are those of the `.proto` in camel case; timestamps are ms since the epoch. Unknown fields are
 * skipped (WIRE-03). More lenient than the receiver in one point: an unknown group is skipped as well
 * (WIRE-07).
 */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type protobuf from 'protobufjs';
import { SpillwayError } from '../runtime/errors.ts';
import { packageRoot } from '../runtime/program-files.ts';

export interface WriteRequestV1 {
  readonly timeseries: readonly TimeSeriesV1[];
  readonly metadata: readonly MetricMetadata[];
}

export interface TimeSeriesV1 {
  readonly labels: readonly Label[];
  readonly samples: readonly Sample[];
  readonly exemplars: readonly ExemplarV1[];
  readonly histograms: readonly HistogramV1[];
}

export interface Label {
  readonly name: string;
  readonly value: string;
}

export interface Sample {
  readonly valueBits: bigint;
  readonly timestamp: bigint;
}

export interface ExemplarV1 {
  readonly labels: readonly Label[];
  readonly valueBits: bigint;
  readonly timestamp: bigint;
}

export interface MetricMetadata {
  /** Index into `metricTypes`; an unknown number stays as it is. */
  readonly type: number;
  readonly metricFamilyName: string;
  readonly help: string;
  readonly unit: string;
}

/** A native histogram. Of a oneof only the last member on the wire is there, also when it is 0 (WIRE-06). */
export interface HistogramV1 {
  readonly countInt?: bigint;
  readonly countFloatBits?: bigint;
  readonly sumBits: bigint;
  readonly schema: number;
  readonly zeroThresholdBits: bigint;
  readonly zeroCountInt?: bigint;
  readonly zeroCountFloatBits?: bigint;
  readonly negativeSpans: readonly BucketSpan[];
  readonly negativeDeltas: readonly bigint[];
  readonly negativeCountsBits: readonly bigint[];
  readonly positiveSpans: readonly BucketSpan[];
  readonly positiveDeltas: readonly bigint[];
  readonly positiveCountsBits: readonly bigint[];
  /** 0 unknown, 1 yes, 2 no, 3 gauge. */
  readonly resetHint: number;
  readonly timestamp: bigint;
  readonly customValuesBits: readonly bigint[];
}

export interface BucketSpan {
  readonly offset: number;
  readonly length: number;
}

/** `io.prometheus.write.v2.Request`. References are not checked: they may leave `symbols` (RW2-R-22). */
export interface WriteRequestV2 {
  readonly symbols: readonly string[];
  readonly timeseries: readonly TimeSeriesV2[];
}

export interface TimeSeriesV2 {
  readonly labelsRefs: readonly number[];
  readonly samples: readonly SampleV2[];
  readonly histograms: readonly HistogramV2[];
  readonly exemplars: readonly ExemplarV2[];
  readonly metadata: MetadataV2 | null;
  /** Only from rc.3 senders (INT-16); 0 = unset. */
  readonly createdTimestamp: bigint;
}

export interface SampleV2 extends Sample {
  /** 0 = unset (RW2-R-13). */
  readonly startTimestamp: bigint;
}

export interface HistogramV2 extends HistogramV1 {
  /** 0 = unset (RW2-R-13). */
  readonly startTimestamp: bigint;
}

export interface ExemplarV2 {
  readonly labelsRefs: readonly number[];
  readonly valueBits: bigint;
  readonly timestamp: bigint;
}

export interface MetadataV2 {
  /** Index into `metricTypes`; an unknown number stays as it is. */
  readonly type: number;
  readonly helpRef: number;
  readonly unitRef: number;
}

/** Names of the metric types of both versions, by number, as the Prometheus API spells them. */
export const metricTypes: readonly string[] = [
  'unknown',
  'counter',
  'gauge',
  'histogram',
  'gaugehistogram',
  'summary',
  'info',
  'stateset',
];

/** The bits of a stale marker: value of a sample, or sum of a histogram (RW-STALE-01, RW-STALE-02). */
export const staleMarkerBits = 0x7ff0000000000002n;

/** A message to encode: what is left out has its proto3 default. */
export type Sparse<T> = T extends readonly (infer Element)[]
  ? readonly Sparse<Element>[]
  : T extends object
    ? { readonly [Key in keyof T]?: Sparse<T[Key]> }
    : T;

/** Not a message of the schema: cut short, a bad wire type, text that is not UTF-8 (WIRE-07, WIRE-08). */
export class MalformedMessageError extends SpillwayError {
  readonly code = 'MALFORMED_MESSAGE';
}

const writeRequestV1 = schemaMessage<WriteRequestV1>('remote_write_v1.proto', 'prometheus.WriteRequest');
const histogramV1 = schemaMessage<HistogramV1>('remote_write_v1.proto', 'prometheus.Histogram');
const writeRequestV2 = schemaMessage<WriteRequestV2>(
  'remote_write_v2.proto',
  'io.prometheus.write.v2.Request',
);

/** Decodes a 1.0 body after snappy. Throws MalformedMessageError. */
export function decodeWriteRequestV1(raw: Uint8Array): WriteRequestV1 {
  return writeRequestV1.decode(raw);
}

export function encodeWriteRequestV1(request: Sparse<WriteRequestV1>): Uint8Array {
  return writeRequestV1.encode(request);
}

/** Decodes one native histogram, as `encodeHistogramV1` gives it. Throws MalformedMessageError. */
export function decodeHistogramV1(raw: Uint8Array): HistogramV1 {
  return histogramV1.decode(raw);
}

export function encodeHistogramV1(histogram: Sparse<HistogramV1>): Uint8Array {
  return histogramV1.encode(histogram);
}

/** Decodes a 2.0 body after snappy. Throws MalformedMessageError. */
export function decodeWriteRequestV2(raw: Uint8Array): WriteRequestV2 {
  return writeRequestV2.decode(raw);
}

export function encodeWriteRequestV2(request: Sparse<WriteRequestV2>): Uint8Array {
  return writeRequestV2.encode(request);
}

/** The codec of message `name`, compiled from `proto/<file>` when it is first used. */
function schemaMessage<T>(file: string, name: string) {
  let compiled: protobuf.Type | undefined;
  const type = (): protobuf.Type => {
    if (compiled === undefined) {
      // Not imported: an agent that decodes nothing here does without it, 9 MB in each thread.
      const { parse } = createRequire(import.meta.url)('protobufjs') as typeof protobuf;
      compiled = parse(
        doublesAsBits(readFileSync(join(packageRoot(), 'proto', file), 'utf8')),
      ).root.lookupType(name);
    }
    return compiled;
  };
  return {
    decode(raw: Uint8Array): T {
      const message = type();
      try {
        // The interfaces above say what this gives; schema.test.ts holds them to it.
        return message.toObject(message.decode(raw), { longs: BigInt, defaults: true }) as T;
      } catch (error) {
        throw new MalformedMessageError(`not a ${name}`, { message: name, bytes: raw.length }, error);
      }
    },
    encode(value: Sparse<T>): Uint8Array {
      const message = type();
      return message.encode(message.fromObject(value as object)).finish();
    },
  };
}

/** Turns each `double x = n;` of a schema into `fixed64 x_bits = n;`, the same eight bytes on the wire. */
function doublesAsBits(schema: string): string {
  return schema.replace(/\bdouble (\w+) =/g, 'fixed64 $1_bits =');
}
