import { resolve } from 'node:path';
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { entryProblem, nameProblem } from './entries.ts';
import type { Problems } from './problems.ts';
import {
  type Keys,
  type ListRow,
  type MapRow,
  type NamedRow,
  propertyName,
  type Row,
  type ScalarRow,
  type Section,
  type SectionRow,
  type Settings,
  type TextsRow,
} from './rows.ts';
import { Secret } from './secrets.ts';
import { suggest } from './suggest.ts';
import { accepted, defaultValue, parseScalar, shown } from './values.ts';

/**
 * Walks the document along a table of options. Defaults stand in for what is not written and for what is wrong;
 * everything that is wrong is added to `problems`, and every path that is written is placed there. Relative
 * paths start at `baseDir`.
 */
export function readSettings<Table extends Section>(
  keys: Keys & { readonly options: Table },
  document: Document.Parsed,
  problems: Problems,
  baseDir: string,
): Settings<Table> {
  return new Reader(document, problems, baseDir).readRoot(keys) as Settings<Table>;
}

/**
 * A node with its alias followed. `null` stands for a key without a value, `undefined` for a key that is not
 * written, or whose value was refused already.
 */
type Content = Scalar | YAMLMap | YAMLSeq | null | undefined;

class Reader {
  readonly #document: Document.Parsed;
  readonly #problems: Problems;
  readonly #baseDir: string;
  /** The maps whose merges are being followed. */
  readonly #merging = new Set<unknown>();

  constructor(document: Document.Parsed, problems: Problems, baseDir: string) {
    this.#document = document;
    this.#problems = problems;
    this.#baseDir = baseDir;
  }

  readRoot(keys: Keys): unknown {
    return this.#readKeys(keys, this.#follow(this.#document.contents, ''), '');
  }

  #read(row: Row, content: Content, path: string): unknown {
    switch (row.type) {
      case 'section':
        if (row.shorthand !== undefined && isScalar(content)) {
          return this.#readShorthand(row, row.shorthand, content, path);
        }
        return row.optional && !content ? undefined : this.#readKeys(row, content, path);
      case 'list':
        return this.#readList(row, content, path);
      case 'map':
        return this.#readMap(row, content, path);
      case 'texts':
        return this.#readTexts(row, content, path);
      case 'secrets':
        return this.#readTexts(row, content, path).map((text) => new Secret({ text }));
      case 'paths':
        return this.#readTexts(row, content, path).map((text) => resolve(this.#baseDir, text));
      case 'named':
        return this.#readNamed(row, content, path);
      default:
        return this.#readScalar(row, content, path);
    }
  }

  #readList(row: ListRow, content: Content, path: string): unknown {
    const list = this.#expect(accepted(row), content, path, isSeq);
    if (!row.optional && (!content || list?.items.length === 0)) {
      this.#problems.addAcross([path], `expected ${accepted(row)}, got none`);
    }
    return (list?.items ?? []).map((item, i) => {
      const itemPath = `${path}[${i}]`;
      this.#problems.place(itemPath, start(item));
      return this.#readKeys(row, this.#follow(item, itemPath), itemPath);
    });
  }

  #readKeys(keys: Keys, content: Content, path: string): unknown {
    const map = this.#expect('a section of keys', content, path, isMap);
    const entries = this.#entries(map, path);
    for (const key of entries.keys()) {
      if (!Object.hasOwn(keys.options, key)) this.#problems.add(join(path, key), unknownKey(key, keys));
    }
    const settings: Record<string, unknown> = {};
    for (const [key, row] of Object.entries(keys.options)) {
      const keyPath = join(path, key);
      if ('required' in row && !entries.has(key)) {
        this.#problems.addAcross([path], `\`${key}\` is missing: expected ${accepted(row)}`);
      }
      settings[propertyName(key, row)] = this.#read(row, entries.get(key), keyPath);
    }
    return settings;
  }

  /** A section of which one key is written, without its name. */
  #readShorthand(row: SectionRow, shorthand: string, content: Scalar, path: string): unknown {
    const settings = Object.entries(row.options).map(([key, inner]) => [
      propertyName(key, inner),
      key === shorthand ? this.#read(inner, content, path) : this.#read(inner, undefined, join(path, key)),
    ]);
    return Object.fromEntries(settings);
  }

  #readMap(row: MapRow, content: Content, path: string): Readonly<Record<string, string>> {
    const values = new Map<string, string>();
    for (const [name, entry] of this.#entries(this.#expect(accepted(row), content, path, isMap), path)) {
      if (isMap(entry) || isSeq(entry)) {
        this.#problems.add(join(path, name), `expected text, got ${kindOf(entry)}`);
      } else if (entry !== undefined) {
        const value = entry === null ? '' : textOf(entry);
        const problem = entryProblem(row.entries, name, value, [...values.keys()]);
        if (problem !== undefined) this.#problems.add(join(path, name), problem);
        values.set(name, value);
      }
    }
    return Object.fromEntries(values);
  }

  #readNamed(row: NamedRow, content: Content, path: string): Readonly<Record<string, unknown>> {
    const values = new Map<string, unknown>();
    for (const [name, entry] of this.#entries(this.#expect(accepted(row), content, path, isMap), path)) {
      const problem = nameProblem(row.entries, name, [...values.keys()]);
      if (problem !== undefined) this.#problems.add(join(path, name), problem);
      values.set(name, this.#read(row.each, entry, join(path, name)));
    }
    return Object.fromEntries(values);
  }

  #readTexts(row: TextsRow, content: Content, path: string): readonly string[] {
    const list = this.#expect(accepted(row), content, path, isSeq);
    return (list?.items ?? []).flatMap((item, i) => {
      const itemPath = `${path}[${i}]`;
      this.#problems.place(itemPath, start(item));
      const text = this.#follow(item, itemPath);
      if (isScalar(text) && textOf(text) !== '') return [textOf(text)];
      if (text !== undefined) this.#problems.add(itemPath, `expected ${row.of}, got ${kindOf(text)}`);
      return [];
    });
  }

  #readScalar(row: ScalarRow, content: Content, path: string): unknown {
    if (content === undefined) return defaultValue(row, this.#baseDir);
    if (content === null && 'blank' in row) return '';
    let found = kindOf(content);
    if (isScalar(content)) {
      const written = { text: textOf(content), quoted: content.type !== 'PLAIN' };
      const value = parseScalar(row, written, this.#baseDir);
      if (value !== undefined) return value;
      found = shown(row, written);
      const meant = row.type === 'enum' ? suggest(written.text, row.values) : undefined;
      if (meant !== undefined) found += `; did you mean \`${meant}\`?`;
    }
    this.#problems.add(path, `expected ${accepted(row)}, got ${found}`);
    return defaultValue(row, this.#baseDir);
  }

  /** The content when it is of the kind that is expected. A key without a value counts as not written. */
  #expect<T>(
    expected: string,
    content: Content,
    path: string,
    isKind: (node: unknown) => node is T,
  ): T | undefined {
    if (isKind(content)) return content;
    if (content) {
      this.#problems.add(path, `expected ${expected}, got ${kindOf(content)}`);
    }
    return undefined;
  }

  /**
   * The content by key, with that of merged maps (`<<`, as Prometheus reads it) where it has no key of its own.
   * Problems with a value are reported at its key too: one place for each path.
   */
  #entries(map: YAMLMap | undefined, path: string): ReadonlyMap<string, Content> {
    const items = map?.items ?? [];
    const entries = new Map<string, Content>();
    for (const { value } of items.filter(({ key }) => isMerge(key)).toReversed()) {
      for (const source of this.#mergedMaps(value, join(path, 'merge'))) {
        if (this.#merging.has(source)) {
          this.#problems.add(join(path, 'merge'), 'a section that merges itself');
          continue;
        }
        this.#merging.add(source);
        for (const [name, content] of this.#entries(source, path)) entries.set(name, content);
        this.#merging.delete(source);
      }
    }
    const own = new Set<string>();
    for (const { key, value } of items) {
      if (isMerge(key)) continue;
      const name = isScalar(key) ? textOf(key) : '';
      const keyPath = join(path, name);
      const before = own.has(name) ? this.#problems.where(keyPath) : undefined;
      own.add(name);
      this.#problems.place(keyPath, start(key));
      if (before !== undefined) {
        this.#problems.add(keyPath, `given before at ${before}`);
      } else {
        entries.set(name, this.#follow(value, keyPath));
      }
    }
    return entries;
  }

  /** The maps behind a `<<`: one or a list of them, of which the first wins and comes last. */
  #mergedMaps(value: unknown, path: string): readonly YAMLMap[] {
    this.#problems.place(path, start(value));
    const target = this.#follow(value, path);
    const sources = isSeq(target) ? target.items.map((item) => this.#follow(item, path)) : [target];
    return sources.toReversed().flatMap((source) => {
      if (isMap(source)) return [source];
      if (source !== undefined)
        this.#problems.add(path, `expected a section to merge, got ${kindOf(source)}`);
      return [];
    });
  }

  #follow(node: unknown, path: string): Content {
    const target = isAlias(node) ? node.resolve(this.#document) : node;
    if (target === undefined) {
      this.#problems.add(path, 'an alias without an anchor before it: quote a value that starts with `*`');
      return undefined;
    }
    return isMap(target) || isSeq(target) || (isScalar(target) && !isNull(target)) ? target : null;
  }
}

/** The key of a merge; in quotes it is a key like others. */
function isMerge(key: unknown): boolean {
  return isScalar(key) && key.type === 'PLAIN' && key.value === '<<';
}

/** Without a value, in one of the ways of YAML. */
function isNull(scalar: Scalar): boolean {
  return scalar.type === 'PLAIN' && /^(?:|~|null|Null|NULL)$/.test(textOf(scalar));
}

function kindOf(content: Content): string {
  if (isScalar(content)) return 'text';
  if (isMap(content)) return 'a section';
  return isSeq(content) ? 'a list' : 'nothing';
}

function textOf(scalar: Scalar): string {
  return String(scalar.value);
}

function start(node: unknown): number {
  return (isNode(node) && node.range?.[0]) || 0;
}

/** What does not look like a key may be a value, and secret. */
function join(path: string, key: string): string {
  const name = /^[\w-]+$/.test(key) ? key : '?';
  return path === '' ? name : `${path}.${name}`;
}

function unknownKey(key: string, { options: known, unsupported }: Keys): string {
  if (unsupported?.includes(key)) {
    if (key.endsWith('_ref')) {
      return `names a secret in a secret manager, of which Spillway has none: give \`${key.replace(/_ref$/, '_file')}\``;
    }
    return 'Prometheus knows this key, but this version of Spillway does not support it yet';
  }
  const names = Object.keys(known);
  const meant = suggest(key, names);
  return meant === undefined
    ? `unknown key, expected one of ${names.join(', ')}`
    : `unknown key; did you mean \`${meant}\`?`;
}
