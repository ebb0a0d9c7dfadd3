import { EXEMPLAR, HISTOGRAM, KINDS, SAMPLE } from '../serialization/rows.ts';
import type { VersionWord, WireVersion } from './version.ts';

/** What a receiver says that it wrote of a 2.0 request; a header that is missing is read as 0 (RW2-S-11). */
export interface Written {
  readonly samples: number;
  readonly histograms: number;
  readonly exemplars: number;
}

const names = {
  samples: 'x-prometheus-remote-write-samples-written',
  histograms: 'x-prometheus-remote-write-histograms-written',
  exemplars: 'x-prometheus-remote-write-exemplars-written',
} as const;

/** The counts among the headers of an answer, by lower-case names; undefined when there is none of them. */
export function writtenOf(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Written | undefined {
  const { samples, histograms, exemplars } = names;
  if ([samples, histograms, exemplars].every((name) => headers[name] === undefined)) return undefined;
  const count = (name: string): number => {
    const text = [headers[name]].flat()[0];
    return text !== undefined && /^\s*\d+\s*$/.test(text) ? Number(text) : 0;
  };
  return { samples: count(samples), histograms: count(histograms), exemplars: count(exemplars) };
}

/** Rows of all kinds that were written. */
export function writtenRows({ samples, histograms, exemplars }: Written): number {
  return samples + histograms + exemplars;
}

/** By kind, how many of the rows that were sent were not written; undefined when all were. */
export function notWritten(sent: ArrayLike<number>, written: Written): Uint32Array | undefined {
  const missing = new Uint32Array(KINDS);
  const { samples, histograms, exemplars } = written;
  missing[SAMPLE] = Math.max(0, sent[SAMPLE]! - samples);
  missing[HISTOGRAM] = Math.max(0, sent[HISTOGRAM]! - histograms);
  missing[EXEMPLAR] = Math.max(0, sent[EXEMPLAR]! - exemplars);
  return missing.some((rows) => rows > 0) ? missing : undefined;
}

/** What an answer says of the version of the request; see `VersionWord`. */
export function versionWord(sent: WireVersion, status: number, written: Written | undefined): VersionWord {
  const success = status >= 200 && status < 300;
  if (status === 415) return 'unsupported';
  if (sent === '1.0') return success ? 'taken' : status === 400 ? 'bad' : 'silent';
  if (written === undefined) return success ? 'unsupported' : status === 400 ? 'bad' : 'silent';
  if (success) return writtenRows(written) === 0 ? 'unwritten' : 'understood';
  return status >= 400 && status < 500 ? 'understood' : 'silent';
}
