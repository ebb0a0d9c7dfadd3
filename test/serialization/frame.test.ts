import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Encoder } from '@msgpack/msgpack';
import fc from 'fast-check';
import {
  decodeHistogramV1,
  decodeWriteRequestV1,
  encodeWriteRequestV1,
  type WriteRequestV1,
} from '../../src/protocol/schema.ts';
import { SpillwayError } from '../../src/runtime/errors.ts';
import { type Codec, codecs } from '../../src/serialization/codec.ts';
import { Dictionary } from '../../src/serialization/dictionary.ts';
import {
  BodyOpener,
  decodeFrameHead,
  FrameEncoder,
  FrameError,
  FrameRows,
} from '../../src/serialization/frame.ts';
import { FRAME, RECORD_HEAD, sealRecord } from '../../src/serialization/record.ts';
import { kindNames, RowBatch } from '../../src/serialization/rows.ts';
import { mark } from '../filequeue/records.ts';
import { PlainReader, type PlainRow } from '../reference/plain-frame.ts';
import { validRequest } from '../reference/requests.ts';
import { type Ring, Road } from '../reference/road.ts';
import { canonical, verdictsOn } from '../reference/verdicts.ts';
import { labels } from '../support/messages.ts';

/** The rows of requests in their order, as a plain reader of their frames must find them. */
function expectedRows(requests: readonly WriteRequestV1[]): object[] {
  return requests.flatMap((request) => {
    const { kept, metadata } = verdictsOn(request);
    return [
      ...kept.flatMap(({ labels: of, samples, exemplars, histograms }) => {
        const series = canonical(of).map(({ name, value }) => [name, value]);
        return [
          ...samples.map(({ timestamp, valueBits }) => {
            return { kind: 'sample', labels: series, time: timestamp, value: valueBits };
          }),
          ...exemplars.map((row) => {
            return {
              kind: 'exemplar',
              labels: series,
              time: row.timestamp,
              value: row.valueBits,
              of: row.labels,
            };
          }),
          ...histograms.map((histogram) => {
            return {
              kind: 'histogram',
              labels: series,
              time: histogram.timestamp,
              of: { ...histogram, timestamp: 0n },
            };
          }),
        ];
      }),
      ...metadata.map(({ type, metricFamilyName, help, unit }) => {
        return { kind: 'metadata', texts: [type >>> 0, metricFamilyName, help, unit] };
      }),
    ];
  });
}

/** A plain row with what protobufjs makes of its bytes. */
function decoded({ bytes, ...row }: PlainRow): object {
  if (bytes === undefined) return row;
  if (row.kind === 'histogram') return { ...row, of: decodeHistogramV1(bytes) };
  const length = Uint8Array.of((bytes.length & 0x7f) | 0x80, bytes.length >>> 7);
  return {
    ...row,
    of: decodeWriteRequestV1(Buffer.concat([Uint8Array.of(0x0a), length, bytes])).timeseries[0]?.labels,
  };
}

const frames = fc.array(fc.array(validRequest, { maxLength: 2 }), { minLength: 1, maxLength: 3 });

describe('frames', () => {
  for (const codec of codecs) {
    it(`codec ${codec}: a reader of msgpack alone finds what was taken in`, () => {
      fc.assert(
        fc.property(frames, (segment) => {
          const road = new Road(codec);
          const reader = new PlainReader(codec);
          let row = 0;
          for (const requests of segment) {
            for (const request of requests) road.take(encodeWriteRequestV1(request));
            const rows = road.batch.rows;
            const frame = reader.read(road.commit());
            assert.deepEqual(frame.content.map(decoded), expectedRows(requests));
            assert.deepEqual([frame.row, frame.rows, frame.at], [row, rows, 1_700_000_000_000]);
            row += rows;
          }
        }),
        { numRuns: 200 },
      );
    });

    it(`codec ${codec}: FrameRows reads what the plain reader reads`, () => {
      fc.assert(
        fc.property(frames, (segment) => {
          const road = new Road(codec);
          const plain = new PlainReader(codec);
          for (const requests of segment) {
            for (const request of requests) road.take(encodeWriteRequestV1(request));
            const record = road.commit();
            assert.deepEqual(rowsOf(road, road.read(record)), plain.read(record).content.map(withoutTexts));
          }
        }),
        { numRuns: 200 },
      );
    });
  }

  it('without rows is a frame too, and so is one of a dictionary alone', () => {
    for (const codec of codecs) {
      const road = new Road(codec);
      assert.equal(road.read(road.commit()).length, 0);
      road.take(encodeWriteRequestV1({ timeseries: [{ labels: labels({ __name__: 'x' }) }] }));
      assert.equal(road.read(road.commit()).length, 0);
      assert.ok(road.reader.has(0));
    }
  });

  it('without a codec known, either is found', () => {
    for (const codec of codecs) {
      const road = new Road(codec);
      road.take(encodeWriteRequestV1({ metadata: [{ metricFamilyName: 'x' }] }));
      const record = road.commit();
      const head = decodeFrameHead(record.subarray(RECORD_HEAD));
      const opener = new BodyOpener();
      assert.deepEqual({ ...opener.open(head, undefined) }, { ...opener.open(head, codec) });
    }
  });
});

/*
 * The format, pinned: rows of every kind, and the record that they make. A change here is a new version of the
 * format, and frames of this one must stay readable.
 */
describe('golden', () => {
  const golden =
    '53505746da01000001000000c36d7b5d85a3726f7700a4726f777306a26174cf0000018bcfe56800a3726177cd01b3a4626f6479' +
    'c501b388a7737472696e677383a5666972737400a76c656e67746873c4080008020301010101a56279746573c4115f5f' +
    '6e616d655f5f75706a6f6261626873a5706169727383a5666972737400a56e616d6573c403020400a676616c756573c4' +
    '03040402a673657269657384a5666972737400a6636f756e7473c4020202a57061697273c40400020002a66861736865' +
    '73c4102d1bddbe49fa5e8db679c3ff40e35b1aa56f72646572c40a00020201010100010301a773616d706c657383a673' +
    '6572696573c403000002a474696d65c40f80a0abfef962b0ea01af8aadfef962a576616c7565c418020000000000f07f' +
    '01000000000000000300000000000000aa686973746f6772616d7384a6736572696573c40100a474696d65c40101a66c' +
    '656e677468c40102a56279746573c4020800a96578656d706c61727385a6736572696573c40100a474696d65c40682a0' +
    'abfef962a576616c7565c4080200000000000000a66c656e677468c40109a66c6162656c73c4090a070a026964120174' +
    'a86d6574616461746185a6736572696573c40100a474797065c40102a666616d696c79c40104a468656c70c4010ca475' +
    '6e6974c4010e';

  it('a frame of every kind of row, codec none', () => {
    const road = new Road('none');
    road.take(
      encodeWriteRequestV1({
        timeseries: [
          {
            labels: labels({ __name__: 'up', job: 'a' }),
            samples: [
              { valueBits: 0x7ff0000000000002n, timestamp: 1_700_000_000_000n },
              { valueBits: 1n, timestamp: 1_700_000_015_000n },
            ],
            exemplars: [{ labels: labels({ id: 't' }), valueBits: 2n, timestamp: 1_700_000_000_001n }],
            histograms: [{ countInt: 0n, timestamp: -1n }],
          },
          { labels: labels({ __name__: 'up', job: 'b' }), samples: [{ valueBits: 3n, timestamp: 0n }] },
        ],
        metadata: [{ type: 2, metricFamilyName: 'up', help: 'h', unit: 's' }],
      }),
    );
    assert.equal(Buffer.from(road.commit()).toString('hex'), golden);
  });
});

describe('damage within a frame whose CRC is right', () => {
  const everything = encodeWriteRequestV1({
    timeseries: [
      {
        labels: labels({ __name__: 'up', job: 'a' }),
        samples: [{ valueBits: 1n, timestamp: 1n }],
        exemplars: [{ labels: labels({ id: 't' }), valueBits: 2n, timestamp: 1n }],
        histograms: [{ countInt: 0n, timestamp: -1n }],
      },
    ],
    metadata: [{ type: 2, metricFamilyName: 'up', help: 'h', unit: 's' }],
  });
  for (const codec of codecs) {
    it(`codec ${codec}: any byte changed or cut off is read, or an error of ours`, () => {
      const road = new Road(codec);
      road.take(everything);
      const record = road.commit();
      let errors = 0;
      for (let at = RECORD_HEAD; at < record.length; at++) {
        for (const flip of [0x01, 0x40, 0x80, 0xff]) {
          const damaged = record.with(at, record[at]! ^ flip);
          sealRecord(damaged, 0, FRAME, record.length - RECORD_HEAD, mark, 0);
          errors += attempt(codec, damaged);
        }
        const cut = record.slice(0, at);
        sealRecord(cut, 0, FRAME, cut.length - RECORD_HEAD, mark, 0);
        assert.equal(attempt(codec, cut), 1, `cut at ${at}`);
      }
      assert.ok(errors > record.length, `only ${errors} errors`);
    });
  }

  /** 1 when reading it failed, as it may, with an error of ours. */
  function attempt(codec: Codec, record: Uint8Array): number {
    try {
      new Road(codec).read(record);
      return 0;
    } catch (error) {
      assert.ok(error instanceof SpillwayError, `${(error as Error).stack}`);
      return 1;
    }
  }
});

describe('claims', () => {
  const encoder = new Encoder();
  const frame = (of: Record<string, unknown>) =>
    encoder.encode({ row: 0, rows: 0, at: 0, raw: 1, body: new Uint8Array(1), ...of });

  it('a head that is none', () => {
    for (const payload of [
      encoder.encode([]),
      encoder.encode(null),
      Uint8Array.of(0xc1),
      frame({ row: -1 }),
      frame({ row: 1.5 }),
      frame({ at: 'now' }),
      frame({ body: 'text' }),
      frame({ raw: 2 ** 40 }),
      frame({ rows: 2 }),
    ]) {
      assert.throws(() => decodeFrameHead(payload), FrameError);
    }
    assert.equal(decodeFrameHead(frame({})).raw, 1);
  });

  it('a body of another length than the head says', () => {
    const body = encoder.encode({ order: new Uint8Array(0) });
    const head = (raw: number) => decodeFrameHead(frame({ raw, body }));
    assert.ok(new BodyOpener().open(head(body.length), 'none'));
    for (const raw of [body.length - 1, body.length + 1]) {
      assert.throws(() => new BodyOpener().open(head(raw), 'none'), FrameError);
    }
  });

  it('columns that do not fit their rows', () => {
    const bytes = (...list: number[]) => Uint8Array.from(list);
    const samples = { series: bytes(0), time: bytes(0), value: new Uint8Array(8) };
    const histograms = { series: bytes(0), time: bytes(0), length: bytes(2), bytes: bytes(1, 2) };
    const exemplars = { ...samples, length: bytes(1), labels: bytes(1) };
    const rows = new FrameRows();
    rows.read({ order: bytes() }, 0);
    rows.read({ order: bytes(0, 1, 1, 1, 2, 1), samples, histograms, exemplars }, 3);
    for (const [body, count] of [
      [{ order: bytes(0, 1), samples }, 0],
      [{ order: bytes(0, 1), samples }, 2],
      [{ order: bytes(0), samples }, 0],
      [{ order: bytes(4, 1), samples }, 1],
      [{ order: bytes(0, 1) }, 1],
      [{}, 0],
      [{ order: bytes(0, 1), samples: { ...samples, value: new Uint8Array(7) } }, 1],
      [{ order: bytes(0, 1), samples: { ...samples, value: new Uint8Array(9) } }, 1],
      [{ order: bytes(1, 1), histograms: { ...histograms, bytes: bytes(1) } }, 1],
      [{ order: bytes(1, 1), histograms: { ...histograms, bytes: bytes(1, 2, 3) } }, 1],
      [{ order: bytes(2, 1), exemplars: { ...exemplars, labels: bytes() } }, 1],
    ] as const) {
      assert.throws(() => rows.read(body, count), FrameError, JSON.stringify(body));
    }
  });
});

describe('the encoder', () => {
  it('gives a record that stands alone, and moves on what is written', () => {
    const dictionary = new Dictionary(1);
    const batch = new RowBatch();
    const written = { strings: 0, pairs: 0, series: 0 };
    batch.appendMetadata(0, 1, dictionary.internString(Buffer.from('x'), 0, 1), 0, 0);
    const record = new FrameEncoder().encode(batch, dictionary, written, 5, 6, 'none');
    assert.deepEqual(written, { strings: 3, pairs: 0, series: 0 });
    const { row, rows, at } = decodeFrameHead(record.subarray(RECORD_HEAD));
    assert.deepEqual([row, rows, at], [5, 1, 6]);
  });
});

function withoutTexts({ texts, ...row }: PlainRow): object {
  return texts === undefined ? { ...row, ...(row.bytes && { bytes: Uint8Array.from(row.bytes) }) } : row;
}

/** What FrameRows and SegmentDictionary made of a frame, in the form of the plain reader. */
function rowsOf(road: Road, ring: Ring): object[] {
  return Array.from({ length: ring.length }, (_, i) => {
    const at = ring.at(i);
    const kind = kindNames[ring.kind[at] as 0]!.replace(/s$/, '');
    if (kind === 'metadata') return { kind };
    const word = (column: Int32Array) => (BigInt(column[2 * at + 1]!) << 32n) | BigInt(column[2 * at]! >>> 0);
    return {
      kind,
      labels: seriesLabels(road, ring.series[at]!),
      time: word(ring.time),
      ...(kind !== 'histogram' && { value: BigInt.asUintN(64, word(ring.value)) }),
      ...(kind !== 'sample' && { bytes: ring.payload.of(at) }),
    };
  });
}

function seriesLabels(road: Road, series: number): unknown {
  const { seriesSlots, seriesAt, slotAt, labels: bytes } = road.reader.columns;
  const block = [...seriesSlots.subarray(seriesAt[series], seriesAt[series + 1])].map((slot) =>
    bytes.bytes.subarray(slotAt[slot], slotAt[slot + 1]),
  );
  const fields = Buffer.concat(block);
  const raw = Buffer.concat([
    Uint8Array.of(0x0a, (fields.length & 0x7f) | 0x80, fields.length >>> 7),
    fields,
  ]);
  return decodeWriteRequestV1(raw).timeseries[0]!.labels.map(({ name, value }) => [name, value]);
}
