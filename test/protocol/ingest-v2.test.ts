import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { encodeWriteRequestV2, type Sparse, type WriteRequestV2 } from '../../src/protocol/schema.ts';
import { readDeltas64 } from '../../src/serialization/columns.ts';
import { BodyOpener, bin, decodeFrameHead, FrameEncoder, section } from '../../src/serialization/frame.ts';
import { FRAME, RECORD_HEAD, recordAt, sealRecord } from '../../src/serialization/record.ts';
import { mark } from '../filequeue/records.ts';
import type { BatchRow } from '../reference/batch-rows.ts';
import { int64Edges, oddBits } from '../reference/requests.ts';
import { RoadV2 } from '../reference/road-v2.ts';
import { bitsOf } from '../support/messages.ts';
import { requestV2, type SeriesV2 } from '../support/messages-v2.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const up = { __name__: 'up' };

function take(road: RoadV2, ...series: SeriesV2[]) {
  return road.take(encodeWriteRequestV2(requestV2(...series)));
}

/** The rows as `<name> <kind> <time> <start>`. */
function texts(rows: readonly BatchRow[]): string[] {
  return rows.map(({ kind, labels, row }) => {
    const name = labels?.find((label) => label.name === '__name__')?.value;
    if (kind === 'metadata') return `${name} metadata ${Object.values(row).join(' ')}`;
    return `${name} ${kind} ${row.timestamp} ${'startTimestamp' in row ? row.startTimestamp : ''}`;
  });
}

test('the vector of remote-write.md 1.4: a stale marker with a start time and metadata (RW-STALE-01)', () => {
  const road = new RoadV2();
  road.take(
    hex(
      '220022085f5f6e616d655f5f2202757022036a6f622201612a230a0401020304121709020000000000f07f1080d095ffbc31' +
        '1898c895ffbc312a020802',
    ),
  );
  const [metadata, sample] = road.rows();
  const labels = [
    { name: '__name__', value: 'up' },
    { name: 'job', value: 'a' },
  ];
  assert.deepEqual(metadata, {
    kind: 'metadata',
    labels,
    row: { type: 2, family: 'up', help: '', unit: '' },
  });
  const row = { valueBits: 0x7ff0000000000002n, timestamp: 1700000000000n, startTimestamp: 1699999999000n };
  assert.deepEqual(sample, { kind: 'sample', labels, row });
});

test('WIRE-09, WIRE-10, RW-STALE-01: every bit of a value and every int64 survives', () => {
  const road = new RoadV2();
  const times = int64Edges.filter((time) => time !== 0n);
  take(
    road,
    { labels: up, samples: oddBits.map((valueBits) => ({ valueBits, timestamp: 1n })) },
    ...times.map((time) => ({ labels: up, samples: [{ timestamp: time, startTimestamp: -time }] })),
  );
  const rows = road
    .rows()
    .map(({ row }) => row as { valueBits: bigint; timestamp: bigint; startTimestamp: bigint });
  assert.deepEqual(
    rows.slice(0, oddBits.length).map(({ valueBits }) => valueBits),
    oddBits,
  );
  assert.deepEqual(
    rows.slice(oddBits.length).map(({ timestamp, startTimestamp }) => [timestamp, startTimestamp]),
    times.map((time) => [time, BigInt.asIntN(64, -time)]),
  );
});

describe('start times', () => {
  const histogram = { timestamp: 1n };

  it('RW2-R-13: 0 is unset, 1 and -1 are not', () => {
    const road = new RoadV2();
    const samples = [0n, 1n, -1n, 0n].map((startTimestamp) => ({ timestamp: 5n, startTimestamp }));
    take(road, { labels: up, samples, histograms: [{ ...histogram, startTimestamp: 3n }, histogram] });
    assert.deepEqual(texts(road.rows()), [
      'up sample 5 0',
      'up sample 5 1',
      'up sample 5 -1',
      'up sample 5 0',
      'up histogram 1 3',
      'up histogram 1 0',
    ]);
  });

  it('INT-16: created_timestamp of rc.3 is that of each row that has none itself', () => {
    const road = new RoadV2();
    const samples = [{ timestamp: 5n }, { timestamp: 6n, startTimestamp: 4n }];
    take(
      road,
      { labels: up, samples: samples.slice(0, 1), createdTimestamp: 2n },
      { labels: up, samples, histograms: [histogram], createdTimestamp: 3n },
    );
    assert.deepEqual(texts(road.rows()), [
      'up sample 5 2',
      'up sample 5 3',
      'up sample 6 4',
      'up histogram 1 3',
    ]);
  });

  it('cost nothing while there are none, and are in the frame where there are', () => {
    const road = new RoadV2();
    const frame = () => {
      const written = { strings: 0, pairs: 0, series: 0 };
      road.finishOrder();
      const record = new FrameEncoder().encode(road.batch, road.dictionary, written, 0, 1, 'snappy').slice();
      sealRecord(record, 0, FRAME, record.length - RECORD_HEAD, mark, 0);
      assert.equal(typeof recordAt(record, 0, mark, 0), 'object');
      const head = decodeFrameHead(record.subarray(RECORD_HEAD));
      return section(new BodyOpener().open(head, 'snappy').samples, 'samples');
    };
    take(road, { labels: up, samples: [{ timestamp: 1n }] });
    assert.ok(!('start' in frame()));
    take(road, {
      labels: up,
      samples: [{ timestamp: 2n, startTimestamp: 7n }, { timestamp: 3n }, { timestamp: 4n }],
    });
    const starts = new Int32Array(8);
    readDeltas64(bin(frame(), 'start'), 4, starts);
    assert.deepEqual([...starts], [0, 0, 7, 0, 0, 0, 0, 0]);
  });
});

describe('metadata', () => {
  const samples = [{ timestamp: 1n }];
  const described = (type: number, help: string): SeriesV2 => ({
    labels: up,
    samples,
    metadata: { type, help },
  });

  it('RLY-04: is stored when it is new or another one, and before its sample', () => {
    const road = new RoadV2();
    for (let i = 0; i < 3; i++)
      take(road, described(1, 'a'), { labels: up, samples, metadata: { type: 1, help: 'a' } });
    take(road, described(1, 'b'));
    take(road, described(2, 'b'));
    take(road, { labels: up, samples });
    take(road, { labels: up, samples });
    const rows = texts(road.rows()).filter(
      (row, i, all) => row.includes('metadata') || all[i - 1]?.includes('metadata'),
    );
    assert.deepEqual(rows, [
      'up metadata 1 up a ',
      'up sample 1 0',
      'up metadata 1 up b ',
      'up sample 1 0',
      'up metadata 2 up b ',
      'up sample 1 0',
      // What is no longer said is taken back.
      'up metadata 0 up  ',
      'up sample 1 0',
    ]);
  });

  it('is stored again in the next segment, whose dictionary is empty', () => {
    const road = new RoadV2();
    take(road, described(1, 'a'));
    const before = road.dictionary.contentBytes;
    assert.equal(road.rows().length, 2);
    take(road, described(1, 'a'));
    assert.equal(road.dictionary.contentBytes, before);
    assert.equal(road.rows().length, 1);
    road.reset();
    take(road, described(1, 'a'));
    assert.equal(road.rows().length, 2);
  });

  it('RW2-R-14: none, or one of a type that is not known, is no fault', () => {
    const road = new RoadV2();
    take(road, { labels: up, samples }, { labels: { __name__: 'x' }, samples, metadata: { type: 99 } });
    assert.deepEqual(texts(road.rows()), ['up sample 1 0', 'x metadata 99 x  ', 'x sample 1 0']);
  });

  it('RLY-06: has the name of the family, which ends where the type says so', () => {
    const road = new RoadV2();
    const cases = [
      ['a_bucket', 3, 'a'],
      ['a_sum', 5, 'a'],
      ['a_bucket', 5, 'a_bucket'],
      ['a_gcount', 4, 'a'],
      ['a_total', 1, 'a_total'],
      ['a_created', 1, 'a'],
      ['a_created', 3, 'a'],
      ['a_created', 5, 'a'],
      ['a_created', 2, 'a_created'],
      ['a_info', 6, 'a'],
      ['a_info', 2, 'a_info'],
      ['_sum', 3, '_sum'],
    ] as const;
    take(road, ...cases.map(([name, type]) => ({ labels: { __name__: name }, samples, metadata: { type } })));
    const families = road.rows().flatMap((row) => (row.kind === 'metadata' ? [row.row.family] : []));
    assert.deepEqual(
      families,
      cases.map(([, , family]) => family),
    );
  });

  it('WIRE-03: in two parts is one message', () => {
    const road = new RoadV2();
    const symbols = hex('2200 2208 5f5f6e616d655f5f 2202 7570 2201 68');
    road.take(Buffer.concat([symbols, hex('2a10 0a020102 1202 1001 2a02 0801 2a02 1803')]));
    assert.deepEqual(texts(road.rows()), ['up metadata 1 up h ', 'up sample 1 0']);
  });
});

describe('order', () => {
  it('RLY-04, RW2-R-25: within a TimeSeries it is that of the wire, whatever the kind', () => {
    const road = new RoadV2();
    const symbols = hex('2200 2208 5f5f6e616d655f5f 2202 7570');
    road.take(Buffer.concat([symbols, hex('2a14 1a02 7802 1202 1001 2202 1803 0a020102 1202 1004')]));
    assert.deepEqual(texts(road.rows()), [
      'up histogram 2 0',
      'up sample 1 0',
      'up exemplar 3 ',
      'up sample 4 0',
    ]);
  });

  it('WIRE-04: symbols behind the series, and between them', () => {
    const road = new RoadV2();
    const series = '2a08 0a020102 1202 1001';
    road.take(hex(`${series} 2200 ${series} 2208 5f5f6e616d655f5f ${series} 2202 7570`));
    assert.equal(road.rows().length, 3);
  });
});

test('INT-18: labels __type__ and __unit__ are labels', () => {
  const road = new RoadV2();
  take(road, {
    labels: { ...up, __type__: 'counter', __unit__: 'bytes' },
    samples: [{ timestamp: 1n, valueBits: bitsOf(1) }],
  });
  assert.equal(road.rows()[0]?.labels?.length, 3);
});

test('RW2-R-16, RW2-R-24, RW2-R-30: symbols in any order, twice, without an empty one', () => {
  const road = new RoadV2();
  const message: Sparse<WriteRequestV2> = {
    symbols: ['up', '__name__', 'up', '__name__'],
    timeseries: [
      { labelsRefs: [1, 0], samples: [{ timestamp: 1n }] },
      { labelsRefs: [3, 2], samples: [{ timestamp: 2n }], metadata: { type: 1 } },
      { labelsRefs: [3, 0], exemplars: [{ timestamp: 3n }, { timestamp: 4n }] },
      { labelsRefs: [3, 0] },
    ],
  };
  const report = road.take(encodeWriteRequestV2(message));
  assert.deepEqual([...report.refused], [['no_samples', 3]]);
  assert.equal(road.dictionary.seriesCount, 1);
  assert.deepEqual(texts(road.rows()), ['up sample 1 0', 'up metadata 1 up  ', 'up sample 2 0']);
});
