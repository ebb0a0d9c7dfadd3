import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  decodeWriteRequestV1,
  decodeWriteRequestV2,
  encodeWriteRequestV1,
  encodeWriteRequestV2,
  MalformedMessageError,
  type Sparse,
  staleMarkerBits,
  type TimeSeriesV1,
  type WriteRequestV1,
} from '../../src/protocol/schema.ts';
import { loadCaptures, v1Captures, v2Captures } from '../support/captures.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** A 1.0 request of one histogram, given as the bytes of that histogram. */
function histogramIn(bytes: string) {
  const histogram = hex(bytes);
  const series = Buffer.concat([Buffer.from([0x22, histogram.length]), histogram]);
  const request = decodeWriteRequestV1(Buffer.concat([Buffer.from([0x0a, series.length]), series]));
  return request.timeseries[0]?.histograms[0];
}

describe('vectors of remote-write.md 1.4', () => {
  const v1 = '0a2c0a0e0a085f5f6e616d655f5f120275700a080a036a6f62120161121009020000000000f07f1080d095ffbc31';
  const v2 =
    '220022085f5f6e616d655f5f2202757022036a6f622201612a230a0401020304121709020000000000f07f1080d095ffbc31' +
    '1898c895ffbc312a020802';

  it('1.0: a stale marker keeps its bits both ways (RW-STALE-01)', () => {
    const request = decodeWriteRequestV1(hex(v1));
    assert.deepEqual(request, {
      timeseries: [
        {
          labels: [
            { name: '__name__', value: 'up' },
            { name: 'job', value: 'a' },
          ],
          samples: [{ valueBits: 0x7ff0000000000002n, timestamp: 1700000000000n }],
          exemplars: [],
          histograms: [],
        },
      ],
      metadata: [],
    });
    assert.equal(staleMarkerBits, 0x7ff0000000000002n);
    assert.deepEqual(Buffer.from(encodeWriteRequestV1(request)), hex(v1));
  });

  it('2.0: symbols, start timestamp and metadata', () => {
    const request = decodeWriteRequestV2(hex(v2));
    assert.deepEqual(request, {
      symbols: ['', '__name__', 'up', 'job', 'a'],
      timeseries: [
        {
          labelsRefs: [1, 2, 3, 4],
          samples: [
            { valueBits: 0x7ff0000000000002n, timestamp: 1700000000000n, startTimestamp: 1699999999000n },
          ],
          histograms: [],
          exemplars: [],
          metadata: { type: 2, helpRef: 0, unitRef: 0 },
          createdTimestamp: 0n,
        },
      ],
    });
    assert.deepEqual(Buffer.from(encodeWriteRequestV2(request)), hex(v2));
  });

  it('each version reads the other as an empty message', () => {
    assert.deepEqual(decodeWriteRequestV1(hex(v2)), { timeseries: [], metadata: [] });
    assert.deepEqual(decodeWriteRequestV2(hex(v1)), { symbols: [], timeseries: [] });
  });
});

describe('bits', () => {
  const patterns = [
    0x7ff0000000000002n, // stale marker, a signalling NaN
    0x7ff8000000000001n, // Prometheus' ordinary NaN
    0xfff8000000000000n, // NaN with its sign set
    0x8000000000000000n, // -0
    0x0000000000000001n, // the smallest denormal
    0x7ff0000000000000n, // +Inf
    0x0000000000000000n,
  ];
  const integers = [-(2n ** 63n), 2n ** 63n - 1n, -1n, 0n, 2n ** 53n + 1n];

  it('doubles come back as they went, in fields and in repeated fields (WIRE-09)', () => {
    for (const valueBits of patterns) {
      const sent: Sparse<WriteRequestV1> = {
        timeseries: [
          {
            samples: [{ valueBits }],
            exemplars: [{ valueBits }],
            histograms: [{ sumBits: valueBits, zeroThresholdBits: valueBits, countFloatBits: valueBits }],
          },
          { histograms: [{ positiveCountsBits: patterns, customValuesBits: patterns }] },
        ],
      };
      const [first, second] = decodeWriteRequestV1(encodeWriteRequestV1(sent)).timeseries;
      assert.equal(first?.samples[0]?.valueBits, valueBits);
      assert.equal(first?.exemplars[0]?.valueBits, valueBits);
      assert.equal(first?.histograms[0]?.sumBits, valueBits);
      assert.equal(first?.histograms[0]?.zeroThresholdBits, valueBits);
      assert.equal(first?.histograms[0]?.countFloatBits, valueBits);
      assert.deepEqual(second?.histograms[0]?.positiveCountsBits, patterns);
      assert.deepEqual(second?.histograms[0]?.customValuesBits, patterns);
    }
  });

  it('repeated doubles: packed, unpacked, and in several runs (WIRE-05)', () => {
    const stale = '020000000000f07f';
    const one = '000000000000f03f';
    const expected = [0x7ff0000000000002n, 0x3ff0000000000000n];
    assert.deepEqual(histogramIn(`820110${stale}${one}`)?.customValuesBits, expected);
    assert.deepEqual(histogramIn(`8101${stale} 8101${one}`)?.customValuesBits, expected);
    assert.deepEqual(histogramIn(`820108${stale} 8101${one}`)?.customValuesBits, expected);
  });

  it('64-bit integers are not rounded (WIRE-10)', () => {
    const sent = {
      timeseries: [
        { samples: integers.map((timestamp) => ({ timestamp })) },
        { histograms: [{ countInt: 2n ** 64n - 1n, negativeDeltas: integers }] },
      ],
    };
    const [first, second] = decodeWriteRequestV1(encodeWriteRequestV1(sent)).timeseries;
    assert.deepEqual(
      first?.samples.map((sample) => sample.timestamp),
      integers,
    );
    assert.equal(second?.histograms[0]?.countInt, 2n ** 64n - 1n);
    assert.deepEqual(second?.histograms[0]?.negativeDeltas, integers);
  });

  it('a member of a oneof with the value 0 is there, and the last one wins (WIRE-06)', () => {
    const zero = '0000000000000000';
    const none = histogramIn('2006');
    assert.equal(none?.schema, 3);
    assert.deepEqual([none?.countInt, none?.countFloatBits], [undefined, undefined]);
    const float = histogramIn(`0805 11${zero}`);
    assert.deepEqual([float?.countInt, float?.countFloatBits], [undefined, 0n]);
    const integer = histogramIn(`11${zero} 0800`);
    assert.deepEqual([integer?.countInt, integer?.countFloatBits], [0n, undefined]);

    const again = encodeWriteRequestV1({ timeseries: [{ histograms: [{ countFloatBits: 0n }] }] });
    assert.deepEqual(Buffer.from(again), hex(`0a0b 2209 11${zero}`));
  });

  it('reads each field of a histogram as its table says (remote-write.md 1.3)', () => {
    const half = '000000000000e03f';
    const integer = histogramIn(
      `0806 19${half} 20 69 29${half} 3002 4204 0801 1002 4a04 01 02 ac02 5a02 0805 6202 00 03 7002 7807`,
    );
    assert.deepEqual(integer, {
      countInt: 6n,
      sumBits: 0x3fe0000000000000n,
      schema: -53,
      zeroThresholdBits: 0x3fe0000000000000n,
      zeroCountInt: 2n,
      negativeSpans: [{ offset: -1, length: 2 }],
      negativeDeltas: [-1n, 1n, 150n],
      negativeCountsBits: [],
      positiveSpans: [{ offset: -3, length: 0 }],
      positiveDeltas: [0n, -2n],
      positiveCountsBits: [],
      resetHint: 2,
      timestamp: 7n,
      customValuesBits: [],
    });
    const float = histogramIn(
      `11${half} 39${half} 5208${half} 6a08${half} 820108${half} 78ffffffffffffffffff01 880105`,
    );
    assert.deepEqual(float, {
      countFloatBits: 0x3fe0000000000000n,
      sumBits: 0n,
      schema: 0,
      zeroThresholdBits: 0n,
      zeroCountFloatBits: 0x3fe0000000000000n,
      negativeSpans: [],
      negativeDeltas: [],
      negativeCountsBits: [0x3fe0000000000000n],
      positiveSpans: [],
      positiveDeltas: [],
      positiveCountsBits: [0x3fe0000000000000n],
      resetHint: 0,
      timestamp: -1n,
      customValuesBits: [0x3fe0000000000000n],
    });
    // 2.0 has field 17, the start timestamp, which 1.0 skips
    const [series] = decodeWriteRequestV2(hex('2a07 1a05 7807 880105')).timeseries;
    assert.equal(series?.histograms[0]?.timestamp, 7n);
    assert.equal(series?.histograms[0]?.startTimestamp, 5n);
  });

  it('reads created_timestamp of rc.3 senders (INT-16)', () => {
    assert.equal(decodeWriteRequestV2(hex('2a02 3007')).timeseries[0]?.createdTimestamp, 7n);
  });
});

describe('malformed messages (WIRE-07, WIRE-08)', () => {
  const bad = {
    'truncated varint': '0a06 1204 1080d095',
    'length past the end': '0a05',
    'length past the enclosing message': '0a04 1204 0903',
    'wire type 7': '0f',
    'field number 0': '00',
    'varint of 11 bytes': '0a0e 120c 10ffffffffffffffffffff01',
    'a string that is not UTF-8': '0a05 0a03 0a01ff',
    'a surrogate': '0a07 0a05 0a03eda080',
    'an overlong form': '0a06 0a04 0a02c080',
  };
  for (const [what, bytes] of Object.entries(bad)) {
    it(what, () => {
      assert.throws(
        () => decodeWriteRequestV1(hex(bytes)),
        (error) => {
          assert.ok(error instanceof MalformedMessageError);
          assert.equal(error.code, 'MALFORMED_MESSAGE');
          assert.equal(error.facts.bytes, hex(bytes).length);
          return true;
        },
      );
    });
  }

  it('unknown fields of every wire type are skipped (WIRE-03)', () => {
    const unknown = '7805 79 0102030405060708 7a02abcd 7d 01020304';
    const request = decodeWriteRequestV1(hex(`${unknown} 0a00 ${unknown}`));
    assert.deepEqual(request, {
      timeseries: [{ labels: [], samples: [], exemplars: [], histograms: [] }],
      metadata: [],
    });
  });
});

// That snappyjs gives the recorded bytes (`rawSha256`) is checked by loadCaptures.
describe('captures', () => {
  for (const folder of v1Captures) {
    it(`${folder}: holds what is recorded, and encodes to the same bytes`, async () => {
      for (const { name, raw, holds } of await loadCaptures(folder)) {
        const request = decodeWriteRequestV1(raw);
        const series = request.timeseries;
        assert.deepEqual(
          {
            series: series.length,
            samples: series.flatMap((each) => each.samples).length,
            exemplars: series.flatMap((each) => each.exemplars).length,
            histograms: series.flatMap((each) => each.histograms).length,
            metadata: request.metadata.length,
            stale: countStale(series),
            labels: series.flatMap((each) => each.labels).length,
          },
          holds,
          name,
        );
        assert.ok(Buffer.from(encodeWriteRequestV1(request)).equals(raw), name);
      }
    });
  }

  for (const folder of v2Captures) {
    it(`${folder}: holds what is recorded, and encodes to the same bytes`, async () => {
      for (const { name, raw, holds } of await loadCaptures(folder)) {
        const request = decodeWriteRequestV2(raw);
        const series = request.timeseries;
        const histograms = series.flatMap((each) => each.histograms);
        assert.deepEqual(
          {
            series: series.length,
            samples: series.flatMap((each) => each.samples).length,
            exemplars: series.flatMap((each) => each.exemplars).length,
            histograms: histograms.length,
            customBucketHistograms: histograms.filter((each) => each.schema === -53).length,
            metadata: series.filter((each) => (each.metadata?.type ?? 0) !== 0).length,
            symbols: request.symbols.length,
            labels: series.flatMap((each) => each.labelsRefs).length / 2,
            stale: countStale(series),
          },
          holds,
          name,
        );
        assert.ok(Buffer.from(encodeWriteRequestV2(request)).equals(raw), name);
      }
    });
  }

  function countStale(series: readonly Pick<TimeSeriesV1, 'samples' | 'histograms'>[]): number {
    const bits = series.flatMap(({ samples, histograms }) => [
      ...samples.map((sample) => sample.valueBits),
      ...histograms.map((histogram) => histogram.sumBits),
    ]);
    return bits.filter((each) => each === staleMarkerBits).length;
  }
});
