import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeWriteRequestV2, encodeWriteRequestV2 } from '../../src/protocol/schema.ts';
import { OddWriter } from '../reference/odd-writer.ts';
import { anyRequestV2, validRequestV2 } from '../reference/requests-v2.ts';
import { assertStored, RoadV2 } from '../reference/road-v2.ts';
import { ReferenceV2, type StoredSeries } from '../reference/verdicts-v2.ts';
import { loadCaptures, v2Captures } from '../support/captures.ts';
import { Random } from '../support/random.ts';

/*
 * What goes in is what is stored: for each request the rows in the batch equal those that protobufjs and the plain
 * rules find in it, and so do the rows that are refused, however the request was encoded.
 */

/** Takes `raw` in and holds report and rows against what protobufjs decodes of it. */
function holds(road: RoadV2, reference: ReferenceV2, raw: Uint8Array): readonly StoredSeries[] {
  const { kept, refused, firstReasons } = reference.take(decodeWriteRequestV2(raw));
  const report = road.take(raw);
  assert.deepEqual(Object.fromEntries(report.refused), refused);
  const first = report.firstRefused?.reason;
  assert.ok(first === undefined ? firstReasons.length === 0 : firstReasons.includes(first), first);
  const samples = kept.flatMap((series) => series.samples);
  const histograms = kept.flatMap((series) => series.histograms);
  assert.deepEqual(
    [report.samples, report.histograms, report.exemplars, report.metadata],
    [
      samples.length,
      histograms.length,
      kept.flatMap((series) => series.exemplars).length,
      kept.flatMap((series) => series.metadata).length,
    ],
  );
  const times = [...samples, ...histograms].map(({ timestamp }) => Number(timestamp));
  assert.equal(report.newestMs, Math.max(...times));
  return kept;
}

describe('WIRE-03 to WIRE-10, RW2-R-19 to -30: what is stored is what came, and what is refused is what has to be', () => {
  const requests = fc.array(anyRequestV2, { minLength: 1, maxLength: 3 });

  it('as protobufjs encodes it', () => {
    fc.assert(
      fc.property(requests, (messages) => {
        const [road, reference] = [new RoadV2(), new ReferenceV2()];
        const kept = messages.flatMap((message) => holds(road, reference, encodeWriteRequestV2(message)));
        assertStored(road.rows(), kept);
      }),
      { numRuns: 200 },
    );
  });

  it('in any encoding that protobuf allows, symbols behind the series and unknown fields among them (WIRE-03 to WIRE-05, RW2-R-17)', () => {
    fc.assert(
      fc.property(requests, fc.nat(), (messages, seed) => {
        const [road, reference] = [new RoadV2(), new ReferenceV2()];
        const writer = new OddWriter(new Random(seed));
        const kept = messages.flatMap((message) => {
          const raw = writer.requestV2(message);
          assert.deepEqual(decodeWriteRequestV2(raw), decodeWriteRequestV2(encodeWriteRequestV2(message)));
          return holds(road, reference, raw);
        });
        assertStored(road.rows(), kept);
      }),
      { numRuns: 300 },
    );
  });

  it('RLY-05: the same request again, with its symbols elsewhere, brings no new series', () => {
    fc.assert(
      fc.property(validRequestV2, fc.nat(), (message, seed) => {
        const [road, reference] = [new RoadV2(), new ReferenceV2()];
        const writer = new OddWriter(new Random(seed));
        const kept = [...holds(road, reference, encodeWriteRequestV2(message))];
        const { stringCount, pairCount, seriesCount } = road.dictionary;
        const shifted = {
          symbols: ['', 'one more', ...message.symbols],
          timeseries: message.timeseries.map((series) => ({
            ...series,
            labelsRefs: series.labelsRefs.map((ref) => ref + 2),
            exemplars: series.exemplars.map((one) => ({
              ...one,
              labelsRefs: one.labelsRefs.map((ref) => ref + 2),
            })),
            metadata: series.metadata && {
              type: series.metadata.type,
              helpRef: series.metadata.helpRef && series.metadata.helpRef + 2,
              unitRef: series.metadata.unitRef && series.metadata.unitRef + 2,
            },
          })),
        };
        kept.push(...holds(road, reference, writer.requestV2(shifted)));
        const counts = [road.dictionary.stringCount, road.dictionary.pairCount, road.dictionary.seriesCount];
        assert.deepEqual(counts, [stringCount, pairCount, seriesCount]);
        assertStored(road.rows(), kept);
      }),
      { numRuns: 100 },
    );
  });
});

describe('captures', () => {
  for (const folder of v2Captures) {
    it(`${folder}: as it came, and written oddly`, async () => {
      const [road, reference] = [new RoadV2(), new ReferenceV2()];
      const writer = new OddWriter(new Random(1));
      for (const { raw, holds: holding } of await loadCaptures(folder)) {
        const kept = [...holds(road, reference, raw)];
        assert.equal(kept.flatMap(({ samples }) => samples).length, holding.samples);
        const { symbols, timeseries } = decodeWriteRequestV2(raw);
        kept.push(
          ...holds(road, reference, writer.requestV2({ symbols, timeseries: timeseries.slice(0, 100) })),
        );
        assertStored(road.rows(), kept);
      }
    });
  }
});
