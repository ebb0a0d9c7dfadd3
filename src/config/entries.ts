/** The maps of the configuration: what may be a name and a value in them. */
import type { MapRow, NamedRow } from './rows.ts';

/** Headers that the protocol or the HTTP client sets (RW1-S-03, RW2-S-03), in lower case. */
const reservedHeaders: ReadonlySet<string> = new Set([
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
  'www-authenticate',
  'x-amz-content-sha256',
  'x-amz-date',
  'x-amz-security-token',
  'x-prometheus-remote-read-version',
  'x-prometheus-remote-write-version',
  'x-prometheus-scrape-timeout-seconds',
]);

/** What is wrong with an entry that follows the names in `earlier`, without its value, which may be secret. */
export function entryProblem(
  entries: MapRow['entries'],
  name: string,
  value: string,
  earlier: readonly string[],
): string | undefined {
  switch (entries) {
    case 'label':
      return labelProblem(name, value);
    case 'header':
      return headerProblem(name, value, earlier);
    case 'user':
      return userProblem(name, value);
    case 'param':
      return name === '' ? 'a parameter needs a name' : undefined;
    case 'access':
      return accesses.some((access) => access === value) ? undefined : 'expected `write`, `read` or `all`';
  }
}

/** What credentials are good for: writing, looking, or both and what changes the agent. */
export const accesses = ['write', 'read', 'all'] as const;
export type Access = (typeof accesses)[number];

/** Over 16 a comparison takes longer than a sender waits for its answer. */
const bcryptHash = /^\$2[aby]\$(?:0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}$/;

function userProblem(name: string, value: string): string | undefined {
  if (!/^[^:\p{Cc}]{1,256}$/u.test(name)) {
    return 'not a user name: expected 1 to 256 characters without `:` and control characters';
  }
  return bcryptHash.test(value)
    ? undefined
    : 'not a bcrypt hash of cost 4 to 16: make one with `spillway hash-password` (not shown, it may be secret)';
}

function labelProblem(name: string, value: string): string | undefined {
  if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) {
    return 'not a label name: expected letters, digits and `_`, the first not a digit';
  }
  return value === '' ? 'the value of a label cannot be empty' : undefined;
}

/** What is wrong with a name that stands before a section or a list, and follows the names in `earlier`. */
export function nameProblem(
  entries: NamedRow['entries'],
  name: string,
  earlier: readonly string[],
): string | undefined {
  return entries === 'header' ? headerProblem(name, '', earlier) : headerNameProblem(name, earlier);
}

/** Whether HTTP takes it as the value of a header. */
export function isHeaderValue(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
}

function headerProblem(name: string, value: string, earlier: readonly string[]): string | undefined {
  const folded = name.toLowerCase();
  if (folded === 'authorization') {
    return '`Authorization` is reserved: use `basic_auth`, `authorization` or `oauth2`';
  }
  if (reservedHeaders.has(folded)) {
    return `\`${name}\` is reserved: it is set by the protocol or the HTTP client`;
  }
  const problem = headerNameProblem(name, earlier);
  if (problem !== undefined) return problem;
  return isHeaderValue(value) ? undefined : 'not a header value: expected Latin-1 text without line breaks';
}

function headerNameProblem(name: string, earlier: readonly string[]): string | undefined {
  if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name)) {
    return "not a header name: expected letters, digits and !#$%&'*+-.^_`|~";
  }
  const folded = name.toLowerCase();
  const twin = earlier.find((other) => other.toLowerCase() === folded);
  return twin === undefined
    ? undefined
    : `given before as \`${twin}\`: header names are the same in upper and lower case`;
}
