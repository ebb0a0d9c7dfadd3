import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { play, scenes } from '../page/scenes.ts';
import { projectDir } from '../support/paths.ts';

test('docs/status.md names every field of the status and the history', () => {
  const text = readFileSync(join(projectDir, 'docs', 'status.md'), 'utf8');
  const named = new Set([...text.matchAll(/`(\w+)`/g)].map(([, name]) => name));
  const keys = new Set<string>();
  const collect = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(collect);
    else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) {
        keys.add(key);
        collect(inner);
      }
    }
  };
  for (const scene of Object.values(scenes)) {
    const board = play({ ...scene, minutes: 1 });
    collect(board.document());
    // By name, and names are whatever somebody configures.
    const { endpoints, ...history } = board.history();
    collect([history, ...Object.values(endpoints)]);
  }
  assert.ok(keys.size > 50, `${keys.size}`);
  assert.deepEqual(
    [...keys].filter((key) => !named.has(key)),
    [],
  );
});
