import assert from 'node:assert/strict';
import * as path from 'node:path';
import { identify } from '../../src/filequeue/identify.ts';
import { SegmentScanner } from '../../src/filequeue/scanner.ts';
import {
  parseSegmentName,
  type SegmentHeader,
  type SegmentInfo,
  segmentPath,
} from '../../src/filequeue/segment-file.ts';
import {
  decodeHistogramV1,
  decodeWriteRequestV1,
  encodeWriteRequestV1,
  type Label,
  type TimeSeriesV1,
} from '../../src/protocol/schema.ts';
import { type FileSystem, nodeFileSystem } from '../../src/runtime/fs.ts';
import { BodyOpener, decodeFrameHead, FrameRows } from '../../src/serialization/frame.ts';
import { END, FRAME } from '../../src/serialization/record.ts';
import { EXEMPLAR, HISTOGRAM, kindNames, METADATA, SAMPLE } from '../../src/serialization/rows.ts';
import { SegmentDictionary } from '../../src/serialization/segment-dictionary.ts';
import type { Message } from '../support/messages.ts';
import { describeRow, metadataOf, rowsOf, seriesKey } from '../support/rows.ts';

/** What a segment holds, read with the parts that the endpoints read with, in the plainest way. */
export interface SegmentContent {
  readonly header: SegmentHeader | undefined;
  /** Rows in order, as `rowTexts` writes them. */
  readonly rows: readonly string[];
  /** Rows by kind. */
  readonly counts: readonly number[];
  /** First ordinal and number of rows of each frame. */
  readonly frames: readonly { readonly row: number; readonly rows: number; readonly at: number }[];
  /** Rows whose series is missing, as a damaged frame took it with it. */
  readonly lost: number;
  readonly damage: readonly { readonly at: number; readonly end: number }[];
  /** Where reading ended, and whether by an end record. */
  readonly end: number;
  readonly ended: boolean;
}

/** Reads the segment in `file` up to `limit`. Throws when a whole frame cannot be decoded. */
export function readSegment(
  file: string,
  { files = nodeFileSystem, limit }: { files?: FileSystem; limit?: number } = {},
): SegmentContent {
  const f = files.openRead(file);
  try {
    const { header, mark } = identify(f, parseSegmentName(path.basename(file))!.id);
    const scanner = new SegmentScanner(f, 0, mark);
    const opener = new BodyOpener();
    const frameRows = new FrameRows();
    const dictionary = new SegmentDictionary();
    const rows: string[] = [];
    const counts = kindNames.map(() => 0);
    const frames: SegmentContent['frames'][number][] = [];
    const damage: SegmentContent['damage'][number][] = [];
    let lost = 0;
    let ended = false;
    for (;;) {
      const found = scanner.next(limit ?? f.size());
      if (found.kind === 'end') return { header, rows, counts, frames, lost, damage, end: found.at, ended };
      if (found.kind === 'damage') damage.push({ at: found.at, end: found.end });
      else if (found.type === END) ended = true;
      else if (found.type === FRAME) {
        const head = decodeFrameHead(found.payload);
        const body = opener.open(head, header?.codec);
        dictionary.add(body);
        frameRows.read(body, head.rows);
        frames.push({ row: head.row, rows: head.rows, at: head.at });
        for (const [kind, n] of frameRows.counts.entries()) counts[kind] = counts[kind]! + n;
        for (const text of textsOf(frameRows, dictionary)) {
          if (text === undefined) lost++;
          else rows.push(text);
        }
      }
    }
  } finally {
    f.close();
  }
}

/**
 * The rows of all segments in a directory, up to where each counts by the word of the queue. With `exact` there
 * must be what the queue says: nothing damaged at an end, and as many rows.
 */
export function readAll(
  dir: string,
  segments: readonly SegmentInfo[],
  files: FileSystem = nodeFileSystem,
  exact = true,
): string[] {
  const rows: string[] = [];
  for (const info of segments) {
    const content = readSegment(pathOf(files, dir, info.id), { files, limit: info.bytes });
    if (exact) {
      assert.equal(content.end, info.bytes, `segment ${info.id} ends where the queue says`);
      assert.deepEqual(content.counts, info.counts, `segment ${info.id} has the rows that the queue says`);
    }
    for (const r of content.rows) rows.push(r);
  }
  return rows;
}

/** The rows of a request as texts, those of each series in the order of their field numbers. */
export function rowTexts(message: Message): string[] {
  const { timeseries, metadata } = decodeWriteRequestV1(encodeWriteRequestV1(message));
  const inOrder = timeseries.flatMap((one) => [
    ...rowsOf({ timeseries: [{ ...one, exemplars: [], histograms: [] }], metadata: [] }),
    ...rowsOf({ timeseries: [{ ...one, samples: [], histograms: [] }], metadata: [] }),
    ...rowsOf({ timeseries: [{ ...one, samples: [], exemplars: [] }], metadata: [] }),
  ]);
  return [...inOrder.map(describeRow), ...metadataOf({ timeseries: [], metadata })];
}

function pathOf(files: FileSystem, dir: string, id: number): string {
  try {
    const file = segmentPath(dir, id, 'committed');
    files.openRead(file).close();
    return file;
  } catch {
    return segmentPath(dir, id, 'open');
  }
}

/** Ids of the segments in a directory, with their state, in order. */
export async function segmentsIn(dir: string, files: FileSystem = nodeFileSystem): Promise<string[]> {
  return (await files.list(dir))
    .map((name) => parseSegmentName(name))
    .filter((parsed) => parsed !== undefined)
    .sort((a, b) => a.id - b.id)
    .map(({ id, state }) => `${id}.${state}`);
}

/** The rows of a frame as `rowTexts` writes them; undefined for one whose series is missing. */
export function* textsOf(rows: FrameRows, dictionary: SegmentDictionary): Generator<string | undefined> {
  const next = kindNames.map(() => 0);
  for (let i = 0; i < rows.orderLength; i += 2) {
    const kind = rows.order[i]!;
    for (let n = rows.order[i + 1]!; n > 0; n--) {
      const at = next[kind]!;
      next[kind] = at + 1;
      if (kind === METADATA) yield metadataText(rows, at, dictionary);
      else yield rowText(kind, rows, at, dictionary);
    }
  }
}

function rowText(
  kind: number,
  rows: FrameRows,
  at: number,
  dictionary: SegmentDictionary,
): string | undefined {
  const seriesId = [rows.sampleSeries, rows.histogramSeries, rows.exemplarSeries][kind]![at]!;
  const labels = labelsOf(dictionary, seriesId);
  if (labels === undefined) return undefined;
  const times = [rows.sampleTime, rows.histogramTime, rows.exemplarTime][kind]!;
  const timestamp = (BigInt(times[2 * at + 1]!) << 32n) | BigInt(times[2 * at]! >>> 0);
  const series: { -readonly [Key in keyof TimeSeriesV1]: TimeSeriesV1[Key] } = {
    labels,
    samples: [],
    histograms: [],
    exemplars: [],
  };
  if (kind === SAMPLE) {
    series.samples = [{ timestamp, valueBits: rows.sampleValue.getBigUint64(8 * at, true) }];
  } else if (kind === HISTOGRAM) {
    const bytes = rows.histogramBytes.subarray(rows.histogramAt[at], rows.histogramAt[at + 1]);
    series.histograms = [{ ...decodeHistogramV1(bytes), timestamp }];
  } else if (kind === EXEMPLAR) {
    const bytes = rows.exemplarLabels.subarray(rows.exemplarAt[at], rows.exemplarAt[at + 1]);
    series.exemplars = [
      { labels: decodeLabels(bytes), valueBits: rows.exemplarValue.getBigUint64(8 * at, true), timestamp },
    ];
  }
  return describeRow(rowsOf({ timeseries: [series], metadata: [] })[0]!);
}

function metadataText(rows: FrameRows, at: number, dictionary: SegmentDictionary): string | undefined {
  const [family, help, unit] = [rows.metadataFamily, rows.metadataHelp, rows.metadataUnit].map((ids) => {
    const bytes = dictionary.string(ids[at]!);
    return bytes && new TextDecoder().decode(bytes);
  });
  if (family === undefined || help === undefined || unit === undefined) return undefined;
  const entry = { type: rows.metadataType[at]!, metricFamilyName: family, help, unit };
  const text = metadataOf({ timeseries: [], metadata: [entry] })[0]!;
  const series = rows.metadataSeries[at]!;
  if (series === 0) return text;
  const labels = labelsOf(dictionary, series - 1);
  return labels && `${text} of ${seriesKey(labels)}`;
}

function labelsOf(dictionary: SegmentDictionary, series: number): readonly Label[] | undefined {
  if (!dictionary.has(series)) return undefined;
  const parts: Uint8Array[] = [];
  const { labels, slotAt, seriesAt, seriesSlots } = dictionary.columns;
  for (let i = seriesAt[series]!; i < seriesAt[series + 1]!; i++) {
    const slot = seriesSlots[i]!;
    parts.push(labels.bytes.subarray(slotAt[slot], slotAt[slot + 1]));
  }
  return decodeLabels(Buffer.concat(parts));
}

/** Decodes `Label` fields, which are field 1 of a series as of an exemplar. */
function decodeLabels(fields: Uint8Array): readonly Label[] {
  const size: number[] = [];
  for (let left = fields.length; ; left >>>= 7) {
    size.push(left >= 0x80 ? (left & 0x7f) | 0x80 : left);
    if (left < 0x80) break;
  }
  return decodeWriteRequestV1(Buffer.concat([Uint8Array.of(0x0a, ...size), fields])).timeseries[0]!.labels;
}
