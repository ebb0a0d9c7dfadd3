import { suggest } from '../config/suggest.ts';
import { packageVersion } from '../runtime/version.ts';
import { type Argument, type Command, type CommandName, commands, groups, type Option } from './commands.ts';
import { UsageError } from './errors.ts';
import type { Flags } from './flags.ts';
import { wrapped } from './text.ts';

const WIDTH = 100;
const table: Readonly<Record<string, Command>> = commands;
const names = Object.keys(table) as CommandName[];
const firstWords = [...new Set(names.map((name) => name.split(' ')[0]!))];

/** What there is to complete in a command. */
export interface CommandWords {
  readonly name: string;
  readonly about: string;
  /** Words that may follow its name: `verify`, `repair`. */
  readonly actions: readonly string[];
  /** Of all its actions. */
  readonly options: readonly Option[];
  /** Of one action, or of the command without one (''). */
  readonly optionsOf: ReadonlyMap<string, readonly Option[]>;
}

/** The words of all commands. */
export function commandWords(): readonly CommandWords[] {
  return firstWords.map((first) => {
    const own = names.filter((name) => name === first || name.startsWith(`${first} `));
    const optionsOf = new Map(own.map((name) => [name.slice(first.length + 1), table[name]!.options]));
    const options = new Map([...optionsOf.values()].flat().map((option) => [option.flag, option]));
    const choices = table[first]?.args.flatMap((argument) => argument.choices ?? []) ?? [];
    const about = groups[first] ?? table[first]!.about;
    const actions = [...[...optionsOf.keys()].filter((action) => action !== ''), ...choices];
    return {
      name: first,
      about: about.replace(/[.:].*$/, ''),
      actions,
      options: [...options.values()],
      optionsOf,
    };
  });
}

/**
 * The command that a command line names, as far as it does: `queue` of `queue --json`; right or wrong in the rest.
 * Undefined without one.
 */
export function commandOf(args: readonly string[]): string | undefined {
  const at = args.findIndex((arg) => firstWords.includes(arg));
  if (at < 0) return undefined;
  const first = args[at]!;
  const action = args.slice(at + 1).find((arg) => Object.hasOwn(table, `${first} ${arg}`));
  return action === undefined ? first : `${first} ${action}`;
}

/** The command of these words, and its arguments. Throws `UsageError`. */
export function resolveCommand([first = 'run', ...rest]: readonly string[]): {
  readonly command: CommandName;
  readonly args: readonly string[];
} {
  if (!firstWords.includes(first)) {
    const near = suggest(first, firstWords);
    throw new UsageError(
      `there is no command ${first}${near === undefined ? '' : `; did you mean ${near}?`}`,
    );
  }
  // As one types it elsewhere.
  const [action = '', ...args] = first === 'endpoint' && rest[0] === 'list' ? ['ls', ...rest.slice(1)] : rest;
  if (Object.hasOwn(table, `${first} ${action}`)) {
    return { command: `${first} ${action}` as CommandName, args };
  }
  if (Object.hasOwn(table, first)) return { command: first as CommandName, args: rest };
  const actions = names.filter((name) => name.startsWith(`${first} `)).map((name) => name.split(' ')[1]!);
  const which = `${actions.slice(0, -1).join(', ')} or ${actions.at(-1)}?`;
  if (action === '') throw new UsageError(`${first}: ${which}`);
  const near = suggest(action, actions);
  throw new UsageError(
    `there is no command ${first} ${action}${near === undefined ? `: ${which}` : `; did you mean ${near}?`}`,
  );
}

/** The error for an option that a command has not; `command` as far as it is known. */
export function unknownFlag(flag: string, command: string | undefined): UsageError {
  const own = names.filter((name) => name === command || name.startsWith(`${command} `));
  const known = [...new Set(own.flatMap((name) => table[name]!.options.map((option) => option.flag)))];
  const typed = flag.replace(/^--?/, '');
  const near = known.find((one) => one.startsWith(typed)) ?? suggest(typed, known);
  const hint = near === undefined ? '' : `; did you mean --${near}?`;
  return new UsageError(`spillway${command === undefined ? '' : ` ${command}`} has no option ${flag}${hint}`);
}

/** Holds a command line against what its command takes. Throws `UsageError`. */
export function checkUsage(command: CommandName, args: readonly string[], flags: Flags): void {
  const { args: taken, options } = table[command]!;
  for (const flag of Object.keys(flags)) {
    if (!options.some((option) => option.flag === flag)) throw unknownFlag(`--${flag}`, command);
  }
  const missing = taken.filter(({ optional, many }) => optional !== true && many !== true)[args.length];
  if (missing !== undefined) {
    throw new UsageError(`spillway ${command} takes ${missing.name}: ${missing.is}`);
  }
  if (args.length > taken.length && !taken.some(({ many }) => many === true)) {
    throw new UsageError(`unexpected argument: ${args[taken.length]}`);
  }
}

/** Whether a command line asks for help, whatever else is in it. */
export function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).some((arg) => arg === '--help' || arg === '-h');
}

/** The help of one command, of a group of them, or of all. */
export function helpText(command: string | undefined): string {
  if (command === undefined) {
    return `Spillway ${packageVersion()}: a durable queue between what scrapes and what stores.

Usage: spillway [COMMAND] [ARGUMENTS] [OPTIONS]

${listOf(names)}${trailer}
  spillway COMMAND --help     what it does, its options, and examples
  spillway --version | --help
`;
  }
  const own = names.filter((name) => name === command || name.startsWith(`${command} `));
  if (!Object.hasOwn(table, command)) {
    return `spillway ${command} ...\n\n${wrapped(groups[command] ?? '', 2, WIDTH)}\n\n${listOf(own)}
  spillway ${command} ACTION --help: what it does, its options, and examples
`;
  }
  const { does, options, examples } = table[command]!;
  const width = Math.max(0, ...options.map((option) => spelt(option).length)) + 4;
  const lines = options.map((option) => {
    const [first = '', ...more] = wrapped(option.says, width, WIDTH).split('\n');
    return [`  ${spelt(option).padEnd(width - 2)}${first.trim()}`, ...more].join('\n');
  });
  const parts = [
    callText(command as CommandName),
    wrapped(does, 2, WIDTH),
    ...(lines.length === 0 ? [] : [lines.join('\n')]),
    `Example${examples.length > 1 ? 's' : ''}:\n${examples.map((line) => `  ${line}`).join('\n')}`,
    ...(own.length === 1 ? [] : [`See also:\n${listOf(own.filter((name) => name !== command)).trimEnd()}`]),
  ];
  return `${parts.join('\n\n')}\n`;
}

const trailer = `
Exit codes: 0 done, and nothing wrong was found; 1 it could not be done, or something was found (an
invalid configuration, damage, rows not delivered); 2 the command line or the configuration is wrong.
Results are on standard output, as JSON with --json; what went wrong, and progress on terminals, on
standard error. Colours are for terminals alone, and not where NO_COLOR is set.
`;

function listOf(some: readonly CommandName[]): string {
  const width = Math.max(...some.map((name) => shortCall(name).length)) + 4;
  return some.map((name) => `  ${shortCall(name).padEnd(width - 2)}${table[name]!.about}\n`).join('');
}

function shortCall(name: CommandName): string {
  const { args } = table[name]!;
  return [name === 'config' ? 'config --defaults' : name, ...args.map(argumentText)].join(' ');
}

function argumentText({ name, optional, many, choices }: Argument): string {
  const word = choices?.join('|') ?? name;
  return optional === true || many === true ? `[${word}]` : word;
}

/** How it is called, with all options. */
function callText(name: CommandName): string {
  const { args, options } = table[name]!;
  const words = [...args.map(argumentText), ...options.map((option) => `[${spelt(option)}]`)];
  const lines = [`spillway ${name}`];
  for (const word of words) {
    const line = `${lines.at(-1)} ${word}`;
    if (line.length <= WIDTH) lines[lines.length - 1] = line;
    else lines.push(`      ${word}`);
  }
  return lines.join('\n');
}

function spelt({ flag, value }: Option): string {
  return `--${flag}${value === undefined ? '' : ` ${value}`}`;
}

/** What a wrong command line is answered with, behind what is wrong with it. */
export function helpHint(args: readonly string[]): string {
  const command = commandOf(args);
  return `see: spillway ${command === undefined ? '' : `${command} `}--help`;
}
