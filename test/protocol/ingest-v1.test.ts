import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { noLimits } from '../../src/protocol/limits.ts';
import { MalformedError } from '../../src/protocol/proto-reader.ts';
import {
  encodeWriteRequestV1,
  type HistogramV1,
  type Label,
  type Sparse,
  type WriteRequestV1,
} from '../../src/protocol/schema.ts';
import type { DoorReason } from '../../src/telemetry/reasons.ts';
import { flatRows } from '../reference/flat-rows.ts';
import { int64Edges, oddBits } from '../reference/requests.ts';
import { Road } from '../reference/road.ts';
import { bitsOf, labels, request, series } from '../support/messages.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** The bytes of a request with one `TimeSeries` of these fields. */
const seriesOf = (fields: string): Buffer =>
  Buffer.concat([hex('0a'), varint(hex(fields).length), hex(fields)]);
const varint = (n: number): Buffer =>
  n < 0x80 ? Buffer.from([n]) : Buffer.from([(n & 0x7f) | 0x80, n >>> 7]);

const up = '0a0e 0a08 5f5f6e616d655f5f 1202 7570';
const sampleAt1 = '120b 09 000000000000f03f 1001';

/** What is delivered of a request, as `<labels> <row>`. */
function delivered(message: Sparse<WriteRequestV1> | Buffer): string[] {
  const road = new Road();
  road.take(Buffer.isBuffer(message) ? message : encodeWriteRequestV1(message));
  return flatRows(road.deliver().timeseries).map(({ labels: of, kind, row }) => {
    const pairs = of.map(({ name, value }) => `${name}=${value}`).join(',');
    return `${pairs} ${kind} ${'timestamp' in row ? row.timestamp : ''}`;
  });
}

function reportOn(message: Sparse<WriteRequestV1> | Buffer) {
  return new Road().take(Buffer.isBuffer(message) ? message : encodeWriteRequestV1(message));
}

describe('vectors of remote-write.md 1.4', () => {
  const v1 = '0a2c0a0e0a085f5f6e616d655f5f120275700a080a036a6f62120161121009020000000000f07f1080d095ffbc31';
  const v2 =
    '220022085f5f6e616d655f5f2202757022036a6f622201612a230a0401020304121709020000000000f07f1080d095ffbc31' +
    '1898c895ffbc312a020802';

  it('1.0: a stale marker, delivered as the same bytes (RW1-S-20, -21, RW-STALE-01)', () => {
    const road = new Road('none');
    assert.equal(road.take(hex(v1)).samples, 1);
    const { timeseries } = road.deliver();
    assert.deepEqual(Buffer.from(encodeWriteRequestV1({ timeseries })), hex(v1));
  });

  it('2.0 that says to be 1.0 is refused, and nothing of it is kept (INT-04)', () => {
    const road = new Road();
    assert.throws(
      () => road.take(hex(v2)),
      (error) => {
        assert.ok(error instanceof MalformedError);
        assert.match(error.message, /2\.0 message.*INT-04/);
        return true;
      },
    );
    assert.equal(road.batch.rows, 0);
  });

  it('fields 4 and 5 beside series or metadata are unknown fields', () => {
    assert.equal(reportOn(Buffer.concat([hex('2200'), seriesOf(up + sampleAt1)])).samples, 1);
    assert.equal(reportOn(hex('2a00 1a03 1201 78')).metadata, 1);
  });

  it('an empty request, and one with nothing but unknown fields, hold nothing', () => {
    for (const raw of ['', '1200', '7801 7d00000000']) {
      const report = reportOn(hex(raw));
      assert.deepEqual([report.samples, report.metadata, report.refused.size], [0, 0, 0]);
      assert.equal(report.newestMs, Number.NEGATIVE_INFINITY);
    }
  });
});

describe('values and times', () => {
  it('every bit of a value survives, as sample, exemplar and in histograms (WIRE-09, RW-STALE-01 to -03)', () => {
    for (const valueBits of oddBits) {
      const timeseries = [
        {
          labels: labels({ __name__: 'x' }),
          samples: [
            { valueBits, timestamp: 1n },
            { valueBits, timestamp: 2n },
          ],
          exemplars: [{ labels: [], valueBits, timestamp: 1n }],
          histograms: [
            {
              sumBits: valueBits,
              countFloatBits: valueBits,
              positiveSpans: [{ offset: 0, length: oddBits.length }],
              positiveCountsBits: oddBits,
              timestamp: 3n,
            },
          ],
        },
      ];
      const road = new Road();
      road.take(encodeWriteRequestV1({ timeseries }));
      const [samples, exemplars, histograms] = road.deliver().timeseries;
      assert.deepEqual(
        samples?.samples.map((sample) => sample.valueBits),
        [valueBits, valueBits],
      );
      assert.equal(exemplars?.exemplars[0]?.valueBits, valueBits);
      assert.equal(histograms?.histograms[0]?.sumBits, valueBits);
      assert.equal(histograms?.histograms[0]?.countFloatBits, valueBits);
      assert.deepEqual(histograms?.histograms[0]?.positiveCountsBits, oddBits);
    }
  });

  it('every int64 survives, in the usual layout and in any other (WIRE-10)', () => {
    const times = int64Edges.filter((time) => time !== 0n);
    const one = times.map((timestamp) => ({
      labels: labels({ __name__: 'x' }),
      samples: [{ timestamp, valueBits: 1n }],
    }));
    const many = [
      {
        labels: labels({ __name__: 'y' }),
        samples: times.map((timestamp) => ({ timestamp })),
        exemplars: times.map((timestamp) => ({ timestamp })),
        histograms: times.map((timestamp) => ({ timestamp })),
      },
    ];
    for (const timeseries of [one, many]) {
      const got = delivered({ timeseries }).map((row) => row.split(' ')[2]);
      const wanted = times.map(String);
      assert.deepEqual(got, timeseries === one ? wanted : [...wanted, ...wanted, ...wanted]);
    }
  });

  it('reports the newest sample or histogram, of whichever layout', () => {
    const at = (timestamp: bigint) => ({
      labels: labels({ __name__: 'x' }),
      samples: [{ timestamp, valueBits: 1n }],
    });
    const histogram = { labels: labels({ __name__: 'x' }), histograms: [{ timestamp: 9n }] };
    const exemplar = { labels: labels({ __name__: 'x' }), exemplars: [{ timestamp: 99n }] };
    const newest = (...timeseries: Sparse<WriteRequestV1['timeseries']>) => reportOn({ timeseries }).newestMs;
    assert.equal(newest(at(-5n), at(-7n)), -5);
    assert.equal(newest(at(2n ** 32n), at(2n ** 32n - 1n)), 2 ** 32);
    assert.equal(newest(at(-(2n ** 63n))), -(2 ** 63));
    assert.equal(newest(at(8n), histogram, exemplar, at(7n)), 9);
  });
});

describe('labels', () => {
  it('are sorted by the bytes of their names, not by UTF-16 (RW1-S-10)', () => {
    const names = ['\u{10000}', 'b', '\uE000', '__name__', 'é', 'a', 'ab'];
    const [row] = delivered(request(series(Object.fromEntries(names.map((name) => [name, 'v'])), [1, 1])));
    assert.equal(row, '__name__=v,a=v,ab=v,b=v,é=v,\uE000=v,\u{10000}=v sample 1');
  });

  it('of empty value are left out', () => {
    assert.deepEqual(delivered(request(series({ __name__: 'x', a: '', b: 'v' }, [1, 1]))), [
      '__name__=x,b=v sample 1',
    ]);
    const twice = [
      {
        labels: [...labels({ __name__: 'x', a: '' }), { name: 'a', value: 'v' }],
        samples: [{ timestamp: 1n }],
      },
    ];
    assert.deepEqual(delivered({ timeseries: twice }), ['__name__=x,a=v sample 1']);
  });

  it('behind the rows count as much as before them', () => {
    const late = '0a06 0a01 61 1201 62';
    for (const layout of [up + sampleAt1 + late, sampleAt1 + up + late, late + sampleAt1 + up]) {
      assert.deepEqual(delivered(seriesOf(layout)), ['__name__=up,a=b sample 1']);
    }
    // Also when the labels in front are those that are expected next.
    const both = Buffer.concat([seriesOf(up + sampleAt1), seriesOf(up + sampleAt1 + late)]);
    assert.deepEqual(delivered(Buffer.concat([both, both])), [
      '__name__=up sample 1',
      '__name__=up,a=b sample 1',
      '__name__=up sample 1',
      '__name__=up,a=b sample 1',
    ]);
  });

  it('a hundred thousand of them in the worst order are no more than a long series', () => {
    const many = Array.from({ length: 100_000 }, (_, i) => ({ name: `l${1e6 - i}`, value: 'v' }));
    const raw = encodeWriteRequestV1({
      timeseries: [{ labels: [...many, { name: '__name__', value: 'x' }], samples: [{ timestamp: 1n }] }],
    });
    const started = performance.now();
    assert.equal(reportOn(Buffer.from(raw)).samples, 1);
    assert.ok(performance.now() - started < 10_000, 'sorting takes quadratic time');
  });
});

describe('order', () => {
  const x = labels({ __name__: 'x' });

  it('rows of one series keep theirs over several TimeSeries, whatever their kind (RW2-R-15, RW2-R-29)', () => {
    const rows = delivered({
      timeseries: [
        { labels: x, samples: [{ timestamp: 5n }, { timestamp: 3n }] },
        { labels: x, histograms: [{ timestamp: 4n }] },
        { labels: labels({ __name__: 'y' }), samples: [{ timestamp: 1n }] },
        { labels: x, exemplars: [{ timestamp: 2n }] },
        { labels: x, samples: [{ timestamp: 3n }, { timestamp: 3n }] },
      ],
    });
    assert.deepEqual(rows, [
      '__name__=x sample 5',
      '__name__=x sample 3',
      '__name__=x histogram 4',
      '__name__=y sample 1',
      '__name__=x exemplar 2',
      '__name__=x sample 3',
      '__name__=x sample 3',
    ]);
  });

  it('within a TimeSeries it is that of the wire', () => {
    const [sample, histogram, exemplar] = ['1202 1001', '2202 7802', '1a02 1803'];
    assert.deepEqual(delivered(seriesOf([up, histogram, sample, exemplar, histogram].join(''))), [
      '__name__=up histogram 2',
      '__name__=up sample 1',
      '__name__=up exemplar 3',
      '__name__=up histogram 2',
    ]);
  });
});

describe('series that are refused (RW2-R-19 to -21, -26)', () => {
  const row = [{ timestamp: 1n }];
  const pair = (name: string, value: string): Label => ({ name, value });
  const cases: [what: string, of: Label[], reason: DoorReason, named: string][] = [
    ['no labels', [], 'no_metric_name', '{}'],
    ['no metric name', [pair('job', 'a')], 'no_metric_name', '{job="a"}'],
    [
      'an empty metric name',
      [pair('__name__', ''), pair('job', 'a')],
      'no_metric_name',
      '{__name__="", job="a"}',
    ],
    [
      'a label twice',
      [pair('__name__', 'x'), pair('a', 'b'), pair('a', 'b')],
      'duplicate_label',
      '{__name__="x", a="b", a="b"}',
    ],
    [
      'a label with two values',
      [pair('a', 'c'), pair('__name__', 'x'), pair('a', 'b')],
      'duplicate_label',
      '{a="c", __name__="x", a="b"}',
    ],
    [
      'a metric name twice',
      [pair('__name__', 'x'), pair('__name__', 'y')],
      'duplicate_label',
      '{__name__="x", __name__="y"}',
    ],
    [
      'a label without a name',
      [pair('', 'v'), pair('__name__', 'x')],
      'empty_label_name',
      '{""="v", __name__="x"}',
    ],
    ['an empty label', [pair('__name__', 'x'), pair('', '')], 'empty_label_name', '{__name__="x", ""=""}'],
  ];
  for (const [what, of, reason, named] of cases) {
    it(`${what}: ${reason}`, () => {
      for (const samples of [row, [...row, ...row, ...row]]) {
        const message = {
          timeseries: [
            { labels: labels({ __name__: 'before' }), samples: row },
            { labels: of, samples },
            { labels: labels({ __name__: 'behind' }), samples: row },
          ],
        };
        const report = reportOn(message);
        assert.deepEqual([...report.refused], [[reason, samples.length]]);
        assert.deepEqual(report.firstRefused, { reason, what: named });
        assert.equal(report.samples, 2);
        assert.deepEqual(delivered(message), ['__name__=before sample 1', '__name__=behind sample 1']);
      }
    });
  }

  it('a name or a value that is not UTF-8 (WIRE-08)', () => {
    for (const bad of ['ff', 'c080', 'eda080', 'f4908080', 'c3']) {
      for (const label of [`0a${len(bad)}${bad}1201 61`, `0a0161 12${len(bad)}${bad}`]) {
        const raw = Buffer.concat([
          seriesOf(`${up} 0a${len(label)}${label} ${sampleAt1}`),
          seriesOf(up + sampleAt1),
        ]);
        const report = reportOn(raw);
        assert.deepEqual([...report.refused], [['invalid_utf8', 1]], bad);
        assert.match(report.firstRefused!.what, /^\{__name__="up", .*\uFFFD/);
        assert.deepEqual(delivered(raw), ['__name__=up sample 1']);
      }
    }
  });

  it('for several reasons: the first one counts', () => {
    const nameless = '0a05 0a00 120178';
    const notUtf8 = '0a06 0a0161 1201ff';
    assert.deepEqual(
      [...reportOn(seriesOf(up + nameless + notUtf8 + up)).refused.keys()],
      ['empty_label_name'],
    );
    assert.deepEqual([...reportOn(seriesOf(up + notUtf8 + nameless + up)).refused.keys()], ['invalid_utf8']);
  });

  it('the first one is named, each is counted', () => {
    const report = reportOn({
      timeseries: [
        { labels: labels({ job: 'first' }), samples: [...row, ...row], histograms: row, exemplars: row },
        { labels: labels({ job: 'second' }), samples: row },
        { labels: labels({ '': 'third' }), samples: row },
        { labels: [] },
      ],
    });
    assert.deepEqual(
      [...report.refused],
      [
        ['no_metric_name', 6],
        ['empty_label_name', 1],
      ],
    );
    assert.deepEqual(report.firstRefused, { reason: 'no_metric_name', what: '{job="first"}' });
  });

  it('is named by 400 characters and a bit, however long its labels', () => {
    const long = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`label_${i}`, 'v'.repeat(2000)]));
    const { what } = reportOn({ timeseries: [{ labels: labels(long), samples: row }] }).firstRefused!;
    assert.ok(what.length < 600 && what.endsWith(', ...}'), what);
  });

  it('an exemplar without a time, with a nameless label or one that is not UTF-8; the rest of its series stays (RW2-R-26, INT-11)', () => {
    const good = { labels: labels({ trace_id: 'a', empty: '' }), timestamp: 2n };
    const timeseries = [
      {
        labels: labels({ __name__: 'x' }),
        samples: row,
        exemplars: [
          { labels: labels({ trace_id: 'b' }) },
          good,
          { labels: labels({ '': 'b' }), timestamp: 2n },
        ],
      },
    ];
    const report = reportOn({ timeseries });
    assert.deepEqual([...report.refused], [['invalid_exemplar', 2]]);
    assert.deepEqual(report.firstRefused, { reason: 'invalid_exemplar', what: '{__name__="x"}' });
    assert.deepEqual(delivered({ timeseries }), ['__name__=x sample 1', '__name__=x exemplar 2']);
    assert.deepEqual(
      [...reportOn(seriesOf(`${up} 1a0a 0a06 0a0174 1201ff 1801`)).refused],
      [['invalid_exemplar', 1]],
    );
  });

  it('metadata with a text that is longer than a label value may be', () => {
    const metadata = [
      { metricFamilyName: 'x', help: 'h'.repeat(9) },
      { metricFamilyName: 'x', unit: 'u'.repeat(9) },
      { metricFamilyName: 'n'.repeat(9) },
      { metricFamilyName: 'x'.repeat(8), help: 'h'.repeat(8), unit: 'u'.repeat(8) },
    ];
    const road = new Road();
    const report = road.take(encodeWriteRequestV1({ metadata }), { ...noLimits, valueBytes: 8 });
    assert.deepEqual([...report.refused], [['invalid_metadata', 3]]);
    assert.equal(report.metadata, 1);
  });

  it('metadata without a family, or with text that is not UTF-8', () => {
    const report = reportOn({ metadata: [{ type: 1, help: 'nameless' }, { metricFamilyName: 'x' }] });
    assert.deepEqual([...report.refused], [['invalid_metadata', 1]]);
    assert.equal(report.metadata, 1);
    assert.deepEqual([...reportOn(hex('1a06 120178 2201ff')).refused], [['invalid_metadata', 1]]);
  });
});

describe('histograms', () => {
  const zero = '0000000000000000';
  const one = '000000000000f03f';
  /** Stale markers, whose buckets need not make sense. */
  const histogramOf = (rest: string) => {
    const road = new Road();
    const fields = `${rest} 19020000000000f07f`;
    road.take(seriesOf(`${up} 22${len(fields)}${fields}`));
    return road.deliver().timeseries[0]!.histograms[0]!;
  };

  it('a member of a oneof that is 0 stays, and the last one counts (WIRE-06)', () => {
    assert.deepEqual(pick(histogramOf(`0805 11${zero} 39${zero}`)), {
      countFloatBits: 0n,
      zeroCountFloatBits: 0n,
    });
    assert.deepEqual(pick(histogramOf(`11${one} 0800 39${one} 3000`)), { countInt: 0n, zeroCountInt: 0n });
    assert.deepEqual(pick(histogramOf('2006')), {});
  });

  it('repeated numbers: packed, unpacked, in several runs, mixed (WIRE-05)', () => {
    for (const fields of [
      '4a03 020406',
      '4802 4804 4806',
      '4a01 02 4804 4a01 06',
      '4a00 4a03 020406',
      '4802 4a02 0406',
    ]) {
      assert.deepEqual(histogramOf(fields).negativeDeltas, [1n, 2n, 3n], fields);
    }
    const both = histogramOf(`6a08${one} 69${zero} 8101${one} 820108${zero} 6002 51${one} 0805`);
    assert.deepEqual(both.positiveCountsBits, [bitsOf(1), 0n]);
    assert.deepEqual(both.customValuesBits, [bitsOf(1), 0n]);
    assert.deepEqual(both.positiveDeltas, [1n]);
    assert.deepEqual(both.negativeCountsBits, [bitsOf(1)]);
    assert.equal(both.countInt, 5n);
  });

  it('a repeated number with a third wire type is an unknown field, also beside unpacked ones', () => {
    for (const wrong of [`49${one}`, '4d00000000', '5005', '5500000000', `61${one}`, '6805', '800105']) {
      const { negativeDeltas, negativeCountsBits, positiveDeltas, positiveCountsBits, customValuesBits } =
        histogramOf(`4802 ${wrong} 4804`);
      assert.deepEqual(negativeDeltas, [1n, 2n], wrong);
      assert.deepEqual(
        [negativeCountsBits, positiveDeltas, positiveCountsBits, customValuesBits],
        [[], [], [], []],
      );
    }
  });

  it('is passed on as it came, less its time and what is unknown (HIST-08, HIST-09)', () => {
    const road = new Road();
    const known = '0803 19000000000000f03f 2006 4204 0801 1002 4a02 0202 7003';
    const fields = `7d01020304 ${known} 7805 88010a`;
    road.take(seriesOf(`${up} 22${len(fields)}${fields}`));
    const ring = road.read(road.commit());
    assert.deepEqual(Buffer.from(ring.payload.of(ring.at(0))), hex(known));
  });

  function pick({ countInt, countFloatBits, zeroCountInt, zeroCountFloatBits }: HistogramV1) {
    const members = { countInt, countFloatBits, zeroCountInt, zeroCountFloatBits };
    return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
  }
});

/** The length of so many hex digits in bytes, as one hex byte. */
function len(digits: string): string {
  return hex(digits).length.toString(16).padStart(2, '0');
}
