import { type Row, rowKey } from './rows.ts';
import type { Delivery, Received, Sink } from './sink.ts';

type Answered = Pick<Sink, 'requests' | 'answers' | 'deliveries'>;

/** What a sink stored more than once. */
export interface Repeats {
  /** Requests with rows that were stored again later, by what their sender knew of them. */
  readonly unanswered: readonly Received[];
  /** The script broke their answer, or made it an error. */
  readonly ambiguous: readonly Received[];
  /** Rows that came again alone, although taken, since another was refused alone: is it the row or the endpoint? */
  readonly evidence: readonly Row[];
  /** Rows that came again although their sender had read that they were taken. There must be none. */
  readonly needless: readonly Row[];
}

/**
 * Why rows came twice. A sender may repeat what it does not know to be taken: its request was answered with an
 * error or not at all, or the answer was cut by the end of either side. That it has read an answer is seen from
 * its next request on that connection, since it has one request at a time on each.
 *
 * There is one other reason: between a row alone that was refused and the next time that it is sent, the last row
 * that was taken may be sent once more (network/loop.ts).
 */
export function repeatsOf(sink: Answered): Repeats {
  const lastOn = new Map<number, number>();
  for (const { connection, index } of sink.requests) lastOn.set(connection, index);

  const before = new Map<string, Delivery>();
  const unanswered = new Set<Received>();
  const ambiguous = new Set<Received>();
  const evidence: Row[] = [];
  const needless: Row[] = [];
  for (const delivery of sink.deliveries) {
    for (const row of delivery.rows) {
      const key = `${row.series} ${rowKey(row)}`;
      const first = before.get(key);
      before.set(key, delivery);
      if (first === undefined) continue;
      const { request, answer } = first;
      if (answer.instead !== undefined || (answer.status ?? 204) >= 300) ambiguous.add(request);
      else if (lastOn.get(request.connection) === request.index) unanswered.add(request);
      else if (isEvidence(sink, first, delivery)) evidence.push(row);
      else needless.push(row);
    }
  }
  return { unanswered: [...unanswered], ambiguous: [...ambiguous], evidence, needless };
}

/** Whether what was the last row of a request came again alone while a refused row waited for its verdict. */
function isEvidence({ requests, answers }: Answered, first: Delivery, again: Delivery): boolean {
  const [row, ...others] = again.request.rows;
  if (row === undefined || others.length > 0) return false;
  const last = first.request.rows.at(-1);
  if (last === undefined || rowKey(last) !== rowKey(row) || last.series !== row.series) return false;
  return requests
    .slice(first.request.index + 1, again.request.index)
    .some(({ index, rows }) => rows.length === 1 && answers[index]?.status === 400);
}
