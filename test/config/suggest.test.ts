import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { suggest } from '../../src/config/suggest.ts';

describe('suggest', () => {
  const known = [
    'url',
    'name',
    'keep',
    'min_shards',
    'max_shards',
    'max_samples_per_send',
    'batch_send_deadline',
  ];
  const table: readonly [typed: string, meant: string | undefined][] = [
    ['ulr', 'url'],
    ['URL', 'url'],
    ['nam', 'name'],
    ['max-shards', 'max_shards'],
    ['maxShards', 'max_shards'],
    ['mx_shards', 'max_shards'],
    ['min_shard', 'min_shards'],
    ['max_samples_send', 'max_samples_per_send'],
    ['scrape_configs', undefined],
    ['port', undefined],
    ['x', undefined],
    ['', undefined],
  ];
  for (const [typed, meant] of table) {
    it(`${JSON.stringify(typed)} is ${meant}`, () => assert.equal(suggest(typed, known), meant));
  }
});
