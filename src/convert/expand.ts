/** What a text has become, and the variables that were used for it. */
export interface Expanded {
  readonly text: string;
  readonly names: readonly string[];
}

/**
 * `$name` and `${name}` as Go's `os.Expand` reads them, `$$` for a dollar sign, as Prometheus expands external labels:
 * a variable that is not set is empty.
 */
export function expandGo(text: string, env: Readonly<Record<string, string | undefined>>): Expanded {
  const names: string[] = [];
  const expanded = text.replace(
    /\$(?:\{([^}]*)\}|([*#$@!?0-9-])|([A-Za-z_][A-Za-z0-9_]*))/g,
    (_, braced: string | undefined, special: string | undefined, plain: string | undefined) => {
      const name = braced ?? special ?? plain!;
      if (name === '$') return '$';
      names.push(`\`${name}\``);
      return env[name] ?? '';
    },
  );
  return { text: expanded, names };
}
