import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectDir } from '../support/paths.ts';

/** What people read, by its path in the project. */
export const pages: readonly string[] = [
  'README.md',
  'CHANGELOG.md',
  'bench/README.md',
  'deploy/README.md',
  ...readdirSync(join(projectDir, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

export const readPage = (path: string): string => readFileSync(join(projectDir, path), 'utf8');

export interface Block {
  readonly page: string;
  /** Where it begins, from 1. */
  readonly line: number;
  readonly language: string;
  readonly text: string;
}

/** The code blocks of all pages, without the indent of a list that they stand in. */
export function blocks(...languages: readonly string[]): Block[] {
  return pages.flatMap((page) => {
    const whole = readPage(page);
    return [...whole.matchAll(/^( *)```(\w*)\n([\s\S]*?)^\1```$/gm)]
      .filter(([, , language]) => languages.includes(language!))
      .map(({ 1: indent, 2: language, 3: text, index }) => ({
        page,
        line: whole.slice(0, index).split('\n').length,
        language: language!,
        text: text!.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
      }));
  });
}

/** A page without its code blocks. */
export const proseOf = (text: string): string => text.replaceAll(/^( *)```[\s\S]*?^\1```$/gm, '');

/** What the headings of a page can be linked by, as GitHub makes it. */
export function anchorsOf(text: string): Set<string> {
  const headings = [...proseOf(text).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading!);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}
