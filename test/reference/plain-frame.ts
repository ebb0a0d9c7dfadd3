import { brotliDecompressSync, crc32 } from 'node:zlib';
import { decode } from '@msgpack/msgpack';
import { uncompress } from 'snappyjs';
import type { Codec } from '../../src/serialization/codec.ts';

/**
 * Reads records of frames with @msgpack/msgpack and snappyjs alone: what a reader in any language has to do,
 * and the model that src/serialization is held against. It uses nothing of src.
 */
export interface PlainFrame {
  readonly row: number;
  readonly rows: number;
  readonly at: number;
  /** In their order. */
  readonly content: readonly PlainRow[];
}

export interface PlainRow {
  readonly kind: 'sample' | 'histogram' | 'exemplar' | 'metadata';
  /** `[name, value]` of each label; undefined when the series is missing. */
  readonly labels?: readonly (readonly [string, string])[] | undefined;
  readonly time?: bigint;
  readonly value?: bigint;
  readonly bytes?: Uint8Array;
  /** Of metadata: type, family, help, unit. */
  readonly texts?: readonly (string | number | undefined)[];
}

type Section = Readonly<Record<string, unknown>>;

/** Reads the frames of one segment, in order; each adds to the dictionary. */
export class PlainReader {
  readonly #strings = new Map<number, string>();
  readonly #pairs = new Map<number, readonly [string, string]>();
  readonly #series = new Map<number, readonly (readonly [string, string] | undefined)[]>();
  readonly hashes = new Map<number, Uint8Array>();
  readonly #codec: Codec;

  constructor(codec: Codec) {
    this.#codec = codec;
  }

  read(record: Uint8Array): PlainFrame {
    const head = new DataView(record.buffer, record.byteOffset);
    const length = head.getUint32(4, true);
    const payload = record.subarray(16, 16 + length);
    if (Buffer.from(record.subarray(0, 4)).toString() !== 'SPWF') throw new Error('no frame');
    // The place: segment 1, offset 0.
    const place = Buffer.from(`01${'00'.repeat(15)}`, 'hex');
    const crc = crc32(payload, crc32(record.subarray(0, 12), crc32(place)));
    if (crc !== head.getUint32(12, true)) throw new Error('damaged');
    const frame = decode(payload) as Section;
    const packed = frame.body as Uint8Array;
    const raw =
      this.#codec === 'snappy'
        ? uncompress(packed)
        : this.#codec === 'brotli'
          ? brotliDecompressSync(packed)
          : packed;
    if (raw.length !== frame.raw) throw new Error('wrong length');
    const body = decode(raw) as Section;
    this.#add(body);
    return {
      row: frame.row as number,
      rows: frame.rows as number,
      at: frame.at as number,
      content: this.#rows(body),
    };
  }

  #add(body: Section): void {
    if (body.strings !== undefined) {
      const { first, lengths, bytes } = body.strings as Section;
      let at = 0;
      for (const [i, length] of unsigned(lengths).entries()) {
        this.#strings.set(Number(first) + i, utf8((bytes as Uint8Array).subarray(at, at + length)));
        at += length;
      }
    }
    if (body.pairs !== undefined) {
      const { first, names, values } = body.pairs as Section;
      const valueIds = deltas(values);
      for (const [i, name] of deltas(names).entries()) {
        const pair = [this.#strings.get(name), this.#strings.get(valueIds[i]!)];
        if (!pair.includes(undefined)) this.#pairs.set(Number(first) + i, pair as [string, string]);
      }
    }
    if (body.series !== undefined) {
      const { first, counts, pairs, hashes } = body.series as Section;
      const differences = unsigned(pairs).map((z) => Number(unzigzag(BigInt(z))));
      let before: number[] = [];
      for (const [i, count] of unsigned(counts).entries()) {
        const ids = differences.splice(0, count).map((difference, k) => difference + (before[k] ?? 0));
        this.#series.set(
          Number(first) + i,
          ids.map((id) => this.#pairs.get(id)),
        );
        this.hashes.set(Number(first) + i, (hashes as Uint8Array).subarray(8 * i, 8 * i + 8));
        before = ids;
      }
    }
  }

  #labels(series: number): readonly (readonly [string, string])[] | undefined {
    const pairs = this.#series.get(series);
    return pairs?.includes(undefined) ? undefined : (pairs as readonly (readonly [string, string])[]);
  }

  #rows(body: Section): PlainRow[] {
    const samples = this.#samples(body.samples as Section | undefined);
    const histograms = this.#histograms(body.histograms as Section | undefined);
    const exemplars = this.#exemplars(body.exemplars as Section | undefined);
    const metadata = this.#metadata(body.metadata as Section | undefined);
    const byKind = [samples, histograms, exemplars, metadata];
    const order = unsigned(body.order);
    const out: PlainRow[] = [];
    for (let i = 0; i < order.length; i += 2) out.push(...byKind[order[i]!]!.splice(0, order[i + 1]));
    if (byKind.some((rest) => rest.length > 0)) throw new Error('the order is short of rows');
    return out;
  }

  #samples(section: Section | undefined): PlainRow[] {
    if (section === undefined) return [];
    const times = deltas64(section.time);
    return deltas(section.series).map((series, i) => ({
      kind: 'sample',
      labels: this.#labels(series),
      time: times[i]!,
      value: word(section.value, i),
    }));
  }

  #histograms(section: Section | undefined): PlainRow[] {
    if (section === undefined) return [];
    const times = deltas64(section.time);
    const parts = cut(section.bytes, section.length);
    return deltas(section.series).map((series, i) => ({
      kind: 'histogram',
      labels: this.#labels(series),
      time: times[i]!,
      bytes: parts[i]!,
    }));
  }

  #exemplars(section: Section | undefined): PlainRow[] {
    if (section === undefined) return [];
    const times = deltas64(section.time);
    const parts = cut(section.labels, section.length);
    return deltas(section.series).map((series, i) => ({
      kind: 'exemplar',
      labels: this.#labels(series),
      time: times[i]!,
      value: word(section.value, i),
      bytes: parts[i]!,
    }));
  }

  #metadata(section: Section | undefined): PlainRow[] {
    if (section === undefined) return [];
    const columns = [section.family, section.help, section.unit].map(deltas);
    return unsigned(section.type).map((type, i) => ({
      kind: 'metadata',
      texts: [type, ...columns.map((ids) => this.#strings.get(ids[i]!))],
    }));
  }
}

function utf8(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}

function varints(column: unknown): bigint[] {
  const out: bigint[] = [];
  let value = 0n;
  let shift = 0n;
  for (const byte of column as Uint8Array) {
    value |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (byte >= 0x80) continue;
    out.push(value);
    value = 0n;
    shift = 0n;
  }
  if (shift > 0n) throw new Error('a column is cut short');
  return out;
}

function unsigned(column: unknown): number[] {
  return varints(column).map(Number);
}

function unzigzag(z: bigint): bigint {
  return (z & 1n) === 1n ? -((z + 1n) >> 1n) : z >> 1n;
}

function deltas(column: unknown): number[] {
  let last = 0n;
  return varints(column).map((z) => {
    last = BigInt.asUintN(32, last + unzigzag(z));
    return Number(last);
  });
}

function deltas64(column: unknown): bigint[] {
  let last = 0n;
  return varints(column).map((z) => {
    last = BigInt.asIntN(64, last + unzigzag(z));
    return last;
  });
}

function word(column: unknown, i: number): bigint {
  return Buffer.from(column as Uint8Array).readBigUInt64LE(8 * i);
}

function cut(bytes: unknown, lengths: unknown): Uint8Array[] {
  let at = 0;
  return unsigned(lengths).map((length) => {
    at += length;
    return (bytes as Uint8Array).subarray(at - length, at);
  });
}
