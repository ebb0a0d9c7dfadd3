import { type Document, type ErrorCode, type LineCounter, parseDocument } from 'yaml';
import type { Problems } from './problems.ts';

/** In our words: those of the parser quote the source, and with it perhaps a secret. */
const hints: Partial<Record<ErrorCode, string>> = {
  BAD_DIRECTIVE: 'not a YAML directive: quote a value that starts with `%`',
  BAD_DQ_ESCAPE: 'not an escape of YAML: in double quotes write `\\\\` for a backslash, or use single quotes',
  BAD_INDENT: 'wrong indentation, or a bracket that is not closed',
  BAD_SCALAR_START: 'a value that starts with this character needs quotes',
  BLOCK_AS_IMPLICIT_KEY:
    'a second key on one line: put it on a line of its own, or quote a value that has `: ` in it',
  MISSING_CHAR: 'a quote, bracket, comma, colon or space is missing here or before',
  MULTILINE_IMPLICIT_KEY: 'a key without a colon after it, or with a line break in it',
  MULTIPLE_DOCS: 'a second document: the configuration is one',
  TAB_AS_INDENT: 'a tab: YAML is indented with spaces',
  TAG_RESOLVE_FAILED: 'a tag, which is not used here: quote a value that starts with `!`',
  UNEXPECTED_TOKEN:
    'does not belong here: an unquoted value, a bracket too many, or text after a closing quote',
};

/**
 * Parses YAML with every scalar as text; throws a `ConfigError` when it is not YAML, because what can be seen
 * of a broken tree would only give rise to further complaints. Keys that occur twice are left to the reader.
 */
export function parseYaml(text: string, lineCounter: LineCounter, problems: Problems): Document.Parsed {
  const document = parseDocument(text, {
    schema: 'failsafe',
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter,
  });
  for (const { code, pos } of [...document.errors, ...document.warnings]) {
    problems.place('', pos[0]);
    problems.add('', hints[code] ?? `not YAML (${code})`);
  }
  problems.throwIfAny();
  return document;
}
