import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeriesSet } from '../../bench/series.ts';
import { SnappyDecompressor } from '../../bench/snappy-uncompress.ts';
import { checkVerifier } from '../../bench/verifier-check.ts';
import { Workload } from '../../bench/workload.ts';
import { decodeWriteRequestV1 } from '../../src/protocol/schema.ts';

const kinds = {
  floats: {},
  'native histograms': { rows: 'histograms' },
  'ten samples of a series in a request': { samplesPerSeries: 10 },
  'ten histograms of a series in a request': { rows: 'histograms', samplesPerSeries: 10 },
  'pods that live for one scrape': { lifetime: 1 },
  'pods that live for three': { lifetime: 3 },
  'pods that are followed by others within a request': { lifetime: 3, samplesPerSeries: 10 },
} as const;

describe('the verifier of the bench', () => {
  for (const [name, kind] of Object.entries(kinds)) {
    it(`knows ${name}, and what is wrong with them`, () => checkVerifier(kind));
  }
});

describe('the workload of the bench', () => {
  it('has native histograms that protobufjs reads, whose buckets add up to their count', () => {
    const workload = Workload.fresh({
      ...{ rows: 'histograms', series: new SeriesSet(200), rounds: 3, perRequest: 200 },
    });
    for (const body of workload.bodies()) {
      const { timeseries } = decodeWriteRequestV1(new SnappyDecompressor().uncompress(body));
      assert.equal(timeseries.length, 200);
      for (const { histograms, samples } of timeseries) {
        assert.equal(samples.length, 0);
        assert.equal(histograms.length, 1);
        const [histogram] = histograms as [(typeof histograms)[number]];
        const { positiveDeltas, positiveSpans, zeroCountInt, countInt } = histogram;
        let bucket = 0n;
        let total = zeroCountInt!;
        for (const delta of positiveDeltas) {
          bucket += delta;
          assert.ok(bucket >= 0n);
          total += bucket;
        }
        assert.equal(total, countInt);
        assert.equal(
          positiveSpans.reduce((sum, { length }) => sum + length, 0),
          positiveDeltas.length,
        );
      }
    }
  });
});
