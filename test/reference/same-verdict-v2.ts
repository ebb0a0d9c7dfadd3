import assert from 'node:assert/strict';
import { MalformedError } from '../../src/protocol/proto-reader.ts';
import {
  decodeWriteRequestV2,
  MalformedMessageError,
  type WriteRequestV2,
} from '../../src/protocol/schema.ts';
import { assertStored, RoadV2 } from './road-v2.ts';
import { ReferenceV2 } from './verdicts-v2.ts';
import { writeRequestV2Spec } from './wire.ts';
import { type Problem, problemIn } from './wire-check.ts';

/** What protobufjs 8 takes, and we do not: it skips unknown groups, and unknown varints of any length. */
const laxOracle: readonly (Problem | undefined)[] = ['group', 'number of more than ten bytes'];

/**
 * Asserts that `ingestV2` says of these bytes what it must: malformed exactly when the plain check finds a problem,
 * with nothing kept; and else, when protobufjs can read them, that the rows are those of the reference. The
 * differences to protobufjs are those of `assertSameVerdict`.
 *
 * `before` is a request that comes first, so that there are series that are known; it may be a broken one as well.
 */
export function assertSameVerdictV2(raw: Uint8Array, before?: Uint8Array): void {
  const road = new RoadV2();
  const reference = new ReferenceV2();
  if (before !== undefined) takeFirst(before, road, reference);
  const problem = problemIn(raw, writeRequestV2Spec);
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
    if (/INT-04/.test(error.message)) assert.deepEqual((oracle as WriteRequestV2).timeseries ?? [], []);
    else assert.ok(problem !== undefined, `refused as malformed: ${error.message}`);
    if (typeof oracle === 'object')
      assert.ok(problem === undefined || laxOracle.includes(problem), `${problem}`);
    return;
  }
  assert.equal(problem, undefined, 'taken');
  const rows = road.rows();
  if (oracle === 'not UTF-8') return;
  assert.ok(typeof oracle === 'object', `taken, but for protobufjs it is ${oracle}`);
  assertStored(rows, reference.take(oracle).kept);
}

/** By both; a request that the reference cannot read starts a segment of its own. */
function takeFirst(raw: Uint8Array, road: RoadV2, reference: ReferenceV2): void {
  const oracle = decoded(raw);
  try {
    road.take(raw);
    if (typeof oracle === 'object') reference.take(oracle);
    else road.reset();
  } catch (error) {
    assert.ok(error instanceof MalformedError, `${(error as Error).stack}`);
  }
  road.rows();
}

function decoded(raw: Uint8Array): WriteRequestV2 | 'not UTF-8' | 'malformed' {
  try {
    return decodeWriteRequestV2(raw);
  } catch (error) {
    assert.ok(error instanceof MalformedMessageError);
    return /utf/i.test(String(error.cause)) ? 'not UTF-8' : 'malformed';
  }
}
