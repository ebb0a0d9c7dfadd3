import { createRequire } from 'node:module';
import type * as re2js from 're2js';

let loaded: typeof re2js | undefined;

/** Not imported: an agent without rules starts without it, in each thread. */
function re2(): typeof re2js {
  loaded ??= createRequire(import.meta.url)('re2js') as typeof re2js;
  return loaded;
}

/** A match: the text of each group, group 0 being the whole; the empty text for one that took no part. */
export type Match = (group: number) => string;

/** Verdicts that a regex remembers: series that come together share names, jobs and pods. */
const REMEMBERED = 1024;
/** In UTF-16 code units: so that what is remembered stays below some hundred kilobytes. */
const LONGEST_REMEMBERED = 200;

/**
 * A regular expression of RE2, anchored at both ends, in which `.` is any character: as Prometheus compiles those of
 * its rules. Matching takes time linear in the text, whatever the expression.
 */
export class Regex {
  readonly groupCount: number;
  readonly groups: ReadonlyMap<string, number>;
  readonly #compiled: re2js.RE2JS;
  /** It is the default, which matches whatever there is. */
  readonly #isAll: boolean;
  readonly #tested = new Map<string, boolean>();
  readonly #matched = new Map<string, Groups>();

  /** Throws `RegexError`. */
  constructor(source: string) {
    const { RE2JS, RE2JSException } = re2();
    try {
      // By itself too: `a)|(b` would be taken between the anchors, and match what nobody meant.
      RE2JS.compile(source);
      this.#compiled = RE2JS.compile(`^(?s:${source})$`);
    } catch (error) {
      if (error instanceof RE2JSException)
        throw new RegexError(error.message.replace(/^error parsing regexp: /, ''));
      throw error;
    }
    this.#isAll = source === '(.*)';
    this.groupCount = this.#compiled.groupCount();
    this.groups = new Map(Object.entries(this.#compiled.namedGroups()));
  }

  test(text: string): boolean {
    const known = this.#tested.get(text);
    return known ?? remember(this.#tested, text, this.#compiled.test(text));
  }

  match(text: string): Match | undefined {
    if (this.#isAll) return () => text;
    let groups = this.#matched.get(text);
    groups ??= remember(this.#matched, text, this.#groupsOf(text));
    return groups === 'none' ? undefined : (group) => groups[group]!;
  }

  #groupsOf(text: string): Groups {
    const matcher = this.#compiled.matcher(text);
    if (!matcher.find()) return 'none';
    return Array.from({ length: this.groupCount + 1 }, (_, group) => matcher.group(group) ?? '');
  }
}

type Groups = readonly string[] | 'none';

/** Bounded by forgetting all of them: what comes next is remembered again. */
function remember<T>(known: Map<string, T>, text: string, verdict: T): T {
  if (text.length > LONGEST_REMEMBERED) return verdict;
  if (known.size >= REMEMBERED) known.clear();
  known.set(text, verdict);
  return verdict;
}

/** The text is no regular expression of RE2; the message says why, in the words of RE2. */
export class RegexError extends Error {}
