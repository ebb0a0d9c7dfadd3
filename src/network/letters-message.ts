import { METADATA } from '../serialization/rows.ts';
import type { DeadLetter } from './dead-letter.ts';

const TIME_SERIES = 0x0a;
const METRIC_METADATA = 0x1a;

/**
 * A `prometheus.WriteRequest`, before snappy, that holds these letters in their order: each a `TimeSeries` of its own,
 * or a `MetricMetadata`. For cold paths; the labels are repeated for each letter, which is what snappy is good at.
 */
export function lettersMessage(
  letters: readonly Pick<DeadLetter, 'kind' | 'labels' | 'content'>[],
): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { kind, labels, content } of letters) {
    parts.push(head(kind === METADATA ? METRIC_METADATA : TIME_SERIES, labels.length + content.length));
    parts.push(labels, content);
  }
  return Buffer.concat(parts);
}

/** Tag and length of a field. */
function head(tag: number, length: number): Uint8Array {
  const bytes = [tag];
  for (let rest = length; ; rest >>>= 7) {
    bytes.push(rest < 0x80 ? rest : (rest & 0x7f) | 0x80);
    if (rest < 0x80) return Uint8Array.from(bytes);
  }
}
