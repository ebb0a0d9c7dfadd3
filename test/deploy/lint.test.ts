import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { needs } from '../support/programs.ts';
import { tempDir } from '../support/temp.ts';
import { read } from './packaging.ts';
import { misfits, shapes } from './schema.ts';

it('the manifests have keys that Kubernetes knows, with values of their kind', () => {
  const found = parseAllDocuments(read('kubernetes/spillway.yaml'), { uniqueKeys: true }).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS() as { apiVersion: string; kind: string; metadata: { name: string } };
  });
  assert.ok(found.length >= 6);
  for (const manifest of found) {
    const kind = `${manifest.apiVersion}/${manifest.kind}`;
    assert.deepEqual(misfits(manifest, shapes[kind], kind), []);
    assert.match(manifest.metadata.name, /^[a-z][a-z0-9-]{0,61}[a-z0-9]$/);
  }
  const typo = { ...found[0], automountServiceAcountToken: false, metadata: { name: 1 } };
  assert.deepEqual(misfits(typo, shapes['v1/ServiceAccount'], 'x'), [
    'x.metadata.name: 1 is not a text',
    'x.automountServiceAcountToken is not known',
  ]);
});

it('systemd takes the unit, and finds it closed', needs('systemd-analyze'), async (t) => {
  const file = join(await tempDir(t, 'unit'), 'spillway.service');
  // Of a machine that has Node elsewhere it is another Node, and the rest of the line stays.
  await writeFile(file, read('systemd/spillway.service').replace('/usr/bin/node', process.execPath));
  const verify = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
  // What it says of other units of this machine is not ours.
  const ours = verify.stderr.split('\n').filter((line) => line.includes('spillway.service'));
  assert.deepEqual([verify.status, ours], [0, []]);
  const security = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=20', file], {
    encoding: 'utf8',
  });
  assert.equal(security.status, 0, security.stdout);
});
