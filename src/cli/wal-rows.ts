import { EndpointTenants } from '../endpoint/tenants.ts';
import { identify, openSegment } from '../filequeue/identify.ts';
import { SegmentScanner } from '../filequeue/scanner.ts';
import { lettersMessage } from '../network/letters-message.ts';
import { putVarint64 } from '../protocol/varint64.ts';
import { describeError } from '../runtime/errors.ts';
import type { FileSystem } from '../runtime/fs.ts';
import { BodyOpener, decodeFrameHead, FrameRows } from '../serialization/frame.ts';
import { FRAME } from '../serialization/record.ts';
import { EXEMPLAR, HISTOGRAM, METADATA, SAMPLE } from '../serialization/rows.ts';
import { SegmentDictionary } from '../serialization/segment-dictionary.ts';

/** A series of a segment; the same object for each of its rows. */
export interface WalSeries {
  readonly labels: Readonly<Record<string, string>>;
  /** Empty for none. */
  readonly tenant: string;
}

/** A row as the queue has it: as it came in, before external labels and `write_relabel_configs`. */
export type WalRow =
  | {
      readonly kind: typeof SAMPLE;
      readonly series: WalSeries;
      readonly timestampMs: bigint;
      readonly startMs: bigint;
      readonly valueBits: bigint;
    }
  /** `message` is a `prometheus.WriteRequest` with the row alone; histograms and exemplars come without labels in it. */
  | {
      readonly kind: typeof HISTOGRAM | typeof EXEMPLAR;
      readonly series: WalSeries;
      readonly timestampMs: bigint;
      readonly startMs: bigint;
      readonly message: Uint8Array;
    }
  | {
      readonly kind: typeof METADATA;
      readonly tenant: string;
      readonly family: string;
      readonly type: number;
      readonly help: string;
      readonly unit: string;
    };

/** Where a row stands. */
export interface WalPlace {
  readonly segment: number;
  readonly row: number;
  /** When its frame was committed, ms since the epoch. */
  readonly committedMs: number;
}

/**
 * Calls `onRow` for each row of a segment, in their order, as long as that returns true. What cannot be read is told to
 * `onDamage`, and stepped over. Series that `wanted` refuses cost nothing more. Returns false when `onRow` did. Throws
 * what opening a segment throws.
 */
export function readSegmentRows(
  files: FileSystem,
  dir: string,
  segment: number,
  {
    wanted,
    onRow,
    onDamage,
  }: {
    readonly wanted: (series: WalSeries) => boolean;
    readonly onRow: (row: WalRow, place: WalPlace) => boolean;
    readonly onDamage: (message: string) => void;
  },
): boolean {
  const file = openSegment(files, dir, segment);
  try {
    const { header, mark } = identify(file, segment);
    const scanner = new SegmentScanner(file, 0, mark);
    const opener = new BodyOpener();
    const rows = new FrameRows();
    const reader = new SeriesReader(wanted);
    const limit = file.size();
    for (;;) {
      const found = scanner.next(limit);
      if (found.kind === 'end') return true;
      if (found.kind === 'damage') {
        onDamage(`${found.end - found.at} bytes of segment ${segment} from ${found.at} on cannot be read`);
        continue;
      }
      if (found.type !== FRAME) continue;
      let committedMs: number;
      let first: number;
      try {
        const head = decodeFrameHead(found.payload);
        const body = opener.open(head, header?.codec);
        reader.dictionary.add(body);
        rows.read(body, head.rows);
        ({ at: committedMs, row: first } = head);
      } catch (error) {
        onDamage(`a frame of segment ${segment} at ${found.at} cannot be read: ${describeError(error)}`);
        continue;
      }
      if (!rowsOfFrame(rows, reader, (row, i) => onRow(row, { segment, row: first + i, committedMs }))) {
        return false;
      }
    }
  } finally {
    file.close();
  }
}

/** Series of one dictionary, each looked at once; undefined for one that is not wanted, or whose labels are lost. */
class SeriesReader {
  readonly dictionary: SegmentDictionary;
  readonly #wanted: (series: WalSeries) => boolean;
  readonly #known: (WalSeries | false)[] = [];

  constructor(wanted: (series: WalSeries) => boolean) {
    this.#wanted = wanted;
    this.dictionary = new SegmentDictionary(undefined, undefined, new EndpointTenants(asTheyCame, 0));
  }

  /** A string of the dictionary; empty for none. */
  text(id: number): string {
    return decoder.decode(this.dictionary.string(id));
  }

  of(id: number): WalSeries | undefined {
    let series = this.#known[id];
    if (series === undefined) {
      series = this.#read(id);
      if (series !== false && !this.#wanted(series)) series = false;
      this.#known[id] = series;
    }
    return series === false ? undefined : series;
  }

  #read(id: number): WalSeries | false {
    const { dictionary } = this;
    if (!dictionary.has(id)) return false;
    const { seriesAt, seriesSlots } = dictionary.columns;
    const labels: [string, string][] = [];
    for (let i = seriesAt[id]!; i < seriesAt[id + 1]!; i++) {
      const slot = seriesSlots[i]!;
      labels.push([decoder.decode(dictionary.slotName(slot)), decoder.decode(dictionary.slotValue(slot))]);
    }
    return {
      labels: Object.fromEntries(labels),
      tenant: dictionary.tenants.names[dictionary.tenantOf(id)] ?? '',
    };
  }
}

const decoder = new TextDecoder();
/** Series keep the tenant that they came in under. */
const asTheyCame = { header: '', fromLabels: [], keepLabel: true, default: undefined };

function rowsOfFrame(
  rows: FrameRows,
  reader: SeriesReader,
  onRow: (row: WalRow, i: number) => boolean,
): boolean {
  const next = [0, 0, 0, 0];
  let at = 0;
  for (let r = 0; r < rows.orderLength; r += 2) {
    const kind = rows.order[r]!;
    for (let left = rows.order[r + 1]!; left > 0; left--) {
      const row = rowOf(rows, reader, kind, next[kind]!++);
      if (row !== undefined && !onRow(row, at)) return false;
      at++;
    }
  }
  return true;
}

function rowOf(rows: FrameRows, reader: SeriesReader, kind: number, i: number): WalRow | undefined {
  switch (kind) {
    case SAMPLE: {
      const series = reader.of(rows.sampleSeries[i]!);
      return (
        series && {
          kind: SAMPLE,
          series,
          timestampMs: word(rows.sampleTime, i),
          startMs: rows.sampleStart === undefined ? 0n : word(rows.sampleStart, i),
          valueBits: rows.sampleValue.getBigUint64(8 * i, true),
        }
      );
    }
    case HISTOGRAM: {
      const series = reader.of(rows.histogramSeries[i]!);
      if (series === undefined) return undefined;
      const time = varint(rows.histogramTime[2 * i]!, rows.histogramTime[2 * i + 1]!);
      const bytes = rows.histogramBytes.subarray(rows.histogramAt[i]!, rows.histogramAt[i + 1]!);
      return {
        kind: HISTOGRAM,
        series,
        timestampMs: word(rows.histogramTime, i),
        startMs: rows.histogramStart === undefined ? 0n : word(rows.histogramStart, i),
        message: alone(kind, 0x22, [bytes, Uint8Array.of(0x78), time]),
      };
    }
    case EXEMPLAR: {
      const series = reader.of(rows.exemplarSeries[i]!);
      if (series === undefined) return undefined;
      const labels = rows.exemplarLabels.subarray(rows.exemplarAt[i]!, rows.exemplarAt[i + 1]!);
      const { buffer, byteOffset } = rows.exemplarValue;
      const value = new Uint8Array(buffer, byteOffset + 8 * i, 8);
      const time = varint(rows.exemplarTime[2 * i]!, rows.exemplarTime[2 * i + 1]!);
      const parts = [labels, Uint8Array.of(0x11), value, Uint8Array.of(0x18), time];
      const message = alone(kind, 0x1a, parts);
      return { kind: EXEMPLAR, series, timestampMs: word(rows.exemplarTime, i), startMs: 0n, message };
    }
    default: {
      const of = rows.metadataSeries[i]!;
      // With a series: for the sake of that series.
      if (of > 0 && reader.of(of - 1) === undefined) return undefined;
      return {
        kind: METADATA,
        tenant: reader.text(rows.metadataTenant[i]!),
        family: reader.text(rows.metadataFamily[i]!),
        type: rows.metadataType[i]!,
        help: reader.text(rows.metadataHelp[i]!),
        unit: reader.text(rows.metadataUnit[i]!),
      };
    }
  }
}

function word(words: Int32Array, i: number): bigint {
  return (BigInt(words[2 * i + 1]!) << 32n) | BigInt(words[2 * i]! >>> 0);
}

function varint(lo: number, hi: number): Uint8Array {
  const bytes = new Uint8Array(10);
  return bytes.subarray(0, putVarint64(bytes, 0, lo, hi));
}

/** A request with a `TimeSeries` that has nothing but this field. */
function alone(kind: number, tag: number, parts: readonly Uint8Array[]): Uint8Array {
  const field = Buffer.concat(parts);
  const content = Buffer.concat([Uint8Array.of(tag), varint(field.length, 0), field]);
  return lettersMessage([{ kind, labels: new Uint8Array(), content }]);
}
