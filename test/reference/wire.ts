/**
 * The messages of remote write as tables, written from remote-write.md 1.1 to 1.3 a second time: what
 * `OddWriter` writes and `problemIn` checks by. Values are as src/protocol/schema.ts has them: a double is the
 * bigint of its bits, 64-bit integers are bigints.
 */
export type Scalar = 'double' | 'int64' | 'uint64' | 'sint64' | 'int32' | 'uint32' | 'sint32' | 'string';

export interface FieldSpec {
  readonly number: number;
  readonly name: string;
  readonly type: Scalar | MessageSpec;
  readonly repeated?: true;
  /** Members of one oneof carry the same name; they have presence, the other fields have not. */
  readonly oneof?: string;
}

export interface MessageSpec {
  readonly fields: readonly FieldSpec[];
}

const label: MessageSpec = {
  fields: [
    { number: 1, name: 'name', type: 'string' },
    { number: 2, name: 'value', type: 'string' },
  ],
};

const sample: MessageSpec = {
  fields: [
    { number: 1, name: 'valueBits', type: 'double' },
    { number: 2, name: 'timestamp', type: 'int64' },
  ],
};

const exemplar: MessageSpec = {
  fields: [
    { number: 1, name: 'labels', type: label, repeated: true },
    { number: 2, name: 'valueBits', type: 'double' },
    { number: 3, name: 'timestamp', type: 'int64' },
  ],
};

const span: MessageSpec = {
  fields: [
    { number: 1, name: 'offset', type: 'sint32' },
    { number: 2, name: 'length', type: 'uint32' },
  ],
};

export const histogramSpec: MessageSpec = {
  fields: [
    { number: 1, name: 'countInt', type: 'uint64', oneof: 'count' },
    { number: 2, name: 'countFloatBits', type: 'double', oneof: 'count' },
    { number: 3, name: 'sumBits', type: 'double' },
    { number: 4, name: 'schema', type: 'sint32' },
    { number: 5, name: 'zeroThresholdBits', type: 'double' },
    { number: 6, name: 'zeroCountInt', type: 'uint64', oneof: 'zeroCount' },
    { number: 7, name: 'zeroCountFloatBits', type: 'double', oneof: 'zeroCount' },
    { number: 8, name: 'negativeSpans', type: span, repeated: true },
    { number: 9, name: 'negativeDeltas', type: 'sint64', repeated: true },
    { number: 10, name: 'negativeCountsBits', type: 'double', repeated: true },
    { number: 11, name: 'positiveSpans', type: span, repeated: true },
    { number: 12, name: 'positiveDeltas', type: 'sint64', repeated: true },
    { number: 13, name: 'positiveCountsBits', type: 'double', repeated: true },
    { number: 14, name: 'resetHint', type: 'int32' },
    { number: 15, name: 'timestamp', type: 'int64' },
    { number: 16, name: 'customValuesBits', type: 'double', repeated: true },
  ],
};

const timeSeries: MessageSpec = {
  fields: [
    { number: 1, name: 'labels', type: label, repeated: true },
    { number: 2, name: 'samples', type: sample, repeated: true },
    { number: 3, name: 'exemplars', type: exemplar, repeated: true },
    { number: 4, name: 'histograms', type: histogramSpec, repeated: true },
  ],
};

const metadata: MessageSpec = {
  fields: [
    { number: 1, name: 'type', type: 'int32' },
    { number: 2, name: 'metricFamilyName', type: 'string' },
    { number: 4, name: 'help', type: 'string' },
    { number: 5, name: 'unit', type: 'string' },
  ],
};

export const writeRequestSpec: MessageSpec = {
  fields: [
    { number: 1, name: 'timeseries', type: timeSeries, repeated: true },
    { number: 3, name: 'metadata', type: metadata, repeated: true },
  ],
};

const sampleV2: MessageSpec = {
  fields: [...sample.fields, { number: 3, name: 'startTimestamp', type: 'int64' }],
};

const exemplarV2: MessageSpec = {
  fields: [
    { number: 1, name: 'labelsRefs', type: 'uint32', repeated: true },
    { number: 2, name: 'valueBits', type: 'double' },
    { number: 3, name: 'timestamp', type: 'int64' },
  ],
};

const metadataV2: MessageSpec = {
  fields: [
    { number: 1, name: 'type', type: 'int32' },
    { number: 3, name: 'helpRef', type: 'uint32' },
    { number: 4, name: 'unitRef', type: 'uint32' },
  ],
};

const histogramV2: MessageSpec = {
  fields: [...histogramSpec.fields, { number: 17, name: 'startTimestamp', type: 'int64' }],
};

const timeSeriesV2: MessageSpec = {
  fields: [
    { number: 1, name: 'labelsRefs', type: 'uint32', repeated: true },
    { number: 2, name: 'samples', type: sampleV2, repeated: true },
    { number: 3, name: 'histograms', type: histogramV2, repeated: true },
    { number: 4, name: 'exemplars', type: exemplarV2, repeated: true },
    { number: 5, name: 'metadata', type: metadataV2 },
    { number: 6, name: 'createdTimestamp', type: 'int64' },
  ],
};

/** Of remote write 2.0. */
export const writeRequestV2Spec: MessageSpec = {
  fields: [
    { number: 4, name: 'symbols', type: 'string', repeated: true },
    { number: 5, name: 'timeseries', type: timeSeriesV2, repeated: true },
  ],
};

/** The wire type in which a field of this type is written when it is not packed. */
export function wireTypeOf(type: FieldSpec['type']): 0 | 1 | 2 {
  if (type === 'double') return 1;
  return type === 'string' || typeof type === 'object' ? 2 : 0;
}

/** True for repeated numbers, which may come packed and unpacked (WIRE-05). */
export function isPackable({ type, repeated }: FieldSpec): boolean {
  return repeated === true && wireTypeOf(type) !== 2;
}
