import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import {
  authRefusals,
  doorReasonNames,
  doorReasons,
  endpointReasonNames,
  endpointReasons,
} from '../../src/telemetry/reasons.ts';
import { projectDir } from '../support/paths.ts';

/** The sources but for the list itself. Types see to it that nothing else is counted; this, that all of it can be. */
const sources = readdirSync(join(projectDir, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('reasons.ts'))
  .map((file) => readFileSync(join(projectDir, 'src', file), 'utf8'))
  .join('\n');

it('has no reason that no code gives', () => {
  const idle = [...doorReasonNames, ...endpointReasonNames, ...Object.keys(authRefusals)].filter(
    (name) => !sources.includes(`'${name}'`),
  );
  assert.deepEqual(idle, []);
});

it('explains each reason in a sentence, under a name of its own', () => {
  const all = [
    ...Object.entries(doorReasons),
    ...Object.entries(endpointReasons),
    ...Object.entries(authRefusals),
  ];
  assert.equal(new Set(all.map(([name]) => name)).size, all.length);
  for (const [name, text] of all) {
    assert.match(name, /^[a-z]+(_[a-z0-9]+)*$/);
    assert.match(text, /^[A-Z].*\.$/);
  }
});
