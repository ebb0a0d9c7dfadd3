import assert from 'node:assert/strict';
import { MalformedError } from '../../src/protocol/proto-reader.ts';
import {
  decodeWriteRequestV1,
  MalformedMessageError,
  type WriteRequestV1,
} from '../../src/protocol/schema.ts';
import { assertDelivered } from './flat-rows.ts';
import { Road } from './road.ts';
import { verdictsOn } from './verdicts.ts';
import { writeRequestSpec } from './wire.ts';
import { type Problem, problemIn } from './wire-check.ts';

/** What protobufjs 8 takes, and we do not: it skips unknown groups, and unknown varints of any length. */
const laxOracle: readonly (Problem | undefined)[] = ['group', 'number of more than ten bytes'];

/**
 * Asserts that `ingestV1` says of these bytes what it must: malformed exactly when the plain check finds a
 * problem, with nothing kept; and else, when protobufjs can read them, that the same rows come out. There are
 * three differences to protobufjs, all wanted:
 * - it takes what is in `laxOracle` (WIRE-07 does not);
 * - it refuses the whole request for a string that is not UTF-8, we only what the string belongs to (RW2-R-19);
 * - it reads a mislabelled 2.0 request as an empty one (INT-04).
 *
 * `road` may be one that saw requests before, all of them delivered.
 */
export function assertSameVerdict(raw: Uint8Array, road: Road = new Road()): void {
  const problem = problemIn(raw, writeRequestSpec);
  const oracle = decoded(raw);
  const mark = road.batch.mark();
  let error: unknown;
  try {
    road.take(raw);
  } catch (thrown) {
    error = thrown;
  }
  if (error !== undefined) {
    assert.ok(error instanceof MalformedError, `${(error as Error).stack}`);
    assert.deepEqual(road.batch.mark(), mark, 'nothing is kept');
    if (/INT-04/.test(error.message)) assert.deepEqual(oracle, { timeseries: [], metadata: [] });
    else assert.ok(problem !== undefined, `refused as malformed: ${error.message}`);
    if (typeof oracle === 'object')
      assert.ok(problem === undefined || laxOracle.includes(problem), `${problem}`);
    return;
  }
  assert.equal(problem, undefined, 'taken');
  if (oracle === 'not UTF-8') {
    road.deliver();
    return;
  }
  assert.ok(typeof oracle === 'object', `taken, but for protobufjs it is ${oracle}`);
  const { kept, metadata } = verdictsOn(oracle);
  const delivered = road.deliver();
  assertDelivered(delivered.timeseries, kept);
  assert.deepEqual(delivered.metadata, metadata);
}

function decoded(raw: Uint8Array): WriteRequestV1 | 'not UTF-8' | 'malformed' {
  try {
    return decodeWriteRequestV1(raw);
  } catch (error) {
    assert.ok(error instanceof MalformedMessageError);
    return /utf/i.test(String(error.cause)) ? 'not UTF-8' : 'malformed';
  }
}
