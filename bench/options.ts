/** The command line of the bench. */
import { parseArgs } from 'node:util';
import { NAMES, type Name } from './contenders.ts';
import { SCENARIOS, type Scenario } from './trial.ts';

export interface Options {
  readonly series: number;
  readonly rounds: number;
  readonly perRequest: number;
  readonly connections: number;
  readonly runs: number;
  readonly scenario: Scenario;
  readonly rate: number | undefined;
  readonly only: readonly Name[];
  /** Programs given by path, by name. */
  readonly programs: Readonly<Partial<Record<Name, string>>>;
}

/** Throws an `Error` that names the option and what it takes. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      series: { type: 'string', default: '100000' },
      rounds: { type: 'string', default: '10' },
      'per-request': { type: 'string', default: '2000' },
      connections: { type: 'string', default: '4' },
      runs: { type: 'string', default: '3' },
      scenario: { type: 'string', default: 'up' },
      rate: { type: 'string' },
      only: { type: 'string', default: NAMES.join(',') },
      vmagent: { type: 'string' },
      prometheus: { type: 'string' },
    },
  });
  return {
    series: positive('series', values.series),
    rounds: positive('rounds', values.rounds),
    perRequest: positive('per-request', values['per-request']),
    connections: positive('connections', values.connections),
    runs: positive('runs', values.runs),
    scenario: oneOf('scenario', values.scenario, SCENARIOS),
    rate: values.rate === undefined ? undefined : positive('rate', values.rate),
    only: values.only.split(',').map((name) => oneOf('only', name, NAMES)),
    programs: {
      ...(values.vmagent && { vmagent: values.vmagent }),
      ...(values.prometheus && { prometheus: values.prometheus }),
    },
  };
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`--${option} ${text}: a whole number from 1 on`);
  return value;
}

function oneOf<T extends string>(option: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((value) => value === text);
  if (found === undefined) throw new Error(`--${option} ${text}: ${allowed.join(' or ')}`);
  return found;
}
