import { declaredLength, Scratch, uncompress } from '../protocol/snappy.ts';
import { METADATA } from '../serialization/rows.ts';
import type { DeadLetter } from './dead-letter.ts';
import { LIVE, type RowQueue } from './row-queue.ts';
import { tenantOfRow } from './tenant-turns.ts';

/**
 * The live ones of the first `rows` rows of a queue, each as it left. `build` gives the request body of row `i`
 * alone: so a letter is taken from what would be sent, and not put together a second time.
 */
export function lettersOf(queue: RowQueue, rows: number, build: (i: number) => Uint8Array): DeadLetter[] {
  const { segment, dictionary } = queue.context;
  const scratch = new Scratch();
  const letters: DeadLetter[] = [];
  for (let i = 0; i < rows; i++) {
    const at = (queue.head + i) & queue.mask;
    if (queue.skip[at] !== LIVE) continue;
    const kind = queue.kind[at]!;
    const body = build(i);
    const length = uncompress(body, scratch, declaredLength(body));
    // One field: a tag, a length of up to five bytes, the message.
    let from = 1;
    while (scratch.bytes[from++]! >= 0x80);
    const labels = kind === METADATA ? from : from + dictionary.columns.seriesBytes[queue.series[at]!]!;
    letters.push({
      segment,
      row: queue.row[at]!,
      kind,
      timeMs: kind === METADATA ? 0 : queue.timeMs(at),
      labels: scratch.bytes.slice(from, labels),
      content: scratch.bytes.slice(labels, length),
      tenant: tenantOfRow(queue, i),
    });
  }
  return letters;
}
