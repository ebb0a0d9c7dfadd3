import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/problems.ts';

/**
 * One broken file per rule. The lines of a file that start with `#!` are what must be reported, as
 * `line:column: path: message`. Whatever is secret in these files has `s3cret` in it.
 */
const folder = join('test', 'fixtures', 'config');

describe('broken configuration files', () => {
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.bad.yaml'))) {
    it(file, () => {
      const text = readFileSync(join(folder, file), 'utf8');
      const expected = text.match(/^#! .*$/gm)?.map((line) => `${file}:${line.slice(3)}`) ?? [];
      const error = refusal(text, file);
      assert.deepEqual(error.message.split('\n'), expected);
      assert.equal(error.problems.length, expected.length);
      assert.doesNotMatch(`${error.stack} ${JSON.stringify(error)}`, /s3cret/);
    });
  }
});

function refusal(text: string, file: string): ConfigError {
  try {
    parseConfig(text, { file, baseDir: '/etc/spillway' });
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  return assert.fail(`${file} was accepted`);
}
