import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  decodeWriteRequestV1,
  encodeWriteRequestV1,
  type WriteRequestV1,
} from '../../src/protocol/schema.ts';
import { assertDelivered } from '../reference/flat-rows.ts';
import { OddWriter } from '../reference/odd-writer.ts';
import { anyRequest, validRequest } from '../reference/requests.ts';
import { Road } from '../reference/road.ts';
import { verdictsOn } from '../reference/verdicts.ts';
import { loadCaptures, v1Captures } from '../support/captures.ts';
import { Random } from '../support/random.ts';

/*
 * What goes in comes out: for each request the rows that are delivered at the end of the road equal those that
 * protobufjs finds in it, labels sorted and empty ones left out, however the request was encoded.
 */

/** Takes `raw` in, delivers it, and holds report and rows against what protobufjs decodes of `raw`. */
function holds(road: Road, raw: Uint8Array): void {
  const request = decodeWriteRequestV1(raw);
  const { kept, metadata, refused, firstReason } = verdictsOn(request);
  const report = road.take(raw);
  assert.equal(
    road.batch.rows,
    report.samples + report.histograms + report.exemplars + report.metadata,
    'the batch has the rows that the report says, and no others',
  );
  const delivered = road.deliver();
  assertDelivered(delivered.timeseries, kept);
  assert.deepEqual(delivered.metadata, metadata);
  assert.deepEqual(Object.fromEntries(report.refused), refused);
  assert.equal(report.firstRefused === undefined, firstReason === undefined);
  assert.deepEqual(
    {
      samples: report.samples,
      histograms: report.histograms,
      exemplars: report.exemplars,
      metadata: report.metadata,
      newestMs: report.newestMs,
    },
    {
      samples: kept.flatMap(({ samples }) => samples).length,
      histograms: kept.flatMap(({ histograms }) => histograms).length,
      exemplars: kept.flatMap(({ exemplars }) => exemplars).length,
      metadata: metadata.length,
      newestMs: Math.max(
        ...kept.flatMap(({ samples, histograms }) => {
          return [...samples, ...histograms].map(({ timestamp }) => Number(timestamp));
        }),
      ),
    },
  );
}

/** Several requests through one road, so that the dictionary and its predictions are in use. */
const requests = fc.array(anyRequest, { minLength: 1, maxLength: 3 });
const codec = fc.constantFrom('none', 'snappy');

describe('what goes in comes out', () => {
  it('as protobufjs encodes it', () => {
    fc.assert(
      fc.property(requests, codec, (messages, chosen) => {
        const road = new Road(chosen);
        for (const message of messages) holds(road, encodeWriteRequestV1(message));
      }),
      { numRuns: 200 },
    );
  });

  it('in any encoding that protobuf allows (RW1-R-02, WIRE-03 to -05)', () => {
    fc.assert(
      fc.property(requests, codec, fc.nat(), (messages, chosen, seed) => {
        const road = new Road(chosen);
        const writer = new OddWriter(new Random(seed));
        for (const message of messages) {
          const raw = writer.request(message);
          assert.deepEqual(decodeWriteRequestV1(raw), decodeWriteRequestV1(encodeWriteRequestV1(message)));
          holds(road, raw);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('several requests in one frame', () => {
    fc.assert(
      fc.property(fc.array(validRequest, { maxLength: 4 }), fc.nat(), (messages, seed) => {
        const road = new Road();
        const writer = new OddWriter(new Random(seed));
        for (const message of messages) road.take(writer.request(message));
        const { timeseries, metadata } = road.deliver();
        const all = messages.map((message) => verdictsOn(message));
        assertDelivered(
          timeseries,
          all.flatMap(({ kept }) => kept),
        );
        assert.deepEqual(
          metadata,
          all.flatMap((verdicts) => verdicts.metadata),
        );
      }),
      { numRuns: 100 },
    );
  });

  it('the same request again and again, each time in another encoding, brings no new series', () => {
    fc.assert(
      fc.property(validRequest, fc.nat(), (message, seed) => {
        const road = new Road();
        const writer = new OddWriter(new Random(seed));
        road.take(encodeWriteRequestV1(message));
        const { stringCount, pairCount, seriesCount } = road.dictionary;
        for (let i = 0; i < 3; i++) road.take(writer.request(message));
        assert.deepEqual(
          [road.dictionary.stringCount, road.dictionary.pairCount, road.dictionary.seriesCount],
          [stringCount, pairCount, seriesCount],
        );
        assertDelivered(road.deliver().timeseries, repeat(4, verdictsOn(message).kept));
      }),
      { numRuns: 100 },
    );
  });
});

describe('captures', () => {
  for (const folder of v1Captures) {
    it(`${folder}: as it came, and written oddly`, async () => {
      const road = new Road();
      const writer = new OddWriter(new Random(1));
      for (const { raw } of await loadCaptures(folder)) {
        holds(road, raw);
        const { timeseries, metadata }: WriteRequestV1 = decodeWriteRequestV1(raw);
        const some = { timeseries: timeseries.slice(0, 100), metadata };
        holds(road, writer.request(some));
      }
    });
  }
});

function repeat<T>(times: number, list: readonly T[]): T[] {
  return Array.from({ length: times }, () => list).flat();
}
