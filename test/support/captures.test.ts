import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeWriteRequestV1, staleMarkerBits } from '../../src/protocol/schema.ts';
import { loadCaptures, v1Captures, v2Captures } from './captures.ts';

for (const folder of v1Captures) {
  test(`${folder}: our decoder finds in every request what the official one found`, async () => {
    for (const { name, raw, holds } of await loadCaptures(folder)) {
      const { timeseries, metadata } = decodeWriteRequestV1(raw);
      const sum = (count: (series: (typeof timeseries)[number]) => number): number =>
        timeseries.reduce((total, series) => total + count(series), 0);
      const found = {
        series: timeseries.length,
        samples: sum(({ samples }) => samples.length),
        exemplars: sum(({ exemplars }) => exemplars.length),
        histograms: sum(({ histograms }) => histograms.length),
        metadata: metadata.length,
        stale: sum(
          ({ samples, histograms }) =>
            samples.filter(({ valueBits }) => valueBits === staleMarkerBits).length +
            histograms.filter(({ sumBits }) => sumBits === staleMarkerBits).length,
        ),
        labels: sum(({ labels }) => labels.length),
      };
      assert.deepEqual(found, holds, name);
    }
  });
}

test('the captures of remote write 2.0 load', async () => {
  for (const folder of v2Captures) {
    for (const { headers } of await loadCaptures(folder))
      assert.match(headers['content-type']!, /v2\.Request$/);
  }
});
