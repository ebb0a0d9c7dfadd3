import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { compress, uncompress } from 'snappyjs';
import { createEmitter } from '../../src/protocol/emit-wasm.ts';
import { encodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { Scratch } from '../../src/protocol/snappy.ts';
import { METADATA } from '../../src/serialization/rows.ts';
import { validRequest } from '../reference/requests.ts';
import { type Ring, Road } from '../reference/road.ts';
import { verdictsOn } from '../reference/verdicts.ts';
import { loadCaptures, v1Captures } from '../support/captures.ts';

const small = createEmitter('typescript', assert.ifError, 'small');
const out = new Scratch();

/** The body of these rows, by both. */
function bodies(road: Road, ring: Ring): { fast: Uint8Array; small: Uint8Array } {
  const fast = road.emit(ring);
  const { bytes, rawBytes } = small.emit(ring, ring.head, ring.length, road.reader, out);
  assert.equal(rawBytes, fast.rawBytes);
  return { fast: fast.body, small: bytes.slice() };
}

describe('small bodies', () => {
  it('are the same messages as fast ones', () => {
    const kept = validRequest.map((request) => verdictsOn(request).kept);
    fc.assert(
      fc.property(kept, (timeseries) => {
        const road = new Road('none');
        road.take(encodeWriteRequestV1({ timeseries }));
        const both = bodies(road, road.read(road.commit()));
        assert.equal(Buffer.compare(uncompress(both.small), uncompress(both.fast)), 0);
        assert.ok(both.small.length <= both.fast.length);
      }),
      { numRuns: 100 },
    );
  });

  it('of captures take at most the bytes of plain snappy', async (t: TestContext) => {
    for (const folder of v1Captures) {
      const road = new Road();
      let [own, direct, plain] = [0, 0, 0];
      for (const capture of await loadCaptures(folder)) {
        road.take(capture.raw);
        const ring = road.read(road.commit());
        for (let i = 0; i < ring.length; i++) {
          if (ring.kind[ring.at(i)] === METADATA) ring.skip[ring.at(i)] = 1;
        }
        const both = bodies(road, ring);
        const message = uncompress(both.fast);
        assert.equal(Buffer.compare(uncompress(both.small), message), 0, capture.name);
        own += both.small.length;
        direct += both.fast.length;
        plain += compress(message).length;
      }
      t.diagnostic(`${folder}: small ${own}, fast ${direct}, snappyjs ${plain}`);
      assert.ok(own <= plain);
    }
  });

  it('leave metadata as it is', () => {
    const metadata = [{ type: 1, metricFamilyName: 'm', help: 'h', unit: '' }];
    const road = new Road();
    road.take(encodeWriteRequestV1({ metadata, timeseries: [] }));
    const ring = road.read(road.commit());
    const { bytes } = small.emitMetadata(ring, ring.head, ring.length, out);
    assert.deepEqual(Buffer.from(bytes), Buffer.from(road.emitMetadata(ring)));
  });
});
