import { UsageError } from './errors.ts';
import type { CommandWords } from './usage.ts';

const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

/** The script that makes a shell complete the words of this command line. Throws `UsageError` for another shell. */
export function completionScript(shell: string, commands: readonly CommandWords[]): string {
  if (!shells.some((known) => known === shell)) {
    throw new UsageError(`spillway completion knows ${shells.join(', ')}, not ${shell}`);
  }
  switch (shell as Shell) {
    case 'bash':
      return bash(commands);
    case 'zsh':
      // The functions of bash do: zsh has an interpreter for them.
      return `#compdef spillway\nautoload -U +X bashcompinit && bashcompinit\n${bash(commands)}`;
    case 'fish':
      return fish(commands);
  }
}

/** Where no word fits, files are completed (`-o default`). */
function bash(commands: readonly CommandWords[]): string {
  const names = commands.map(({ name }) => name).join(' ');
  const ofCommands = commands.flatMap(({ name, actions, optionsOf }) =>
    [...optionsOf].map(([action, options]) => {
      const words = [...(action === '' ? actions : []), ...options.map(({ flag }) => `--${flag}`), '--help'];
      return `    '${`${name} ${action}`.trim()}') words="${words.join(' ')}" ;;`;
    }),
  );
  const ofGroups = commands.flatMap(({ name, actions, optionsOf }) =>
    optionsOf.has('') ? [] : [`    ${name}) words="${[...actions, '--help'].join(' ')}" ;;`],
  );
  const actionsOf = commands.flatMap(({ name, optionsOf }) => {
    const own = [...optionsOf.keys()].filter((action) => action !== '');
    return own.length === 0
      ? []
      : [`      ${own.map((action) => `'${name} ${action}'`).join('|')}) command+=" $word" ;;`];
  });
  const taking = new Map(
    commands
      .flatMap(({ options }) => options)
      .filter(({ value }) => value !== undefined)
      .map(({ flag, choices = [] }) => [flag, choices]),
  );
  const valued = [...taking].map(
    ([flag, choices]) =>
      `    --${flag}) COMPREPLY=($(compgen -W "${choices.join(' ')}" -- "$current")); return ;;`,
  );
  return `_spillway() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" command="" words="" word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    case "$command" in
    '') case "$word" in
      ${names.replaceAll(' ', '|')}) command="$word" ;;
      esac ;;
    *) case "$command $word" in
${actionsOf.join('\n')}
      esac ;;
    esac
  done
  COMPREPLY=()
  case "$previous" in
${valued.join('\n')}
  esac
  case "$command" in
${[...ofCommands, ...ofGroups].join('\n')}
    *) words="${names} --help --version" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _spillway spillway
`;
}

function fish(commands: readonly CommandWords[]): string {
  const lines = commands.flatMap(({ name, about, actions, optionsOf }) => {
    const inside = `__fish_seen_subcommand_from ${name}`;
    const alone =
      actions.length === 0 ? inside : `${inside}; and not __fish_seen_subcommand_from ${actions.join(' ')}`;
    return [
      `complete -c spillway -n __fish_use_subcommand -f -a ${name} -d ${quoted(about)}`,
      ...actions.map((action) => `complete -c spillway -n '${alone}' -f -a ${action}`),
      ...[...optionsOf].flatMap(([action, options]) => {
        const where = action === '' ? alone : `${inside}; and __fish_seen_subcommand_from ${action}`;
        return options.map(
          ({ flag, value, choices, says }) =>
            `complete -c spillway -n '${where}' -l ${flag}${fishValue(value, choices)} -d ${quoted(says)}`,
        );
      }),
    ];
  });
  const all = ['complete -c spillway -l help', 'complete -c spillway -n __fish_use_subcommand -l version'];
  return `${[...lines, ...all].join('\n')}\n`;
}

/** `-r` completes files, `-x` does not. */
function fishValue(value: string | undefined, choices: readonly string[] | undefined): string {
  if (choices !== undefined) return ` -x -a ${quoted(choices.join(' '))}`;
  if (value === undefined) return '';
  return value === 'FILE' || value === 'DIR' ? ' -r' : ' -x';
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
