import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, it } from 'node:test';
import { projectDir } from '../support/paths.ts';
import { anchorsOf, pages, proseOf, readPage } from './pages.ts';

/** The links of a page to places in this project: a path from the project, and what stands behind `#`. */
function linksOf(page: string): { text: string; path: string; anchor: string | undefined }[] {
  return [...proseOf(readPage(page)).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, text]) => text!)
    .filter((text) => !/^[a-z]+:/.test(text))
    .map((text) => {
      const [path, anchor] = text.split('#', 2);
      return { text, path: path === '' ? page : normalize(join(dirname(page), path!)), anchor };
    });
}

describe('links between the pages', () => {
  for (const page of pages) {
    it(`of ${page} lead somewhere`, () => {
      for (const { text, path, anchor } of linksOf(page)) {
        assert.ok(existsSync(join(projectDir, path)), text);
        if (anchor !== undefined) assert.ok(anchorsOf(readPage(path)).has(anchor), text);
      }
    });
  }

  it('lead from the README to every page', () => {
    const linked = linksOf('README.md').map(({ path }) => path);
    const wanted = pages.filter((page) => !['README.md', 'bench/README.md'].includes(page));
    assert.deepEqual(
      wanted.filter((page) => !linked.includes(page)),
      [],
    );
  });

  it('leave no name of a source in a page that is not there', () => {
    for (const page of pages) {
      for (const [, path] of readPage(page).matchAll(/`((?:src|test|bench|deploy|examples)\/[\w./-]+)`/g)) {
        const file = join(projectDir, path!);
        assert.ok(existsSync(file), `${page}: ${path}`);
        assert.equal(path!.endsWith('/'), statSync(file).isDirectory() && path!.endsWith('/'), path);
      }
    }
  });
});
