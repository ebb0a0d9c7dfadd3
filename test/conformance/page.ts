/**
 * docs/conformance.md: each requirement with the tests that hold it, read from the sources of the tests.
 *
 * A test holds a requirement when its title cites the id. A title is the text that `test`, `it` and `describe` start
 * with, or any text that ends with ids in parentheses, such as that of a case in a table. `RW2-R-19 to -21, -26` cites
 * four, as does `RW2-R-19..21, -26`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { families } from './requirements.ts';
import { untested } from './untested.ts';

/** A title that cites something, and the file that it is in, from `test/` on. */
export interface Citation {
  readonly file: string;
  /** Without the ids. */
  readonly title: string;
  readonly ids: readonly string[];
}

const prefixes = families.map(({ prefix }) => prefix).join('|');
const more = `(?:,? (?:to |and )?-|\\.\\.-?| to (?:${prefixes})-)\\d+`;
const cited = new RegExp(`\\b(${prefixes})-(\\d+)((?:${more})*)`, 'g');
const starts = /\b(?:test|it|describe)(?:\.\w+)?\(\s*(['"`])(?<title>(?:\\.|(?!\1)[^\\])*)\1/g;
const ends = /(['"`])(?<title>(?:\\.|(?!\1)[^\\\n])*\([^()\n]*\b(?:[A-Z]+\d?-)+\d+[^()\n]*\))\1/g;

/** The ids in a title, those of ranges one by one. */
export function idsIn(title: string): readonly string[] {
  return [...title.matchAll(cited)].flatMap(([, prefix, first, rest]) => {
    const numbers = [Number(first)];
    for (const [piece] of rest!.matchAll(new RegExp(more, 'g'))) {
      const last = Number(/\d+$/.exec(piece)![0]);
      if (!/to |\.\./.test(piece)) numbers.push(last);
      else for (let next = numbers.at(-1)! + 1; next <= last; next++) numbers.push(next);
    }
    return numbers.map((number) => `${prefix}-${String(number).padStart(2, '0')}`);
  });
}

/** The titles in the source of a test that cite an id. */
export function citationsIn(source: string, file: string): readonly Citation[] {
  const found = new Map<number, string>();
  for (const pattern of [starts, ends]) {
    for (const match of source.matchAll(pattern)) {
      const { title = '' } = match.groups!;
      found.set(match.index + match[0].lastIndexOf(title), title);
    }
  }
  const inOrder = [...found].toSorted(([a], [b]) => a - b);
  return inOrder.flatMap(([, raw]) => {
    const ids = idsIn(raw);
    if (ids.length === 0) return [];
    const title = raw
      .replace(/\s*\((?=[^()]*\b[A-Z]+\d?(?:-[A-Z]+)?-\d)[^()]*\)/g, '')
      .replace(/\$\{[^}]*\}/g, '...')
      .replace(/\\(.)/g, '$1');
    return [{ file, title, ids }];
  });
}

/** All of them, in the order of the files. */
export function citations(testDir: string): readonly Citation[] {
  return readdirSync(testDir, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts') && !path.startsWith('conformance'))
    .sort()
    .flatMap((path) => citationsIn(readFileSync(join(testDir, path), 'utf8'), path));
}

const head = `# Conformance

<!-- Written by \`npm run docs\` from the titles of the tests; changes here are lost. -->

What remote write 1.0 and 2.0 ask of senders and receivers, what real peers do beyond the text, and what an agent that
is both owes its neighbours; with the tests that hold it. Levels are those of the specifications, and ours where they
are silent (\`WIRE\`, \`INT\`, \`RLY\`). A test holds what its title cites.
`;

/** The text of the page. */
export function renderConformance(testDir: string): string {
  const held = new Map<string, Citation[]>();
  for (const citation of citations(testDir)) {
    for (const id of citation.ids) held.set(id, [...(held.get(id) ?? []), citation]);
  }
  const all = families.flatMap(({ requirements }) => requirements);
  const count = all.filter(({ id }) => held.has(id)).length;
  const summary = `${count} of ${all.length} requirements are held by a test.`;
  const sections = families.flatMap(({ title, requirements }) => [
    `\n## ${title}\n`,
    '| Id | Level | Concerns | Requirement | Held by |',
    '| --- | --- | --- | --- | --- |',
    ...requirements.map(({ id, level, by, text }) => {
      const tests = held
        .get(id)
        ?.map(({ file, title: name }) => `${file.replace(/\.test\.ts$/, '')}: *${name}*`);
      const reason = `no test: ${untested[id] ?? 'not done yet'}`;
      const cells = [id, level, by, text, tests === undefined ? reason : [...new Set(tests)].join('<br>')];
      return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
    }),
  ]);
  return `${[head, summary, ...sections].join('\n')}\n`;
}
