import { HISTOGRAM, kindNames, SAMPLE } from '../serialization/rows.ts';
import { type DeadLetter, PARTIAL } from './dead-letter.ts';
import type { Decision } from './decisions.ts';
import type { RowQueue } from './row-queue.ts';
import type { RowTally } from './row-tally.ts';
import { tenantOfRow } from './tenant-turns.ts';

/** What a letter of the kind `PARTIAL` says: by kind of row, how many were sent, and how many of them were not written. */
export interface PartialWrite {
  readonly sent: Readonly<Record<string, number>>;
  readonly notWritten: Readonly<Record<string, number>>;
}

/** An answer by which some rows of a request were not written, without saying which. */
export type PartialAnswer = Extract<Decision, { action: 'settle'; missing: Uint32Array }>;

/** How many rows of a request were not written, by an answer that settles it. */
export function missingRows({ missing }: Extract<Decision, { action: 'settle' }>): number {
  return missing === undefined ? 0 : missing.reduce((sum, rows) => sum + rows, 0);
}

/**
 * The one letter for the rows that a receiver did not write of a request, without saying which: none of them can be
 * kept, since all that is known is how many they are. It stands at the first row of the request. Undefined when only
 * exemplars are missing, which a receiver keeps as far as it likes (INT-11).
 */
export function partialLetter(
  queue: RowQueue,
  missing: Uint32Array,
  tally: RowTally,
): DeadLetter | undefined {
  if (missing[SAMPLE] === 0 && missing[HISTOGRAM] === 0) return undefined;
  const first = queue.firstLive(queue.length);
  const at = (queue.head + first) & queue.mask;
  const said: PartialWrite = { sent: byName(tally.kinds), notWritten: byName(missing) };
  return {
    segment: queue.contextAt(first).segment,
    row: queue.row[at]!,
    kind: PARTIAL,
    timeMs: queue.timeMs(at),
    tenant: tenantOfRow(queue, first),
    labels: new Uint8Array(0),
    content: new TextEncoder().encode(JSON.stringify(said)),
  };
}

/** What such a letter says. */
export function partialWriteOf({ content }: Pick<DeadLetter, 'content'>): PartialWrite {
  return JSON.parse(new TextDecoder().decode(content)) as PartialWrite;
}

function byName(rows: Uint32Array): Record<string, number> {
  return Object.fromEntries(
    kindNames.map((name, kind) => [name, rows[kind]!]).filter(([, count]) => count !== 0),
  );
}
