import assert from 'node:assert/strict';
import { decodeWriteRequestV2, type WriteRequestV2 } from '../../src/protocol/schema.ts';
import { assertStored, RoadV2 } from './road-v2.ts';
import { type Oracle, takeVerdict } from './take-verdict.ts';
import { ReferenceV2 } from './verdicts-v2.ts';
import { writeRequestV2Spec } from './wire.ts';

const oracle: Oracle<WriteRequestV2> = {
  spec: writeRequestV2Spec,
  decode: decodeWriteRequestV2,
  // The first field that is not 2.0 says enough: what is behind it may be anything.
  assertEmpty: (message) => {
    if (typeof message === 'object') assert.deepEqual(message.timeseries, []);
  },
};

/**
 * Asserts that `ingestV2` says of these bytes what it must (`takeVerdict`), and else, when protobufjs can read them, that
 * the rows are those of the reference. `before` is a request that comes first, so that there are series that are known;
 * it may be a broken one as well.
 */
export function assertSameVerdictV2(raw: Uint8Array, before?: Uint8Array): void {
  const road = new RoadV2();
  const reference = new ReferenceV2();
  if (before !== undefined) takeFirst(before, road, reference);
  const taken = takeVerdict(raw, road, oracle);
  if (taken === undefined) return;
  const rows = road.rows();
  if (taken !== 'not UTF-8') assertStored(rows, reference.take(taken).kept);
}

/** By both; a request that the reference cannot read starts a segment of its own. */
function takeFirst(raw: Uint8Array, road: RoadV2, reference: ReferenceV2): void {
  const taken = takeVerdict(raw, road, oracle);
  if (taken === undefined) return;
  if (taken === 'not UTF-8') road.reset();
  else reference.take(taken);
  road.rows();
}
