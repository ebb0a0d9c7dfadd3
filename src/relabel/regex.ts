import { RE2JS, RE2JSException } from 're2js';

/** A match: the text of each group, group 0 being the whole; the empty text for one that took no part. */
export type Match = (group: number) => string;

/**
 * A regular expression of RE2, anchored at both ends, in which `.` is any character: as Prometheus compiles those of
 * its rules. Matching takes time linear in the text, whatever the expression.
 */
export class Regex {
  readonly groupCount: number;
  readonly groups: ReadonlyMap<string, number>;
  readonly #compiled: RE2JS;

  /** Throws `RegexError`. */
  constructor(source: string) {
    try {
      // By itself too: `a)|(b` would be taken between the anchors, and match what nobody meant.
      RE2JS.compile(source);
      this.#compiled = RE2JS.compile(`^(?s:${source})$`);
    } catch (error) {
      if (error instanceof RE2JSException)
        throw new RegexError(error.message.replace(/^error parsing regexp: /, ''));
      throw error;
    }
    this.groupCount = this.#compiled.groupCount();
    this.groups = new Map(Object.entries(this.#compiled.namedGroups()));
  }

  test(text: string): boolean {
    return this.#compiled.test(text);
  }

  match(text: string): Match | undefined {
    const matcher = this.#compiled.matcher(text);
    return matcher.find() ? (group) => matcher.group(group) ?? '' : undefined;
  }
}

/** The text is no regular expression of RE2; the message says why, in the words of RE2. */
export class RegexError extends Error {}
