/**
 * docs/performance.md: a section for each scenario, with its text and the figures of its last run. The figures
 * stand between two markers; those of scenarios that were not run stay as they are, so that the page can be
 * refreshed one scenario at a time.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describeMachine } from './machine.ts';
import { asMarkdown } from './report.ts';
import { SCENARIOS } from './scenarios.ts';

/** Figures as Markdown, by name of the scenario. */
export type Figures = ReadonlyMap<string, string>;

export const PAGE_PATH: string = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));

const HEAD = `# Performance

<!-- Written by \`npm run bench:docs\`; what stands outside the markers comes from bench/scenarios.ts and bench/page.ts. -->

What Spillway costs beside vmagent and the Prometheus agent: the same load through each, one after the other on one
machine, in processes of their own, with the defaults of each. Every sample that was delivered is compared bit by bit
with what was sent. Values are medians of as many runs as each table says; in parentheses is the ratio to vmagent in the same run, or to
Prometheus where vmagent takes no part. Trust ratios: absolute numbers follow the machine.
[bench/README.md](../bench/README.md) says what each row means, and how to run this yourself.

Spillway syncs to disk before it acknowledges. vmagent writes to disk only while its endpoint is down, and neither peer
syncs before it acknowledges.
`;

/** What is measured of one part alone, by a program of its own: `npm run bench:NAME`. */
const PARTS = [
  {
    name: 'emit',
    title: 'One request body',
    text:
      'What do a row, its bytes and `wire_compression` cost where a body is made? Fifty thousand series, each with one ' +
      'sample, in bodies of 2000 rows: those of one shard follow the order of the scrape, those of sixteen have every ' +
      'sixteenth series. CPU time of the emission alone. `small` is worth its CPU time where a gigabyte that it saves ' +
      'costs more than the CPU-seconds in the last column: over 2.0, between zones or to the internet, it usually does. ' +
      "Inside a network of one's own it does not, and over 1.0 there is nothing to save: `fast` is the default.",
  },
  {
    name: 'deliver',
    title: 'One endpoint alone',
    text:
      'How much can the thread of an endpoint deliver on one core? From the files of the queue to finished requests, which ' +
      'a destination takes at once: the socket adds its part. All that comes in passes one thread as well, so that an ' +
      'endpoint would need a second one only if it were the slower of the two.',
  },
] as const;
const UNMEASURED = 'Not measured yet.';

/** Writes the page with new figures for some scenarios. */
export function writePage(figures: Figures): void {
  writeFileSync(PAGE_PATH, pageWith(figures, readFileSync(PAGE_PATH, 'utf8')));
}

/** Writes the section of a part that was measured alone: a table. */
export function writePart(
  name: (typeof PARTS)[number]['name'],
  header: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  const table = [header, ...rows].map((cells) => cells.map((text) => ({ text, ratio: '' })));
  const command = `    npm run bench:${name} -- --write-docs`;
  const date = new Date().toISOString().slice(0, 10);
  writePage(new Map([[name, [command, `${date}. ${describeMachine()}.`, asMarkdown(table)].join('\n\n')]]));
}

/** The page with `figures`, and for all other scenarios with what `previous`, an earlier page, has. */
export function pageWith(figures: Figures, previous: string): string {
  const sections = [...SCENARIOS, ...PARTS].map(({ name, title, text }) => {
    const measured = figures.get(name) ?? between(previous, opening(name), closing(name)) ?? UNMEASURED;
    return `\n## ${title}\n\n${text}\n\n${opening(name)}\n\n${measured}\n\n${closing(name)}\n`;
  });
  return HEAD + sections.join('');
}

function between(page: string, start: string, end: string): string | undefined {
  const startAt = page.indexOf(start);
  const endAt = page.indexOf(end, startAt);
  if (startAt < 0 || endAt < 0) return undefined;
  // Lines alone: the command that stands first is indented.
  return page.slice(startAt + start.length, endAt).replace(/^\n+|\n+$/g, '');
}

function opening(name: string): string {
  return `<!-- bench:${name} -->`;
}

function closing(name: string): string {
  return `<!-- /bench:${name} -->`;
}
