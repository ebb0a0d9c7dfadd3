import assert from 'node:assert/strict';
import { decodeWriteRequestV1, type WriteRequestV1 } from '../../src/protocol/schema.ts';
import { assertDelivered } from './flat-rows.ts';
import { Road } from './road.ts';
import { type Oracle, takeVerdict } from './take-verdict.ts';
import { verdictsOn } from './verdicts.ts';
import { writeRequestSpec } from './wire.ts';

const oracle: Oracle<WriteRequestV1> = {
  spec: writeRequestSpec,
  decode: decodeWriteRequestV1,
  assertEmpty: (message) => assert.deepEqual(message, { timeseries: [], metadata: [] }),
};

/**
 * Asserts that `ingestV1` says of these bytes what it must (`takeVerdict`), and else, when protobufjs can read them, that
 * the same rows come out. `road` may be one that saw requests before, all of them delivered.
 */
export function assertSameVerdict(raw: Uint8Array, road: Road = new Road()): void {
  const taken = takeVerdict(raw, road, oracle);
  if (taken === undefined) return;
  if (taken === 'not UTF-8') {
    road.deliver();
    return;
  }
  const { kept, metadata } = verdictsOn(taken);
  const delivered = road.deliver();
  assertDelivered(delivered.timeseries, kept);
  assert.deepEqual(delivered.metadata, metadata);
}
