import { parseArgs } from 'node:util';
import { UsageError } from './errors.ts';

/** Every option of the command line. Which command takes which says commands.ts. */
const flags = {
  all: { type: 'boolean' },
  answer: { type: 'string' },
  batch: { type: 'string' },
  before: { type: 'string' },
  cause: { type: 'string' },
  config: { type: 'string', short: 'c' },
  'data-dir': { type: 'string' },
  defaults: { type: 'boolean' },
  delay: { type: 'string' },
  'dry-run': { type: 'boolean' },
  duration: { type: 'string' },
  endpoint: { type: 'string' },
  exact: { type: 'boolean' },
  exemplars: { type: 'boolean' },
  format: { type: 'string' },
  from: { type: 'string' },
  header: { type: 'string', multiple: true },
  histograms: { type: 'boolean' },
  'http-config-file': { type: 'string' },
  json: { type: 'boolean' },
  'keep-going': { type: 'boolean' },
  limit: { type: 'string' },
  listen: { type: 'string' },
  match: { type: 'string' },
  now: { type: 'boolean' },
  offline: { type: 'boolean' },
  oldest: { type: 'boolean' },
  once: { type: 'boolean' },
  output: { type: 'string', short: 'o' },
  print: { type: 'boolean' },
  protocol: { type: 'string' },
  rate: { type: 'string' },
  reason: { type: 'string' },
  segment: { type: 'string' },
  selector: { type: 'string' },
  series: { type: 'string' },
  since: { type: 'string' },
  state: { type: 'string' },
  strict: { type: 'boolean' },
  'syntax-only': { type: 'boolean' },
  tenant: { type: 'string' },
  time: { type: 'string' },
  to: { type: 'string' },
  url: { type: 'string' },
  v2: { type: 'boolean' },
  verify: { type: 'boolean' },
  version: { type: 'boolean' },
  vmagent: { type: 'boolean' },
  'write-docs': { type: 'boolean' },
  yes: { type: 'boolean' },
} as const;

export type FlagName = keyof typeof flags;

/** What stands on a command line. */
export type Flags = {
  readonly [Name in FlagName]?: (typeof flags)[Name] extends { readonly multiple: true }
    ? string[]
    : (typeof flags)[Name]['type'] extends 'string'
      ? string
      : boolean;
};

/** A command line in its parts; `of` makes what is said of an option that is not there. Throws `UsageError`. */
export function parseFlags(
  args: readonly string[],
  of: (flag: string) => UsageError,
): { values: Flags; positionals: string[] } {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: flags });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const unknown = /'(-[^' ]+)'/.exec(message)?.[1];
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' && unknown !== undefined) throw of(unknown);
    throw new UsageError(message.replace(/^Option '([^']*)'/, '$1'), {}, cause);
  }
}
