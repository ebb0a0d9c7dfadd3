import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ConfigError, describeProblem } from '../config/problems.ts';
import { type Conversion, type ConversionTarget, ConvertError } from '../convert/conversion.ts';
import { convertPrometheus, type PrometheusSource } from '../convert/prometheus.ts';
import { convertVmagent } from '../convert/vmagent.ts';
import { type ConfigReport, reportOfText } from './check-config.ts';
import { UsageError } from './errors.ts';

export interface ConvertFlags {
  /** The arguments are a command line of vmagent, and not a file of Prometheus. */
  readonly vmagent: boolean;
  /** Where the result goes; undefined for standard output. */
  readonly output: string | undefined;
  /** Give up data where Prometheus does. */
  readonly exact: boolean;
  /** All that is said as one JSON object. */
  readonly json: boolean;
}

/**
 * `config convert`: writes a configuration of ours, and says on standard error what is not in it. Returns the exit
 * code: 0 when it can be used, 1 when it is to be mended first. Throws `ConvertError` when there is none.
 */
export async function convert(
  args: readonly string[],
  { vmagent, output, exact, json }: ConvertFlags,
  out: (text: string) => void,
  err: (text: string) => void,
): Promise<number> {
  const target = {
    folder: output === undefined ? undefined : dirname(resolve(output)),
    env: process.env,
  };
  let conversion: Conversion;
  if (vmagent) {
    if (exact) throw new UsageError('--exact is for a file of Prometheus');
    if (args.length === 0) throw new UsageError('the flags of vmagent come behind `--`');
    conversion = convertVmagent(args, process.cwd(), target);
  } else {
    const [file, ...more] = args;
    if (file === undefined || more.length > 0) {
      throw new UsageError('this command takes one argument: a configuration file of Prometheus');
    }
    const source = { file, baseDir: dirname(resolve(file)), exact };
    conversion = fromPrometheus(source, target);
  }
  const { text, notes } = conversion;
  if (output === undefined) {
    if (!json) out(text);
  }
  // It may hold what was secret on the command line: for the owner alone, unless the file is there already.
  else writeFileSync(output, text, { mode: 0o600 });
  const { errors, warnings } = await checked(text, output ?? 'converted', target.folder ?? process.cwd());
  if (json) {
    out(`${JSON.stringify({ text, notes, usable: errors.length === 0, errors, warnings })}\n`);
    return errors.length > 0 ? 1 : 0;
  }
  for (const note of notes) err(`note: ${note}\n`);
  for (const problem of errors) err(`${describeProblem(problem)}\n`);
  for (const problem of warnings) err(`warning: ${describeProblem(problem)}\n`);
  if (errors.length > 0) err('the result cannot be used as it is: mend what is named above\n');
  return errors.length > 0 ? 1 : 0;
}

function fromPrometheus(source: PrometheusSource, target: ConversionTarget): Conversion {
  let text: string;
  try {
    text = readFileSync(source.file, 'utf8');
  } catch (error) {
    throw new ConvertError(`cannot read ${source.file}`, { file: source.file }, error);
  }
  try {
    return convertPrometheus(text, source, target);
  } catch (error) {
    if (error instanceof ConfigError) throw new ConvertError(error.message);
    throw error;
  }
}

/** The files that it names may be on another machine. */
async function checked(text: string, file: string, baseDir: string): Promise<ConfigReport> {
  try {
    return await reportOfText(text, { file, baseDir }, true);
  } catch (error) {
    if (error instanceof ConfigError) return { errors: error.problems, warnings: [] };
    throw error;
  }
}
