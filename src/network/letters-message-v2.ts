import { decodeWriteRequestV1, encodeWriteRequestV2, type Label } from '../protocol/schema.ts';
import type { DeadLetter } from './dead-letter.ts';
import { lettersMessage } from './letters-message.ts';

/**
 * An `io.prometheus.write.v2.Request`, before snappy, that holds these letters in their order, none of them metadata or
 * an exemplar: each a `TimeSeries` of its own. What a letter does not have, start times and metadata, is unset.
 */
export function lettersMessageV2(
  letters: readonly Pick<DeadLetter, 'kind' | 'labels' | 'content'>[],
): Uint8Array {
  const symbols = new Map([['', 0]]);
  const ref = (text: string): number => {
    const known = symbols.get(text);
    if (known !== undefined) return known;
    symbols.set(text, symbols.size);
    return symbols.size - 1;
  };
  const refs = (labels: readonly Label[]): number[] =>
    labels.flatMap(({ name, value }) => [ref(name), ref(value)]);
  const timeseries = decodeWriteRequestV1(lettersMessage(letters)).timeseries.map(
    ({ labels, samples, histograms }) => ({ labelsRefs: refs(labels), samples, histograms }),
  );
  return encodeWriteRequestV2({ symbols: [...symbols.keys()], timeseries });
}
