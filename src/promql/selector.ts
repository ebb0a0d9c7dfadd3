/**
 * PromQL instant-vector selectors, parsed and matched against a label set. Pure.
 *
 *     selector = name [ "{" matchers "}" ] | "{" matchers "}"
 *     matchers = [ matcher { "," matcher } [ "," ] ]
 *     matcher  = ( label | string ) ( "=" | "!=" | "=~" | "!~" ) string | string
 *
 * Blanks may stand between all of these. A string by itself is the metric name. Two differences from
 * Prometheus: `{}` is allowed and selects everything, and a pattern is a JavaScript regular expression, not
 * RE2. They agree on what selectors use in practice; what JavaScript does not know is an error. A leading
 * `(?i)` is understood, and a dot matches a line break, as in Prometheus 3. A JavaScript pattern can take
 * time exponential in the length of the text: whoever matches a pattern of a stranger must limit the time
 * (recent-lookup.ts does).
 */

import { SpillwayError } from '../runtime/errors.ts';

export type MatchOperator = '=' | '!=' | '=~' | '!~';

export interface Matcher {
  readonly label: string;
  readonly operator: MatchOperator;
  /** The string of the selector, escapes resolved; of `=~` and `!~` the pattern. */
  readonly value: string;
  /** Whether a label with this value matches; a label that a series lacks has the value `''`. */
  readonly accepts: (value: string) => boolean;
}

/** All of the matchers must accept. The metric name is a matcher on `__name__`. */
export type Selector = readonly Matcher[];

/** `position` (in `facts`) counts UTF-16 units from 0. */
export class SelectorError extends SpillwayError {
  readonly code = 'BAD_SELECTOR';

  constructor(what: string, text: string, position: number, cause?: unknown) {
    super(`selector, position ${position}: ${what}`, { selector: text, position }, cause);
  }
}

/** Longest pattern, in UTF-16 units. */
const maxPatternLength = 200;

/** Throws SelectorError. */
export function parseSelector(text: string): Selector {
  return new SelectorParser(text).parse();
}

export function matches(selector: Selector, labels: Readonly<Record<string, string>>): boolean {
  return selector.every(({ label, accepts }) => accepts(Object.hasOwn(labels, label) ? labels[label]! : ''));
}

/** Recursive descent over `text`; `#at` is where the next token starts. */
class SelectorParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Selector {
    const matchers: Matcher[] = [];
    const name = this.#take(/[a-zA-Z_:][a-zA-Z0-9_:]*/y);
    if (name !== undefined) matchers.push(equals('__name__', name));
    if (this.#take(/\{/y) !== undefined) this.#matchers(matchers);
    else if (name === undefined) throw this.#error('a metric name or { is expected');
    if (this.#peek() !== undefined) throw this.#error('the end is expected');
    return matchers;
  }

  /** What stands between the braces, and the closing one. */
  #matchers(into: Matcher[]): void {
    while (this.#take(/\}/y) === undefined) {
      into.push(this.#matcher());
      if (this.#take(/,/y) === undefined && this.#peek() !== '}') throw this.#error(', or } is expected');
    }
  }

  #matcher(): Matcher {
    const quoted = this.#string();
    const label = quoted ?? this.#take(/[a-zA-Z_][a-zA-Z0-9_]*/y);
    if (label === undefined) throw this.#error('a label name or } is expected');
    const operator = this.#take(/=~|!~|!=|=/y) as MatchOperator | undefined;
    if (operator === undefined) {
      if (quoted !== undefined) return equals('__name__', quoted);
      throw this.#error('=, !=, =~ or !~ is expected');
    }
    this.#peek(); // to the start of the string, for messages
    const start = this.#at;
    const value = this.#string();
    if (value === undefined) throw this.#error('a string in quotes is expected');
    if (operator === '=') return equals(label, value);
    if (operator === '!=') return { label, operator, value, accepts: (other) => other !== value };
    const pattern = this.#pattern(value, start);
    const wanted = operator === '=~';
    return { label, operator, value, accepts: (other) => pattern.test(other) === wanted };
  }

  /** A pattern that matches whole values. `start` is where its string stands. */
  #pattern(source: string, start: number): RegExp {
    if (source.length > maxPatternLength) {
      throw new SelectorError(`a pattern has at most ${maxPatternLength} characters`, this.#text, start);
    }
    const ignoreCase = source.startsWith('(?i)');
    try {
      // Compiled by itself first: `a)|(b` is only valid between the parentheses.
      const body = new RegExp(ignoreCase ? source.slice(4) : source, 'u').source;
      return new RegExp(`^(?:${body})$`, ignoreCase ? 'sui' : 'su');
    } catch (error) {
      throw new SelectorError((error as Error).message, this.#text, start, error);
    }
  }

  /** A string in `"`, `'` (with the escapes of Go) or `` ` `` (raw); undefined when none starts here. */
  #string(): string | undefined {
    const quote = this.#peek();
    if (quote !== '"' && quote !== "'" && quote !== '`') return undefined;
    const start = this.#at++;
    const bytes: Buffer[] = [];
    while (this.#text[this.#at] !== quote) {
      const code = this.#text.codePointAt(this.#at);
      if (code === undefined || (code === 0x0a && quote !== '`')) {
        throw new SelectorError('a string that does not end', this.#text, start);
      }
      if (code === 0x5c && quote !== '`') {
        bytes.push(this.#escape(quote));
      } else {
        const char = String.fromCodePoint(code);
        bytes.push(Buffer.from(char));
        this.#at += char.length;
      }
    }
    this.#at++;
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(bytes));
    } catch (error) {
      throw new SelectorError('a string that is not UTF-8', this.#text, start, error);
    }
  }

  /**
   * The bytes of the escape sequence at `#at`; as in Go, `\x` and octal give a byte, `\u` and `\U` a
   * character.
   */
  #escape(quote: string): Buffer {
    const sequence =
      /\\(?:([abfnrtv\\"'])|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y;
    sequence.lastIndex = this.#at;
    const match = sequence.exec(this.#text);
    const [whole = '', simple, hex, octal, short, long] = match ?? [];
    const codePoint = Number.parseInt(short ?? long ?? '0', 16);
    const isForeignQuote = simple !== undefined && `"'`.includes(simple) && simple !== quote;
    if (
      match === null ||
      isForeignQuote ||
      codePoint > 0x10ffff ||
      (codePoint >= 0xd800 && codePoint < 0xe000)
    ) {
      throw this.#error('an unknown escape sequence');
    }
    this.#at += whole.length;
    if (simple !== undefined) return Buffer.from(simpleEscapes[simple] ?? simple);
    if (hex !== undefined) return Buffer.of(Number.parseInt(hex, 16));
    if (octal !== undefined) return Buffer.of(Number.parseInt(octal, 8));
    return Buffer.from(String.fromCodePoint(codePoint));
  }

  /** The next character that is not a blank, undefined at the end; `#at` stands on it. */
  #peek(): string | undefined {
    while (' \t\r\n'.includes(this.#text[this.#at] ?? '-')) this.#at++;
    return this.#text[this.#at];
  }

  /** The token after blanks, if it is one of the sticky `pattern`. */
  #take(pattern: RegExp): string | undefined {
    this.#peek();
    pattern.lastIndex = this.#at;
    const token = pattern.exec(this.#text)?.[0];
    this.#at += token?.length ?? 0;
    return token;
  }

  #error(what: string): SelectorError {
    const found =
      this.#at < this.#text.length ? JSON.stringify(this.#text.slice(this.#at, this.#at + 12)) : 'the end';
    return new SelectorError(`${what}, found ${found}`, this.#text, this.#at);
  }
}

const simpleEscapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

function equals(label: string, value: string): Matcher {
  return { label, operator: '=', value, accepts: (other) => other === value };
}
