import { SpillwayError } from '../runtime/errors.ts';

/** A configuration of ours, made from one of another program. */
export interface Conversion {
  /** YAML. */
  readonly text: string;
  /** What could not be taken along, or works in another way, in whole sentences without secrets. */
  readonly notes: readonly string[];
}

/** What was given cannot be converted. The message names every reason, one a line. */
export class ConvertError extends SpillwayError {
  readonly code = 'NOT_CONVERTED';
}

/** Where the result is to lie. */
export interface ConversionTarget {
  /** Its folder, absolute; undefined when it is not known, so that paths have to be absolute. */
  readonly folder: string | undefined;
  /** `process.env`, or what stands in for it. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The head of a converted file: where it comes from, and what is not in it. */
export function headComment(origin: string, notes: readonly string[]): string {
  const lines = [`Made by \`spillway config convert\` from ${origin}.`];
  if (notes.length > 0) lines.push('What is not as it was there:', ...notes.map((note) => `- ${note}`));
  return lines
    .flatMap((line) => line.split('\n'))
    .map((line) => `# ${line}\n`)
    .join('');
}
