import { join } from 'node:path';
import type { FileQueue } from '../../src/filequeue/file-queue.ts';
import { encodeHistogramV1, staleMarkerBits } from '../../src/protocol/schema.ts';
import type { Codec } from '../../src/serialization/codec.ts';
import type { Dictionary } from '../../src/serialization/dictionary.ts';
import type { RowBatch } from '../../src/serialization/rows.ts';
import { labels, type Message, request, series } from '../support/messages.ts';
import { projectDir } from '../support/paths.ts';
import { fillWith, noon, openQueue } from './queue.ts';

/**
 * The golden files in test/fixtures/segments/: what is in them, so that a test can write them anew.
 *
 * A folder is a directory of segments as a queue left it, with `rows.json`, which says what a reader finds. A file
 * that is there never changes: it stands for what users have on their disks. What a later version of the format
 * adds goes into new folders. `node build/test/filequeue/write-golden.js` writes the folders that are missing.
 */
export interface Golden {
  readonly name: string;
  readonly codec: Codec;
  /** Each list of transactions is a frame, committed a while after the one before. */
  readonly frames: readonly { readonly afterMs: number; readonly fills: readonly Fill[] }[];
}

type Fill = (dictionary: Dictionary, batch: RowBatch) => void;

export const goldenDir = join(projectDir, 'test/fixtures/segments');

const edges: readonly (readonly [timestamp: bigint, valueBits: bigint])[] = [
  [-9223372036854775808n, 0n],
  [9223372036854775807n, 0x8000000000000000n],
  [0n, staleMarkerBits],
  [-1n, 0x7ff8000000000001n],
  [9007199254740993n, 0x7ff0000000000000n],
  [-9007199254740993n, 1n],
  [4294967296n, 0xffffffffffffffffn],
];

const int64Edges: Message = {
  timeseries: [
    {
      labels: labels({ __name__: 'edges', job: 'node' }),
      samples: edges.map(([timestamp, valueBits]) => ({ timestamp, valueBits })),
    },
  ],
};

const latency = { job: 'api', __name__: 'latency_seconds', le: '+Inf' };

/** Samples, exemplars and histograms of one series, then of the next; labels not in order. */
const mixed: Message = {
  timeseries: [
    {
      labels: labels(latency),
      samples: [{ timestamp: BigInt(noon), valueBits: 0x4008000000000000n }],
      exemplars: [
        {
          labels: labels({ trace_id: '0123456789abcdef', span_id: '' }),
          valueBits: 0x3ff8000000000000n,
          timestamp: BigInt(noon - 500),
        },
        { labels: [], valueBits: 0n, timestamp: 1n },
      ],
    },
  ],
};

/** Its buckets are not what `count` says: files from before histograms were looked at have such ones. */
const miscounted: Fill = (dictionary, batch) => {
  const bytes = encodeHistogramV1({
    countInt: 12n,
    sumBits: 0x4030000000000000n,
    schema: 3,
    zeroThresholdBits: 0x3c80000000000000n,
    zeroCountInt: 1n,
    negativeSpans: [{ offset: -4, length: 2 }],
    negativeDeltas: [1n, -1n],
    positiveSpans: [
      { offset: 0, length: 1 },
      { offset: 100, length: 2 },
    ],
    positiveDeltas: [5n, -2n, 300n],
    resetHint: 2,
  });
  // The series that came before.
  const series = dictionary.seriesCount - 1;
  batch.appendHistogram(series, noon | 0, Math.floor(noon / 2 ** 32), bytes, [0, bytes.length]);
};

const mixedMore: Message = {
  timeseries: [
    {
      labels: labels(latency),
      histograms: [
        {
          countFloatBits: 0x4010000000000000n,
          sumBits: 0x4020000000000000n,
          schema: -53,
          zeroCountFloatBits: 0n,
          positiveSpans: [{ offset: 0, length: 2 }],
          positiveCountsBits: [0x4000000000000000n, 0x4000000000000000n],
          customValuesBits: [0x3ff0000000000000n, 0x4000000000000000n],
          resetHint: 3,
          timestamp: BigInt(noon + 1),
        },
        { countInt: 0n, sumBits: staleMarkerBits, timestamp: BigInt(noon + 2) },
      ],
    },
    ...request(series({ __name__: 'größe', ort: 'Łódź 🜁', pfad: '/'.repeat(200) }, [noon, 0.1])).timeseries!,
  ],
};

const byFamily: Message = {
  metadata: [
    { type: 1, metricFamilyName: 'http_requests_total', help: 'Requests, by code.', unit: '' },
    { type: 5, metricFamilyName: 'latency_seconds', help: 'Time to answer.\nIn seconds.', unit: 'seconds' },
    { type: 99, metricFamilyName: 'up', help: '', unit: '' },
  ],
};

/** Metadata that comes with the first two series, as remote write 2.0 sends it. */
const bySeries: Fill = (dictionary, batch) => {
  const id = (text: string): number => dictionary.internString(Buffer.from(text), 0, Buffer.byteLength(text));
  batch.appendMetadata(1, 2, id('up'), id('Whether the target was reached.'), id(''));
  batch.appendMetadata(2, 0xffffffff, id('up'), id(''), id('1'));
};

function ofTenant(tenant: string, fill: Fill): Fill {
  return (dictionary, batch) => {
    batch.tenant = dictionary.useTenant(Buffer.from(tenant));
    fill(dictionary, batch);
    batch.tenant = dictionary.useTenant(new Uint8Array(0));
  };
}

const scrape = (at: number): Message =>
  request(
    series({ __name__: 'up', instance: 'a:9100', job: 'node' }, [at, 1]),
    series({ __name__: 'up', instance: 'b:9100', job: 'node' }, [at, 0]),
    series({ __name__: 'http_requests_total', code: '200', instance: 'a:9100', job: 'node' }, [at, 1e9 + at]),
  );

const allKinds: Golden['frames'] = [
  { afterMs: 0, fills: [fillWith(scrape(noon)), fillWith(int64Edges)] },
  {
    afterMs: 15_000,
    fills: [
      fillWith(mixed),
      miscounted,
      fillWith(mixedMore),
      fillWith(byFamily),
      bySeries,
      fillWith(scrape(noon + 15_000)),
    ],
  },
  // Nothing new for the dictionary.
  { afterMs: 15_000, fills: [fillWith(scrape(noon + 30_000))] },
  // The last one of its segment, which is old by now.
  {
    afterMs: 7_200_000,
    fills: [fillWith(scrape(noon + 45_000)), fillWith(request(series({ __name__: 'late' }, [1, 2])))],
  },
  { afterMs: 1, fills: [fillWith(scrape(noon + 60_000))] },
];

export const goldens: readonly Golden[] = [
  {
    name: 'v1-tiny',
    codec: 'none',
    frames: [
      {
        afterMs: 0,
        fills: [fillWith(request(series({ __name__: 'up', job: 'a' }, [noon, 1], [noon + 15_000, 0])))],
      },
    ],
  },
  { name: 'v1-kinds-none', codec: 'none', frames: allKinds },
  { name: 'v1-kinds-snappy', codec: 'snappy', frames: allKinds },
  {
    name: 'v1-tenants',
    codec: 'none',
    frames: [
      {
        afterMs: 0,
        fills: [
          fillWith(scrape(noon)),
          fillWith(byFamily),
          ofTenant('team-a', fillWith(scrape(noon))),
          ofTenant('team-b', fillWith(byFamily)),
        ],
      },
      { afterMs: 15_000, fills: [ofTenant('team-b', fillWith(scrape(noon))), fillWith(byFamily)] },
    ],
  },
];

/** Writes the segments of `golden` into `dir`. */
export async function writeGolden(golden: Golden, dir: string): Promise<FileQueue> {
  let now = noon;
  const { queue } = await openQueue(dir, { codec: golden.codec, now: () => now, roll: { ageMs: 3_600_000 } });
  for (const { afterMs, fills } of golden.frames) {
    now += afterMs;
    await Promise.all(fills.map((fill) => queue.append(fill).durable));
  }
  await queue.close();
  return queue;
}
