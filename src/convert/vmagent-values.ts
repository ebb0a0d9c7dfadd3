import { formatDuration } from '../config/durations.ts';
import type { ConversionTarget } from './conversion.ts';
import {
  arrayItems,
  expandPercent,
  itemFor,
  parseGoBoolean,
  parseGoDuration,
  parseGoFlags,
  parseVmSize,
} from './go-flags.ts';
import { type ConvertedFlag, convertedFlags, kindOfFlag, knownFlags, leftOut } from './vmagent-flags.ts';

/** The values of a command line, and what is wrong with them. */
export class Flags {
  readonly problems: string[];
  readonly #values: ReadonlyMap<string, readonly string[]>;
  readonly #expanded = new Set<string>();

  constructor(args: readonly string[], env: ConversionTarget['env']) {
    const parsed = parseGoFlags(args, kindOfFlag);
    this.problems = [...parsed.problems];
    const values = new Map(parsed.values);
    if (parseGoBoolean(values.get('envflag.enable')?.at(-1) ?? 'false')) {
      const prefix = values.get('envflag.prefix')?.at(-1) ?? '';
      for (const name of knownFlags()) {
        const value = env[prefix + name.replaceAll('.', '_')];
        if (value !== undefined && !values.has(name)) values.set(name, [value]);
      }
    }
    this.#values = new Map(
      [...values].map(([name, texts]) => [
        name,
        texts.map((text) => {
          const { text: expanded, names, missing } = expandPercent(text, env);
          for (const variable of names) this.#expanded.add(variable);
          for (const variable of missing) {
            this.problems.push(`-${name} names ${variable}, which is not in the environment`);
          }
          return expanded;
        }),
      ]),
    );
  }

  /** What was given and is not in the result, one note for all flags of which the same is to be said. */
  notes(): string[] {
    const byAbout = new Map<string, string[]>();
    for (const name of this.#values.keys()) {
      const about = leftOut.get(name)?.about;
      if (about !== undefined) byAbout.set(about, [...(byAbout.get(about) ?? []), `-${name}`]);
    }
    const notes = [...byAbout].map(([about, names]) => `${names.join(', ')}: ${about}.`);
    if (this.#expanded.size > 0) {
      notes.push(
        `${[...this.#expanded].map((name) => `%{${name}}`).join(', ')}: taken from the environment of this run, since Spillway expands nothing.`,
      );
    }
    return notes;
  }

  has(name: ConvertedFlag): boolean {
    return this.#values.has(name);
  }

  /** Of a flag that is given once. */
  value(name: ConvertedFlag): string | undefined {
    const value = this.#values.get(name)?.at(-1);
    return value === '' ? undefined : value;
  }

  items(name: ConvertedFlag): readonly string[] {
    return (this.#values.get(name) ?? []).flatMap(arrayItems);
  }

  at(name: ConvertedFlag, index: number): string | undefined {
    return itemFor(this.items(name), index);
  }

  /** What `parse` makes of the value, which belongs to URL `index` where the flag has several. */
  parsed<T>(
    name: ConvertedFlag,
    index: number,
    what: string,
    parse: (text: string) => T | undefined,
  ): T | undefined {
    const several = convertedFlags[name] === 'values' || convertedFlags[name] === 'switches';
    const text = several ? this.at(name, index) : this.value(name);
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) this.problems.push(`-${name} is not ${what}`);
    return value;
  }

  boolean(name: ConvertedFlag, index = 0): boolean | undefined {
    return this.parsed(name, index, 'true or false', parseGoBoolean);
  }

  duration(name: ConvertedFlag, index = 0): string | undefined {
    return this.parsed(name, index, 'a duration', (text) => {
      const ms = parseGoDuration(text);
      return ms === undefined ? undefined : formatDuration(ms);
    });
  }

  bytes(name: ConvertedFlag, index = 0): number | undefined {
    return this.parsed(name, index, 'a size', parseVmSize);
  }

  integer(name: ConvertedFlag, index = 0): number | undefined {
    return this.parsed(name, index, 'a whole number', (text) =>
      /^-?\d+$/.test(text) ? Number(text) : undefined,
    );
  }
}
