import assert from 'node:assert/strict';
import { FRESH, LIVE, type RowContext, type RowQueue, UNKNOWN } from '../../../src/network/row-queue.ts';
import { encodeWriteRequestV1 } from '../../../src/protocol/schema.ts';
import { METADATA, SAMPLE } from '../../../src/serialization/rows.ts';
import type { SegmentDictionary } from '../../../src/serialization/segment-dictionary.ts';
import { Road } from '../../reference/road.ts';
import { bitsOf, request, series } from '../../support/messages.ts';

/** A segment in memory whose series `i` is `{__name__="s<i>"}`; counts who holds it. */
export class TestSegment implements RowContext {
  readonly segment: number;
  readonly dictionary: SegmentDictionary;
  /** Rows that refer to it now. */
  held = 0;
  /** When every row of it was committed. */
  committedAtMs: number | undefined;

  /** Series `i` leaves under tenant `tenants[i % tenants.length]`. */
  constructor(segment: number, seriesCount = 4, tenants: readonly string[] = ['']) {
    this.segment = segment;
    const road = new Road('none');
    const all = Array.from({ length: seriesCount }, (_, i) => series({ __name__: `s${i}` }, [1, 1]));
    road.take(encodeWriteRequestV1(request(...all)));
    road.read(road.commit());
    this.dictionary = road.reader;
    for (let i = 0; i < seriesCount; i++) {
      this.dictionary.leavesUnder(i, this.dictionary.tenants.of(tenants[i % tenants.length]!));
    }
  }

  committedMs(): number | undefined {
    return this.committedAtMs;
  }

  hold(rows: number): void {
    this.held += rows;
  }

  letGo(rows: number): void {
    assert.ok(this.held >= rows, 'nothing is let go that was not held');
    this.held -= rows;
  }
}

/** The bytes of a row, and its note. */
export interface TestPayload {
  readonly bytes: Uint8Array;
  readonly note?: number;
}

/** A row to queue; what is left out is 0. */
export interface TestRow {
  readonly row: number;
  readonly series?: number;
  readonly shard?: number;
  readonly resent?: boolean;
  readonly kind?: number;
  /** Its time, ms since the epoch; by default its ordinal. */
  readonly at?: number;
  readonly payload?: TestPayload;
}

/** Queues a row; its value is its ordinal, so that each row is told from all others. */
export function push(queue: RowQueue, context: RowContext, row: TestRow): void {
  const { series = 0, shard = 0, resent = false, kind = SAMPLE, at = row.row, payload } = row;
  assert.ok(!queue.full, 'nothing is pushed into a full queue');
  const value = bitsOf(row.row);
  queue.push(
    context,
    row.row,
    shard,
    resent ? UNKNOWN : FRESH,
    LIVE,
    kind,
    series,
    kind === METADATA ? 0 : at | 0,
    kind === METADATA ? 0 : Math.floor(at / 2 ** 32),
    Number(value & 0xffff_ffffn) | 0,
    Number(value >> 32n) | 0,
  );
  if (payload !== undefined) queue.payloadLast(payload.bytes, 0, payload.bytes.length, payload.note ?? 0);
}

/** A 1.0 `MetricMetadata` of a family, without help and unit. */
export function metadataPayload(family: string): TestPayload {
  const bytes = new TextEncoder().encode(family);
  return { bytes: Uint8Array.of(0x08, 1, 0x12, bytes.length, ...bytes) };
}
