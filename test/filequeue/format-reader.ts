import { crc32 } from 'node:zlib';
import { decode } from '@msgpack/msgpack';
import { uncompress } from 'snappyjs';

/**
 * A reader of segment files that was written from docs/format.md alone, with a msgpack library, CRC-32 and snappy:
 * nothing of src/ is in it. It reads whole files and is strict: what the document doesn't say is an error.
 */
export interface GoldenSegment {
  readonly header: Record<string, unknown>;
  readonly frames: readonly { readonly row: number; readonly rows: number; readonly at: number }[];
  readonly rows: readonly GoldenRow[];
  /** The end record, or null in a file that has none. */
  readonly end: Record<string, unknown> | null;
}

export type Labels = readonly (readonly [name: string, value: string])[];

/** A row; 64-bit integers in decimal, bits and bytes in hexadecimal. */
export type GoldenRow =
  | { readonly kind: 'sample'; readonly series: Series; readonly time: string; readonly value: string }
  | { readonly kind: 'histogram'; readonly series: Series; readonly time: string; readonly bytes: string }
  | {
      readonly kind: 'exemplar';
      readonly series: Series;
      readonly time: string;
      readonly value: string;
      readonly labels: Labels;
    }
  | {
      readonly kind: 'metadata';
      readonly series: Series | null;
      readonly type: number;
      readonly family: string;
      readonly help: string;
      readonly unit: string;
      /** Left out when there is none. */
      readonly tenant?: string;
    };

export interface Series {
  readonly labels: Labels;
  readonly hash: string;
  readonly tenant: string;
}

export function readFormat(file: Uint8Array, segment: number): GoldenSegment {
  const dictionary: Dictionary = { strings: [], pairs: [], series: [] };
  const frames: GoldenSegment['frames'][number][] = [];
  const rows: GoldenRow[] = [];
  let header: Record<string, unknown> | undefined;
  let end: Record<string, unknown> | null = null;
  for (const { type, payload } of records(file, segment)) {
    if (end !== null) throw new Error('a record behind the end record');
    if (type === 'H') {
      header = decode(payload) as Record<string, unknown>;
      if (header.format !== 'spillway-segment' || header.version !== 1) throw new Error('unknown version');
      if (header.segment !== segment) throw new Error('another segment');
    } else if (type === 'E') end = decode(payload) as Record<string, unknown>;
    else {
      const frame = decode(payload) as Frame;
      const raw = header!.codec === 'snappy' ? uncompress(frame.body) : frame.body;
      if (raw.length !== frame.raw) throw new Error('a body of another length');
      if (frame.row !== rows.length) throw new Error('rows are missing');
      const body = decode(raw) as Body;
      addTo(dictionary, body);
      rows.push(...rowsOf(body, dictionary));
      frames.push({ row: frame.row, rows: frame.rows, at: frame.at });
      if (frame.row + frame.rows !== rows.length) throw new Error('another number of rows');
    }
  }
  return { header: header!, frames, rows, end };
}

function* records(file: Uint8Array, segment: number): Generator<{ type: string; payload: Uint8Array }> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 0; at < file.length; ) {
    const type = String.fromCharCode(file[at + 3]!);
    const length = view.getUint32(at + 4, true);
    const payload = file.subarray(at + 16, at + 16 + length);
    if (Buffer.from(file.subarray(at, at + 3)).toString() !== 'SPW') throw new Error('no marker');
    if (view.getUint32(at + 8, true) !== view.getUint32(8, true)) throw new Error('another salt');
    const place = Buffer.alloc(16);
    place.writeBigUInt64LE(BigInt(type === 'H' ? 0 : segment), 0);
    place.writeBigUInt64LE(BigInt(at), 8);
    const crc = crc32(payload, crc32(file.subarray(at, at + 12), crc32(place)));
    if (crc !== view.getUint32(at + 12, true)) throw new Error('CRC');
    yield { type, payload };
    at += 16 + length;
  }
}

interface Frame {
  readonly row: number;
  readonly rows: number;
  readonly at: number;
  readonly raw: number;
  readonly body: Uint8Array;
}

type Columns<Names extends string> = Readonly<Record<Names, Uint8Array>>;

interface Body {
  readonly strings?: { readonly first: number } & Columns<'lengths' | 'bytes'>;
  readonly pairs?: { readonly first: number } & Columns<'names' | 'values'>;
  readonly series?: { readonly first: number; readonly tenants?: Uint8Array } & Columns<
    'counts' | 'pairs' | 'hashes'
  >;
  readonly order: Uint8Array;
  readonly samples?: Columns<'series' | 'time' | 'value'>;
  readonly histograms?: Columns<'series' | 'time' | 'length' | 'bytes'>;
  readonly exemplars?: Columns<'series' | 'time' | 'value' | 'length' | 'labels'>;
  readonly metadata?: { readonly tenant?: Uint8Array } & Columns<
    'series' | 'type' | 'family' | 'help' | 'unit'
  >;
}

interface Dictionary {
  readonly strings: string[];
  readonly pairs: (readonly [name: string, value: string])[];
  readonly series: Series[];
}

function addTo(dictionary: Dictionary, { strings, pairs, series }: Body): void {
  if (strings !== undefined) {
    if (strings.first !== dictionary.strings.length) throw new Error('strings are missing');
    for (const bytes of cut(strings.bytes, strings.lengths)) dictionary.strings.push(text(bytes));
  }
  if (pairs !== undefined) {
    if (pairs.first !== dictionary.pairs.length) throw new Error('pairs are missing');
    const values = deltas(pairs.values);
    for (const [i, name] of deltas(pairs.names).entries()) {
      dictionary.pairs.push([at(dictionary.strings, name), at(dictionary.strings, values[i]!)]);
    }
  }
  if (series !== undefined) {
    if (series.first !== dictionary.series.length) throw new Error('series are missing');
    const differences = varints(series.pairs).map(unzigzag);
    const tenants = series.tenants && varints(series.tenants);
    let before: number[] = [];
    for (const [i, count] of varints(series.counts).entries()) {
      const ids = differences.splice(0, Number(count)).map((d, k) => Number(BigInt(before[k] ?? 0) + d));
      dictionary.series.push({
        labels: ids.map((id) => at(dictionary.pairs, id)),
        hash: Buffer.from(series.hashes.subarray(8 * i, 8 * i + 8)).toString('hex'),
        tenant: at(dictionary.strings, Number(tenants?.[i] ?? 0)),
      });
      before = ids;
    }
    if (differences.length > 0) throw new Error('pairs of no series');
  }
}

function rowsOf(body: Body, dictionary: Dictionary): GoldenRow[] {
  const seriesOf = (column: Uint8Array): Series[] => deltas(column).map((id) => at(dictionary.series, id));
  const rows: { readonly [kind: string]: GoldenRow[] } = {
    sample: [],
    histogram: [],
    exemplar: [],
    metadata: [],
  };
  const { samples, histograms, exemplars, metadata } = body;
  if (samples !== undefined) {
    const times = deltas64(samples.time);
    for (const [i, series] of seriesOf(samples.series).entries()) {
      rows.sample!.push({ kind: 'sample', series, time: `${times[i]}`, value: bits(samples.value, i) });
    }
  }
  if (histograms !== undefined) {
    const times = deltas64(histograms.time);
    const messages = cut(histograms.bytes, histograms.length);
    for (const [i, series] of seriesOf(histograms.series).entries()) {
      const bytes = Buffer.from(messages[i]!).toString('hex');
      rows.histogram!.push({ kind: 'histogram', series, time: `${times[i]}`, bytes });
    }
  }
  if (exemplars !== undefined) {
    const times = deltas64(exemplars.time);
    const labels = cut(exemplars.labels, exemplars.length);
    for (const [i, series] of seriesOf(exemplars.series).entries()) {
      rows.exemplar!.push({
        kind: 'exemplar',
        series,
        time: `${times[i]}`,
        value: bits(exemplars.value, i),
        labels: labelFields(labels[i]!),
      });
    }
  }
  if (metadata !== undefined) {
    const types = varints(metadata.type);
    const [family, help, unit] = [metadata.family, metadata.help, metadata.unit].map((column) =>
      deltas(column).map((id) => at(dictionary.strings, id)),
    ) as [string[], string[], string[]];
    const tenants = metadata.tenant && varints(metadata.tenant);
    for (const [i, id] of deltas(metadata.series).entries()) {
      const tenant = at(dictionary.strings, Number(tenants?.[i] ?? 0));
      rows.metadata!.push({
        kind: 'metadata',
        series: id === 0 ? null : at(dictionary.series, id - 1),
        type: Number(types[i]),
        family: family[i]!,
        help: help[i]!,
        unit: unit[i]!,
        ...(tenant === '' ? {} : { tenant }),
      });
    }
  }
  const order = varints(body.order);
  const kinds = ['sample', 'histogram', 'exemplar', 'metadata'];
  const inOrder: GoldenRow[] = [];
  for (let i = 0; i < order.length; i += 2) {
    inOrder.push(...rows[kinds[Number(order[i])]!]!.splice(0, Number(order[i + 1])));
  }
  if (Object.values(rows).some((left) => left.length > 0)) throw new Error('rows without a place');
  return inOrder;
}

/** All LEB128 numbers of a column. */
function varints(column: Uint8Array): bigint[] {
  const numbers: bigint[] = [];
  let number = 0n;
  let shift = 0n;
  for (const byte of column) {
    number |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (byte < 0x80) {
      numbers.push(number);
      number = 0n;
      shift = 0n;
    }
  }
  if (shift > 0n) throw new Error('a number is cut short');
  return numbers;
}

function unzigzag(n: bigint): bigint {
  return (n >> 1n) ^ -(n & 1n);
}

function deltas(column: Uint8Array): number[] {
  let last = 0n;
  return varints(column).map((n) => {
    last += unzigzag(n);
    return Number(last);
  });
}

function deltas64(column: Uint8Array): bigint[] {
  let last = 0n;
  return varints(column).map((n) => {
    last = BigInt.asIntN(64, last + unzigzag(n));
    return last;
  });
}

/** `bytes` in pieces of the lengths that a column says. */
function cut(bytes: Uint8Array, lengths: Uint8Array): Uint8Array[] {
  let from = 0;
  const pieces = varints(lengths).map((length) => {
    from += Number(length);
    return bytes.subarray(from - Number(length), from);
  });
  if (from !== bytes.length) throw new Error('lengths that do not add up');
  return pieces;
}

function bits(column: Uint8Array, row: number): string {
  return Buffer.from(column.subarray(8 * row, 8 * row + 8))
    .reverse()
    .toString('hex');
}

/** protobuf: fields 1, each a message of name (1) and value (2). */
function labelFields(bytes: Uint8Array): Labels {
  return fields(bytes).map(([number, label]) => {
    if (number !== 1) throw new Error('not a label');
    const parts = new Map(fields(label));
    return [text(parts.get(1)!), text(parts.get(2) ?? new Uint8Array(0))];
  });
}

/** The fields of a protobuf message that has only bytes in it. */
function fields(bytes: Uint8Array): [number: number, content: Uint8Array][] {
  const found: [number, Uint8Array][] = [];
  for (let from = 0; from < bytes.length; ) {
    const head = bytes.findIndex((byte, i) => i > from && byte < 0x80) + 1;
    const length = Number(varints(bytes.subarray(from + 1, head))[0]);
    found.push([bytes[from]! >> 3, bytes.subarray(head, head + length)]);
    from = head + length;
  }
  return found;
}

function text(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}

function at<T>(list: readonly T[], index: number): T {
  const element = list[index];
  if (element === undefined) throw new Error('an id that was not given');
  return element;
}
