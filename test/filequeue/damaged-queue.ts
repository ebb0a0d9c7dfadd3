import { SegmentContext } from '../../src/endpoint/segment-context.ts';
import { type Damage, type ReadLimit, SegmentStore, WalReader } from '../../src/endpoint/wal-reader.ts';
import { segmentPath } from '../../src/filequeue/segment-file.ts';

import { type FileSystem, writeDurably } from '../../src/runtime/fs.ts';
import { type Message, request, series } from '../support/messages.ts';
import { ForgetfulFs } from './forgetful-fs.ts';
import { type GoldenRow, readFormat } from './format-reader.ts';
import { openQueue, putEach } from './queue.ts';
import { textsOf } from './read-back.ts';

/** Frames of one segment: every kind of row, and series, labels and strings that come up again in later frames. */
export const frames: readonly Message[] = [
  request(series({ __name__: 'a', job: 'x' }, [1, 1], [2, 2]), series({ __name__: 'b' }, [3, 3])),
  {
    timeseries: [
      {
        labels: [{ name: '__name__', value: 'c' }],
        samples: [{ timestamp: 4n, valueBits: 0x7ff0000000000002n }],
        exemplars: [{ labels: [{ name: 't', value: '1' }], valueBits: 1n, timestamp: 4n }],
        histograms: [{ countInt: 1n, zeroCountInt: 1n, schema: 1, timestamp: 5n }],
      },
    ],
    metadata: [{ type: 1, metricFamilyName: 'a', help: 'told', unit: '' }],
  },
  // d shares the label of c, e is new; "told" comes again.
  {
    ...request(
      series({ __name__: 'c', job: 'x' }, [6, 6]),
      series({ __name__: 'e' }, [7, 7]),
      series({ __name__: 'a', job: 'x' }, [8, 8]),
    ),
    metadata: [{ type: 1, metricFamilyName: 'b', help: 'told', unit: '' }],
  },
  request(
    series({ __name__: 'c' }, [9, 9]),
    series({ __name__: 'e' }, [10, 10]),
    series({ __name__: 'b' }, [11, 11]),
  ),
];

/** What a frame holds, told by the plain reader. */
export interface FrameRowsPlain {
  readonly rows: readonly GoldenRow[];
}

/** Writes segments, each of these frames; committed, by name of file. */
export async function writeSegments(segments: readonly (readonly Message[])[]): Promise<Map<number, Buffer>> {
  const files = new ForgetfulFs();
  const lock = (): { release(): void } => ({ release: () => undefined });
  // A queue for each segment, whose close ends it; all in one directory.
  for (const messages of segments) {
    const { queue } = await openQueue('/made', { files, lock });
    await putEach(queue, messages);
    await queue.close();
  }
  return new Map(segments.map((_, i) => [i + 1, contentOf(files, segmentPath('/made', i + 1, 'committed'))]));
}

export function contentOf(files: FileSystem, name: string): Buffer {
  const file = files.openRead(name);
  try {
    const bytes = Buffer.alloc(file.size());
    file.read(bytes, bytes.length, 0);
    return bytes;
  } finally {
    file.close();
  }
}

/** A directory with these files, by id (committed) or by name. */
export async function directory(
  content: Iterable<readonly [name: number | string, bytes: Uint8Array]>,
): Promise<ForgetfulFs> {
  const files = new ForgetfulFs();
  await files.makeDir('/wal');
  await files.makeDir('/wal/quarantine');
  for (const [name, bytes] of content) {
    const path = typeof name === 'number' ? segmentPath('/wal', name, 'committed') : `/wal/${name}`;
    await writeDurably(files, path, bytes);
  }
  return files;
}

/** What a reader of an endpoint finds. */
export interface ReadOut {
  readonly rows: string[];
  /** Rows that it counted as lost. */
  readonly lost: number;
  /** Rows whose series or strings are missing. */
  readonly orphans: number;
  readonly damage: readonly Damage[];
}

/** Reads the queue from its oldest row on with the reader of the endpoints. */
export async function readOut(
  files: FileSystem,
  watermark: ReadLimit,
  dir = '/wal',
  from = 1,
): Promise<ReadOut> {
  const damage: Damage[] = [];
  const store = new SegmentStore(files, dir, (segment, onIdle) =>
    SegmentContext.open(files, dir, segment, undefined, onIdle),
  );
  const reader = new WalReader(store, { segment: from, row: 0 }, (found) => damage.push(found));
  const rows: string[] = [];
  let orphans = 0;
  while (await reader.advance(watermark)) {
    for (const text of textsOf(reader.rows, reader.context.dictionary)) {
      if (text === undefined) orphans++;
      else rows.push(`${reader.context.segment}: ${text}`);
    }
    reader.passed(reader.head.row + reader.head.rows - 1);
  }
  reader.close();
  return { rows, orphans, damage, lost: damage.reduce((sum, one) => sum + one.rows, 0) };
}

/**
 * Which rows of a segment, by their place, can be read when frame `lost` cannot, by the plain reader: all but those of
 * the frame, and those with a string or label that it was the first to name.
 */
export function survivors(bytes: Uint8Array, segment: number, lost: number | undefined): number[] {
  const { frames, rows } = readFormat(bytes, segment);
  const first = new Map<string, number>([
    ['', 0],
    ['__name__', 0],
  ]);
  const left: number[] = [];
  frames.forEach((frame, f) => {
    for (let i = frame.row; i < frame.row + frame.rows; i++) {
      const words = wordsOf(rows[i]!);
      for (const word of words) if (!first.has(word)) first.set(word, f);
      if (f !== lost && words.every((word) => first.get(word) !== lost)) left.push(i);
    }
  });
  return left;
}

/** What a row needs of the dictionary: strings, pairs, and its series. */
function wordsOf(row: GoldenRow): string[] {
  const words = row.kind === 'metadata' ? [row.family, row.help, row.unit] : [];
  if (row.series !== null) {
    for (const [name, value] of row.series.labels) words.push(name, value, `pair ${name}=${value}`);
    words.push(`series ${JSON.stringify(row.series.labels)}`);
  }
  return words;
}
