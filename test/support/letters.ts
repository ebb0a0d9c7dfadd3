import type { DeadLetter, DeadLetters } from '../../src/network/dead-letter.ts';
import { encodeWriteRequestV1 } from '../../src/protocol/schema.ts';
import { type EXEMPLAR, type HISTOGRAM, METADATA, SAMPLE } from '../../src/serialization/rows.ts';
import { labels as labelList, type Message, type Series, series } from './messages.ts';

/** A letter at `row` of segment 1, with one float sample. */
export function sampleLetter(
  row: number,
  labels: Record<string, string>,
  at: number,
  value: number | bigint = row,
): DeadLetter {
  return letterOf(row, SAMPLE, at, labels, { ...series({}, [at, value]), labels: [] });
}

/** A letter whose content are the fields of `content`, a series without labels. */
export function letterOf(
  row: number,
  kind: typeof SAMPLE | typeof HISTOGRAM | typeof EXEMPLAR,
  timeMs: number,
  labels: Record<string, string>,
  content: Series,
): DeadLetter {
  return {
    segment: 1,
    row,
    kind,
    timeMs,
    labels: inner({ timeseries: [{ labels: labelList(labels) }] }),
    content: inner({ timeseries: [content] }),
    tenant: '',
  };
}

export function metadataLetter(row: number, family: string, help: string): DeadLetter {
  const content = inner({ metadata: [{ type: 1, metricFamilyName: family, help, unit: '' }] });
  return { segment: 1, row, kind: METADATA, timeMs: 0, labels: new Uint8Array(), content, tenant: '' };
}

/** The answer that refused `letters`. */
export function refusal(
  letters: readonly DeadLetter[],
  { atMs = Date.now() - 1000, words = 'out of bounds', cause = '400' } = {},
): DeadLetters {
  return { reason: 'rejected', cause, words, atMs, letters };
}

/** The bytes of the one message in a request. */
function inner(message: Message): Uint8Array {
  const bytes = encodeWriteRequestV1(message);
  let at = 1;
  while (bytes[at]! >= 0x80) at++;
  return new Uint8Array(bytes.subarray(at + 1));
}
