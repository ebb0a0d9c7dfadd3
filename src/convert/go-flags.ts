/** A command line as Go's `flag` package reads it, and its values as the libraries of VictoriaMetrics do. */
import type { FlagKind } from './vmagent-flags.ts';

/** Flags in the order of their names' first appearance, each with its values as they were written. */
export interface GoFlags {
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** What is wrong with the command line, without values: they may be secret. */
  readonly problems: readonly string[];
}

/** `-name=value`, `--name value`, and `-name` alone for a switch. `kindOf` knows the flags that there are. */
export function parseGoFlags(
  args: readonly string[],
  kindOf: (name: string) => FlagKind | undefined,
): GoFlags {
  const values = new Map<string, string[]>();
  const problems: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const [, name, , inline] = /^--?([^-=][^=]*)(=([\s\S]*))?$/.exec(args[i]!) ?? [];
    if (name === undefined) {
      problems.push(`argument ${i + 1} is not a flag: expected -name=value`);
      continue;
    }
    const kind = kindOf(name);
    if (kind === undefined) {
      problems.push(`vmagent has no flag -${name} (as of 1.145)`);
      continue;
    }
    let value = inline;
    if (value === undefined && (kind === 'switch' || kind === 'switches')) value = 'true';
    else if (value === undefined) {
      value = args[++i];
      if (value === undefined) {
        problems.push(`-${name} needs a value`);
        continue;
      }
    }
    const all = values.get(name) ?? [];
    all.push(value);
    values.set(name, all);
  }
  return { values, problems };
}

const closing: Readonly<Record<string, string>> = { '[': ']', '{': '}', '(': ')', '"': '"', "'": "'" };

/** The items of an array flag: divided by commas outside of quotes and brackets; quotes around an item go. */
export function arrayItems(text: string): readonly string[] {
  if (text === '') return [];
  const items: string[] = [];
  let start = 0;
  let i = 0;
  while (i < text.length) {
    const char = text[i]!;
    if (char === ',') {
      items.push(unquoted(text.slice(start, i)));
      start = i + 1;
    } else if (closing[char] !== undefined) {
      // One that is not closed stands for itself.
      i = closingIndex(text, i + 1, closing[char]) ?? i;
    }
    i++;
  }
  items.push(unquoted(text.slice(start)));
  return items;
}

/** Where `close` is from `start` on, unless backslashes escape it. */
function closingIndex(text: string, start: number, close: string): number | undefined {
  for (let i = start; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === close) return i;
  }
  return undefined;
}

function unquoted(item: string): string {
  const quote = item[0];
  if (item.length < 2 || (quote !== '"' && quote !== "'") || !item.endsWith(quote)) return item;
  return item.slice(1, -1).replaceAll(`\\${quote}`, quote).replaceAll('\\\\', '\\');
}

/** The item for URL `index`: a single one is for all of them, and an empty one is none. */
export function itemFor(items: readonly string[], index: number): string | undefined {
  const item = items.length === 1 ? items[0] : items[index];
  return item === '' ? undefined : item;
}

/** Undefined for what Go does not take as a boolean. */
export function parseGoBoolean(text: string): boolean | undefined {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(?:0|f|F|false|FALSE|False)$/.test(text) ? false : undefined;
}

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Whole milliseconds of `1h30m`, `1.5s`, `250ms`; undefined for anything else. */
export function parseGoDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (
    !/^(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h|d)(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h|d))*$/.test(
      text,
    )
  ) {
    return undefined;
  }
  let sum = 0;
  for (const [, number, unit] of text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h|d)/g)) {
    sum += Number(number) * unitMs[unit!]!;
  }
  return Math.round(sum);
}

const unitBytes: Readonly<Record<string, number>> = {
  '': 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** Whole bytes of `500MB`, `1.5GiB`, `1e9`; undefined for anything else. */
export function parseVmSize(text: string): number | undefined {
  const [, number, unit = ''] = /^([\d.]+(?:[eE][+]?\d+)?)\s*([KMGT]i?B)?$/.exec(text) ?? [];
  const bytes = Number(number) * unitBytes[unit]!;
  return Number.isFinite(bytes) ? Math.round(bytes) : undefined;
}

/**
 * `%{NAME}` in a text, as the libraries of VictoriaMetrics expand it. `missing` are the variables that are not set:
 * vmagent does not start without them.
 */
export function expandPercent(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
): { readonly text: string; readonly names: readonly string[]; readonly missing: readonly string[] } {
  const names: string[] = [];
  const missing: string[] = [];
  const expanded = text.replace(/%\{([^}]*)\}/g, (whole, name: string) => {
    names.push(name);
    const value = env[name];
    if (value === undefined) missing.push(name);
    return value ?? whole;
  });
  return { text: expanded, names, missing };
}
