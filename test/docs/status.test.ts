import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectDir } from '../support/paths.ts';

test('docs/status.md names every field that document.ts declares', () => {
  const text = readFileSync(join(projectDir, 'docs', 'status.md'), 'utf8');
  const named = new Set([...text.matchAll(/`(\w+)`/g)].map(([, name]) => name));
  const declared = readFileSync(join(projectDir, 'src', 'status', 'document.ts'), 'utf8');
  const keys = new Set([...declared.matchAll(/\breadonly (\w+)\??:/g)].map(([, name]) => name!));
  assert.ok(keys.size > 50, `${keys.size}`);
  assert.deepEqual(
    [...keys].filter((key) => !named.has(key)),
    [],
  );
});
