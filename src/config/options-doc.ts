import { options } from './options.ts';
import type { Keys, ListRow, MapRow, NamedRow, ScalarRow, Section, SectionRow, TextsRow } from './rows.ts';
import { accepted } from './values.ts';
import { webOptions, webUnsupported } from './web-options.ts';

const intro = `# Configuration

<!-- Written by \`npm run docs\` from src/config/options.ts; changes here are lost. -->

Spillway reads one YAML file. \`spillway config --defaults\` prints a sample with every key; without a file, that
sample is what runs. With a file, \`remote_write\` must be there; everything else has a default.

A file is taken or refused as a whole. An unknown key, a key that is given twice, a value of the wrong type or out
of bounds, and values that contradict each other are errors. All of them are reported at once, each as
\`file:line:column: path: what is wrong\`.

- **Durations** are written as in Prometheus: whole numbers with \`y\`, \`w\`, \`d\`, \`h\`, \`m\`, \`s\`, \`ms\`, large to small,
  such as \`1h30m\` or \`500ms\`; or \`0\`.
- **Sizes** are whole numbers with \`KiB\`, \`MiB\`, \`GiB\`, \`TiB\` (powers of 1024) or \`B\`, \`KB\`, \`MB\`, \`GB\`, \`TB\` (powers
  of 1000); without a unit they are bytes.
- **Relative paths** start at the folder of the file; without a file, at the working directory.
- **A change** of the file is put in force by SIGHUP or \`POST /-/reload\`, but for the keys that say that they take a
  restart; see [reload.md](reload.md).
- **Secrets** are never shown in errors, logs or the status page. A secret in a file is read again when it changes.
`;

const webIntro = `# The web configuration file

The file that \`web_config_file\` names has keys of its own. It is checked in the same way, and relative paths in it
start at its own folder. [security.md](security.md) says how to use it.`;

/** The text of `docs/configuration.md`. */
export function renderOptionsDoc(): string {
  const web: Keys = { options: webOptions, unsupported: webUnsupported };
  return `${[
    intro,
    '## All keys',
    '',
    ...renderSection(options, ''),
    '',
    webIntro,
    ...renderUnsupported(web),
    '',
    ...renderSection(web.options, ''),
  ].join('\n')}\n`;
}

/** A table of the keys that hold a value, then each inner section under a heading of its own. */
function renderSection(section: Section, path: string): string[] {
  const rows = Object.entries(section);
  return [
    '| Key | Values | Default | Meaning | Why this default |',
    '| --- | --- | --- | --- | --- |',
    ...rows.flatMap(([key, row]) => ('options' in row ? [] : renderRow(key, row))),
    ...rows.flatMap(([key, row]) => ('options' in row ? renderInner(`${path}${key}`, row) : [])),
  ];
}

function renderInner(path: string, row: SectionRow | ListRow): string[] {
  const name = row.type === 'list' ? `${path}[]` : path;
  const about = row.optional ? `${row.about} Unset unless it is written.` : row.about;
  return [
    '',
    `## \`${name}\``,
    '',
    about,
    ...renderUnsupported(row),
    '',
    ...renderSection(row.options, `${name}.`),
  ];
}

function renderRow(key: string, row: ScalarRow | MapRow | TextsRow | NamedRow): string {
  const why = ('why' in row && row.why) || '';
  const about = row.restart ? `${row.about} A change takes a restart.` : row.about;
  const cells = [`\`${key}\``, accepted(row), defaultOf(row), about, why];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function defaultOf(row: ScalarRow | MapRow | TextsRow | NamedRow): string {
  if (!('default' in row)) return 'empty';
  if (row.default !== null) return `\`${row.default}\``;
  return row.required ? 'required' : 'unset';
}

function renderUnsupported({ unsupported }: Keys): string[] {
  if (unsupported === undefined) return [];
  const names = unsupported.map((key) => `\`${key}\``).join(', ');
  return ['', `Keys of Prometheus that are not supported yet, and errors until they are: ${names}.`];
}
