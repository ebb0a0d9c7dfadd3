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
 * the rows are those of the reference.
 */
export function assertSameVerdictV2(raw: Uint8Array): void {
  const road = new RoadV2();
  const taken = takeVerdict(raw, road, oracle);
  if (taken === undefined) return;
  const rows = road.rows();
  if (taken !== 'not UTF-8') assertStored(rows, new ReferenceV2().take(taken).kept);
}
