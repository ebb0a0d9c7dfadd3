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
  const cases = commands.map(
    ({ name, actions, options }) =>
      `    ${name}) words="${[...actions, ...options.map(({ flag }) => flag), '--help'].join(' ')}" ;;`,
  );
  const taking = commands.flatMap(({ options }) =>
    options.filter(({ takes }) => takes).map(({ flag }) => flag),
  );
  return `_spillway() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" command="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
      ${names.replaceAll(' ', '|')}) command="\${COMP_WORDS[i]}"; break ;;
    esac
  done
  COMPREPLY=()
  case "$previous" in
    ${[...new Set(taking)].join('|')}) return ;;
  esac
  case "$command" in
${cases.join('\n')}
    *) words="${names} --help --version" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _spillway spillway
`;
}

function fish(commands: readonly CommandWords[]): string {
  const lines = commands.flatMap(({ name, about, actions, options }) => {
    const inside = `complete -c spillway -n '__fish_seen_subcommand_from ${name}'`;
    return [
      `complete -c spillway -n __fish_use_subcommand -a ${name} -d ${quoted(about)}`,
      ...actions.map((action) => `${inside} -a ${action}`),
      ...options.map(({ flag, takes }) => `${inside} -l ${flag.slice(2)}${takes ? ' -r' : ''}`),
    ];
  });
  const all = ['complete -c spillway -l help', 'complete -c spillway -n __fish_use_subcommand -l version'];
  return `${[...lines, ...all].join('\n')}\n`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
