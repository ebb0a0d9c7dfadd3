import assert from 'node:assert/strict';
import { MalformedError } from '../../src/protocol/proto-reader.ts';
import { MalformedMessageError } from '../../src/protocol/schema.ts';
import type { MessageSpec } from './wire.ts';
import { type Problem, problemIn } from './wire-check.ts';

/** What protobufjs 8 takes, and we do not: it skips unknown groups, and unknown varints of any length. */
const laxOracle: readonly (Problem | undefined)[] = ['group', 'number of more than ten bytes'];

/** What takes requests. */
export interface Taker {
  take(raw: Uint8Array): void;
  readonly batch: { mark(): object };
}

/** A version of remote write, as the plain check and protobufjs know it. */
export interface Oracle<M extends object> {
  readonly spec: MessageSpec;
  readonly decode: (raw: Uint8Array) => M;
  /** Asserts that a message has no rows, as protobufjs reads one of the other version (INT-04). */
  readonly assertEmpty: (message: M | 'not UTF-8' | 'malformed') => void;
}

/**
 * Has `taker` take these bytes, and asserts that it refuses them as malformed, with nothing kept, exactly when the plain
 * check finds a problem. There are three differences to protobufjs, all wanted:
 * - it takes what is in `laxOracle` (WIRE-07 does not);
 * - it refuses the whole request for a string that is not UTF-8, we only what the string belongs to (RW2-R-19);
 * - it reads a mislabelled request as an empty one (INT-04).
 *
 * What was taken is returned as protobufjs reads it; of what was refused it is undefined.
 */
export function takeVerdict<M extends object>(
  raw: Uint8Array,
  taker: Taker,
  { spec, decode, assertEmpty }: Oracle<M>,
): M | 'not UTF-8' | undefined {
  const problem = problemIn(raw, spec);
  const read = decoded(raw, decode);
  const mark = taker.batch.mark();
  try {
    taker.take(raw);
  } catch (error) {
    assert.ok(error instanceof MalformedError, `${(error as Error).stack}`);
    assert.deepEqual(taker.batch.mark(), mark, 'nothing is kept');
    if (/INT-04/.test(error.message)) assertEmpty(read);
    else assert.ok(problem !== undefined, `refused as malformed: ${error.message}`);
    if (typeof read === 'object')
      assert.ok(problem === undefined || laxOracle.includes(problem), `${problem}`);
    return undefined;
  }
  assert.equal(problem, undefined, 'taken');
  assert.notEqual(read, 'malformed', 'taken, but for protobufjs it is malformed');
  return read === 'malformed' ? undefined : read;
}

function decoded<M>(raw: Uint8Array, decode: (raw: Uint8Array) => M): M | 'not UTF-8' | 'malformed' {
  try {
    return decode(raw);
  } catch (error) {
    assert.ok(error instanceof MalformedMessageError);
    return /utf/i.test(String(error.cause)) ? 'not UTF-8' : 'malformed';
  }
}
