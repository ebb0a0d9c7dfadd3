import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkConfig } from '../../src/cli/check-config.ts';
import { type ConvertFlags, convert } from '../../src/cli/convert.ts';
import { tempDir } from '../support/temp.ts';

async function run(
  args: readonly string[],
  flags: Partial<ConvertFlags> = {},
): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const code = await convert(
    args,
    { vmagent: false, output: undefined, exact: false, json: false, ...flags },
    (text) => {
      out += text;
    },
    (text) => {
      err += text;
    },
  );
  return { code, out, err };
}

test('the result is checked in the same run, and check-config takes it', async (t) => {
  const dir = await tempDir(t, 'convert');
  const prometheus = join(dir, 'prometheus.yml');
  writeFileSync(prometheus, 'scrape_configs: []\nremote_write: [{url: "http://127.0.0.1:1/"}]\n');
  const output = join(dir, 'spillway.yaml');
  const { code, out, err } = await run([prometheus], { output });
  assert.deepEqual([code, out], [0, '']);
  assert.match(err, /^note: `scrape_configs` \(0\) is left out/);
  assert.equal(statSync(output).mode & 0o777, 0o600);
  const flags = { json: false, strict: true, syntaxOnly: false };
  const sink = (): void => undefined;
  assert.equal(await checkConfig(output, flags, sink, sink), 0);
  assert.equal((await run([prometheus])).out, readFileSync(output, 'utf8'));
});

test('what Spillway does not take is named with its line, and the result is there to be mended', async (t) => {
  const dir = await tempDir(t, 'convert');
  const prometheus = join(dir, 'prometheus.yml');
  writeFileSync(prometheus, 'remote_write: [{url: "http://127.0.0.1:1/", frobnicate: s3cret}]\n');
  const { code, out, err } = await run([prometheus]);
  assert.equal(code, 1);
  assert.match(out, /frobnicate/);
  assert.match(err, /^converted:\d+:\d+: remote_write\[0\]\.frobnicate: unknown key/m);
  assert.doesNotMatch(err, /s3cret/);
});

test('a command line of vmagent', async () => {
  const { code, out, err } = await run(
    ['-remoteWrite.url=http://127.0.0.1:1/', '-remoteWrite.bearerToken=s3cret'],
    {
      vmagent: true,
    },
  );
  assert.equal(code, 0);
  assert.match(out, /credentials: s3cret/);
  assert.doesNotMatch(err, /s3cret/);
});

test('a wrong call, and what cannot be read', async (t) => {
  const dir = await tempDir(t, 'convert');
  await assert.rejects(run([]), { code: 'USAGE' });
  await assert.rejects(run(['a', 'b']), { code: 'USAGE' });
  await assert.rejects(run([], { vmagent: true }), { code: 'USAGE' });
  await assert.rejects(run(['-x'], { vmagent: true, exact: true }), { code: 'USAGE' });
  await assert.rejects(run([join(dir, 'missing.yml')]), { code: 'NOT_CONVERTED' });
  writeFileSync(join(dir, 'broken.yml'), 'remote_write: [');
  await assert.rejects(run([join(dir, 'broken.yml')]), { code: 'NOT_CONVERTED' });
});
