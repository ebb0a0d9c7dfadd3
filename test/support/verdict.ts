import assert from 'node:assert/strict';
import type { Arrivals } from './arrivals.ts';
import { describeRow, type Row } from './rows.ts';

/** What a sender knows of its rows; a `Load` is one. */
export interface Sent {
  readonly acknowledged: readonly Row[];
  readonly refused: readonly Row[];
  /** The rows of each request that was never answered. */
  readonly unknown: readonly (readonly Row[])[];
}

/**
 * What is promised of every load, whatever happened on its way: acknowledged rows arrived, in order; a request
 * without an answer arrived whole or not at all; what was refused, or never sent, did not arrive.
 */
export function assertNoLoss(sent: Sent, arrivals: Arrivals): void {
  const { acknowledged, refused, unknown } = sent;
  assertNone(
    acknowledged.filter((row) => !arrivals.has(row)),
    'acknowledged and lost',
  );
  assertNone(arrivals.inversions, 'arrived after a newer row of its series');
  assertNone(
    refused.filter((row) => arrivals.has(row)),
    'refused and delivered',
  );

  let taken = 0;
  for (const request of unknown) {
    const arrived = request.filter((row) => arrivals.has(row)).length;
    assert.ok(
      arrived === 0 || arrived === request.length,
      `${arrived} rows of a request of ${request.length} arrived`,
    );
    taken += arrived;
  }
  const distinct = arrivals.count - arrivals.duplicates;
  assert.equal(distinct, acknowledged.length + taken, 'rows arrived that were never sent');
}

function assertNone(rows: readonly Row[], what: string): void {
  assert.equal(
    rows.length,
    0,
    `${rows.length} rows ${what}, among them\n${rows.slice(0, 5).map(describeRow).join('\n')}`,
  );
}
