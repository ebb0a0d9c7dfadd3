import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { defaultConfig, parseConfig } from '../../src/config/load.ts';
import { renderOptionsDoc } from '../../src/config/options-doc.ts';
import { renderDefaults } from '../../src/config/sample.ts';

describe('the documents that derive from the options table', () => {
  it('docs/configuration.md is up to date (npm run docs)', () => {
    assert.equal(readFileSync('docs/configuration.md', 'utf8'), renderOptionsDoc());
  });

  it('spillway.example.yaml is up to date (npm run docs)', () => {
    assert.equal(readFileSync('spillway.example.yaml', 'utf8'), renderDefaults());
  });

  it('the sample says the defaults and nothing else', () => {
    const shortest = 'remote_write: [{name: recent, url: "sqlite:recent.db"}]';
    const expected = parseConfig(shortest, { file: 'shortest', baseDir: '/etc/spillway' });
    assert.deepEqual(defaultConfig('/etc/spillway'), expected);
  });

  it('no line of the sample is wide', () => {
    for (const line of renderDefaults().split('\n')) assert.ok(line.length <= 104, line);
  });
});
