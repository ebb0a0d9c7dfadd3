/** One scalar of the file: what its row accepts, how that is said, and the value that comes of it. */
import { resolve } from 'node:path';
import { parseEndpointUrl, parseHttpUrl, parseListenAddress, parseProxyUrl } from './addresses.ts';
import { parseDuration } from './durations.ts';
import type { EnumRow, ListRow, MapRow, NamedRow, QuantityRow, ScalarRow, TextsRow } from './rows.ts';
import { Secret } from './secrets.ts';
import { parseSize } from './sizes.ts';

/** A scalar as it stands in the file. */
export interface Written {
  readonly text: string;
  /** In quotes or as a block: not a number, a boolean or nothing, whatever it looks like. */
  readonly quoted: boolean;
}

/** The value, of the type that `Settings` says; `undefined` when the row does not accept it. */
export function parseScalar(row: ScalarRow, written: Written, baseDir: string): unknown {
  const { text, quoted } = written;
  switch (row.type) {
    case 'string':
      return row.pattern === undefined || new RegExp(row.pattern).test(text) ? text : undefined;
    case 'secret':
      return new Secret({ text });
    case 'path':
      return text === '' ? undefined : resolve(baseDir, text);
    case 'url':
      return parseEndpointUrl(text);
    case 'http-url':
      return parseHttpUrl(text);
    case 'proxy-url':
      return parseProxyUrl(text);
    case 'address':
      return parseListenAddress(text);
    case 'enum':
      return parseEnum(row, text);
    case 'boolean':
      return quoted ? undefined : parseBoolean(text);
    case 'integer':
      return !quoted && /^[+-]?\d+$/.test(text) ? within(Number(text), row.min, row.max) : undefined;
    case 'duration':
    case 'size':
      return parseQuantity(row, text);
  }
}

/** The value when nothing is written: the default, or `undefined`. */
export function defaultValue(row: ScalarRow, baseDir: string): unknown {
  return row.default === null
    ? undefined
    : parseScalar(row, { text: String(row.default), quoted: false }, baseDir);
}

const acceptedEntries: Readonly<Record<MapRow['entries'], string>> = {
  label: 'a map of label names to values',
  header: 'a map of header names to values',
  user: 'a map of user names to bcrypt hashes',
  param: 'a map of parameter names to values',
  access: 'a map of user names to `write`, `read` or `all`',
};

/** What a row accepts, as a noun phrase. */
export function accepted(row: ScalarRow | MapRow | TextsRow | NamedRow | ListRow): string {
  switch (row.type) {
    case 'string':
      return row.allowed ?? 'text';
    case 'secret':
      return 'text';
    case 'path':
      return 'a path';
    case 'url':
      return 'a URL with `http:` or `https:`, or `sqlite:FILE`';
    case 'http-url':
      return 'a URL with `http:` or `https:`';
    case 'proxy-url':
      return 'a URL with `http:`, `https:` or `socks5:`';
    case 'address':
      return 'an address `host:port`, `[IPv6]:port` or `:port`';
    case 'enum':
      return `one of ${row.values.map((value) => `\`${value}\``).join(', ')}`;
    case 'boolean':
      return '`true` or `false`';
    case 'integer':
      return `a whole number of ${row.unit} from ${row.min} to ${row.max}`;
    case 'duration':
    case 'size':
      return `a ${row.type} from ${row.min} to ${row.max}`;
    case 'map':
      return acceptedEntries[row.entries];
    case 'texts':
    case 'secrets':
    case 'paths':
      return `a list, each item ${row.of}`;
    case 'named':
      return `a map of header names to ${row.each.type === 'section' ? 'sections' : 'lists'}`;
    case 'list':
      return row.optional ? 'a list of sections' : 'a list of sections, one at least';
  }
}

/** The value for an error message, unless it may hold a credential. */
export function shown(row: ScalarRow, { text, quoted }: Written): string {
  const mayBeSecret = row.type === 'secret' || (/url$/.test(row.type) && /[@?]/.test(text));
  if (mayBeSecret || ('hidden' in row && row.hidden)) return 'something else (not shown, it may be secret)';
  const short = text.length > 60 ? `${text.slice(0, 60)}...` : text;
  return `\`${quoted ? JSON.stringify(short) : short}\``;
}

function parseEnum({ values, anyCase }: EnumRow, text: string): string | undefined {
  const value = anyCase ? text.toLowerCase() : text;
  return values.includes(value) ? value : undefined;
}

/** All that Prometheus takes, which reads YAML 1.1. */
function parseBoolean(text: string): boolean | undefined {
  if (/^(?:true|True|TRUE|yes|Yes|YES|on|On|ON|y|Y)$/.test(text)) return true;
  return /^(?:false|False|FALSE|no|No|NO|off|Off|OFF|n|N)$/.test(text) ? false : undefined;
}

function parseQuantity(row: QuantityRow, text: string): number | undefined {
  const parse = row.type === 'duration' ? parseDuration : parseSize;
  return within(parse(text), parse(row.min)!, parse(row.max)!);
}

function within(value: number | undefined, min: number, max: number): number | undefined {
  return value !== undefined && min <= value && value <= max ? value : undefined;
}
