import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Child } from '../support/child.ts';
import { tempDir } from '../support/temp.ts';

const program = fileURLToPath(new URL('../../demo/run.js', import.meta.url));

test('the demo shows an outage and a kill, and accounts for all samples', async (t) => {
  const child = Child.spawn(t, 'demo', process.execPath, [program, '--fast'], {
    cwd: await tempDir(t, 'demo'),
  });
  const [, url] = await child.line(/look at it while this goes on: (http:\S+)/);
  assert.equal((await fetch(url!)).status, 200);
  await child.line(/OUTAGE/);
  await child.line(/waiting [1-9]/);
  await child.line(/KILL -9/);
  await child.line(/RETURN/);
  await child.line(/acknowledged 20,000 samples/);
  await child.line(/receiver {5}20,000 exact/);
  await child.line(/All samples are accounted for/);
  assert.deepEqual(await child.end(), { code: 0, signal: null });
});
