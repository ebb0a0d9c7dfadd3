/** The command line of the bench. */
import { parseArgs } from 'node:util';
import { NAMES, type Name, USUAL } from './contenders.ts';
import { DEFAULTS, flagOf, SCENARIOS, type Scenario, SETTINGS, type Setting, stepsOf } from './scenarios.ts';

export interface Options {
  /** With the settings of the command line; none to measure nothing. */
  readonly scenarios: readonly Scenario[];
  /** Of each contender; undefined for what the scenario says. */
  readonly runs: number | undefined;
  /** Undefined for whom the scenario names. */
  readonly only: readonly Name[] | undefined;
  /** Programs given by path, by name. */
  readonly programs: Readonly<Partial<Record<Name, string>>>;
  readonly writeDocs: boolean;
  readonly help: boolean;
  /** The options that change what is measured, as they were given: the command that a reader may repeat. */
  readonly repeat: string;
}

const ALL = 'all';
const NONE = 'none';
const FLAGS = {
  scenario: { type: 'string', default: 'up' },
  runs: { type: 'string' },
  only: { type: 'string' },
  vmagent: { type: 'string' },
  prometheus: { type: 'string' },
  'write-docs': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;
const NOT_REPEATED: readonly string[] = ['scenario', 'vmagent', 'prometheus', 'write-docs'];

/** Throws an `Error` that names the option and what it takes. */
export function parseOptions(args: readonly string[]): Options {
  const settingNames = Object.keys(SETTINGS) as Setting[];
  const settingFlags = Object.fromEntries(
    settingNames.map((name) => [flagOf(name), { type: 'string' as const }]),
  );
  const { values, tokens } = parseArgs({
    args: [...args],
    options: { ...settingFlags, ...FLAGS },
    tokens: true,
  });
  const given = settingNames.flatMap((name) => {
    const text = (values as Readonly<Record<string, unknown>>)[flagOf(name)] as string | undefined;
    return text === undefined ? [] : [[name, settingValues(name, text)] as const];
  });
  const overrides = Object.fromEntries(given);
  const scenarios = chosen(values.scenario).map((scenario) => ({
    ...scenario,
    settings: { ...scenario.settings, ...overrides },
  }));
  for (const { settings } of scenarios) stepsOf(settings); // throws if they do not go together
  const repeat = tokens.flatMap((token) =>
    token.kind === 'option' && !NOT_REPEATED.includes(token.name)
      ? [`${token.rawName}${token.value === undefined ? '' : ` ${token.value}`}`]
      : [],
  );
  return {
    scenarios,
    runs: values.runs === undefined ? undefined : wholeNumber('runs', values.runs, 1),
    only: values.only?.split(',').map((name) => oneOf('only', name, NAMES)),
    programs: {
      ...(values.vmagent && { vmagent: values.vmagent }),
      ...(values.prometheus && { prometheus: values.prometheus }),
    },
    writeDocs: values['write-docs'],
    help: values.help,
    repeat: repeat.join(' '),
  };
}

/** What `--help` prints. */
export function helpText(): string {
  const settings = (Object.entries(SETTINGS) as [Setting, string][]).map(
    ([name, about]) => [`--${flagOf(name)} ${DEFAULTS[name]}`, about] as const,
  );
  const rows = [
    ['--scenario up', `some of the scenarios below, ${ALL} or ${NONE}`],
    ['--runs 3', 'trials of each contender; they take turns'],
    [`--only ${USUAL.join(',')}`, `some of ${NAMES.join(', ')}`],
    ['--vmagent PATH', 'the program to run, if it is not on PATH'],
    ['--prometheus PATH', 'the same'],
    ['--write-docs', 'writes what was measured to docs/performance.md'],
    ...settings,
  ] as const;
  const list = (pairs: readonly (readonly [string, string])[], width: number): string =>
    pairs.map(([name, about]) => `  ${name.padEnd(width)} ${about}`).join('\n');
  const scenarios = SCENARIOS.map(({ name, title }) => [name, title] as const);
  return (
    `npm run bench -- [options]; npm run bench:SCENARIO -- [options]\n\n${list(rows, 28)}\n\n` +
    `The values here are the usual ones; scenarios have their own. One of the settings from --series on may be a\n` +
    `list, such as --series 1000,2000: the scenario is run with each.\n\nScenarios:\n${list(scenarios, 28)}\n`
  );
}

function chosen(text: string): readonly Scenario[] {
  if (text === ALL) return SCENARIOS;
  if (text === NONE) return [];
  const names = SCENARIOS.map(({ name }) => name);
  const wanted = text.split(',').map((name) => oneOf('scenario', name, names));
  return SCENARIOS.filter(({ name }) => wanted.includes(name));
}

/** What may be 0: where that stands for "not at all", and not for a load without samples. */
const FROM_ZERO: readonly Setting[] = ['lifetime', 'rate', 'answerMs', 'loops', 'outageSeconds', 'fillMb'];

function settingValues(name: Setting, text: string): number | readonly number[] {
  const least = FROM_ZERO.includes(name) ? 0 : 1;
  const values = text.split(',').map((value) => wholeNumber(flagOf(name), value, least));
  return values.length === 1 ? values[0]! : values;
}

function wholeNumber(option: string, text: string, least: number): number {
  const value = text === '' ? Number.NaN : Number(text);
  if (!Number.isSafeInteger(value) || value < least) {
    throw new Error(`--${option} ${text}: a whole number from ${least} on`);
  }
  return value;
}

function oneOf<T extends string>(option: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((value) => value === text);
  if (found === undefined) throw new Error(`--${option} ${text}: ${allowed.join(' or ')}`);
  return found;
}
