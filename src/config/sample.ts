import { options } from './options.ts';
import type { ListRow, Row, Section } from './rows.ts';
import { accepted } from './values.ts';

const head = [
  '# Spillway: every key with its default. A key that has none is commented out, with an example.',
  '# Without a configuration file, this is what runs.',
  '#',
  '# Durations are written as 500ms, 30s, 1h30m; sizes as 64KiB, 32MiB, 1GB. Relative paths start at',
  '# the folder of this file.',
];

/** The columns that a comment fills before its indentation. */
const commentWidth = 94;

/** The sample configuration: YAML that says every default, explained. `parseConfig` reads it. */
export function renderDefaults(): string {
  return `${[...head, ...renderKeys(options)].join('\n')}\n`;
}

/** `given` are values that stand in place of the defaults. */
function renderKeys(section: Section, given: Readonly<Record<string, string>> = {}): string[] {
  return Object.entries(section).flatMap(([key, row]) => [
    '',
    ...explain(row)
      .flatMap(wrap)
      .map((line) => `# ${line}`),
    ...renderKey(key, row, given[key]),
  ]);
}

function renderKey(key: string, row: Row, given: string | undefined): string[] {
  switch (row.type) {
    case 'section':
      return row.optional
        ? [`${key}:`, ...renderExamples(row.options).map((line) => `  ${line}`)].map((line) => `# ${line}`)
        : [`${key}:`, ...renderKeys(row.options).map((line) => indent(line, 2))];
    case 'list':
      return row.optional
        ? renderExample(key, row)
        : [`${key}:`, ...asItem(renderKeys(row.options, row.sample))];
    case 'map':
    case 'named':
      return [`${key}: {}`];
    case 'texts':
    case 'secrets':
    case 'paths':
      return [`${key}: []`];
    default:
      if (given !== undefined) return [`${key}: ${given}`];
      return [row.default === null ? `# ${key}: ${row.example}` : `${key}: ${row.default}`];
  }
}

/** A list that is empty by default, and its example. */
function renderExample(key: string, { sample }: ListRow): string[] {
  return [`${key}:`, ...asItem(Object.entries(sample).map(([k, value]) => `${k}: ${value}`))].map(
    (line) => `# ${line}`,
  );
}

/** The keys of a section that is commented out as a whole. */
function renderExamples(section: Section): string[] {
  return Object.entries(section).flatMap(([key, row]) =>
    'example' in row ? `${key}: ${row.example}` : renderKey(key, row, undefined),
  );
}

/** The lines as one item of a list: the dash goes before the first key. */
function asItem(lines: readonly string[]): string[] {
  const first = lines.findIndex((line) => /^\w/.test(line));
  return lines.map((line, i) => (i === first ? `  - ${line}` : indent(line, 4)));
}

function indent(line: string, columns: number): string {
  return line === '' ? '' : ' '.repeat(columns) + line;
}

/** Two paragraphs: what the key means; what it accepts, and why it has its default. */
function explain(row: Row): string[] {
  if (!('default' in row)) return [row.about];
  const values = accepted(row);
  return [row.about, `${values[0]!.toUpperCase()}${values.slice(1)}. ${row.why ?? ''}`.trimEnd()];
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && longer.length <= commentWidth) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
