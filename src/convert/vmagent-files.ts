import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describeError } from '../runtime/errors.ts';
import { movedPath } from './paths.ts';
import type { ConvertedFlag } from './vmagent-flags.ts';
import { type ConvertedRule, convertVmRelabel } from './vmagent-relabel.ts';

/** Paths of the command line, and the relabelling files that it names. */
export class Files {
  readonly #from: string;
  readonly #to: string | undefined;
  readonly #problems: string[];

  constructor(from: string, to: string | undefined, problems: string[]) {
    this.#from = from;
    this.#to = to;
    this.#problems = problems;
  }

  moved(path: string | undefined): string | undefined {
    return path === undefined ? undefined : movedPath(path, this.#from, this.#to);
  }

  rules(flag: ConvertedFlag, path: string | undefined): readonly ConvertedRule[] {
    if (path === undefined) return [];
    if (/^https?:/.test(path)) {
      this.#problems.push(`-${flag} names a URL: fetch it, and name the file`);
      return [];
    }
    try {
      return convertVmRelabel(readFileSync(resolve(this.#from, path), 'utf8'), path, this.#problems);
    } catch (error) {
      this.#problems.push(`-${flag} cannot be read: ${describeError(error)}`);
      return [];
    }
  }
}
